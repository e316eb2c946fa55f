"""Small writes that no answer waits for: when a token was last used, which hotels have called.

They run one at a time in a thread of their own, so that a request that only reads never waits for a write lock. One
that fails is dropped: the next request brings it up again.
"""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import peewee

from models.database import session, transaction
from models.errors import DatabaseUnavailable

# While the database is stuck, what cannot be written is not piled up.
MOST_WAITING = 64


class Later:
    """Runs functions on the database, after the answer that they concern."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="later")
        self._free_places = threading.BoundedSemaphore(MOST_WAITING)

    def run(self, function: Callable, *arguments: object) -> None:
        """Run a function with a connection, soon; if too many wait already, never."""
        if self._free_places.acquire(blocking=False):
            self._executor.submit(self._run, function, *arguments)

    def _run(self, function: Callable, *arguments: object) -> None:
        self._free_places.release()
        with contextlib.suppress(DatabaseUnavailable, peewee.DatabaseError), session(), transaction():
            function(*arguments)

    def shutdown(self) -> None:
        """Wait for what was promised, and end the thread."""
        self._executor.shutdown()
