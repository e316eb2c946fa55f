"""This server, with a count of the time of its layers: `python -m bench.layered_server`.

Whenever a function of another layer begins or ends, the time since the last such moment belongs to the layer that was
in between. So the time of a layer is without that of the layers that it calls.

It is the clock's time, which costs a tenth of what it costs to ask for the processor's: where requests come one after
the other and medians are taken, the two differ in what is outside of all layers, where the process also rests.
"""

import functools
import mmap
import os
import pathlib
import struct
import threading
import time
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from app import settings
from app.cli.shared_folder import shared_folder

PATH_VARIABLE = "BENCH_LAYERS"  # the file that the counts are in
LAYERS = (
    "edge",
    "token",
    "body",
    "handler",
    "use-case",
    "statements",
    "driver",
    "log and metrics",
)
OUTSIDE = -1
_COUNTS = struct.Struct(f"{len(LAYERS)}d")


def seconds(path: pathlib.Path) -> dict[str, float]:
    """Return the seconds of each layer so far, in the event loop's thread of one worker process."""
    return dict(zip(LAYERS, _COUNTS.unpack(path.read_bytes()), strict=True))


def make_file(path: pathlib.Path) -> None:
    """Make the file of the counts."""
    path.write_bytes(bytes(_COUNTS.size))


class _Clock:
    """Counts in a file that the process which measures reads."""

    def __init__(self, path: str) -> None:
        with pathlib.Path(path).open("r+b") as file:
            self._counts = mmap.mmap(file.fileno(), _COUNTS.size)
        self._seconds = [0.0] * (len(LAYERS) + 1)  # the last is for what is outside of all layers
        self._layer, self._since = OUTSIDE, time.perf_counter()
        self._thread = threading.main_thread().ident

    def enter(self, layer: int) -> int:
        """Let the time from now on be a layer's, and return the one before; in another thread than the loop's, not."""
        if threading.get_ident() != self._thread:
            return layer
        now = time.perf_counter()
        self._seconds[self._layer] += now - self._since
        before, self._layer, self._since = self._layer, layer, now
        if layer == OUTSIDE:
            _COUNTS.pack_into(self._counts, 0, *self._seconds[:OUTSIDE])
        return before

    def of(self, layer: str | None, function: Callable) -> Callable:
        """Return the function such that its time is a layer's, or (None) outside of all."""
        number = LAYERS.index(layer) if layer else OUTSIDE

        @functools.wraps(function)
        def run(*arguments: Any, **options: Any) -> Any:
            before = self.enter(number)
            try:
                return function(*arguments, **options)
            finally:
                self.enter(before)

        return run

    def of_coroutine(self, layer: str, function: Callable) -> Callable:
        """Return the method, a coroutine function, such that its time is a layer's, save for that in which it waits."""
        number = LAYERS.index(layer)

        @types.coroutine
        def steps(coroutine: Coroutine) -> Generator:
            step = functools.partial(coroutine.send, None)
            while True:
                before = self.enter(number)
                try:
                    awaited = step()
                except StopIteration as end:
                    return end.value
                finally:
                    self.enter(before)
                try:
                    step = functools.partial(coroutine.send, (yield awaited))
                except BaseException as error:  # noqa: BLE001 (it is for who waits)
                    step = functools.partial(coroutine.throw, error)

        @functools.wraps(function)
        async def run(owner: Any, what: Any, *arguments: Any) -> Any:  # uvicorn calls what it may without arguments
            return await steps(function(owner, what, *arguments))

        return run


def main() -> None:
    """Serve as `loyalty serve` does, with counts."""
    with shared_folder():  # before anything imports prometheus_client
        from app import server

        _count(_Clock(os.environ[PATH_VARIABLE]))
        server.run(settings.load())


def _count(clock: _Clock) -> None:
    from app import body, edge, handling, security
    from models import backend, candidates, greenlets, pool, sqlite_pool, statements

    for layer, owner, names in (
        (None, greenlets._Job, ("wait", "_wake")),
        ("body", body.BodyOperation, ("_payload",)),
        ("handler", handling.HandlerOperation, ("_run",)),
        ("use-case", backend.PeeweeBackend, ("search", "enroll", "list", "link")),
        ("statements", statements.Statement, ("run", "rows")),
        ("statements", candidates, ("_read",)),
        ("driver", pool.PostgresPool, ("ask", "begin", "commit", "_connect", "_close")),
        ("driver", sqlite_pool.SqlitePool, ("ask", "begin", "commit", "_connect", "_close")),
        ("log and metrics", edge, ("_tell",)),
    ):
        for name in names:
            setattr(owner, name, clock.of(layer, getattr(owner, name)))
    for layer, owner, name in (("edge", edge.Observed, "__call__"), ("token", security.BearerSecurity, "_judge")):
        setattr(owner, name, clock.of_coroutine(layer, getattr(owner, name)))


if __name__ == "__main__":
    main()
