"""Opening SQLite or Postgres from one URL, with the settings that keep either of them safe under load."""

import contextlib
import datetime
import functools
import math
import os
import pathlib
import sqlite3
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any, TypeAlias

import peewee
import psycopg.conninfo
from playhouse.pool import MaxConnectionsExceeded

from models.errors import DatabaseBusy, DatabaseUnavailable, InvalidDatabaseUrl
from models.pool import PostgresPool
from models.sqlite_pool import SqlitePool
from models.writers import WriterQueue

database = peewee.DatabaseProxy()

# A statement may take three quarters of the request deadline, a command's wait for SQLite's write lock a half,
# connecting to Postgres a half, and a wait for a pooled connection a quarter, so that the database gives up before the
# request does. For as long as a statement may take, one waits for the turn to write to SQLite, and tries again what
# another's transaction was in the way of. All that a request does with a connection to Postgres may take little longer.
STATEMENT_SHARE, BUSY_SHARE, CONNECT_SHARE, POOL_SHARE, HOLD_SHARE = 0.75, 0.5, 0.5, 0.25, 0.875
# https://www.postgresql.org/docs/current/errcodes-appendix.html: serialization_failure, deadlock_detected,
# lock_not_available; and query_canceled, as statement_timeout has it.
CONFLICTS, TIME_IS_UP = {"40001", "40P01", "55P03"}, {"57014"}
LONGEST_CONNECTION_SECONDS = 300
# After how many seconds of silence the kernel asks whether the other machine is still there, and how soon it believes
# that it is not (PostgreSQL manual, 34.1.2). Without this, a connection whose other end vanished looks alive for hours.
BOUNDED_TCP = {"keepalives_idle": 5, "keepalives_interval": 1, "keepalives_count": 3}
PATIENT_TCP = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
# What a connection keeps of a SQLite file. A server has many connections, whose memory shall not grow with the program,
# and finds the rest in the operating system's cache at hardly any cost; an import changes more pages at once.
REQUEST_CACHE_KIB, COMMAND_CACHE_KIB = 4096, 32768
# How long SQLite itself waits for a lock, such as one of a tool that knows nothing of our line of writers: it keeps the
# event loop waiting meanwhile, so a request soon tries again by itself.
REQUEST_BUSY_MILLISECONDS = 20
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


Pool: TypeAlias = SqlitePool | PostgresPool


def connect(
    url: str, *, connections: int = 2, deadline: float = 4.0, create: bool = False, bounded: bool = False
) -> Pool:
    """Return a pooled database for `url`, as `open_pool` does, and make it the one that all tables use.

    Raises:
        InvalidDatabaseUrl: the URL has another scheme or no database.
    """
    opened = open_pool(url, connections=connections, deadline=deadline, create=create, bounded=bounded)
    opened.patience = deadline * STATEMENT_SHARE
    database.initialize(opened)
    return opened


def open_pool(
    url: str, *, connections: int = 2, deadline: float = 4.0, create: bool = False, bounded: bool = False
) -> Pool:
    """Return a pooled database for `url`.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, or a libpq URI (`postgresql://...`).
        connections: size of the pool, for this process.
        deadline: seconds that a request may take; the database's own time limits are parts of it.
        create: make the SQLite file if it is missing; worker processes never do, lest they serve an empty database.
        bounded: what requests need, and commands do not: a session on Postgres ends as a whole before the deadline,
            a SQLite file that can only be read is refused, and a connection keeps less of it in memory.

    Raises:
        InvalidDatabaseUrl: the URL has another scheme or no database.
    """
    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        return _open_sqlite(url, deadline, connections, create=create, bounded=bounded)
    if scheme in ("postgresql", "postgres"):
        return _open_postgres(url.replace(scheme, "postgresql", 1), deadline, connections, bounded=bounded)
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


