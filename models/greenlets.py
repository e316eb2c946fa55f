"""Jobs that wait for a database, and let the event loop of their thread serve others meanwhile.

A job is a plain function that runs in a greenlet. Where it would keep the loop waiting it asks one of the functions
here, which hand the thread to the loop, and come back when there is an answer; SQLAlchemy's and Peewee's own asyncio do
it the same way. So one and the same code, Peewee's included, runs on an event loop and in a thread, where these
functions wait as usual: in a command, say, or in a look-up of tokens.
"""

import asyncio
import contextvars
import functools
import math
import os
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import greenlet
import peewee
import psycopg
from psycopg import waiting

Result = TypeVar("Result")
# What may keep a thread waiting is bounded by who asks for it, such as a pool of connections.
_elsewhere = ThreadPoolExecutor(1024, thread_name_prefix="elsewhere")


class _Job:
    """A job on the event loop of its thread.

    Args:
        function: what it does.
        loop: the running loop.
        runner: the greenlet that runs it.
    """

    def __init__(self, function: Callable[[], Any], loop: asyncio.AbstractEventLoop, runner: "_Runner") -> None:
        self.loop = loop
        self.done: asyncio.Future = loop.create_future()
        self.connections: dict[OfJobs, peewee._ConnectionState] = {}
        self._function, self._runner = function, runner
        self._waits = 0
        self._seconds, self._resumed_at = 0.0, time.perf_counter()

    def run(self) -> None:
        """Do it, and leave the result or the exception in `done`."""
        try:
            result = self._function()
        except BaseException as error:  # noqa: BLE001 (it is for who waits for the job)
            self.done.set_exception(error)
        else:
            self.done.set_result(result)
        self._waits += 1  # nothing wakes it any more

    def wait(self) -> Any:
        """Let the loop go on until it calls what `waker` returned, and return what that was given."""
        self._seconds = self.seconds()
        return self._runner.parent.switch()

    def waker(self) -> Callable[..., None]:
        """Return what ends the next wait, once; it does nothing to one that has ended, or to a later one.

        It is for the loop's `call_soon` alone: while libuv polls or looks through its timers, some of what it works
        with is on the C stack, of which a greenlet takes its own part with it.
        """
        return functools.partial(self._wake, self._waits)

    def _wake(self, number: int, value: Any = None) -> None:
        if number == self._waits:
            self._waits += 1
            self._resumed_at = time.perf_counter()
            self._runner.switch(value)

    def seconds(self) -> float:
        """Return for how long it has kept the loop."""
        return self._seconds + time.perf_counter() - self._resumed_at


