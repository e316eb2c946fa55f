"""Candidates of a search: the members around the wanted values in sorted indexes, each compared with the filter."""

import dataclasses
import datetime
import functools
import operator

from models import blocking, matching
from models.blocking import Scan
from models.database import database
from models.enrollment import ADDRESS_FIELDS, PERSON_FIELDS
from models.memberships import current_status
from models.programs import Status
from models.tables import Member, Membership, Program

# Where the best candidate has this share of the highest score possible, its neighbours are not worth reading.
STRONG = 0.7
COLUMNS = (
    *("id", *PERSON_FIELDS, *ADDRESS_FIELDS),
    *("email_key", "phone_key", "phone_digits_key"),
    *("first_name_key", "last_name_key", "city_key", "postal_code_key"),
    *("provider_membership_id", "membership_number", "number_key", "status", "tier", "points"),
    *("expires_at", "expires_at_offset", "deeplink_url"),
)
Scans = list[tuple[Scan, blocking.Values]]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A candidate, as columns of the member and its membership by name, and how it compares with the filter."""

    row: dict
    comparison: matching.Comparison

    @property
    def rank(self) -> tuple:
        """What sorts the best first; equals in the order of their enrollment."""
        return -len(self.comparison.identifiers), -self.comparison.score, self.row["id"]


def find(program: Program, wanted: dict, now: datetime.datetime, *, limit: int) -> list[Candidate]:
    """Return all visible members that were compared with the filter, strangers included, the best first.

    Args:
        program: whose members.
        wanted: what `models.matching.filter_keys` returned.
        now: the moment at which expiry is judged.
        limit: how many of one name to read at most.
    """
    found: dict[int, Candidate] = {}
    _compare(found, program, wanted, blocking.identifying(wanted) + blocking.exact(wanted, limit=limit))
    if not is_strong(max((entry.comparison.score for entry in found.values()), default=0.0), wanted):
        _compare(found, program, wanted, blocking.nearest(wanted))
    visible = [entry for entry in found.values() if _is_visible(entry.row, program, now)]
    return sorted(visible, key=operator.attrgetter("rank"))


def is_strong(best: float, wanted: dict) -> bool:
    """Tell whether a score, in bits, is so near to the highest possible that the person is all but found."""
    return best >= STRONG * matching.highest_score(wanted)


def _compare(found: dict[int, Candidate], program: Program, wanted: dict, scans: Scans) -> None:
    """Add the members of the scans to those found, as long as there are not too many; who is identified comes first."""
    for row in sorted(_read(program, scans), key=lambda row: not _is_identified(row, wanted)):
        if row["id"] not in found and len(found) < blocking.MOST_CANDIDATES:
            found[row["id"]] = Candidate(row, matching.compare(wanted, row))


def _is_identified(row: dict, wanted: dict) -> bool:
    columns = ("provider_membership_id", "number_key", "email_key")
    phones = {row["phone_key"], row["phone_digits_key"]}
    return any(wanted[column] and row[column] == wanted[column] for column in columns) or not phones.isdisjoint(
        wanted["phone_keys"]
    )


def _is_visible(row: dict, program: Program, now: datetime.datetime) -> bool:
    return current_status(row["status"], _moment(row["expires_at"]), now) in program.visible_statuses


_moment = Membership.expires_at.python_value


def _read(program: Program, scans: Scans) -> list[dict]:
    if not scans:
        return []
    statuses = _stored_statuses(program)
    statement = _statement(database.param, tuple(scan for scan, _ in scans), len(statuses))
    values = [part for scan, given in scans for part in (program.id, *statuses, *given)]
    return [dict(zip(COLUMNS, row, strict=True)) for row in database.execute_sql(statement, values)]


@functools.lru_cache(1024)
def _statement(param: str, scans: tuple[Scan, ...], statuses: int) -> str:
    """Return one statement for all scans, which takes for each the program, the statuses and the scan's values.

    Written as text, once for each shape: building so many queries anew for each request would cost more than all else.
    """
    stretches = " UNION ".join(
        f"SELECT * FROM ({_stretch(param, scan, statuses)}) AS stretch{number}"  # noqa: S608 (our own names)
        for number, scan in enumerate(scans)
    )
    return (
        f"SELECT {', '.join(map(_qualified, COLUMNS))} FROM ({stretches}) AS candidate "  # noqa: S608 (our own names)
        f"JOIN member ON member.id = candidate.id JOIN {_MEMBERSHIP}"
    )


def _stretch(param: str, scan: Scan, statuses: int) -> str:
    program = "member" if Member._meta.columns.keys() >= {*scan.equal} else "membership"
    conditions = [f"{program}.program_id = {param}", f"membership.status IN ({', '.join([param] * statuses)})"]
    conditions += [f"{_qualified(column)} = {param}" for column in scan.equal]
    order = ""
    if scan.following:
        columns = [_qualified(column) for column in scan.following]
        placeholders = ", ".join([param] * len(columns))
        conditions.append(f"({', '.join(columns)}) {'<' if scan.is_down else '>='} ({placeholders})")
        order = "ORDER BY " + ", ".join(f"{column} DESC" if scan.is_down else column for column in columns)
    return (
        f"SELECT member.id FROM member JOIN {_MEMBERSHIP} "  # noqa: S608 (our own names)
        f"WHERE membership.deleted_at IS NULL AND {' AND '.join(conditions)} {order} LIMIT {scan.limit}"
    )


_MEMBERSHIP = "membership ON membership.member_id = member.id"


def _qualified(column: str) -> str:
    return f"{'member' if column in Member._meta.columns else 'membership'}.{column}"


def _stored_statuses(program: Program) -> list[str]:
    visible = set(program.visible_statuses)
    # An expired membership reads as canceled, and its row says enrolled.
    return sorted(visible | {Status.ENROLLED.value} if Status.CANCELED in visible else visible)
