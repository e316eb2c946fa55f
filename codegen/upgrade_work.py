"""What an upgrade leaves to do, each thing with the operation and the place that it is about."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from codegen import stubs, upgrade_handlers
from codegen.compare import Comparison
from codegen.comparison.findings import Class, Difference
from codegen.stubs import Operation
from codegen.upgrade_handlers import CarriedOver, Pair

README = Path("spec/README.md")
GENERATED = Path("handlers/schemas.py")


@dataclasses.dataclass(frozen=True)
class Work:
    """One thing to do.

    Attributes:
        operation: operationIds, with commas between; empty for what concerns all.
        place: a file and line, or a pointer into the contract.
        what: what there is to do, in one sentence.
    """

    operation: str
    place: str
    what: str


class WorkList:
    """Lists the work left once an upgrade is in place.

    Args:
        read: gives the content of a file as it will be, by its path relative to the repository; nothing if it is not.
    """

    def __init__(self, before: dict, after: dict, carried: CarriedOver, read: Callable[[Path], bytes]) -> None:
        self._before, self._after = list(stubs.operations(before)), list(stubs.operations(after))
        self._components = after.get("components", {}).get("schemas", {})
        self._carried = carried
        self._read = read

    def all(self, comparison: Comparison, root: Path) -> list[Work]:
        """Return all of it: what to write first, then what to look at."""
        return [*self.handlers(), *self.differences(comparison), *self.mentions(root), *self.documents()]

    def handlers(self) -> Iterator[Work]:
        """List the stubs, whichever run made them, and the functions that nothing reaches any more."""
        for operation in self._after:
            line = upgrade_handlers.stub_line(self._read(Path(operation.file)), operation.function)
            if line:
                told = f"write {operation.function} ({operation.place}); until then it answers 500"
                yield Work(operation.operation_id, f"{operation.file}:{line}", told)
        for pair in self._carried.moved:
            told = f"its tag is now {pair.new.tag}: move {pair.old.function} to {pair.new.file} as {pair.new.function}"
            yield from self._unreached(pair.old, pair.new.operation_id, told)
        for pair in self._carried.kept:
            told = f"{pair.old.function} stays as it is: {pair.new.function} serves the operation now"
            yield from self._unreached(pair.old, pair.new.operation_id, told)
        for operation in self._carried.removed:
            told = f"the operation is gone; nothing reaches {operation.function}, which stays until you remove it"
            yield from self._unreached(operation, operation.operation_id, told)

    def _unreached(self, operation: Operation, operation_id: str, told: str) -> Iterator[Work]:
        line = upgrade_handlers.line_of(self._read(Path(operation.file)), operation.function)
        reached = {other.handler for other in self._after}
        if line and operation.handler not in reached:
            yield Work(operation_id, f"{operation.file}:{line}", told)

    def differences(self, comparison: Comparison) -> Iterator[Work]:
        """List the differences that ask for someone, but for the renamed functions."""
        identifiers = {operation.place: operation.operation_id for operation in (*self._before, *self._after)}
        done = {identifiers[pair.new.place] for pair in self._carried.renamed}
        for difference in comparison.differences:
            concerned = [identifiers.get(place, place) for place in difference.operations]
            if difference.verdict in (Class.BREAKS, Class.WORK) and not (
                is_rename(difference) and concerned[0] in done
            ):
                yield Work(", ".join(concerned), difference.pointer, f"{difference.verdict}: {difference.change}")

    def mentions(self, root: Path) -> Iterator[Work]:
        """List the Python files that still say a name that was changed."""
        for pair in self._carried.renamed:
            for folder in sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != "."):
                for path in sorted(folder.rglob("*.py")):
                    yield from self._mention(path.relative_to(root), pair)

    def _mention(self, path: Path, pair: Pair) -> Iterator[Work]:
        names = {pair.old.operation_id, pair.old.function} - {pair.new.operation_id, pair.new.function}
        word = re.compile(rb"\b(" + "|".join(sorted(names)).encode() + rb")\b")
        lines = [number for number, line in enumerate(self._read(path).splitlines(), 1) if word.search(line)]
        if lines and path != GENERATED:
            told = f"still says {' or '.join(sorted(names))}, in {len(lines)} line{'s' * (len(lines) > 1)}"
            yield Work(pair.new.operation_id, f"{path.as_posix()}:{lines[0]}", told)

    def documents(self) -> Iterator[Work]:
        """List the contract's README if there are components of which it says nothing."""
        text = self._read(README).decode(errors="replace")
        answers = ("Response", "EnterpriseId")  # it speaks of them together
        unknown = [name for name in self._components if f"`{name}`" not in text and not name.endswith(answers)]
        if unknown:
            yield Work("", README.as_posix(), f"say where these components come from: {', '.join(unknown)}")


def is_rename(difference: Difference) -> bool:
    """Tell whether a difference is another operationId."""
    return bool(difference.operations) and difference.place[-1] == "operationId"
