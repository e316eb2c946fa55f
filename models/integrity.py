"""Looking for damage: what the storage, the schema and the rows of a sound database never show."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import peewee
from playhouse.schema_diff import diff_models

from models import folding, rekeying, schema
from models.programs import Status
from models.tables import TABLES, Event, Member, Membership

MOST_FAULTS = 100


@dataclass(frozen=True)
class Check:
    """What to look for; `find` counts how often it is found in a database, which should be never."""

    name: str
    find: Callable[[peewee.Database], int]
    remedy: str


def run(database: peewee.Database) -> Iterator[tuple[Check, int]]:
    """Run the checks in order, each with what it has found; the first that makes the others pointless is the last.

    It reads every row, and takes as long as that takes.
    """
    if not isinstance(database, peewee.SqliteDatabase):
        database.execute_sql("SET statement_timeout = 0")
    try:
        for check in CHECKS:
            found = check.find(database)
            yield check, found
            if found and check not in ROWS:
                break
    finally:
        if not isinstance(database, peewee.SqliteDatabase):
            database.execute_sql("RESET statement_timeout")


def _damage(database: peewee.Database) -> int:
    if isinstance(database, peewee.SqliteDatabase):
        try:
            told = database.execute_sql(f"PRAGMA integrity_check({MOST_FAULTS})").fetchall()
        except sqlite3.DatabaseError:  # so damaged that not even that can be read
            return 1
        return 0 if told == [("ok",)] else len(told)
    invalid = _count(database, "SELECT COUNT(*) FROM pg_index WHERE NOT indisvalid AND pg_table_is_visible(indrelid)")
    failed = "SELECT COALESCE(checksum_failures, 0) FROM pg_stat_database WHERE datname = current_database()"
    return invalid + _count(database, failed) + sum(not _is_readable(database, table) for table in TABLES)


def _count(database: peewee.Database, statement: str) -> int:
    return database.execute_sql(statement).fetchone()[0]


def _is_readable(database: peewee.Database, table: type[peewee.Model]) -> bool:
    """Read every value of a table, which Postgres checks the pages of."""
    name = table._meta.table_name
    if not database.table_exists(name):
        return True  # that is told as a pending migration
    try:
        database.execute_sql(f"SELECT SUM(LENGTH(whole::text)) FROM {name} AS whole")  # noqa: S608 (our own names)
    except peewee.DatabaseError:
        return False
    return True


def _pending(database: peewee.Database) -> int:
    return len(schema.pending(database))


def _missing(database: peewee.Database) -> int:
    """Count what the schema lacks or does not enforce. What it has beside that does no harm: an operator's index."""
    found = diff_models(database, TABLES)
    keys = sum(len(_foreign_keys(table) - _enforced(database, table)) for table in TABLES)
    unchecked = 0
    if not isinstance(database, peewee.SqliteDatabase):
        statement = "SELECT COUNT(*) FROM pg_constraint WHERE NOT convalidated AND pg_table_is_visible(conrelid)"
        unchecked = _count(database, statement)
    return len(found.create_tables) + len(found.add_columns) + len(found.add_indexes) + keys + unchecked


def _foreign_keys(table: type[peewee.Model]) -> set[tuple[str, str]]:
    return {(key.column_name, parent._meta.table_name) for key, parent in table._meta.refs.items()}


def _enforced(database: peewee.Database, table: type[peewee.Model]) -> set[tuple[str, str]]:
    return {(key.column, key.dest_table) for key in database.get_foreign_keys(table._meta.table_name)}


def _orphans(_database: peewee.Database) -> int:
    """Count the rows that name another row which is not there, or none though each must."""
    missing = sum(_without_parent(key) for table in TABLES for key in table._meta.refs)
    without_membership = Member.select().join(Membership, peewee.JOIN.LEFT_OUTER).where(Membership.id.is_null())
    return missing + without_membership.count()


def _without_parent(key: peewee.ForeignKeyField) -> int:
    parent = key.rel_model.alias()
    joined = key.model.select().join(parent, peewee.JOIN.LEFT_OUTER, on=(key == parent.id))
    return joined.where(key.is_null(False), parent.id.is_null()).count()


def _contradictions(_database: peewee.Database) -> int:
    """Count the memberships of another program than their member's, in no known status, or without any history."""
    other_program = Membership.select().join(Member).where(Membership.program != Member.program)
    unknown_status = Membership.select().where(Membership.status.not_in(list(Status)))
    silent = Membership.select().join(Event, peewee.JOIN.LEFT_OUTER).where(Event.id.is_null())
    return sum(query.count() for query in (other_program, unknown_status, silent))


def _outdated(_database: peewee.Database) -> int:
    return rekeying.count_outdated()


def _of_later_release(_database: peewee.Database) -> int:
    known = [folding.key_version(), *folding.outdated_key_versions()]
    return Member.select().where(Member.key_version.not_in(known)).count()


STORAGE_AND_SCHEMA = (
    Check("damage", _damage, "restore a backup"),
    Check("pending migrations", _pending, "run `loyalty db upgrade`"),
    Check("missing columns, indexes or constraints", _missing, "restore a backup into an empty database"),
)
ROWS = (
    Check("orphans", _orphans, "restore a backup, or mend the rows by hand"),
    Check("contradictions", _contradictions, "restore a backup, or mend the rows by hand"),
    Check("old keys", _outdated, "run `loyalty db upgrade`"),
    Check("keys of a later release", _of_later_release, "install that release"),
)
CHECKS = (*STORAGE_AND_SCHEMA, *ROWS)
