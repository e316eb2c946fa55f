"""Backups: of SQLite a copy of the file by SQLite's own online backup, of Postgres a dump of our tables by pg_dump.

Either is one moment's state while others go on writing, and a restore is one transaction: all of it or nothing.
"""

import contextlib
import os
import pathlib
import sqlite3
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import peewee

from models import postgres_programs
from models.errors import BackupFailed
from models.tables import Member

PAGES_AT_ONCE = 1000  # between so many, the progress is told
SQLITE_HEAD, POSTGRES_HEAD = b"SQLite format 3\0", b"PGDMP"
Told = Callable[[float], None]


def back_up(opened: peewee.Database, file: pathlib.Path, told: Told) -> None:
    """Write a backup to a file, which is put in place when it is whole and which only its owner may read.

    Args:
        opened: the database, with a connection held.
        file: what is there is replaced.
        told: is called with the share that is done, from 0 to 1; of Postgres that is not known.

    Raises:
        BackupFailed: the file cannot be written, or pg_dump is missing or fails.
    """
    try:
        with _in_place(file) as temporary:
            if isinstance(opened, peewee.SqliteDatabase):
                _copy(opened.connection(), temporary, told)
            else:
                postgres_programs.dump(opened.connection().info, temporary)
    except OSError as error:
        raise BackupFailed(f"The backup cannot be written: {error.strerror}.") from None
    except sqlite3.Error as error:
        raise BackupFailed(f"The backup cannot be made: {error}.") from None


@contextlib.contextmanager
def _in_place(file: pathlib.Path) -> Iterator[pathlib.Path]:
    """Give a name in a private folder beside the file, and move what is there in its place at the end."""
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}-") as folder:
        temporary = pathlib.Path(folder) / file.name
        yield temporary
        temporary.chmod(0o600)
        _sync(temporary)
        temporary.replace(file)
    _sync(file.parent)


def _sync(path: pathlib.Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(source: sqlite3.Connection, path: pathlib.Path, told: Told) -> None:
    with contextlib.closing(sqlite3.connect(path)) as copy:
        # A reader's transaction around all steps: without it, SQLite begins anew whenever somebody writes between two.
        source.execute("BEGIN")
        try:
            source.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            source.backup(copy, pages=PAGES_AT_ONCE, progress=_share(told))
        finally:
            source.execute("ROLLBACK")
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, with no log beside it
        _check_whole(copy)


def _share(told: Told) -> Callable[[int, int, int], None]:
    return lambda _status, left, total: told(1 - left / total if total else 1.0)


def _check_whole(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise BackupFailed("The backup is damaged: run `loyalty db check` on the database that it is of.")


def holds_members(opened: peewee.Database) -> bool:
    """Tell whether there is a member in the database, whatever its schema."""
    return opened.table_exists(Member._meta.table_name) and Member.select(Member.id).limit(1).exists()


def restore(opened: peewee.Database, file: pathlib.Path, told: Told) -> None:
    """Put a backup in place of all that our tables hold, in one transaction; servers may run meanwhile.

    Args:
        opened: the database, with a connection held.
        file: a backup of the same engine.
        told: as in `back_up`.

    Raises:
        BackupFailed: the file is no backup of this engine, or damaged; or pg_restore is missing or fails.
        DatabaseUnavailable: SQLite's turn to write did not come in time.
    """
    is_sqlite = isinstance(opened, peewee.SqliteDatabase)
    _check_engine(file, SQLITE_HEAD if is_sqlite else POSTGRES_HEAD)
    if not is_sqlite:
        postgres_programs.restore(opened.connection().info, file)
        return
    try:
        _put_back(opened, file, told)
    except sqlite3.Error as error:
        raise BackupFailed(f"The backup cannot be restored: {error}.") from None


def _check_engine(file: pathlib.Path, expected: bytes) -> None:
    try:
        with file.open("rb") as backup:
            head = backup.read(len(SQLITE_HEAD))
    except OSError as error:
        raise BackupFailed(f"The backup cannot be read: {error.strerror}.") from None
    if head.startswith(expected):
        return
    if head.startswith((SQLITE_HEAD, POSTGRES_HEAD)):
        raise BackupFailed(
            "The backup is of the other engine; `loyalty member export` and `import` carry members between engines."
        )
    raise BackupFailed("The file is no backup that `loyalty db backup` has written.")


def _put_back(opened: Any, file: pathlib.Path, told: Told) -> None:
    """Overwrite the database through SQLite: a new file in its place would leave servers writing to the old one."""
    url = f"file:{urllib.parse.quote(str(file.absolute()))}?mode=ro"
    with contextlib.closing(sqlite3.connect(url, uri=True)) as backup:
        _check_whole(backup)
        if not backup.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (Member._meta.table_name,)).fetchone():
            raise BackupFailed("The file is no backup that `loyalty db backup` has written.")
        with opened.writers.turn():
            backup.backup(opened.connection(), pages=PAGES_AT_ONCE, progress=_share(told))