def _open_sqlite(url: str, deadline: float, connections: int, *, create: bool, bounded: bool) -> SqlitePool:
    path = sqlite_path(url).absolute()
    opened = SqlitePool(
        f"file:{urllib.parse.quote(str(path))}?mode={'rwc' if create else 'rw'}",
        uri=True,
        # A deferred transaction that turns from reading to writing fails at once under WAL, whatever the timeout.
        lock_type="immediate",
        check_same_thread=False,
        factory=functools.partial(_connect_to_write, path) if bounded else sqlite3.Connection,
        pragmas=[
            ("busy_timeout", REQUEST_BUSY_MILLISECONDS if bounded else int(deadline * BUSY_SHARE * 1000)),
            ("synchronous", "full"),
            ("foreign_keys", "on"),
            ("temp_store", "memory"),
            ("cache_size", -(REQUEST_CACHE_KIB if bounded else COMMAND_CACHE_KIB)),
            ("journal_size_limit", 67108864),
        ],
        max_connections=connections,
        timeout=deadline * POOL_SHARE,
        stale_timeout=LONGEST_CONNECTION_SECONDS,
    )
    opened.path = path
    opened.writers = WriterQueue(path.with_name(f"{path.name}-writers"), deadline * STATEMENT_SHARE)
    return opened


def _connect_to_write(path: pathlib.Path, *arguments: Any, **options: Any) -> sqlite3.Connection:
    """Open a SQLite file, but not for reading alone: so it would stay when the file can be written again."""
    connection = sqlite3.Connection(*arguments, **options)
    if not os.access(path, os.W_OK):
        connection.close()
        raise sqlite3.OperationalError("the file cannot be written")
    return connection


def _open_postgres(url: str, deadline: float, connections: int, *, bounded: bool) -> PostgresPool:
    try:
        given = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise InvalidDatabaseUrl(
            "The database URL is no libpq URI; see the Postgres manual on connection strings."
        ) from None
    statement = int(deadline * STATEMENT_SHARE * 1000)
    limits = f"-c statement_timeout={statement}"
    if bounded:  # a request that hung up within a transaction shall not keep its locks either
        limits += f" -c idle_in_transaction_session_timeout={statement}"
    return PostgresPool(
        {
            **(BOUNDED_TCP | {"tcp_user_timeout": statement} if bounded else PATIENT_TCP),
            **given,
            "options": f"{given.get('options') or ''} {limits}".strip(),
        },
        connections=connections,
        queueing=deadline * POOL_SHARE,
        connecting=deadline * CONNECT_SHARE,
        hold=deadline * HOLD_SHARE if bounded else math.inf,
        longest=LONGEST_CONNECTION_SECONDS,
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
    with database.atomic():  # behind a pooler, what is set for longer than a transaction is set for others
        database.execute_sql("SET LOCAL statement_timeout = 0")
        database.execute_sql(f"ANALYZE {', '.join(table._meta.table_name for table in tables)}")


@contextlib.contextmanager
def transaction() -> Iterator[None]:
    """Hold a transaction for what writes; on SQLite, after waiting for the turn to write. Within another, a savepoint.

    Raises:
        DatabaseBusy: the turn did not come in time.
    """
    writers = getattr(database.obj, "writers", None)
    is_outermost = not database.in_transaction()
    with writers.turn() if writers and is_outermost else contextlib.nullcontext(), database.atomic():
        yield


def is_conflict(error: BaseException) -> bool:
    """Tell whether a transaction failed for another's sake alone, so that a new one may succeed."""
    return any(_is_busy(cause) or getattr(cause, "sqlstate", None) in CONFLICTS for cause in _causes(error))


def _is_busy(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", None)  # its lowest byte is the primary result code
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@contextlib.contextmanager
def session() -> Iterator[None]:
    """Hold one pooled connection for a use-case.

    Raises:
        DatabaseBusy: others kept it from being had, or a statement from being done, for too long.
        DatabaseUnavailable: no connection could be had, or it broke.
    """
    try:
        with database.connection_context():
            yield
    except (peewee.IntegrityError, peewee.DataError, peewee.ProgrammingError):
        raise  # the statement is to blame, not the database
    except MaxConnectionsExceeded as error:
        raise DatabaseBusy("All database connections of this process are in use.") from error
    except (peewee.DatabaseError, peewee.InterfaceError) as error:
        if is_conflict(error) or any(getattr(cause, "sqlstate", None) in TIME_IS_UP for cause in _causes(error)):
            raise DatabaseBusy("Others keep the database busy; try again shortly.") from error
        raise DatabaseUnavailable(_why(error)) from error


def _why(error: BaseException) -> str:
    told = "\n".join(map(str, _causes(error)))  # it may hold a row, so that it is only searched
    if any(words in told for words in ("disk is full", "disk I/O error", "No space left")):
        return "The database cannot be written: its disk is full, or fails."
    return f"The database cannot be used ({type(error).__name__}): check LOYALTY_DATABASE_URL and that it runs."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Return an error and those behind it; a full SQLite file shows as a rollback that fails."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
