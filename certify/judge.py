"""What was found: each requirement with how often it was looked at, what broke it, or why it was not looked at."""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from certify.exchange import Exchange
from certify.requirements import Requirement

MOST_SAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """One miss of a requirement.

    Attributes:
        told: what was expected and what came, in one sentence.
        exchanges: the requests that show it, the telling one last.
        pointer: where the spec speaks of it; empty where the requirement's own place says it.
    """

    told: str
    exchanges: tuple[Exchange, ...] = ()
    pointer: str = ""


@dataclass
class Record:
    """What is known of one requirement.

    Attributes:
        checked: how often it was looked at.
        missed: how often it was missed.
        findings: a few of the misses, each another one.
        skipped: why it was not to be looked at.
        broken_off: why it could not be looked at.
    """

    checked: int = 0
    missed: int = 0
    findings: list[Finding] = field(default_factory=list)
    skipped: str = ""
    broken_off: str = ""


class Judge:
    """Keeps a record for each requirement; several threads may use it."""

    def __init__(self, requirements: Iterable[Requirement]) -> None:
        self.records = {requirement.name: Record() for requirement in requirements}
        self.statuses: Counter[int] = Counter()
        self._lock = threading.Lock()

    def check(self, name: str, holds: bool, told: str, *exchanges: Exchange, pointer: str = "") -> bool:
        """Note that a requirement was looked at, and what was found if it does not hold; return whether it does."""
        with self._lock:
            record = self.records[name]
            record.checked += 1
            if not holds:
                record.missed += 1
                known = {finding.pointer or finding.told for finding in record.findings}
                if (pointer or told) not in known and len(record.findings) < MOST_SAMPLES:
                    record.findings.append(Finding(told, exchanges, pointer))
        return holds

    def skip(self, name: str, why: str) -> None:
        """Note that a requirement is not to be looked at."""
        self.records[name].skipped = why

    def break_off(self, names: Iterable[str], why: str) -> None:
        """Note that those of the requirements that were not looked at could not be."""
        for name in names:
            record = self.records[name]
            if not record.checked and not record.skipped:
                record.broken_off = record.broken_off or why