class _Runner(greenlet.greenlet):
    """A greenlet that runs jobs one after another.

    For a greenlet of its own for each job, Python would have memory mapped and cleared for its frames, and given back.
    """

    job: _Job | None = None

    def start(self, function: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> asyncio.Future:
        job = self.job = _Job(function, loop, self)
        self.gr_context = contextvars.copy_context()
        self.switch()
        return job.done

    def run(self) -> None:
        while self.job:
            self.job.run()
            self.job = None  # what a request holds is not kept, nor its context, which stubs do not know to be optional
            self.gr_context = None  # type: ignore[assignment]
            _runners.idle.append(self)
            self.parent.switch()


class _Runners(threading.local):
    """The runners of each thread that have nothing to do; none can leave its thread."""

    def __init__(self) -> None:
        self.idle: list[_Runner] = []


_runners = _Runners()


def _job() -> _Job | None:
    current = greenlet.getcurrent()
    return current.job if isinstance(current, _Runner) else None


def start(function: Callable[[], Any]) -> asyncio.Future:
    """Run a function as a job on the running loop, and return its future; it is done already if it never waits.

    It is for tasks, whose steps the loop's `call_soon` runs; see `_Job.waker`.
    """
    runner = _runners.idle.pop() if _runners.idle else _Runner()
    return runner.start(function, asyncio.get_running_loop())


def is_job() -> bool:
    """Tell whether a job is running, which shall not keep its thread waiting."""
    return _job() is not None


def processor_seconds() -> float:
    """Return how long the running job, or thread, has computed, from some moment on."""
    job = _job()
    return job.seconds() if job else time.thread_time()


def pause(seconds: float) -> None:
    """Do nothing for some time."""
    job = _job()
    if job is None:
        time.sleep(seconds)
    else:
        job.loop.call_later(seconds, job.loop.call_soon, job.waker())
        job.wait()


def result_of(future: Future, timeout: float | None = None) -> Any:
    """Return what another thread or job answers.

    Args:
        future: of it.
        timeout: seconds that one waits at most.

    Raises:
        TimeoutError: there was no answer in time. Whatever else the future was given is raised as well.
    """
    job = _job()
    if job is None or future.done():
        return future.result(timeout)
    wake = job.waker()
    future.add_done_callback(lambda _: job.loop.call_soon_threadsafe(wake))
    timer = job.loop.call_later(timeout, job.loop.call_soon, wake) if timeout is not None else None
    job.wait()
    if timer:
        timer.cancel()
    return future.result(0)


def elsewhere(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call what keeps its thread waiting, such as for a disk, and return what it returns; for a job, in a thread."""
    if _job() is None:
        return function(*arguments)
    return result_of(_elsewhere.submit(function, *arguments))


class Watch:
    """The event loop's watch over a socket at which jobs wait, one after another.

    It lasts until it is closed: to begin and to end it with each wait would cost a twelfth of a request that writes.

    Args:
        descriptor: of the socket. The watch has one of its own, since libpq closes this one when it likes, and another
            socket may get its number at once.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_watched = False
        self._wake: Callable[..., None] | None = None
        self._give_up = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, wanted: int, give_up: float) -> int:
        """Return for what the socket is ready, in a job; nothing (0) if it is not until a moment.

        Args:
            wanted: one of `psycopg.waiting.Wait`.
            give_up: that moment, in seconds of `time.monotonic`; infinite for as long as it takes.
        """
        job = _job()
        assert job is not None
        loop = job.loop
        self._wake, self._give_up = job.waker(), give_up
        if self._loop is not loop:
            self._loop, self._is_watched, self._timer = loop, False, None
        if not self._is_watched:
            loop.add_reader(self._descriptor, self._arrived, loop)
            self._is_watched = True
        if wanted & waiting.WAIT_W:
            loop.add_writer(self._descriptor, loop.call_soon, self._wake, waiting.READY_W)
        if self._timer is None and give_up < math.inf:
            self._look_at_time(loop)
        try:
            return job.wait()
        finally:
            self._wake = None
            if wanted & waiting.WAIT_W:
                loop.remove_writer(self._descriptor)

    def _arrived(self, loop: asyncio.AbstractEventLoop) -> None:
        wake, self._wake = self._wake, None
        if wake:
            loop.call_soon(wake, waiting.READY_R)
        else:  # what nobody asked for stays where it is, and most likely the other side has hung up
            loop.remove_reader(self._descriptor)
            self._is_watched = False

    def _look_at_time(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake who waits if it is time, or else look again when it will be, which most waits do not live to see."""
        self._timer, left = None, self._give_up - time.monotonic()
        if self._wake and left > 0:
            self._timer = loop.call_later(left, self._look_at_time, loop)
        elif self._wake:
            loop.call_soon(self._wake, 0)

    def close(self) -> None:
        """End it, from any thread."""
        if self._loop is None or self._loop.is_closed():
            os.close(self._descriptor)
        else:
            self._loop.call_soon_threadsafe(self._end, self._loop)

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        if self._timer:
            self._timer.cancel()


def follow(waits: Generator[Any, Any, Result], watch: Watch, give_up: float) -> Result:
    """Go through the waits of a connection to Postgres in a job, as `psycopg.waiting.wait` does in a thread.

    Psycopg's own `wait_async` is a coroutine, which would need a task for each statement.

    Args:
        waits: yields for what it waits, is sent what has come, and returns the result.
        watch: over its socket.
        give_up: see `Watch.wait`.

    Raises:
        psycopg.OperationalError: the server did not answer until then.
    """
    try:
        wanted = next(waits)
        while True:
            ready = watch.wait(wanted, give_up)
            if not ready:
                raise psycopg.OperationalError("the server did not answer in time")
            wanted = waits.send(ready)
    except StopIteration as end:
        return end.value


class OfJobs:
    """What makes a `peewee.Database` know of each job's connection, as it does of each thread's.

    It stands before the database among the bases of a class.
    """

    _of_threads: peewee._ConnectionState

    @property
    def _state(self) -> peewee._ConnectionState:
        """What Peewee knows of the connection in use; a property, since it asks for it dozens of times a request."""
        job = _job()
        if job is None:
            return self._of_threads
        state = job.connections.get(self)
        if state is None:
            state = job.connections[self] = peewee._ConnectionState()
        return state

    @_state.setter
    def _state(self, state: peewee._ConnectionState) -> None:
        self._of_threads = state
