"""`loyalty` that is killed at a chosen point: `python -m tests.resilience.faults serve`, with the file FAULT names.

The file holds the name of a point and at which time of reaching it the process dies: `commit 1`. The points are
`statement`, before each SQL statement; `commit`, before each commit; and `committed`, after it and before any answer.
Who dies removes the file. In a server only what handles requests counts, and not look-ups of tokens, say.
"""

import contextlib
import functools
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import peewee

from app.cli import main
from models.pool import PostgresPool
from models.sqlite_pool import SqlitePool

VARIABLE = "FAULT"
STATEMENT, COMMIT, COMMITTED = "statement", "commit", "committed"


def reach(point: str) -> None:
    """Die by SIGKILL if that is to happen here."""
    if threading.current_thread() is not threading.main_thread():
        return
    file = Path(os.environ[VARIABLE])
    with contextlib.suppress(FileNotFoundError):
        wanted, left = file.read_text().split()
        if point == wanted and int(left) > 1:
            file.write_text(f"{point} {int(left) - 1}")
        elif point == wanted:
            file.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


def reaching(method: Callable, before: list[str], after: list[str]) -> Callable:
    @functools.wraps(method)
    def run(*arguments: object, **options: object) -> object:
        for point in before:
            reach(point)
        result = method(*arguments, **options)
        for point in after:
            reach(point)
        return result

    return run


if __name__ == "__main__":
    peewee.Database.execute_sql = reaching(peewee.Database.execute_sql, [STATEMENT], [])
    for pool in (PostgresPool, SqlitePool):
        pool.ask = reaching(pool.ask, [STATEMENT], [])
        pool.commit = reaching(pool.commit, [STATEMENT, COMMIT], [COMMITTED])
    main()
