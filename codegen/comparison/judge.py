"""What a difference of a schema means: it is made alone in the old document, and the result is tried.

A request breaks if the old schema, which the server checks, does not provably take all that the changed one lets Mews
send (`covers`; its authors say to read "unknown" as "no"). An answer breaks if the changed schema refuses a sample of
what we send. Whether anything breaks is for the whole new schema to say; a trial tells which difference it is.
"""

from collections import Counter
from typing import Any

import jsonschema_rs

from codegen.comparison import answers
from codegen.comparison.containment import canonical, covers, covers_unrolled, rooted, unrolled
from codegen.comparison.documents import Place, at, edited
from codegen.comparison.findings import WORST_FIRST, Class, Difference, Findings, Kind, Use
from codegen.comparison.formats import as_served

_EMAIL_OPTIONS = jsonschema_rs.EmailOptions(allow_domain_literal=False, allow_display_text=False)


class Judge:
    """Knows both documents and what we send."""

    def __init__(self, workspace: dict) -> None:
        self._workspace = as_served(workspace)
        self._whole: dict[Use, bool] = {}
        self._differences: Counter[Use] = Counter()
        self._canonical: dict[Place, jsonschema_rs.CanonicalSchema] = {}

    def judge(self, findings: Findings) -> None:
        """Give every difference of a schema its class, and add one where only several together break something."""
        self._differences.update(use for found in findings for use in found.edits)
        uses: dict[Use, list[Difference]] = {}
        for difference in [found for found in findings if found.edits]:
            verdicts = [self._verdict(difference, use) for use in difference.edits]
            difference.verdict = min(verdicts, key=WORST_FIRST.index)
            for use, verdict in zip(difference.edits, verdicts, strict=True):
                uses.setdefault(use, []).extend([difference] * (verdict is Class.BREAKS))
        for use, breaking in uses.items():
            if not breaking and self._breaks_whole(use):
                change = f"the changes to this {use.side} together, though none of them alone, break it"
                findings.add(Difference(use.new, change, use.old, Class.BREAKS), use.operation)

    def _verdict(self, difference: Difference, use: Use) -> Class:
        if difference.kind is Kind.UNCHECKED:
            return Class.WORK
        trial = self._workspace
        for place, value in difference.edits[use]:
            trial = edited(trial, place, as_served(value))
        if self._breaks_whole(use) and self._breaks(use, trial, use.old):
            return Class.BREAKS
        before, after = self._canonical_at(use.old), canonical(trial, use.old)
        takes, taken = covers(after, before), covers(before, after)
        if takes and taken and difference.kind in (Kind.OTHER, Kind.PARTIAL):
            return self._nothing_alone(difference, use)
        if use.side == "answer":
            return Class.WIDEN if takes or difference.kind in (Kind.NEW_FIELD, Kind.REQUIRED) else Class.WORK
        return Class.WIDEN if taken or use.side == "request" else Class.WORK

    def _nothing_alone(self, difference: Difference, use: Use) -> Class:
        """Return the class of what changes no meaning by itself: it may with others, as `then` does with `if`."""
        if self._differences[use] == 1 and difference.kind is Kind.OTHER:
            return Class.TEXT
        proven = covers(self._canonical_at(use.new), self._canonical_at(use.old))
        return Class.WORK if use.side == "answer" and not proven else Class.WIDEN

    def _breaks_whole(self, use: Use) -> bool:
        if use not in self._whole:
            self._whole[use] = self._breaks(use, self._workspace, use.new)
        return self._whole[use]

    def _breaks(self, use: Use, trial: dict, place: Place) -> bool:
        if use.side == "parameter":  # the server checks none
            return False
        if use.side == "request":
            return not self._takes_requests(use.old, trial, place)
        bodies = self.sent(use)
        if not bodies:  # of an operation or answer that we know nothing of
            return not covers(canonical(trial, place), self._canonical_at(use.old))
        changed = validator(trial, place)
        return not all(changed.is_valid(body) for body in bodies)

    def _takes_requests(self, old: Place, trial: dict, place: Place) -> bool:
        if covers(self._canonical_at(old), canonical(trial, place)):
            return True
        wide, narrow = unrolled(self._workspace, old), unrolled(trial, place)
        return bool(wide and narrow and narrow.loops and covers_unrolled(wide, narrow))

    def sent(self, use: Use) -> list[Any]:
        """Return the bodies that we send in this use: those that the old document takes."""
        old = validator(self._workspace, use.old)
        return [
            answer.body
            for answer in answers.samples()
            if means(use.status, answer.status) and answer.media_type == use.media_type and old.is_valid(answer.body)
        ]

    def _canonical_at(self, place: Place) -> jsonschema_rs.CanonicalSchema:
        if place not in self._canonical:
            self._canonical[place] = canonical(self._workspace, place)
        return self._canonical[place]


def means(documented: str, status: str) -> bool:
    """Tell whether a key of `responses` (`404`, `4XX`, `default`) can stand for a status."""
    return documented in (status, f"{status[0]}XX", "default")


def takes_header(workspace: dict, schema: Place, value: str | None) -> bool:
    """Tell whether a header's schema takes a value, as a text or as the number that it spells; no value is taken."""
    if value is None or at(workspace, schema) is None:
        return True
    is_valid = validator(workspace, schema).is_valid
    return is_valid(value) or (value.isdigit() and is_valid(int(value)))


def validator(workspace: dict, place: Place) -> jsonschema_rs.Draft202012Validator:
    """Return a validator of the schema at a place, which checks formats as the server does."""
    schema = rooted(workspace, place)
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, email_options=_EMAIL_OPTIONS, offline=True)
