"""Candidates of a search: the members around the wanted values in sorted indexes, each compared with the filter."""

import datetime
import functools
import math
import operator
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from models import blocking, matching
from models.blocking import Scan
from models.database import database
from models.enrollment import ADDRESS_FIELDS, PERSON_FIELDS
from models.programs import Status
from models.tables import Member, Membership, Program

STRONG = 0.7  # the share of the highest score possible from which a candidate is all but certain
ROUNDING = 1e-9  # sums of the same weights in another order differ by less
COLUMNS = (
    *("id", *PERSON_FIELDS, *ADDRESS_FIELDS),
    *("email_key", "phone_key", "phone_digits_key"),
    *("first_name_key", "last_name_key", "first_name_code", "last_name_code", "city_key", "postal_code_key"),
    *("provider_membership_id", "membership_number", "number_key", "status", "tier", "points"),
    *("expires_at", "expires_at_offset", "deeplink_url"),
)
_IDENTIFYING = ("provider_membership_id", "number_key", "email_key")
Scans = list[tuple[Scan, blocking.Values]]


class Candidate(NamedTuple):
    """A candidate, as columns of the member and its membership by name, and how it compares with the filter."""

    row: dict
    comparison: matching.Comparison

    @property
    def rank(self) -> tuple:
        """What sorts the best first; equals in the order of their enrollment."""
        comparison = self.comparison
        return -len(comparison.identifiers), not comparison.is_known_by_contact, -comparison.score, self.row["id"]


def find(program: Program, wanted: dict, now: datetime.datetime, *, limit: int) -> list[Candidate]:
    """Return all visible members that were compared with the filter, strangers included, the best first.

    Args:
        program: whose members.
        wanted: what `models.matching.filter_keys` returned.
        now: the moment at which expiry is judged.
        limit: how many of one name to read at most.
    """
    found: dict[int, Candidate] = {}
    identifying, namesakes = blocking.identifying(wanted), blocking.namesakes(wanted, limit=limit)
    _compare(found, wanted, _read(program, now, identifying or namesakes))
    if _is_found(found.values(), wanted, 1.0):
        return _ranked(found)  # whoever else agrees in everything was read too
    further = (namesakes if identifying else []) + blocking.partly_exact(wanted)
    _compare(found, wanted, _read(program, now, further))
    if not _is_found(found.values(), wanted, STRONG):
        _compare(found, wanted, _read(program, now, blocking.nearest(wanted)))
    return _ranked(found)


def _ranked(found: dict[int, Candidate]) -> list[Candidate]:
    return sorted(found.values(), key=operator.attrgetter("rank"))


def is_strong(best: float, wanted: dict) -> bool:
    """Tell whether a score, in bits, is so near to the highest possible that the person is all but found."""
    return best >= STRONG * matching.highest_score(wanted)


def _is_found(found: Iterable[Candidate], wanted: dict, share: float) -> bool:
    """Tell whether one has that share of the highest score possible, and the names that are given.

    A high score is not enough: who lives at the same place with the same last name is likely someone of the family.
    """
    given = [name for name in matching.NAMES if wanted[f"{name}_key"]]
    best = max((entry.comparison.score for entry in found if entry.comparison.agrees(*given)), default=-math.inf)
    return best >= share * matching.highest_score(wanted) - ROUNDING


def _compare(found: dict[int, Candidate], wanted: dict, rows: list[dict]) -> None:
    """Add members to those found, as long as there are not too many; who is identified comes first."""
    if wanted["phone_keys"] or any(wanted[column] for column in _IDENTIFYING):
        rows = sorted(rows, key=lambda row: not _is_identified(row, wanted))
    for row in rows:
        if row["id"] not in found and len(found) < blocking.MOST_CANDIDATES:
            found[row["id"]] = Candidate(row, matching.compare(wanted, row))


