"""Every difference between two OpenAPI 3.1 documents, and what it means for the server built for the old one."""

import pathlib
from dataclasses import dataclass

from codegen.comparison import documents, marks
from codegen.comparison.findings import WORST_FIRST, Class, Difference, Findings
from codegen.comparison.judge import Judge
from codegen.comparison.operations import OperationComparison

NOTHING_TO_DO, SOMETHING_TO_DO, BREAKS_NOW = 0, 1, 2


@dataclass(frozen=True)
class Comparison:
    """The differences, worst first, and what became of the old document's inferred parts."""

    differences: list[Difference]
    marks: list[marks.Mark]

    @property
    def exit_code(self) -> int:
        """0 if texts alone differ, 2 if something breaks, else 1: even where nothing breaks there is to regenerate."""
        verdicts = {difference.verdict for difference in self.differences}
        if Class.BREAKS in verdicts:
            return BREAKS_NOW
        return SOMETHING_TO_DO if verdicts - {Class.TEXT} else NOTHING_TO_DO


def compare(old: dict, new: dict, text: str = "") -> Comparison:
    """Compare two valid OpenAPI 3.1 documents.

    Args:
        old: the document that the server was built for.
        new: the next one.
        text: the old one as it is in its file, whose comments mark what was inferred.

    Raises:
        documents.NotOpenAPI: a reference leads outside a document, or nowhere.
    """
    workspace, findings = documents.workspace(old, new), Findings()
    OperationComparison(workspace, findings).compare()
    Judge(workspace).judge(findings)
    settled = marks.settle(marks.read(text), findings, {"old": old, "new": workspace["new"]})
    return Comparison(sorted(findings, key=lambda found: WORST_FIRST.index(found.verdict or Class.BREAKS)), settled)


def compare_files(old: pathlib.Path, new: pathlib.Path) -> Comparison:
    """Compare two files.

    Raises:
        documents.NotOpenAPI: one of them is no OpenAPI 3.1 document.
    """
    before, after = documents.load(old), documents.load(new)
    return compare(before, after, old.read_text(encoding="utf-8"))
