"""Adding members by the thousand: the one path of imports, demonstrations and benchmarks.

A batch is one transaction, so that a member without a membership never exists. Rows go to the database as one JSON
text for each table, which SQLite and Postgres both read far faster than a parameter for each value.
"""

import contextlib
import datetime
import enum
import itertools
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson
import peewee
import uuid_utils

from models import folding, history, numbers
from models.database import database, rows, transaction
from models.enrollment import ADDRESS_FIELDS, NUMBER_ATTEMPTS, PERSON_FIELDS, member_columns
from models.errors import NumbersExhausted
from models.memberships import with_offset
from models.programs import Status
from models.retries import retry_on_conflict
from models.tables import Event, Member, Membership, Program, Table
from models.writers import POLL_SECONDS

BATCH_SIZE = 1000
# Of an import's own statements, which are larger than a request's and wait for other imports.
STATEMENT_SECONDS = 60
# What a second import knows a membership by: columns of it.
IDENTIFIERS = ("provider_membership_id", "number_key")
PERSONAL = (*PERSON_FIELDS, *ADDRESS_FIELDS)


class Outcome(enum.StrEnum):
    """What became of a record."""

    ADDED = "added"
    PRESENT = "present"  # it was there before, and is left as it is
    CHANGED = "changed"  # the same, but the record has other personal data
    TAKEN = "taken"  # its number or identifier is another membership's


@dataclass(frozen=True)
class Record:
    """A member and a membership, by the columns of their rows; what is not given is made when they are written."""

    member: dict
    membership: dict


def prepare(customer: dict, membership: dict) -> Record:
    """Return the record of a member; this is most of the work, needs no database, and may run in another process.

    Args:
        customer: the contract's customer in plain values.
        membership: columns of the membership; `provider_membership_id` or `membership_number` must be among them, or
            a repeated import would add the member again.
    """
    assert membership.keys() & {"provider_membership_id", "membership_number"}
    values = {"status": Status.ENROLLED.value, "points": 0} | membership
    number = values.get("membership_number")
    keys = {"number_key": folding.number_key(number)} if number else {}
    return Record(_stored(Member, member_columns(customer)), _stored(Membership, values | keys))


def _stored(table: type[peewee.Model], values: dict) -> dict:
    fields = table._meta.fields
    return {fields[name].column_name: fields[name].db_value(value) for name, value in values.items()}


def load(program: Program, records: Iterable[tuple[dict, dict]], now: datetime.datetime) -> Counter[Outcome]:
    """Write any number of members, a batch at a time, and return how many of each outcome there were.

    Args:
        program: where to.
        records: the arguments of `prepare` for each.
        now: the time of it.

    Raises:
        NumbersExhausted: see `write`.
    """
    counts: Counter[Outcome] = Counter()
    remaining = iter(records)
    while batch := [prepare(*record) for record in itertools.islice(remaining, BATCH_SIZE)]:
        counts.update(write(program, batch, now))
    return counts


def pages(program: Program) -> Iterator[tuple[float, list[dict]]]:
    """Return the members that are not deleted, the oldest first, with their memberships, by the columns' names.

    Each page comes with the share of all that is read after it, from 0 to 1. `expires_at` has the offset that it was
    given with. A page is a window of ids, so that no statement takes long; who enrolls meanwhile is left out.
    """
    query = Membership.select(Membership, *_personal_fields()).join(Member).order_by(Member.id)
    wanted = query.where(Member.program == program.id, Membership.deleted_at.is_null())
    last = Member.select(peewee.fn.MAX(Member.id)).scalar() or 0
    for begin in range(0, last, BATCH_SIZE):
        end = begin + BATCH_SIZE
        found = rows(wanted.where(Member.id > begin, Member.id <= min(end, last)))
        yield min(end / last, 1), [row | {"expires_at": _as_given(row)} for row in found]


def _as_given(row: dict) -> datetime.datetime | None:
    return with_offset(row["expires_at"], row["expires_at_offset"])


def _personal_fields() -> list[peewee.Field]:
    return [Member._meta.fields[name] for name in PERSONAL]


class _Undo(Exception):
    """Ends the transaction of a dry run."""


@retry_on_conflict
def write(
    program: Program, records: Sequence[Record], now: datetime.datetime, *, dry_run: bool = False
) -> list[Outcome]:
    """Write a batch of members in one transaction, and return the outcome of each.

    Args:
        program: where to.
        records: not many more than `BATCH_SIZE`, so that others need not wait.
        now: the time of it.
        dry_run: undo all of it in the end.

    Raises:
        NumbersExhausted: the program's pattern has no free number for those without one.
        DatabaseBusy: SQLite's turn to write did not come in time, or others were in the way for too long.
    """
    outcomes: dict[int, Outcome] = {}
    with contextlib.suppress(_Undo), transaction():
        _await_other_imports(program)
        _write(program, dict(enumerate(records)), now, outcomes)
        if dry_run:
            raise _Undo
    if _is_sqlite():
        time.sleep(2 * POLL_SECONDS)  # a server that waits for its turn to write gets it before the next batch
    return [outcomes[index] for index in range(len(records))]


def _await_other_imports(program: Program) -> None:
    """Let one import write at a time, since two with the same numbers in another order would be a deadlock.

    The lock on the program's row hinders no one else; SQLite's transaction holds the only write lock already.
    """
    if database.for_update:
        database.execute_sql(f"SET LOCAL statement_timeout = {STATEMENT_SECONDS * 1000}")
        query = Program.select(Program.id).where(Program.id == program.id)
        rows(query.for_update("FOR NO KEY UPDATE"))  # type: ignore[arg-type]


