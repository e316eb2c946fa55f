"""Whether a database can serve: it answers, has this release's schema, and can be written."""

import os
import pathlib
import tempfile

import peewee
from playhouse.pool import MaxConnectionsExceeded

from models import schema
from models.database import Pool
from models.errors import DatabaseUnavailable

PAGE = bytes(4096)


def check(pool: Pool) -> None:
    """Return if the database can serve.

    Raises:
        DatabaseUnavailable: it cannot be reached, or not be written.
        SchemaOutdated: migrations are pending.
    """
    try:
        with pool.connection_context():
            schema.check(pool)
            _check_writable(pool)
    except (peewee.PeeweeException, MaxConnectionsExceeded) as error:
        raise DatabaseUnavailable(f"The database does not answer ({type(error).__name__}).") from error


def _check_writable(pool: Pool) -> None:
    path = getattr(pool, "path", None)
    if path is not None:
        _check_file(path)
    elif pool.execute_sql("SHOW transaction_read_only").fetchone() != ("off",):
        raise DatabaseUnavailable("The database server is read-only: it is a standby.")


def _check_file(path: pathlib.Path) -> None:
    """Write beside the file, not into it: that would wait for writers, and SQLite bears no other hand on its file."""
    try:
        with tempfile.TemporaryFile(dir=path.parent, buffering=0) as room:
            room.write(PAGE)
    except OSError:
        raise DatabaseUnavailable("Nothing can be written beside the SQLite file.") from None
    if not os.access(path, os.W_OK):
        raise DatabaseUnavailable("The SQLite file cannot be written.")
