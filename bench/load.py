"""Load on a server: as much as it takes, by wrk or from here, and so many requests a second, from here."""

import asyncio
import itertools
import json
import random
import selectors
import shutil
import statistics
import subprocess
import time
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httptools

from app.contract import JSON, Operation
from bench.contenders import Contender
from bench.workload import Call

SCRIPT = Path(__file__).with_name("wrk.lua")
GRACE_SECONDS = 30
DRIVERS = ("wrk", "builtin")


class LoadFailed(Exception):
    """Requests were not all answered with 2xx, or the tool is missing; the text says what to do."""


class Answer(NamedTuple):
    """The body of an answer, and the position of the call that it answers."""

    position: int
    body: bytes


@dataclass(frozen=True)
class Load:
    """What came of some seconds of load.

    Attributes:
        requests: how many were answered.
        seconds: how long it took.
        position: of the next call.
        answers: all of them.
        latencies: seconds from the moment when each request was due to the end of its answer; not by wrk.
    """

    requests: int
    seconds: float
    position: int
    answers: list[Answer] = field(default_factory=list, repr=False)
    latencies: tuple[float, ...] = ()


def percentile(latencies: Sequence[float], percent: int) -> float:
    """Return the latency that so many percent of the requests did not exceed."""
    if len(latencies) == 1:
        return latencies[0]
    return statistics.quantiles(latencies, n=100, method="inclusive")[percent - 1]


def check_wrk() -> None:
    """Do nothing if wrk can be run.

    Raises:
        LoadFailed: it cannot.
    """
    if shutil.which("wrk") is None:
        raise LoadFailed("wrk is not installed: `apt-get install wrk`, or use the slower --driver builtin.")


def run_wrk(
    server: Contender, operation: Operation, bodies: Path, position: int, *, seconds: float, connections: int
) -> Load:
    """Send requests by wrk, each connection the next as soon as it has an answer.

    Args:
        server: where to.
        operation: which.
        bodies: a file with a body in each line.
        position: of the first call.
        seconds: how long.
        connections: at once.

    Raises:
        LoadFailed: an answer was no 2xx, or a connection broke.
    """
    # A thread for each connection, so that an answer is that of the request before it.
    command = ["wrk", f"-t{connections}", f"-c{connections}", f"-d{seconds:g}s", "-s", str(SCRIPT)]
    command += [f"http://127.0.0.1:{server.port}{operation.path}", "--"]
    command += [operation.method, server.token, str(bodies), str(position), str(connections)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + GRACE_SECONDS)  # noqa: S603 (our own)
    if done.returncode:
        raise LoadFailed(f"wrk has failed: {done.stderr.strip() or done.stdout.strip()}")
    told = json.loads(done.stdout.splitlines()[-1])
    if told["refused"] or told["broken"]:
        raise LoadFailed(f"{server.name}: {told['refused']} answers were no 2xx, {told['broken']} connections broke.")
    answers = [answer for number in range(connections) for answer in _answers_of_thread(bodies, number)]
    if len(answers) < told["requests"]:
        raise LoadFailed(f"Of {told['requests']} answers wrk has kept {len(answers)}.")
    return Load(told["requests"], told["microseconds"] / 1e6, told["position"], answers)


def _answers_of_thread(bodies: Path, number: int) -> Iterator[Answer]:
    """Yield what a thread of wrk.lua has written: lines of a position and a length in bytes, each before a body."""
    path = bodies.with_name(f"{bodies.name}.answers-{number}")
    with path.open("rb") as file:
        for line in file:
            position, length = map(int, line.split())
            yield Answer(position, file.read(length))
    path.unlink()


def run_closed(
    server: Contender, operation: Operation, calls: list[Call], position: int, *, seconds: float, connections: int
) -> Load:
    """Send requests from this process as wrk does; see `run_wrk`."""
    generator = Generator(server, operation, calls, position)
    return _run(generator, generator.closed(seconds, connections))


def run_some(server: Contender, operation: Operation, calls: list[Call], position: int, *, requests: int) -> Load:
    """Send so many requests over one connection, one after the other."""
    generator = Generator(server, operation, calls, position)
    return _run(generator, generator.some(requests))