def _is_identified(row: dict, wanted: dict) -> bool:
    if row["phone_key"] in wanted["phone_keys"] or row["phone_digits_key"] in wanted["phone_keys"]:
        return True
    return any(wanted[column] and row[column] == wanted[column] for column in _IDENTIFYING)


def _read(program: Program, now: datetime.datetime, scans: Scans) -> list[dict]:
    if not scans:
        return []
    condition, known = _shown(tuple(program.visible_statuses), now, database.param)
    statement = _statement(database.param, tuple(scan for scan, _ in scans), condition)
    values = [part for scan, given in scans for part in (program.id, *known, *given)]
    return database.ask(statement, values, _row)[0]


def _row(columns: Sequence) -> dict:
    return dict(zip(COLUMNS, columns, strict=True))


def _shown(visible: tuple[str, ...], now: datetime.datetime, param: str) -> tuple[str, list]:
    """Return the condition for the memberships that a program shows, and its values; see `current_status`.

    In the statement rather than afterwards: those that are not shown would take the places of others.
    """
    shows_canceled, shows_enrolled = Status.CANCELED in visible, Status.ENROLLED in visible
    statuses = sorted({*visible, Status.ENROLLED.value} if shows_canceled else visible)
    condition = f"membership.status IN ({', '.join([param] * len(statuses))})"
    if shows_canceled == shows_enrolled:  # whether a membership has expired makes no difference
        return condition, statuses
    expired = f"membership.expires_at <= {param}"
    kept = expired if shows_canceled else f"(membership.expires_at IS NULL OR NOT {expired})"
    at = Membership.expires_at.db_value(now)
    return f"{condition} AND (membership.status <> '{Status.ENROLLED}' OR {kept})", [*statuses, at]


@functools.lru_cache(1024)
def _statement(param: str, scans: tuple[Scan, ...], shown: str) -> str:
    """Return one statement for all scans, which takes for each the program, the values of `shown`, and the scan's.

    Written as text, once for each shape: building so many queries anew for each request would cost more than all else.
    """
    stretches = " UNION ".join(
        f"SELECT * FROM ({_stretch(param, scan, shown)}) AS stretch{number}"  # noqa: S608 (our own names)
        for number, scan in enumerate(scans)
    )
    return (
        f"SELECT {', '.join(map(_qualified, COLUMNS))} FROM ({stretches}) AS candidate "  # noqa: S608 (our own names)
        f"JOIN member ON member.id = candidate.id JOIN {_MEMBERSHIP}"
    )


def _stretch(param: str, scan: Scan, shown: str) -> str:
    program = "member" if Member._meta.columns.keys() >= {*scan.equal} else "membership"
    conditions = [f"{program}.program_id = {param}", shown]
    conditions += [f"{_qualified(column)} = {param}" for column in scan.equal]
    order, following = "", [_qualified(column) for column in scan.following]
    columns, placeholders = ", ".join(following), ", ".join([param] * len(following))
    if scan.among:
        column, count = scan.among
        conditions.append(f"{_qualified(column)} IN ({', '.join([param] * count)})")
        # With an equality for each column, Postgres may look up the names alone, and read all who share them.
        conditions.append(f"({columns}) >= ({placeholders}) AND ({columns}) <= ({placeholders})")
    elif scan.following:
        conditions.append(f"({columns}) {'<' if scan.is_down else '>='} ({placeholders})")
        order = "ORDER BY " + ", ".join(f"{column} DESC" if scan.is_down else column for column in following)
    return (
        f"SELECT member.id FROM member JOIN {_MEMBERSHIP} "  # noqa: S608 (our own names)
        f"WHERE membership.deleted_at IS NULL AND {' AND '.join(conditions)} {order} LIMIT {scan.limit}"
    )


_MEMBERSHIP = "membership ON membership.member_id = member.id"


def _qualified(column: str) -> str:
    return f"{'member' if column in Member._meta.columns else 'membership'}.{column}"
