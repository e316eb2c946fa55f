"""Connections to SQLite whose commits keep no event loop waiting."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any

import peewee
from playhouse.pool import PooledSqliteDatabase

from models import greenlets
from models.connection import Row

# More than a fast disk takes, and more than one waits for the interpreter, which is part of what is measured.
SLOW_COMMIT_SECONDS = 0.003


class SqlitePool(greenlets.OfJobs, PooledSqliteDatabase):
    """Peewee's pool, whose commits are made elsewhere while the disk is slow."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._is_slow = False

    def ask(self, text: str, values: Sequence, make_row: Callable[[Sequence], Row]) -> tuple[list[Row], int]:
        """Run a statement, and return its rows and how many it has changed; see `models.connection.Connection.ask`."""
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
            cursor = (self._state.conn or self.connection()).execute(text, values)
            return list(map(make_row, cursor.fetchall())), cursor.rowcount

    def commit(self) -> None:
        """See `peewee.Database.commit`.

        Whether the disk is slow, the commit before has told: to go to a thread costs more than a fast disk takes.
        """
        cursor = self.cursor()
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
            if self._is_slow:
                greenlets.elsewhere(self._commit, cursor)
            else:
                self._commit(cursor)

    def _commit(self, cursor: sqlite3.Cursor) -> None:
        begun = time.monotonic()
        cursor.execute("COMMIT")
        self._is_slow = time.monotonic() - begun > SLOW_COMMIT_SECONDS
