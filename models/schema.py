"""Carrying a database from any earlier schema to this release's."""

import contextlib
import datetime
import pathlib
from collections.abc import Iterator

import peewee
from playhouse.migrations import Migration, Runner

from models.database import use_write_ahead_log
from models.errors import SchemaOutdated
from models.programs import ensure_default_program

MIGRATIONS = pathlib.Path(__file__).parent / "migrations"
# Any number will do, as long as nothing else on this Postgres database takes the same advisory lock.
UPGRADE_LOCK = 4_711_001


def status(database: peewee.Database) -> list[Migration]:
    """Return every migration in order; `applied` is its time, or None while it is pending."""
    return Runner(database, str(MIGRATIONS)).status()


def pending(database: peewee.Database) -> list[str]:
    """Return the names of the migrations that this database lacks."""
    return [migration.name for migration in status(database) if not migration.applied]


def is_empty(database: peewee.Database) -> bool:
    """Tell whether the database holds no table at all, as a new one does."""
    return not database.get_tables()


def check(database: peewee.Database) -> None:
    """Do nothing if the schema is this release's.

    Raises:
        SchemaOutdated: at least one migration is pending.
    """
    missing = pending(database)
    if missing:
        raise SchemaOutdated(
            f"The database lacks {len(missing)} migration(s), first {missing[0]}: run `loyalty db upgrade`."
        )


def upgrade(database: peewee.Database, now: datetime.datetime) -> list[str]:
    """Apply what is pending and return the names applied. Of two that run at once, one waits for the other.

    A database without any program gets the default one.
    """
    use_write_ahead_log(database)
    with _exclusive(database):
        applied = Runner(database, str(MIGRATIONS)).up()
        ensure_default_program(now)
        return applied


@contextlib.contextmanager
def _exclusive(database: peewee.Database) -> Iterator[None]:
    if isinstance(database, peewee.SqliteDatabase):
        database.foreign_keys = 0  # rebuilding a table drops it; the pragma has no effect inside a transaction
        try:
            with database.atomic():  # an immediate transaction: the write lock, and all migrations or none
                yield
        finally:
            database.foreign_keys = 1
        return
    database.execute_sql("SET statement_timeout = 0")
    database.execute_sql("SELECT pg_advisory_lock(%s)", (UPGRADE_LOCK,))
    try:
        yield
    finally:
        database.execute_sql("SELECT pg_advisory_unlock(%s)", (UPGRADE_LOCK,))
        database.execute_sql("RESET statement_timeout")
