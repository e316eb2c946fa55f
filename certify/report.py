"""What a run found, ready to be shown: a row for each requirement, in the order of Mews' list."""

import datetime
import enum
from collections import Counter
from dataclasses import dataclass
from typing import Any

from app import __version__
from certify import requirements
from certify.exchange import Exchange
from certify.judge import Finding, Record
from certify.play import Play
from certify.requirements import Flow, Requirement
from certify.wording import counted

NO_OCCASION = "No answer gave occasion to look."


class Result(enum.StrEnum):
    """What became of a requirement."""

    PASSED = "passed"
    FAILED = "failed"
    ADVICE = "advice"
    NOT_JUDGED = "not judged"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Row:
    """One requirement, and what became of it.

    Attributes:
        pointer: where the spec speaks of the requirement.
        why: it was skipped or not judged; empty otherwise.
    """

    requirement: Requirement
    result: Result
    record: Record
    pointer: str
    why: str

    @property
    def findings(self) -> list[Finding]:
        """A few of the misses."""
        return self.record.findings


class Report:
    """What a run found.

    Args:
        play: the run.
        began: when, in UTC.
        strict: a miss of what is our reading is a failure too.
        seed: of the generated requests.
        cut_short: why the run did not come to its end; empty if it did.
    """

    def __init__(self, play: Play, *, began: datetime.datetime, strict: bool, seed: int, cut_short: str = "") -> None:
        self.began = began
        self.seconds = (datetime.datetime.now(datetime.UTC) - began).total_seconds()
        self.version = __version__
        self.spec = play.spec
        self.options = play.options
        self.strict = strict
        self.seed = seed
        self.cut_short = cut_short
        self.requests = play.judge.statuses.total()
        self.statuses = dict(sorted(play.judge.statuses.items()))
        self.left = play.left
        self.rows = [self._row(found, play.judge.records[found.name]) for found in requirements.load().values()]

    def _row(self, requirement: Requirement, record: Record) -> Row:
        binding = requirement.is_binding(strict=self.strict, own_spec=not self.spec.is_vendored)
        if record.missed:
            result, why = (Result.FAILED if binding else Result.ADVICE), ""
        elif record.broken_off:
            result, why = Result.NOT_JUDGED, record.broken_off
        elif record.checked:
            result, why = Result.PASSED, ""
        else:
            result, why = Result.SKIPPED, record.skipped or NO_OCCASION
        return Row(requirement, result, record, self.spec.pointer_to(requirement), why)

    def of(self, flow: Flow) -> list[Row]:
        """Return the rows of a flow."""
        return [row for row in self.rows if row.requirement.flow is flow]

    def to_look_at(self) -> list[Row]:
        """Return the rows that someone should look at: the failures, then advice, then what was not judged."""
        results = (Result.FAILED, Result.ADVICE, Result.NOT_JUDGED)
        return [row for result in results for row in self.rows if row.result is result]

    def counts(self, rows: list[Row] | None = None) -> dict[Result, int]:
        """Return how many rows have which result, of all or of those given."""
        counted = Counter(row.result for row in (self.rows if rows is None else rows))
        return {result: counted[result] for result in Result}

    @property
    def exit_code(self) -> int:
        """0 if everything passed that binds, 1 if something did not, 2 if something could not be judged."""
        if self.cut_short:
            return 2
        counts = self.counts()
        if counts[Result.FAILED]:
            return 1
        return 2 if counts[Result.NOT_JUDGED] else 0

    @property
    def verdict(self) -> str:
        """What the exit code means, in one sentence."""
        if self.cut_short:
            return f"Not judged to the end: {self.cut_short}"
        counts, all_of_them = self.counts(), len(self.rows)
        if missed := counts[Result.FAILED]:
            return f"Not passed: {missed} of {all_of_them} requirements {'is' if missed == 1 else 'are'} missed."
        if unseen := counts[Result.NOT_JUDGED]:
            return f"Not judged: {unseen} of {all_of_them} requirements could not be looked at."
        advice = {0: "no advice", 1: "one piece of advice"}.get(counts[Result.ADVICE], "{} pieces of advice")
        kept = counted(counts[Result.PASSED], "requirement is", "requirements are")
        return f"Passed: {kept} kept, with {advice.format(counts[Result.ADVICE])}."

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "kit": {"name": "loyalty certify", "version": self.version},
            "server": {"base_url": self.options.base_url, "absent": [str(flow) for flow in self.options.absent]},
            "spec": {
                "title": self.spec.title,
                "version": self.spec.contract.version,
                "sha256": self.spec.checksum,
                "is_vendored": self.spec.is_vendored,
            },
            "began": self.began.isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "requests": self.requests,
            "strict": self.strict,
            "seed": self.seed,
            "exit_code": self.exit_code,
            "cut_short": self.cut_short or None,
            "counts": {str(result).replace(" ", "_"): count for result, count in self.counts().items()},
            "requirements": [_as_dict(row) for row in self.rows],
            "left_behind": [{"email": email, "provider_membership_id": identifier} for email, identifier in self.left],
        }


def _as_dict(row: Row) -> dict[str, Any]:
    return {
        "name": row.requirement.name,
        "flow": str(row.requirement.flow),
        "says": row.requirement.says,
        "published": row.requirement.published or None,
        "reading": row.requirement.reading or None,
        "spec": row.pointer,
        "result": str(row.result),
        "why": row.why or None,
        "checked": row.record.checked,
        "missed": row.record.missed,
        "findings": [
            {
                "told": finding.told,
                "spec": finding.pointer or row.pointer,
                "exchanges": [_exchange(one) for one in finding.exchanges],
            }
            for finding in row.findings
        ],
    }


def _exchange(exchange: Exchange) -> dict[str, Any]:
    return {
        "method": exchange.method,
        "url": exchange.url,
        "sent": exchange.sent,
        "status": exchange.status,
        "headers": [f"{name}: {value}" for name, value in exchange.headers.items()],
        "came": exchange.came,
        "seconds": round(exchange.seconds, 3),
        "curl": exchange.curl,
    }
