"""How much work a worker process takes on: a lane for what staff wait for, and one for what comes in bulk."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from app import context
from app.contract import Contract, MissingOperation, Operation
from app.problems import too_busy

# What the request of an operation carries of which Mews sends many at once, and nobody waits for at a desk.
BULK = "providerMembershipIds"
# One thread in eight: of those that compute, each takes the interpreter from all others.
BULK_SHARE = 8
# How long bulk lets staff go first, so that it goes on even if they always ask.
COURTESY_SECONDS = 0.05
# While staff ask, bulk rests after each job for so many times the processor time that it took.
REST_TIMES, IN_USE_SECONDS = 7, 1.0
# Of the deadline, how long a request may wait for a thread. The rest is enough for what it then does.
PATIENCE_SHARE = 0.5
# How much the last job counts in the mean time of all before it.
NEWEST_SHARE = 0.2


class NotWanted(Exception):
    """The client hung up before the request was begun."""


class Lane:
    """Threads, and a line before them that is bounded in number and in time.

    Args:
        name: of its threads.
        threads: how many jobs run at once.
        queue_limit: how many wait.
        patience: seconds that one waits at most.
        behind: another lane that goes first: a job is begun when that one is empty, or after a moment.
    """

    def __init__(
        self, name: str, *, threads: int, queue_limit: int, patience: float, behind: "Lane | None" = None
    ) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._threads, self._capacity, self._patience = threads, threads + queue_limit, patience
        self._behind = behind
        self._change = threading.Condition()
        self._admitted = 0
        self._last_left = 0.0
        self._rests_until = 0.0
        self._seconds_each = 0.0

    def check(self) -> None:
        """Return if another job would have its turn in time.

        Raises:
            Problem: 429, it would not.
        """
        expected_wait = (self._admitted - self._threads) * self._seconds_each / self._threads
        if self._admitted >= self._capacity or expected_wait > self._patience:
            raise too_busy()

    async def run(self, job: Callable[[], Any], is_wanted: Callable[[], bool]) -> Any:
        """Return what a job returns; past the deadline, one that runs keeps its place until its end.

        Args:
            job: called in a thread.
            is_wanted: asked in that thread, before the job.

        Raises:
            Problem: 429, its turn did not come in time. Nothing was done.
            NotWanted: nothing was done.
        """
        self.check()
        loop, future = asyncio.get_running_loop(), self._submit(job, is_wanted)
        timer = loop.call_later(self._patience, future.cancel)  # does nothing to a job that runs
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # by the deadline
                raise
            raise too_busy() from None
        finally:
            timer.cancel()

    def _submit(self, job: Callable[[], Any], is_wanted: Callable[[], bool]) -> Future:
        with self._change:
            self._admitted += 1
        future = self._executor.submit(self._run, job, is_wanted)
        future.add_done_callback(self._release)
        return future

    def _run(self, job: Callable[[], Any], is_wanted: Callable[[], bool]) -> Any:
        begun = time.monotonic()
        if self._behind:
            time.sleep(max(0.0, min(self._rests_until - begun, COURTESY_SECONDS)))
            self._behind.let_pass()
        if not is_wanted():
            raise NotWanted
        computing = time.thread_time()
        try:
            return job()
        finally:
            now = time.monotonic()
            self._seconds_each += NEWEST_SHARE * (now - begun - self._seconds_each)
            if self._behind and self._behind.is_in_use():
                self._rests_until = now + REST_TIMES * (time.thread_time() - computing)

    def _release(self, _: Future) -> None:
        with self._change:
            self._admitted -= 1
            self._last_left = time.monotonic()
            if not self._admitted:
                self._change.notify_all()

    def let_pass(self) -> None:
        """Wait until the lane is empty, but for a moment only."""
        with self._change:
            self._change.wait_for(lambda: not self._admitted, COURTESY_SECONDS)

    def is_in_use(self) -> bool:
        """Return whether there are or have just been jobs."""
        return self._admitted > 0 or time.monotonic() - self._last_left < IN_USE_SECONDS

    def shutdown(self) -> None:
        """Wait for the running jobs and end the threads."""
        self._executor.shutdown(wait=True)


class Lanes:
    """The lanes of one worker process.

    Attributes:
        threads: of all of them.

    Args:
        contracts: all versions that are served.
        threads: to share among the lanes; each has at least one.
        queue_limit: of each lane.
        deadline: seconds that a request may take.
    """

    def __init__(self, contracts: Iterable[Contract], *, threads: int, queue_limit: int, deadline: float) -> None:
        bounds: dict[str, Any] = {"queue_limit": queue_limit, "patience": deadline * PATIENCE_SHARE}
        bulk_threads = max(1, threads // BULK_SHARE)
        staff_threads = max(1, threads - bulk_threads)
        self._staff = Lane("staff", threads=staff_threads, **bounds)
        self._bulk = Lane("bulk", threads=bulk_threads, behind=self._staff, **bounds)
        self.threads = staff_threads + bulk_threads
        self._bulk_handlers = set()
        for contract in contracts:
            with contextlib.suppress(MissingOperation):
                self._bulk_handlers.add(contract.operation_with(BULK).handler)

    def of(self, operation: Operation | None) -> Lane:
        """Return the lane of an operation."""
        return self._bulk if operation and operation.handler in self._bulk_handlers else self._staff

    def shutdown(self) -> None:
        """Wait for what runs, and end the threads."""
        self._staff.shutdown()
        self._bulk.shutdown()


class Door:
    """Refuses what its lane cannot take on before a token is looked up and a body is read for it."""

    def __init__(self, app: Callable, lanes: Lanes) -> None:
        self._app = app
        self._lanes = lanes

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Serve one request.

        Raises:
            Problem: 429, the server is busy.
        """
        if scope["type"] == "http":
            self._lanes.of(context.of(scope).operation).check()
        await self._app(scope, receive, send)
