"""Member search: candidates by several indexed keys, then one score from all evidence."""

import datetime
import functools
import operator

import peewee

from models import folding, matching
from models.database import rows
from models.enrollment import ADDRESS_FIELDS, PERSON_FIELDS
from models.memberships import current_status, describe
from models.programs import Status
from models.tables import Member, Membership, Program

CANDIDATES_PER_BLOCK = 200


def search(program: Program, member_filter: dict, now: datetime.datetime, *, limit: int) -> list[dict]:
    """Return the members that match, the best first; equals keep the order of their enrollment.

    Args:
        program: whose members.
        member_filter: the contract's member filter in plain values; a blank field is a missing one.
        now: the moment at which expiry is judged.
        limit: how many at most.
    """
    wanted = matching.filter_keys(member_filter)
    ranked = sorted((-matching.score(wanted, row), row["id"], row) for row in _candidates(program, wanted).values())
    found = [
        row
        for negative_score, _, row in ranked
        if -negative_score > matching.CUT_OFF
        and current_status(row["status"], row["expires_at"], now) in program.visible_statuses
    ]
    return [_describe_member(row, now) for row in found[:limit]]


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


def _candidates(program: Program, wanted: dict) -> dict[int, dict]:
    found: dict[int, dict] = {}
    for block in matching.blocking_keys(wanted):
        found.update({row["id"]: row for row in rows(candidates_in_block(program, block))})
    return found


def candidates_in_block(program: Program, block: dict) -> peewee.Query:
    """Return the query for the program's members whose key columns equal the block's, with their memberships."""
    table = Membership if block.keys() & Membership._meta.fields.keys() else Member
    keys = [getattr(table, column) == value for column, value in block.items()]
    return (
        Member.select(Member, *_membership_columns())
        .join(Membership)
        .where(
            table.program == program.id,
            *keys,
            Membership.deleted_at.is_null(),
            Membership.status.in_(_stored_statuses(program)),
        )
        .order_by(Member.id)
        .limit(CANDIDATES_PER_BLOCK)
    )


def _membership_columns() -> list[peewee.Field]:
    shared = Member._meta.fields.keys()
    return [field for name, field in Membership._meta.fields.items() if name not in shared]


def _stored_statuses(program: Program) -> list[str]:
    visible = set(program.visible_statuses)
    # An expired membership reads as canceled, and its row says enrolled.
    return sorted(visible | {Status.ENROLLED.value} if Status.CANCELED in visible else visible)


def _describe_member(row: dict, now: datetime.datetime) -> dict:
    address = {name: row[name] for name in ADDRESS_FIELDS if row[name] is not None}
    person = {name: row[name] for name in PERSON_FIELDS}
    return person | {"address": address or None, "membership": describe(row, now)}
