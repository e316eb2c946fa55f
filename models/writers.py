"""Writers of a SQLite file, one at a time and in turn.

SQLite lets them all try again and again until their busy timeout, and under load some never succeed. So each use-case
that writes first waits here: threads of a process in line, processes by a lock on a file beside the database.
"""

import contextlib
import pathlib
import threading
import time
from collections.abc import Iterator

from filelock import FileLock, Timeout

from models.errors import DatabaseBusy

POLL_SECONDS = 0.002


class WriterQueue:
    """The line of those who want to write to one SQLite file.

    Args:
        path: of the lock file.
        patience: seconds that a writer waits at most.
    """

    def __init__(self, path: pathlib.Path, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._first_in_line = threading.Lock()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the only right to write.

        Raises:
            DatabaseBusy: the line did not move fast enough.
        """
        give_up = time.monotonic() + self._patience
        if not self._first_in_line.acquire(timeout=self._patience):
            raise _too_long()
        try:
            with FileLock(self._path, timeout=max(0, give_up - time.monotonic()), poll_interval=POLL_SECONDS):
                yield
        except Timeout:
            raise _too_long() from None
        finally:
            self._first_in_line.release()


def _too_long() -> DatabaseBusy:
    return DatabaseBusy("Too many others are writing to the SQLite file.")
