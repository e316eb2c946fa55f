"""`loyalty` that is killed at a chosen point: `python -m tests.resilience.faults serve`, with the file FAULT names.

The file holds the name of a point and at which time of reaching it the process dies: `commit 1`. The points are
`statement`, before each SQL statement; `commit`, before each commit; and `committed`, after it and before any answer.
Who dies removes the file. In a server only the threads that handle requests count.
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

VARIABLE = "FAULT"
STATEMENT, COMMIT, COMMITTED = "statement", "commit", "committed"


def reach(point: str) -> None:
    """Die by SIGKILL if that is to happen here."""
    if not threading.current_thread().name.startswith(("MainThread", "staff", "bulk")):
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
    peewee.Database.commit = reaching(peewee.Database.commit, [STATEMENT, COMMIT], [COMMITTED])
    main()
