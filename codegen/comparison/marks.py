"""What the old document marked as inferred, and what the new one says about it.

A mark is a comment with the word "inferred" on a line of the file. It speaks of the keywords of that line that it
names (`{ type: string, maxLength: 255 } # from examples; maxLength inferred`), or else of all that the line begins.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from codegen.comparison.documents import Place, at, place_of, pointer
from codegen.comparison.findings import Class, Findings

COMMENT = re.compile(r"#\s[^#]*?\binferred\b.*$")


@dataclass(frozen=True)
class Mark:
    """One place that was inferred, and what became of it."""

    place: Place
    line: int
    comment: str
    confirmed: bool = False
    reason: str = ""

    @property
    def pointer(self) -> str:
        """The place as a pointer into the old document."""
        return pointer(self.place[1:])


def read(text: str) -> list[Mark]:
    """Return the marks of a YAML document, in the order of its lines; JSON has none."""
    lines: dict[int, list[Place]] = {}
    for line, place in _places(yaml.compose(text, yaml.SafeLoader), ("old",)):
        lines.setdefault(line, []).append(place)
    found = []
    for number, content in enumerate(text.splitlines(), start=1):
        comment = COMMENT.search(content)
        if comment and number in lines and not content.lstrip().startswith("#"):
            found += [Mark(place, number, comment[0].lstrip("# ")) for place in _meant(comment[0], lines[number])]
    return found


def _places(node: yaml.Node | None, place: Place) -> Iterator[tuple[int, Place]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key.start_mark.line + 1, (*place, key.value)
            yield from _places(value, (*place, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield value.start_mark.line + 1, (*place, index)
            yield from _places(value, (*place, index))


def _meant(comment: str, places: list[Place]) -> list[Place]:
    """Choose the places that a comment names in the part that says inferred; else the first one of its line."""
    [part, *_] = [part for part in re.split(r";", comment) if "inferred" in part]
    words = set(re.findall(r"[$\w]+", part.partition("inferred")[0]))
    return [place for place in places[1:] if place[-1] in words] or places[:1]


def settle(marks: list[Mark], findings: Findings, workspace: dict) -> list[Mark]:
    """Say of each mark whether the new document confirms or refutes it.

    It is refuted if its place has no counterpart, a counterpart of another name, or a difference that is more than
    text at it or below it; of several marks around a difference, the nearest.
    """
    places = {mark.place for mark in marks}
    wrong: dict[Place, str] = {}
    for difference in findings:
        nearest = next((place for place in _upwards(difference.old) if place in places), None)
        if nearest and difference.verdict is not Class.TEXT:
            wrong.setdefault(nearest, difference.change)
    return [_settled(mark, wrong, findings, workspace) for mark in marks]


def _settled(mark: Mark, wrong: dict[Place, str], findings: Findings, workspace: dict) -> Mark:
    there = findings.pairs.get(mark.place)
    if there is None:  # a keyword of something that has a counterpart, or a part that no operation reaches
        above = findings.pairs.get(mark.place[:-1], ("new", *mark.place[1:-1]))
        there = (*above, mark.place[-1])
    reason = wrong.get(mark.place, "")
    if not reason and (found := at(workspace, there)) is None:
        reason = "it is not in the new document"
    elif not reason and there[-1] == "$ref" and place_of(found)[1:] != place_of(at(workspace, mark.place)):
        reason = f"it refers to {pointer(place_of(found)[1:])} in the new document"
    elif not reason and there[-1] != mark.place[-1]:
        reason = f"it is {pointer(there[1:])} in the new document"
    return Mark(mark.place, mark.line, mark.comment, not reason, reason)


def _upwards(place: Place) -> Iterator[Place]:
    for length in range(len(place), 1, -1):
        yield place[:length]
