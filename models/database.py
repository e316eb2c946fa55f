"""Opening SQLite or Postgres from one URL, with the settings that keep either of them safe under load."""

import contextlib
import datetime
import pathlib
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import peewee
import psycopg.conninfo
from playhouse.pool import MaxConnectionsExceeded, PooledDatabase, PooledPostgresqlDatabase, PooledSqliteDatabase

from models.errors import DatabaseUnavailable, InvalidDatabaseUrl
from models.writers import WriterQueue

database = peewee.DatabaseProxy()

# A statement may take three quarters of the request deadline, a wait for SQLite's write lock a half and a wait
# for a pooled connection a quarter, so that the database gives up before the request does.
STATEMENT_SHARE, BUSY_SHARE, POOL_SHARE = 0.75, 0.5, 0.25
IDLE_CONNECTION_SECONDS = 300
WAL_ATTEMPTS, WAL_PAUSE_SECONDS = 100, 0.1


class UtcDateTimeField(peewee.Field):
    """A moment in UTC: `timestamptz` on Postgres, ISO 8601 text of fixed width (so that it sorts) on SQLite."""

    field_type = "TIMESTAMPTZ"

    def db_value(self, value: datetime.datetime | None) -> str | None:
        """Return the moment as ISO 8601 text in UTC with microseconds."""
        return None if value is None else value.astimezone(datetime.UTC).isoformat(timespec="microseconds")

    def python_value(self, value: str | datetime.datetime | None) -> datetime.datetime | None:
        """Return the moment as an aware datetime in UTC."""
        if isinstance(value, str):
            value = datetime.datetime.fromisoformat(value)
        return None if value is None else value.astimezone(datetime.UTC)


class NamesField(peewee.TextField):
    """An ordered list of names without commas, such as field names or statuses."""

    def db_value(self, value: list[str] | None) -> str | None:
        """Join the names with commas."""
        return None if value is None else ",".join(value)

    def python_value(self, value: str | None) -> list[str] | None:
        """Split at commas; the empty text is the empty list."""
        return None if value is None else [name for name in value.split(",") if name]


def connect(url: str, *, connections: int = 2, deadline: float = 4.0, create: bool = False) -> PooledDatabase:
    """Return a pooled database for `url` and make it the one that all tables use.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, or a libpq URI (`postgresql://...`).
        connections: size of the pool, for this process.
        deadline: seconds that a request may take; the database's own time limits are parts of it.
        create: make the SQLite file if it is missing; worker processes never do, lest they serve an empty database.

    Raises:
        InvalidDatabaseUrl: the URL has another scheme or no database.
    """
    opened = _open(url, connections=connections, deadline=deadline, create=create)
    database.initialize(opened)
    return opened


def _open(url: str, *, connections: int, deadline: float, create: bool) -> PooledDatabase:
    scheme = url.partition(":")[0]
    pool = {
        "max_connections": connections,
        "timeout": deadline * POOL_SHARE,
        "stale_timeout": IDLE_CONNECTION_SECONDS,
    }
    if scheme == "sqlite":
        return _open_sqlite(url, deadline, create=create, **pool)
    if scheme in ("postgresql", "postgres"):
        return _open_postgres(url.replace(scheme, "postgresql", 1), deadline, **pool)
    raise InvalidDatabaseUrl("The database URL must begin with sqlite:/// or postgresql://.")


def sqlite_path(url: str) -> pathlib.Path:
    """Return the file that a `sqlite:///` URL names.

    Raises:
        InvalidDatabaseUrl: the URL names no file.
    """
    prefix, _, name = url.partition(":///")
    if prefix != "sqlite" or not name or name.startswith(":"):
        raise InvalidDatabaseUrl("A SQLite URL names a file: sqlite:///relative.db or sqlite:////absolute/path.db.")
    return pathlib.Path(urllib.parse.unquote(name))


