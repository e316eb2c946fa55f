"""Carrying a database from any earlier schema to this release's, while the release before may go on serving."""

import contextlib
import datetime
import pathlib
import time
from collections.abc import Iterator

import peewee
from playhouse.migrations import Migration, Runner

from models.database import is_conflict, use_write_ahead_log
from models.errors import DatabaseUnavailable, SchemaOutdated
from models.programs import ensure_default_program

MIGRATIONS = pathlib.Path(__file__).parent / "migrations"
# Any number will do, as long as nothing else on this Postgres database takes the same advisory lock.
UPGRADE_LOCK = 4_711_001
UPGRADE_POLL_SECONDS = 0.2
# A migration that waits for a table keeps all waiting who come after it; so it gives up soon, and tries again.
LOCK_PATIENCE_MILLISECONDS, LOCK_ATTEMPTS, LOCK_PAUSE_SECONDS = 500, 120, 0.5
UPGRADE_PATIENCE_SECONDS = 3600


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

    Raises:
        DatabaseUnavailable: others have held a table for a minute; or a pooler is between us and Postgres.
    """
    use_write_ahead_log(database)
    with _exclusive(database):
        applied = _apply(database)
        ensure_default_program(now)
        return applied


def _apply(database: peewee.Database) -> list[str]:
    missing = pending(database)
    for _ in range(LOCK_ATTEMPTS):
        try:
            Runner(database, str(MIGRATIONS)).up()
            return missing
        except peewee.OperationalError as error:
            if not is_conflict(error):
                raise
        time.sleep(LOCK_PAUSE_SECONDS)
    raise DatabaseUnavailable("Others hold a table, such as a backup that runs: run `loyalty db upgrade` again later.")


@contextlib.contextmanager
def _exclusive(database: peewee.Database) -> Iterator[None]:
    if isinstance(database, peewee.SqliteDatabase):
        database.foreign_keys = 0  # rebuilding a table drops it; the pragma has no effect inside a transaction
        patience = database.pragma("busy_timeout")
        database.pragma("busy_timeout", UPGRADE_PATIENCE_SECONDS * 1000)
        try:
            with database.atomic():  # an immediate transaction: the write lock, and all migrations or none
                yield
        finally:
            database.pragma("busy_timeout", patience)
            database.foreign_keys = 1
        return
    if database.connection().is_pooled():  # settings and locks of a session would be others'
        raise DatabaseUnavailable("Give a URL of Postgres itself for an upgrade, not one of PgBouncer.")
    database.execute_sql(f"SET statement_timeout = 0; SET lock_timeout = {LOCK_PATIENCE_MILLISECONDS}")
    # Asking again and again, since an index that is built beside the traffic waits for all statements that wait.
    while not database.execute_sql("SELECT pg_try_advisory_lock(%s)", (UPGRADE_LOCK,)).fetchone()[0]:
        time.sleep(UPGRADE_POLL_SECONDS)
    try:
        yield
    finally:
        database.execute_sql("SELECT pg_advisory_unlock(%s)", (UPGRADE_LOCK,))
        database.execute_sql("RESET statement_timeout; RESET lock_timeout")
