"""Engines of SQLAlchemy with the settings that the server's own connections have: one that reads, one that writes.

Readers need no transaction, which SQLAlchemy's documentation advises to say by AUTOCOMMIT. SQLite has one writer at a
time, so its pool has one connection, and those who want it stand in line there.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Engine, event

from bench.peers.common import PRAGMAS, VARIABLE, is_sqlite

CONNECTIONS = 8  # for as many requests at once as the server takes on
POSTGRES = {
    "postgresql+asyncpg": {"connect_args": {"server_settings": {"statement_timeout": "3000"}}},
    "postgresql+psycopg": {"connect_args": {"options": "-c statement_timeout=3000"}},
}
SQLITE = {"connect_args": {"check_same_thread": False, "timeout": 2}}


class Pair(NamedTuple):
    """Engines, of either kind."""

    reading: Any
    writing: Any


def make(create: Callable[..., Any], sqlite_driver: str, postgres_driver: str) -> Pair:
    """Return the engines.

    Args:
        create: `create_engine` or `create_async_engine`.
        sqlite_driver: what its URLs begin with.
        postgres_driver: the same, one of `POSTGRES`.
    """
    url, common = os.environ[VARIABLE], {"max_overflow": 0, "pool_timeout": 4, "pool_reset_on_return": None}
    if not is_sqlite():
        url, common = url.replace("postgresql", postgres_driver, 1), common | POSTGRES[postgres_driver]
        reading = create(url, isolation_level="AUTOCOMMIT", pool_size=CONNECTIONS, **common)
        return Pair(reading, create(url, pool_size=CONNECTIONS, **common))
    url = url.replace("sqlite", sqlite_driver, 1)
    reading = create(url, isolation_level="AUTOCOMMIT", pool_size=CONNECTIONS, **common, **SQLITE)
    writing = create(url, pool_size=1, **common, **SQLITE)
    for engine in (reading, writing):
        event.listen(_synchronous(engine), "connect", _set_up)
    event.listen(_synchronous(writing), "begin", _begin)
    return Pair(reading, writing)


def _synchronous(engine: Any) -> Engine:
    return getattr(engine, "sync_engine", engine)


def _set_up(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # so that sqlite3 begins nothing by itself
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Any) -> None:
    """Take the write lock at once: a transaction that turns from reading to writing may fail under WAL."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