def _open_sqlite(url: str, deadline: float, *, create: bool, **pool: float) -> PooledDatabase:
    path = sqlite_path(url).absolute()
    opened = PooledSqliteDatabase(
        f"file:{urllib.parse.quote(str(path))}?mode={'rwc' if create else 'rw'}",
        uri=True,
        # A deferred transaction that turns from reading to writing fails at once under WAL, whatever the timeout.
        lock_type="immediate",
        check_same_thread=False,
        pragmas=[
            ("busy_timeout", int(deadline * BUSY_SHARE * 1000)),
            ("synchronous", "full"),
            ("foreign_keys", "on"),
            ("temp_store", "memory"),
            ("cache_size", -32768),
            ("journal_size_limit", 67108864),
        ],
        **pool,
    )
    opened.writers = WriterQueue(path.with_name(f"{path.name}-writers"), deadline * BUSY_SHARE)
    return opened


def _open_postgres(url: str, deadline: float, **pool: float) -> PooledDatabase:
    try:
        given = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise InvalidDatabaseUrl(
            "The database URL is no libpq URI; see the Postgres manual on connection strings."
        ) from None
    statement_timeout = f"-c statement_timeout={int(deadline * STATEMENT_SHARE * 1000)}"
    return PooledPostgresqlDatabase(
        url,
        prefer_psycopg3=True,
        connect_timeout=given.get("connect_timeout") or max(2, int(deadline * BUSY_SHARE)),
        options=f"{given.get('options') or ''} {statement_timeout}".strip(),
        **pool,
    )


def use_write_ahead_log(opened: peewee.Database) -> None:
    """Turn a SQLite file to WAL, in which it stays; nothing for Postgres.

    Not a pragma of every connection: of processes that turn a new file at once, SQLite lets one wait for nothing and
    fail, whatever the busy timeout.

    Raises:
        DatabaseUnavailable: others kept it from being turned.
    """
    if not isinstance(opened, peewee.SqliteDatabase):
        return
    for _ in range(WAL_ATTEMPTS):
        try:
            if opened.pragma("journal_mode", "wal") == "wal":
                return
        except peewee.OperationalError as error:
            if "locked" not in str(error):  # such as a file that cannot be written
                raise
        time.sleep(WAL_PAUSE_SECONDS)
    raise DatabaseUnavailable("The SQLite file is kept busy by others; try again when they are done.")


def rows(query: Any) -> list[dict]:
    """Run a select query and return its rows by column name."""
    return list(query.dicts())


def analyze(*tables: type[peewee.Model]) -> None:
    """Tell Postgres' planner of what has become of tables now, rather than when it next looks by itself."""
    if isinstance(database.obj, peewee.SqliteDatabase):
        return
    database.execute_sql("SET statement_timeout = 0")
    try:
        database.execute_sql(f"ANALYZE {', '.join(table._meta.table_name for table in tables)}")
    finally:
        database.execute_sql("RESET statement_timeout")


@contextlib.contextmanager
def transaction() -> Iterator[None]:
    """Hold a transaction for a use-case that writes; on SQLite, after waiting for the turn to write.

    Raises:
        DatabaseUnavailable: the turn did not come in time.
    """
    writers = getattr(database.obj, "writers", None)
    with writers.turn() if writers else contextlib.nullcontext(), database.atomic():
        yield


@contextlib.contextmanager
def session() -> Iterator[None]:
    """Hold one pooled connection for a use-case.

    Raises:
        DatabaseUnavailable: no connection could be had, or it broke.
    """
    try:
        with database.connection_context():
            yield
    except (peewee.IntegrityError, peewee.DataError, peewee.ProgrammingError):
        raise  # the statement is to blame, not the database
    except (peewee.DatabaseError, peewee.InterfaceError, MaxConnectionsExceeded) as error:
        raise DatabaseUnavailable(_why(error)) from error


def _why(error: BaseException) -> str:
    told = "\n".join(_texts(error))  # it may hold a row, so that it is only searched
    if any(words in told for words in ("disk is full", "disk I/O error", "No space left")):
        return "The database cannot be written: its disk is full, or fails."
    return f"The database cannot be used ({type(error).__name__}): check LOYALTY_DATABASE_URL and that it runs."


def _texts(error: BaseException | None) -> Iterator[str]:
    """Return what an error and those behind it say; a full SQLite file shows as a rollback that fails."""
    while error is not None:
        yield str(error)
        error = error.__context__
