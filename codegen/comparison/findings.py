"""What a difference is, where it is used, and how differences are collected."""

import enum
from dataclasses import dataclass, field
from typing import Any

from codegen.comparison.documents import Place, pointer


class Class(enum.StrEnum):
    """What a difference means for who implements the server, worst first."""

    BREAKS = "breaks now"
    WORK = "work to do"
    WIDEN = "widen"
    TEXT = "text only"


WORST_FIRST = list(Class)


class Kind(enum.Enum):
    """Of a schema's differences: two are harmless in an answer that is still valid, two are never mere text."""

    NEW_FIELD = "a field that we do not send"
    REQUIRED = "a field that we send always"
    PARTIAL = "a keyword that does nothing without others"
    UNCHECKED = "a keyword or format that no validator of ours checks"
    OTHER = "anything else"


@dataclass(frozen=True)
class Use:
    """A schema in its use: as the body of a request or an answer, or as a parameter.

    Attributes:
        operation: the method and path, such as `POST /members`.
        side: `request`, `answer` or `parameter`.
        old: where the schema stands in the old document.
        new: where in the new one.
        status: of an answer.
        media_type: of a body.
    """

    operation: str
    side: str
    old: Place
    new: Place
    status: str = ""
    media_type: str = ""


@dataclass
class Difference:
    """One difference.

    Attributes:
        place: where it is: in the new document, or in the old one if it is gone from the new.
        change: what changed, in one sentence.
        old: the place in the old document that it concerns, for what was inferred there.
        verdict: None until a schema's difference is judged.
        edits: for each use of the schema, the places and values that make this one change in the old document; none
            where no schema changes.
        operations: which operations it concerns; none where it concerns all.
    """

    place: Place
    change: str
    old: Place
    verdict: Class | None = None
    edits: dict[Use, list[tuple[Place, Any]]] = field(default_factory=dict)
    kind: Kind = Kind.OTHER
    operations: list[str] = field(default_factory=list)

    @property
    def pointer(self) -> str:
        """The place as a pointer into its document."""
        return pointer(self.place[1:])


class Findings:
    """Collects differences; one that several operations share is one."""

    def __init__(self) -> None:
        self._found: dict[tuple[Place, str], Difference] = {}
        self.pairs: dict[Place, Place] = {}
        self.moved: dict[Place, Place] = {}

    def __iter__(self) -> Any:
        return iter(self._found.values())

    def add(self, difference: Difference, operation: str = "") -> None:
        """Keep a difference, or note that this operation has it too; the worst class stays."""
        kept = self._found.setdefault((difference.place, difference.change), difference)
        if kept is not difference:
            for use, edits in difference.edits.items():
                kept.edits.setdefault(use, []).extend(edits)
            verdicts = [verdict for verdict in (kept.verdict, difference.verdict) if verdict]
            kept.verdict = min(verdicts, key=WORST_FIRST.index) if verdicts else None
        if operation and operation not in kept.operations:
            kept.operations.append(operation)

    def pair(self, old: Place, new: Place) -> None:
        """Note that these two places correspond."""
        self.pairs.setdefault(self.origin(old), new)

    def origin(self, place: Place) -> Place:
        """Return where a place of the workspace is in the old document: a component may have been copied from there."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.moved:
                return self.origin(self.moved[place[:length]] + place[length:])
        return place
