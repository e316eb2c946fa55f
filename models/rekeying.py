"""Renewing the keys of members that an earlier release or another setting wrote, in the background of a server.

Batches are short transactions, and nothing but the ids is kept between them: a walk that was interrupted is begun
again, and passes over what is renewed. Several at once share the work, since each renews only what is still old.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import orjson
import peewee

from models import blocking, folding
from models.database import analyze, database, rows, transaction
from models.enrollment import ADDRESS_FIELDS, PERSON_FIELDS, folded_identity_key
from models.retries import retry_on_conflict
from models.tables import Member, Membership, Program, Table
from models.writers import POLL_SECONDS

BATCH_SIZE = 500  # a server that wants to write waits no longer than for so many
WINDOW = 10_000  # ids that are looked through by one statement, so that none takes long


@dataclass(frozen=True)
class Progress:
    """What has happened since the last one.

    Attributes:
        share: of all ids, how much is behind, from 0 to 1.
        renewed: how many members have new keys.
        twins: the provider membership ids of those among them whose new identity or number key is another member's.
            They keep the old one, which is still theirs alone: only people can tell whether the two are one person.
    """

    share: float
    renewed: int = 0
    twins: list[str] = field(default_factory=list)


def renew() -> Iterator[Progress]:
    """Renew all keys that are not of this version, the oldest member's first, and tell the progress after each batch.

    Raises:
        DatabaseUnavailable: SQLite's turn to write did not come in time.
    """
    is_any_renewed, last = False, _last_id()
    for end, ids in _windows(last):
        for begin in range(0, len(ids), BATCH_SIZE):
            batch = ids[begin : begin + BATCH_SIZE]
            yield _renew(batch, batch[-1] / last)
            is_any_renewed = True
            time.sleep(2 * POLL_SECONDS)  # a server that waits for its turn to write to SQLite gets it
        yield Progress(end / last)
    if is_any_renewed:
        analyze(Member, Membership)


def count_outdated() -> int:
    """Return how many members have keys of another version. It reads them all."""
    return sum(len(ids) for _, ids in _windows(_last_id()))


def _last_id() -> int:
    return Member.select(peewee.fn.MAX(Member.id)).scalar() or 0


def _windows(last: int) -> Iterator[tuple[int, list[int]]]:
    """Return up to which id was looked, and the ids there that have keys of another version.

    An index of versions would make this faster, and every enrollment slower, for what is needed once in a release.
    """
    for begin in range(0, last, WINDOW):
        end = min(begin + WINDOW, last)
        found = Member.select(Member.id).where(Member.id > begin, Member.id <= end, _is_outdated()).order_by(Member.id)
        yield end, [row["id"] for row in rows(found)]


def _is_outdated() -> peewee.Expression:
    return Member.key_version.in_(folding.outdated_key_versions())


@retry_on_conflict
def _renew(ids: Sequence[int], share: float) -> Progress:
    with transaction():
        found = _locked(ids)
        living = [row for row in found if row["deleted_at"] is None]
        erased = [row for row in found if row["deleted_at"] is not None]  # their keys stay null
        _update(Member, [{"id": row["id"]} | blocking.member_keys(_customer(row)) for row in living])
        _update(Member, [{"id": row["id"], "key_version": folding.key_version()} for row in erased])
        taken = _update_unless_taken(Member, _identities(living))
        taken_numbers = _update_unless_taken(Membership, _numbers(found))  # of erased ones too: they stay used
    twins = [row for row in found if row["id"] in taken or row["membership"] in taken_numbers]
    return Progress(share, len(found), [row["provider_membership_id"] for row in twins])


def _locked(ids: Sequence[int]) -> list[dict]:
    """Return those of the members that are still to be renewed; nobody changes or deletes them in this transaction."""
    membership = (Membership.provider_membership_id, Membership.membership_number, Membership.number_key)
    query = (
        Membership.select(Member, Membership.id.alias("membership"), Membership.deleted_at, *membership)
        .join(Member)
        .where(Member.id.in_(ids), _is_outdated())
        .order_by(Member.id)
    )
    if database.for_update:  # SQLite's immediate transaction holds the only write lock already
        # Imports hold this lock as well: two that write the same numbers in another order would be a deadlock.
        rows(Program.select(Program.id).order_by(Program.id).for_update("FOR NO KEY UPDATE"))  # type: ignore[arg-type]
        query = query.for_update()
    return rows(query)


def _customer(row: dict) -> dict:
    address = {name: row[name] for name in ADDRESS_FIELDS}
    return {name: row[name] for name in PERSON_FIELDS} | {"address": address}


def _identities(living: Sequence[dict]) -> list[dict]:
    """Return the identities that are others now; an imported member who may share theirs has none."""
    keys = [(row, folded_identity_key(_customer(row))) for row in living if row["identity_key"]]
    return [{"id": row["id"], "identity_key": key} for row, key in keys if key and key != row["identity_key"]]


def _numbers(found: Sequence[dict]) -> list[dict]:
    keys = [(row, folding.number_key(row["membership_number"])) for row in found]
    return [{"id": row["membership"], "number_key": key} for row, key in keys if key and key != row["number_key"]]


def _update_unless_taken(table: type[Table], values: Sequence[dict]) -> list[int]:
    """Update rows, and return the ids of those that a unique index has refused; the earlier of two gets the key."""
    if not values:
        return []
    with contextlib.suppress(peewee.IntegrityError), database.atomic():
        _update(table, values)
        return []
    if len(values) == 1:
        return [values[0]["id"]]
    middle = len(values) // 2
    return _update_unless_taken(table, values[:middle]) + _update_unless_taken(table, values[middle:])


def _update(table: type[Table], values: Sequence[dict]) -> None:
    """Update rows by their ids; all have the same columns. As one JSON text, which is faster than many parameters."""
    if not values:
        return
    name = table._meta.table_name
    if isinstance(database.obj, peewee.SqliteDatabase):
        source, new = "json_each(?)", "json_extract(value, '$.{}')"
    else:
        source, new = f"json_populate_recordset(NULL::{name}, %s) AS new", "new.{}"
    changes = ", ".join(f"{column} = {new.format(column)}" for column in values[0] if column != "id")
    database.execute_sql(
        f"UPDATE {name} SET {changes} FROM {source} WHERE {name}.id = {new.format('id')}",  # noqa: S608 (our own names)
        (orjson.dumps(values).decode(),),
    )