def _write(program: Program, waiting: dict[int, Record], now: datetime.datetime, outcomes: dict[int, Outcome]) -> None:
    """Note the outcome of each record. Another round is for what the first has met: twins, and made numbers taken."""
    for _ in range(NUMBER_ATTEMPTS):
        outcomes |= _already_there(program, waiting)
        waiting = {index: record for index, record in waiting.items() if index not in outcomes}
        if waiting:
            outcomes |= dict.fromkeys(_insert_members(program, waiting, now), Outcome.ADDED)
        waiting = {index: record for index, record in waiting.items() if index not in outcomes}
        if not waiting:
            return
    raise NumbersExhausted("The program's number pattern has no free number; give it more digits.")


def _already_there(program: Program, records: Mapping[int, Record]) -> dict[int, Outcome]:
    known = {column: _ids(program, column, records.values()) for column in IDENTIFIERS}
    there = _personal_data({identifier for ids in known.values() for identifier in ids.values()})
    outcomes = {}
    for index, record in records.items():
        found = {ids.get(record.membership[column]) for column, ids in known.items() if column in record.membership}
        if len(found) > 1:
            outcomes[index] = Outcome.TAKEN
        elif (identifier := found.pop()) is not None:
            outcomes[index] = _compare(record, there[identifier])
    return outcomes


def _ids(program: Program, column: str, records: Iterable[Record]) -> dict[str, int]:
    """Return the ids of the memberships there are, by the column.

    Each is looked up by a subquery of its own: for a list, Postgres would read the whole program as long as it has no
    statistics of a table that has just grown.
    """
    asked = [record.membership[column] for record in records if column in record.membership]
    parameter, each = ("?", "json_each") if _is_sqlite() else ("%s", "json_array_elements_text")
    found = f"SELECT id FROM membership WHERE program_id = {parameter} AND {column} = value"  # noqa: S608 (ours)
    cursor = database.execute_sql(
        f"SELECT value, ({found}) FROM {each}({parameter})",  # noqa: S608 (ours)
        (program.id, orjson.dumps(asked).decode()),
    )
    return {key: identifier for key, identifier in cursor if identifier is not None}


def _personal_data(ids: set[int]) -> dict[int, dict]:
    query = Membership.select(Membership.id, Membership.deleted_at, *_personal_fields()).join(Member)
    return {row["id"]: row for row in rows(query.where(Membership.id.in_(ids)))} if ids else {}


def _compare(record: Record, row: dict) -> Outcome:
    """Judge by personal data alone: points, tier and status change with time, and a deleted member has none left."""
    if row["deleted_at"] is not None or all(_text(record.member[name]) == _text(row[name]) for name in PERSONAL):
        return Outcome.PRESENT
    return Outcome.CHANGED


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _insert_members(program: Program, records: Mapping[int, Record], now: datetime.datetime) -> list[int]:
    """Insert the records that no constraint refuses, with an event for each, and return their indexes."""
    at = _stored(Membership, {"program": program.id, "created_at": now})
    indexes = dict(zip(_next_ids(Member, len(records)), records, strict=True))
    _insert(Member, [{"id": member} | at | records[index].member for member, index in indexes.items()], "id")
    memberships = [
        {"member_id": member} | at | _completed(program, records[index].membership) for member, index in indexes.items()
    ]
    inserted = dict(_insert(Membership, memberships, "member_id, id"))
    Member.delete().where(Member.id.in_(list(indexes.keys() - inserted.keys()))).execute()
    event = _stored(Event, {"kind": "imported", "actor": history.OPERATOR, "happened_at": now})
    _insert(Event, [{"membership_id": membership} | event for membership in inserted.values()], "id")
    return [indexes[member] for member in inserted]


def _completed(program: Program, membership: dict) -> dict:
    completed = {"provider_membership_id": str(uuid_utils.uuid7())} | membership
    if "membership_number" in membership:
        return completed
    number = numbers.make_number(program.number_pattern)
    return completed | {"membership_number": number, "number_key": folding.number_key(number)}


def _is_sqlite() -> bool:
    return isinstance(database.obj, peewee.SqliteDatabase)


def _next_ids(table: type[Table], count: int) -> list[int]:
    """Return ids for new rows, ascending; on SQLite the transaction keeps others from taking them."""
    if _is_sqlite():
        last = table.select(peewee.fn.MAX(table.id)).scalar() or 0
        return list(range(last + 1, last + 1 + count))
    sequence = "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)"
    return [identifier for (identifier,) in database.execute_sql(sequence, (table._meta.table_name, count))]


def _insert(table: type[peewee.Model], values: Sequence[dict], returning: str) -> list[tuple]:
    """Insert rows unless a constraint refuses them, and return columns of those that were inserted.

    Args:
        table: where to.
        values: of each row by the columns' names; what one lacks and another has is null.
        returning: the names of the columns wanted, as in SQL.
    """
    if not values:
        return []
    name, columns = table._meta.table_name, list(dict.fromkeys(itertools.chain.from_iterable(values)))
    if _is_sqlite():
        source = ", ".join(f"json_extract(value, '$.{column}')" for column in columns) + " FROM json_each(?)"
    else:
        source = f"{', '.join(columns)} FROM json_populate_recordset(NULL::{name}, %s)"
    insert = f"INSERT INTO {name} ({', '.join(columns)}) SELECT {source}"
    end = f" WHERE true ON CONFLICT DO NOTHING RETURNING {returning}"
    return list(database.execute_sql(insert + end, (orjson.dumps(values).decode(),)))
