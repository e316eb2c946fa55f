"""Writers of a SQLite file, one at a time and in turn.

SQLite lets them all try again and again until their busy timeout, and under load some never succeed. So each use-case
that writes first waits here: threads of a process in line, processes by a lock on a file beside the database.
"""

import contextlib
import fcntl
import os
import pathlib
import threading
import time
import weakref
from collections.abc import Iterator

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
        self._file: int | None = None
        self._process = 0

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
            file = self._opened()
            _lock(file, give_up)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)
        finally:
            self._first_in_line.release()

    def _opened(self) -> int:
        """Return the lock file, open in this process: a child's copy of its parent's would share the parent's lock."""
        if self._file is None or self._process != os.getpid():
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            self._process = os.getpid()
            weakref.finalize(self, os.close, self._file)
        return self._file


def _lock(file: int, give_up: float) -> None:
    while True:
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if time.monotonic() > give_up:
            raise _too_long()
        time.sleep(POLL_SECONDS)


def _too_long() -> DatabaseBusy:
    return DatabaseBusy("Too many others are writing to the SQLite file.")
