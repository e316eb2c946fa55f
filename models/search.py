"""Member search: who of the candidates is shown, and in which order."""

import datetime
import functools
import operator

import peewee

from models import candidates, folding, matching
from models.candidates import Candidate
from models.database import UtcDateTimeField, rows
from models.enrollment import ADDRESS_FIELDS, PERSON_FIELDS
from models.matching import Standing
from models.memberships import DESCRIBED, describe
from models.tables import Member, Membership, Program

# A candidate that is so many bits behind the best, which is a million times likelier, is a stranger.
FAR_BEHIND = 20.0
POSSIBLE_ONES = 8  # shown at most, after those that match


def search(program: Program, member_filter: dict, now: datetime.datetime, *, limit: int) -> list[dict]:
    """Return the members that match, the best first; equals keep the order of their enrollment.

    Args:
        program: whose members.
        member_filter: the contract's member filter in plain values; a blank field is a missing one.
        now: the moment at which expiry is judged.
        limit: how many at most.
    """
    shown, _ = judge(program, member_filter, now, limit=limit)
    return [_describe_member(_converted(entry.row), now) for entry in shown]


def judge(
    program: Program, member_filter: dict, now: datetime.datetime, *, limit: int
) -> tuple[list[Candidate], list[Candidate]]:
    """Return the candidates that are shown, in the order of the answer, and all others, the best first.

    Shown are those that match, unless they are far behind the best; where the best is not strong, some that are only
    possible follow. For the arguments, see `search`.
    """
    wanted = matching.filter_keys(member_filter)
    found = candidates.find(program, wanted, now, limit=limit)
    best = max((entry.comparison.score for entry in found), default=0.0)
    shown = [entry for entry in found if _is_shown(entry, best)]
    if not candidates.is_strong(best, wanted):
        shown += [entry for entry in found if entry.comparison.standing is Standing.POSSIBLE][:POSSIBLE_ONES]
    ids = {entry.row["id"] for entry in shown[:limit]}
    return shown[:limit], [entry for entry in found if entry.row["id"] not in ids]


def _is_shown(entry: Candidate, best: float) -> bool:
    comparison = entry.comparison
    if comparison.standing is not Standing.MATCH:
        return False
    is_certain = bool(comparison.identifiers) or comparison.is_known_by_contact
    return is_certain or comparison.score >= best - FAR_BEHIND


def look_up(program: Program, identifier: str, now: datetime.datetime) -> list[dict]:
    """Return the members with this provider membership id, membership number or e-mail.

    Each is a member's plain values, its `membership` as the contract shows it, and `row` (the membership's row id).
    """
    keys = {
        Membership.provider_membership_id: identifier.strip(),
        Membership.number_key: folding.number_key(identifier),
        Member.email_key: folding.email_key(identifier),
    }
    conditions = [column == value for column, value in keys.items() if value]
    if not conditions:
        return []
    found = rows(
        Member.select(Member, *_membership_columns(), Membership.id.alias("row"))
        .join(Membership)
        .where(
            Member.program == program.id, Membership.deleted_at.is_null(), functools.reduce(operator.or_, conditions)
        )
        .order_by(Member.id)
    )
    return [_describe_member(row, now) | {"row": row["row"]} for row in found]


def _membership_columns() -> list[peewee.Field]:
    shared = Member._meta.fields.keys()
    return [field for name, field in Membership._meta.fields.items() if name not in shared]


_described = operator.itemgetter(*(field.name for field in DESCRIBED))
_CONVERTERS = {
    name: field.python_value
    for name, field in (Membership._meta.fields | Member._meta.fields).items()
    if name in candidates.COLUMNS and isinstance(field, UtcDateTimeField | peewee.DateField)
}


def _converted(row: dict) -> dict:
    """Return the row with dates and moments as such, which SQLite keeps as text."""
    return row | {name: convert(row[name]) for name, convert in _CONVERTERS.items()}


def _describe_member(row: dict, now: datetime.datetime) -> dict:
    address = {name: row[name] for name in ADDRESS_FIELDS if row[name] is not None}
    person = {name: row[name] for name in PERSON_FIELDS}
    return person | {"address": address or None, "membership": describe(_described(row), now)}
