"""Connections to SQLite whose commits keep no event loop waiting."""

import sqlite3
import time
from typing import Any

import peewee
from playhouse.pool import PooledSqliteDatabase

from models import greenlets

# More than a fast disk takes, and more than one waits for the interpreter, which is part of what is measured.
SLOW_COMMIT_SECONDS = 0.003


class SqlitePool(PooledSqliteDatabase):
    """Peewee's pool, whose commits are made elsewhere while the disk is slow."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._state = greenlets.ConnectionState()
        self._is_slow = False

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
