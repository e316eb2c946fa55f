"""A time limit for many that all have the same time, with one timer for all of them."""

import asyncio
from types import TracebackType


class Timeouts:
    """Limits blocks of code that all get the same time, as `asyncio.timeout` does one.

    That would set a timer for each block and cancel it, which takes as long as a layer of the edge, and hardly a block
    lives to see it. These end in the order in which they begin, so that a timer for the first of them is enough.

    Args:
        seconds: that each block gets.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: dict[Timeout, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def limit(self) -> "Timeout":
        """Return what limits one block of a coroutine that runs in a task.

        Raises:
            TimeoutError: at the end of the block, of which the task was canceled in time.
        """
        return Timeout(self)

    def begin(self, timeout: "Timeout", loop: asyncio.AbstractEventLoop) -> None:
        """Start the time of a block."""
        self._running[timeout] = loop.time() + self._seconds
        if self._timer is None or self._loop is not loop:
            self._loop, self._timer = loop, loop.call_later(self._seconds, self._look_at_time, loop)

    def end(self, timeout: "Timeout") -> None:
        """Forget a block that has ended."""
        self._running.pop(timeout, None)

    def _look_at_time(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, now = None, loop.time()
        for timeout, until in [*self._running.items()]:
            if until > now:
                self._timer = loop.call_at(until, self._look_at_time, loop)
                return
            timeout.cancel()


class Timeout:
    """The limit of one block; see `Timeouts.limit`."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts, self._is_over = timeouts, False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._timeouts.begin(self, task.get_loop())

    def cancel(self) -> None:
        """End the block at what it waits for."""
        self._timeouts.end(self)
        self._is_over = True
        self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not self._is_over:
            self._timeouts.end(self)
        elif self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:  # else another wants it, too
            raise TimeoutError from error
