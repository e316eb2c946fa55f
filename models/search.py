"""Member search: candidates from the stretches of sorted indexes around what is wanted, then a score from all evidence."""

import dataclasses
import datetime
import functools
import operator

import peewee

from models import blocking, folding, matching
from models.blocking import Scan
from models.database import database, rows
from models.enrollment import ADDRESS_FIELDS, PERSON_FIELDS
from models.matching import Standing
from models.memberships import current_status, describe
from models.programs import Status
from models.tables import Member, Membership, Program

# Where the best candidate has this share of the highest score possible, its neighbours are not worth reading.
STRONG = 0.7
# A candidate that is so many bits behind the best, which is a million times likelier, is a stranger.
FAR_BEHIND = 20.0
POSSIBLE_ONES = 8  # shown at most, after those that match


@dataclasses.dataclass(frozen=True)
class Found:
    """A candidate, as columns of the member and its membership by name, and how it compares with the filter."""

    row: dict
    comparison: matching.Comparison

    @property
    def rank(self) -> tuple:
        """What sorts the best first; equals in the order of their enrollment."""
        return -len(self.comparison.identifiers), -self.comparison.score, self.row["id"]


def search(program: Program, member_filter: dict, now: datetime.datetime, *, limit: int) -> list[dict]:
    """Return the members that match, the best first; equals keep the order of their enrollment.

    Args:
        program: whose members.
        member_filter: the contract's member filter in plain values; a blank field is a missing one.
        now: the moment at which expiry is judged.
        limit: how many at most.
    """
    found = candidates(program, member_filter, now, limit=limit)
    best = max((entry.comparison.score for entry in found), default=0.0)
    shown = [entry for entry in found if _is_shown(entry, best)]
    if best < STRONG * matching.highest_score(matching.filter_keys(member_filter)):
        shown += [entry for entry in found if entry.comparison.standing is Standing.POSSIBLE][:POSSIBLE_ONES]
    return [_describe_member(_converted(entry.row), now) for entry in shown[:limit]]


def _is_shown(entry: Found, best: float) -> bool:
    is_near = entry.comparison.identifiers or entry.comparison.score >= best - FAR_BEHIND
    return entry.comparison.standing is Standing.MATCH and bool(is_near)


def candidates(program: Program, member_filter: dict, now: datetime.datetime, *, limit: int) -> list[Found]:
    """Return all members that were compared with the filter, strangers included, the best first.

    Args: as for `search`.
    """
    wanted = matching.filter_keys(member_filter)
    found: dict[int, Found] = {}
    _compare(found, program, wanted, blocking.identifying(wanted) + blocking.exact(wanted, limit=limit))
    best = max((entry.comparison.score for entry in found.values()), default=0.0)
    if best < STRONG * matching.highest_score(wanted):
        _compare(found, program, wanted, blocking.nearest(wanted))
    return sorted((entry for entry in found.values() if _is_visible(entry.row, program, now)), key=operator.attrgetter("rank"))


def _compare(found: dict[int, Found], program: Program, wanted: dict, scans: list[tuple[Scan, blocking.Values]]) -> None:
    """Add the members of the scans to those found, as long as there are not too many."""
    for row in _read(program, scans):
        if row["id"] not in found and len(found) < blocking.MOST_CANDIDATES:
            found[row["id"]] = Found(row, matching.compare(wanted, row))


def _is_visible(row: dict, program: Program, now: datetime.datetime) -> bool:
    return current_status(row["status"], _moment(row["expires_at"]), now) in program.visible_statuses


_moment = Membership.expires_at.python_value


def _read(program: Program, scans: list[tuple[Scan, blocking.Values]]) -> list[dict]:
    if not scans:
        return []
    statuses = _stored_statuses(program)
    statement = _statement(database.param, tuple(scan for scan, _ in scans), len(statuses))
    values = [part for scan, given in scans for part in (program.id, *statuses, *given)]
    return [dict(zip(COLUMNS, row, strict=True)) for row in database.execute_sql(statement, values)]


_TABLES = {"member": Member, "membership": Membership}
COLUMNS = (
    *("id", *PERSON_FIELDS, *ADDRESS_FIELDS),
    *("email_key", "phone_key", "phone_digits_key"),
    *("first_name_key", "last_name_key", "city_key", "postal_code_key"),
    *("provider_membership_id", "membership_number", "number_key", "status", "tier", "points"),
    *("expires_at", "expires_at_offset", "deeplink_url"),
)


@functools.lru_cache(1024)
def _statement(param: str, scans: tuple[Scan, ...], statuses: int) -> str:
    """Return one statement for all scans, which takes for each the program, the statuses and the scan's values.

    Written as text, once for each shape: building so many queries anew for each request would cost more than all else.
    """
    return " UNION ALL ".join(f"SELECT * FROM ({_select(param, scan, statuses)}) AS stretch" for scan in scans)


def _select(param: str, scan: Scan, statuses: int) -> str:
    conditions = [
        f"{_qualified('program_id', 'membership' if _is_of_membership(scan) else 'member')} = {param}",
        f"membership.status IN ({', '.join([param] * statuses)})",
        *(f"{_qualified(column)} = {param}" for column in scan.equal),
    ]
    order = ""
    if scan.following:
        columns = [_qualified(column) for column in scan.following]
        placeholders = ", ".join([param] * len(columns))
        conditions.append(f"({', '.join(columns)}) {'<' if scan.is_down else '>='} ({placeholders})")
        order = "ORDER BY " + ", ".join(f"{column} DESC" if scan.is_down else column for column in columns)
    return (
        f"SELECT {', '.join(map(_qualified, COLUMNS))} FROM member JOIN membership ON membership.member_id = member.id "
        f"WHERE membership.deleted_at IS NULL AND {' AND '.join(conditions)} {order} LIMIT {scan.limit}"
    )


def _is_of_membership(scan: Scan) -> bool:
    return not Member._meta.columns.keys() >= {*scan.equal}


def _qualified(column: str, table: str = "") -> str:
    return f"{table or ('member' if column in Member._meta.columns else 'membership')}.{column}"


def _converted(row: dict) -> dict:
    """Return the row with dates and moments as such, which SQLite keeps as text."""
    fields = Membership._meta.fields | Member._meta.fields
    return {name: fields[name].python_value(value) for name, value in row.items()}


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


def _stored_statuses(program: Program) -> list[str]:
    visible = set(program.visible_statuses)
    # An expired membership reads as canceled, and its row says enrolled.
    return sorted(visible | {Status.ENROLLED.value} if Status.CANCELED in visible else visible)


def _describe_member(row: dict, now: datetime.datetime) -> dict:
    address = {name: row[name] for name in ADDRESS_FIELDS if row[name] is not None}
    person = {name: row[name] for name in PERSON_FIELDS}
    return person | {"address": address or None, "membership": describe(row, now)}
