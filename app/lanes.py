"""How much work a worker process takes on: a lane for what staff wait for, and one for what comes in bulk."""

import asyncio
import contextlib
import functools
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from app import context
from app.contract import Contract, MissingOperation, Operation
from app.problems import too_busy
from models.greenlets import processor_seconds

Start: TypeAlias = Callable[[Callable[[], Any]], asyncio.Future]

# What the request of an operation carries of which Mews sends many at once, and nobody waits for at a desk.
BULK = "providerMembershipIds"
# One place in four: by default two, so that one job computes while the database works for the other.
BULK_SHARE = 4
# How long bulk lets staff go first, so that it goes on even if they always ask.
COURTESY_SECONDS = 0.05
# While staff ask, bulk rests after each job for so many times the processor time that it took.
REST_TIMES, IN_USE_SECONDS = 7, 1.0
# Of the deadline, how long a request may wait for its turn. The rest is enough for what it then does.
PATIENCE_SHARE = 0.5
# How much the last job counts in the mean time of all before it.
NEWEST_SHARE = 0.2


class NotWanted(Exception):
    """The client hung up before the request was begun."""


class Lane:
    """Places for jobs that run at once, and a line before them that is bounded in number and in time.

    Args:
        start: begins a job, and returns the future of its end.
        places: how many jobs run at once.
        queue_limit: how many wait.
        patience: seconds that one waits at most.
        behind: another lane that goes first: a job is begun when that one is empty, or after a moment.
    """

    def __init__(
        self, start: Start, *, places: int, queue_limit: int, patience: float, behind: "Lane | None" = None
    ) -> None:
        self._start, self._behind = start, behind
        self._places, self._capacity, self._patience = places, places + queue_limit, patience
        self._free = asyncio.Semaphore(places)
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._admitted = 0
        self._last_left = 0.0
        self._rests_until = 0.0
        self._seconds_each = 0.0

    def check(self) -> None:
        """Return if another job would have its turn in time.

        Raises:
            Problem: 429, it would not.
        """
        expected_wait = (self._admitted - self._places) * self._seconds_each / self._places
        if self._admitted >= self._capacity or expected_wait > self._patience:
            raise too_busy()

    async def run(self, job: Callable[[], Any], is_wanted: Callable[[], bool]) -> Any:
        """Return what a job returns; past the deadline, one that runs keeps its place until its end.

        Args:
            job: what is to be done.
            is_wanted: asked right before.

        Raises:
            Problem: 429, its turn did not come in time. Nothing was done.
            NotWanted: nothing was done.
        """
        self.check()
        self._admitted += 1
        self._is_empty.clear()
        try:
            await self._take_place()
        except BaseException:
            self._leave()
            raise
        running = self._start(functools.partial(self._run, job, is_wanted))
        # Also if it is done already: so those that came with it ask for their places before its own is free, and are
        # refused if they are too many, where jobs never wait for a database.
        running.add_done_callback(self._free_place)
        return await asyncio.shield(running)

    async def _take_place(self) -> None:
        if self._free.locked():
            await self._wait_for_place()
        else:
            await self._free.acquire()  # at once
        if self._behind:
            try:
                await self._stand_back(self._behind)
            except BaseException:
                self._free.release()
                raise

    async def _stand_back(self, behind: "Lane") -> None:
        longest = time.monotonic() + COURTESY_SECONDS
        while (rest := min(self._rests_until, longest) - time.monotonic()) > 0:  # grows, if another job has ended
            await asyncio.sleep(rest)
        await behind.let_pass()

    async def _wait_for_place(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        except TimeoutError:
            raise too_busy() from None

    def _run(self, job: Callable[[], Any], is_wanted: Callable[[], bool]) -> Any:
        if not is_wanted():
            raise NotWanted
        begun, computed = time.monotonic(), processor_seconds()
        try:
            return job()
        except StopIteration as error:  # asyncio's futures do not take it, as generators do not (PEP 479)
            raise RuntimeError("a job raised StopIteration") from error
        finally:
            now = time.monotonic()
            self._seconds_each += NEWEST_SHARE * (now - begun - self._seconds_each)
            if self._behind and self._behind.is_in_use():
                # After what is left of the rest for a job that ran at the same time.
                left = min(max(self._rests_until - now, 0), COURTESY_SECONDS)
                self._rests_until = now + left + REST_TIMES * (processor_seconds() - computed)

    def _free_place(self, ended: asyncio.Future) -> None:
        if not ended.cancelled():
            ended.exception()  # or else asyncio would log what a failure says, if its request has been answered
        self._free.release()
        self._leave()

    def _leave(self) -> None:
        self._admitted -= 1
        self._last_left = time.monotonic()
        if not self._admitted:
            self._is_empty.set()

    async def let_pass(self) -> None:
        """Wait until the lane is empty, but for a moment only."""
        if self._is_empty.is_set():
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COURTESY_SECONDS):
                await self._is_empty.wait()

    def is_in_use(self) -> bool:
        """Return whether there are or have just been jobs."""
        return self._admitted > 0 or time.monotonic() - self._last_left < IN_USE_SECONDS

    async def shutdown(self) -> None:
        """Wait for the running jobs, and begin no other."""
        for _ in range(self._places):
            await self._free.acquire()


class Lanes:
    """The lanes of one worker process.

    Attributes:
        places: of all of them.

    Args:
        contracts: all versions that are served.
        start: begins a job, and returns the future of its end.
        places: to share among the lanes; each has at least one.
        queue_limit: of each lane.
        deadline: seconds that a request may take.
    """

    def __init__(
        self, contracts: Iterable[Contract], start: Start, *, places: int, queue_limit: int, deadline: float
    ) -> None:
        bounds: dict[str, Any] = {"queue_limit": queue_limit, "patience": deadline * PATIENCE_SHARE}
        bulk_places = max(1, places // BULK_SHARE)
        staff_places = max(1, places - bulk_places)
        self._staff = Lane(start, places=staff_places, **bounds)
        self._bulk = Lane(start, places=bulk_places, behind=self._staff, **bounds)
        self.places = staff_places + bulk_places
        self._bulk_handlers = set()
        for contract in contracts:
            with contextlib.suppress(MissingOperation):
                self._bulk_handlers.add(contract.operation_with(BULK).handler)

    def of(self, operation: Operation | None) -> Lane:
        """Return the lane of an operation."""
        return self._bulk if operation and operation.handler in self._bulk_handlers else self._staff

    async def shutdown(self) -> None:
        """Wait for what runs."""
        await self._staff.shutdown()
        await self._bulk.shutdown()


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