def run_open(
    server: Contender, operation: Operation, calls: list[Call], position: int, *, seconds: float, rate: float
) -> Load:
    """Send requests at a mean rate, at moments that do not depend on the answers, as independent people do.

    So an answer that is late delays no other request, and none is left out of the latencies ("coordinated omission").

    Args:
        server: where to.
        operation: which.
        calls: the requests, in turn.
        position: of the first.
        seconds: how long.
        rate: requests a second; the pauses between them are exponentially distributed.

    Raises:
        LoadFailed: an answer was no 2xx, or a connection broke.
    """
    generator = Generator(server, operation, calls, position)
    return _run(generator, generator.open(seconds, rate))


def _run(generator: "Generator", work: Coroutine[Any, Any, Load]) -> Load:
    async def run() -> Load:
        try:
            return await work
        finally:
            await generator.close()

    # The system call select waits to the microsecond, where epoll does to the millisecond.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        return runner.run(run())


class Connection(asyncio.Protocol):
    """One connection to a server, for one request after the other."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answered: asyncio.Future | None = None
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = transport  # type: ignore[assignment]

    def ask(self, request: bytes) -> asyncio.Future:
        """Send a request, and return what holds the status and the body of its answer when that has come."""
        assert self._transport
        self._answered, self._body = asyncio.get_running_loop().create_future(), b""
        self._transport.write(request)
        return self._answered

    def data_received(self, data: bytes) -> None:
        """Read an answer."""
        self._parser.feed_data(data)

    def on_body(self, part: bytes) -> None:
        """Keep a part of the answer."""
        self._body += part

    def on_message_complete(self) -> None:
        """Tell that an answer is there, and begin the next one."""
        assert self._answered
        self._answered.set_result((self._parser.get_status_code(), self._body))
        self._parser = httptools.HttpResponseParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits that there will be no answer."""
        if self._answered and not self._answered.done():
            self._answered.set_exception(LoadFailed(f"A connection broke ({type(exc).__name__})."))

    def close(self) -> None:
        """Close the connection."""
        assert self._transport
        self._transport.close()


class Generator:
    """Sends calls to one operation of a server."""

    def __init__(self, server: Contender, operation: Operation, calls: list[Call], position: int) -> None:
        self._server, self._calls, self._position = server, calls, position
        self._head = (
            f"{operation.method} {operation.path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Authorization: Bearer {server.token}\r\nContent-Type: {JSON}\r\nContent-Length: "
        ).encode()
        self._connections: list[Connection] = []
        self._idle: list[Connection] = []
        self._latencies: list[float] = []
        self._answers: list[Answer] = []

    async def closed(self, seconds: float, connections: int) -> Load:
        """Keep so many connections busy for so long."""
        start = time.perf_counter()

        async def one() -> None:
            while (due := time.perf_counter()) < start + seconds:
                await self._send(due)

        await asyncio.gather(*(one() for _ in range(connections)))
        return self._result(start)

    async def some(self, requests: int) -> Load:
        """Send so many requests, one after the other."""
        start = time.perf_counter()
        for _ in range(requests):
            await self._send(time.perf_counter())
        return self._result(start)

    async def open(self, seconds: float, rate: float) -> Load:
        """Begin a request whenever one is due."""
        start = time.perf_counter()
        sent = []
        for due in _arrivals(self._position, start, seconds, rate):
            await asyncio.sleep(due - time.perf_counter())
            sent.append(asyncio.create_task(self._send(due)))
        await asyncio.gather(*sent)
        return self._result(start)

    async def _send(self, due: float) -> None:
        position, self._position = self._position, self._position + 1
        body = self._calls[position % len(self._calls)].numbered(position)
        connection = self._idle.pop() if self._idle else await self._connect()
        status, answer = await connection.ask(b"%s%d\r\n\r\n%s" % (self._head, len(body), body))
        self._latencies.append(time.perf_counter() - due)
        self._answers.append(Answer(position, answer))
        self._idle.append(connection)
        if not 200 <= status <= 299:
            raise LoadFailed(f"{self._server.name} answered {status}.")

    async def _connect(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self._server.port)
        self._connections.append(connection)
        return connection

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.close()
        await asyncio.sleep(0)  # until they are closed

    def _result(self, start: float) -> Load:
        seconds = time.perf_counter() - start
        return Load(len(self._answers), seconds, self._position, self._answers, tuple(self._latencies))


def _arrivals(seed: int, start: float, seconds: float, rate: float) -> Iterator[float]:
    chance = random.Random(seed)  # noqa: S311 (not for secrets)
    pauses = (chance.expovariate(rate) for _ in itertools.count())
    return itertools.takewhile(lambda due: due < start + seconds, itertools.accumulate(pauses, initial=start))
