"""Writers of a SQLite file, one at a time and in turn.

SQLite lets them all try again and again until their busy timeout, and under load some never succeed. So each use-case
that writes first waits here: those of a process in line, processes by a lock on a file beside the database.
"""

import contextlib
import fcntl
import os
import pathlib
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future

from models import greenlets
from models.errors import DatabaseBusy

POLL_SECONDS = 0.002


class _Line:
    """Turns of threads and jobs, one at a time, in the order in which they asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = False
        self._waiting: deque[Future] = deque()

    def take_turn(self, seconds: float) -> bool:
        """Wait for the turn, and return whether it came in time."""
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return True
            turn: Future = Future()
            self._waiting.append(turn)
        try:
            greenlets.result_of(turn, seconds)
        except TimeoutError:
            return not turn.cancel()  # it may have come at the last moment
        return True

    def end_turn(self) -> None:
        """Let the next one have it."""
        with self._lock:
            while self._waiting:
                turn = self._waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    turn.set_result(None)
                    return
            self._is_taken = False


class WriterQueue:
    """The line of those who want to write to one SQLite file.

    Args:
        path: of the lock file.
        patience: seconds that a writer waits at most.
    """

    def __init__(self, path: pathlib.Path, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._line = _Line()
        self._file: int | None = None
        self._process = 0

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the only right to write.

        Raises:
            DatabaseBusy: the line did not move fast enough.
        """
        give_up = time.monotonic() + self._patience
        if not self._line.take_turn(self._patience):
            raise _too_long()
        try:
            file = self._opened()
            _lock(file, give_up)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)
        finally:
            self._line.end_turn()

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
        greenlets.pause(POLL_SECONDS)


def _too_long() -> DatabaseBusy:
    return DatabaseBusy("Too many others are writing to the SQLite file.")
