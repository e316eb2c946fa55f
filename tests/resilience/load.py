"""A load generator: raw HTTP/1.1 over sockets on uvloop, light enough to share the machine with the server it loads."""

import asyncio
import contextlib
import itertools
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httptools
import psutil
import uvloop

from tests import support

# Longer than any deadline: who has no answer by then has lost it.
PATIENCE_SECONDS = 20
TICK_SECONDS, BATCH = 0.005, 16
# Of one run: fewer than a server keeps.
MOST_CONNECTIONS = 800
# Until uvloop has closed what it was told to.
CLOSING_SECONDS = 0.1
LOST = 0


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: 0 if nothing came.
        seconds: from the moment at which the request was due.
        retry_after: the header field's value, empty without it.
    """

    status: int
    seconds: float
    retry_after: str = ""


@dataclass
class Report:
    """The answers of one run.

    Attributes:
        seconds: how long requests were sent.
        unsent: how many were not, because all connections waited for answers.
    """

    seconds: float
    unsent: int = 0
    answers: list[Answer] = field(default_factory=list)

    @property
    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in self.answers)

    @property
    def rate(self) -> float:
        """Requests served in a second."""
        return self.statuses[200] / self.seconds

    @property
    def refusals(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.status == 429]

    def percentile(self, percent: int) -> float:
        """Return the seconds within which so many of the served requests had their answer."""
        served = [answer.seconds for answer in self.answers if answer.status == 200]
        return statistics.quantiles(served, n=100, method="inclusive")[percent - 1]


class Connection(asyncio.Protocol):
    """One connection, on which one request at a time waits for its answer."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._answered: asyncio.Future[None] | None = None
        self.retry_after = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self.retry_after = value.decode()

    def on_message_complete(self) -> None:
        if self._answered and not self._answered.done():
            self._answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._answered and not self._answered.done():
            self._answered.set_exception(ConnectionResetError())

    @property
    def is_reusable(self) -> bool:
        return self._parser.should_keep_alive() and not self.transport.is_closing()

    async def ask(self, request: bytes) -> int:
        """Send a request and return the status of its answer."""
        self._answered, self.retry_after = asyncio.get_running_loop().create_future(), ""
        self.transport.write(request)
        await self._answered
        return self._parser.get_status_code()


class Clients:
    """All connections of a run: one that is free is used again."""

    def __init__(self, server: support.Server) -> None:
        self._server = server
        self._free: list[Connection] = []

    async def ask(self, request: bytes, due: float) -> Answer:
        """Send a request and return its answer; `due` is the moment (`time.perf_counter`) that its time counts from."""
        status, retry_after, connection = LOST, "", None
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                connection = await self._connection()
                status = await connection.ask(request)
                retry_after = connection.retry_after
        if connection and status and connection.is_reusable:
            self._free.append(connection)
        elif connection and not connection.transport.is_closing():
            connection.transport.abort()
        return Answer(status, time.perf_counter() - due, retry_after)

    async def _connection(self) -> Connection:
        while self._free:
            if (connection := self._free.pop()).is_reusable:
                return connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, self._server.host, self._server.port)
        return connection

    def close(self) -> None:
        for connection in self._free:
            connection.transport.abort()


async def saturate(server: support.Server, requests: Iterator[bytes], seconds: float, *, clients: int = 16) -> Report:
    """Let a few clients ask without pause: what the server then serves is what it can."""
    pool, report = Clients(server), Report(seconds)
    end = time.perf_counter() + seconds

    async def one() -> None:
        while (now := time.perf_counter()) < end:
            report.answers.append(await pool.ask(next(requests), now))

    await asyncio.gather(*(one() for _ in range(clients)))
    pool.close()
    return report


async def pour(server: support.Server, requests: Iterator[bytes], seconds: float, *, rate: float) -> Report:
    """Send so many requests a second whether or not earlier ones are answered, as many independent clients do.

    Their pool of connections is bounded; when it is used up, requests are left out.
    """
    pool, report, running = Clients(server), Report(seconds), set[asyncio.Task]()
    begin = time.perf_counter()

    async def one(due: float) -> None:
        report.answers.append(await pool.ask(next(requests), due))

    for index in itertools.count():
        due = begin + index / rate
        if due > begin + seconds:
            break
        if index % BATCH == 0:  # however late it is, answers are read
            await asyncio.sleep(0)
        while (early := due - time.perf_counter()) > 0:
            await asyncio.sleep(min(TICK_SECONDS, early))
        if len(running) >= MOST_CONNECTIONS:
            report.unsent += 1
            continue
        task = asyncio.create_task(one(due))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    pool.close()
    return report


def run(*loads: Coroutine[None, None, Any]) -> list[Any]:
    """Run loads at once to their end, and return what they return."""

    async def together() -> list[Any]:
        done = await asyncio.gather(*loads)
        await asyncio.sleep(CLOSING_SECONDS)
        return done

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(together())


def request(server: support.Server, name: str, body: dict, **headers: str) -> bytes:
    """Return the bytes of a call of an operation (see `support.operation`)."""
    operation, content = support.operation(name), json.dumps(body).encode()
    fields = {
        "Host": f"{server.host}:{server.port}",
        "Authorization": f"Bearer {server.token}",
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
    } | headers
    lines = [f"{operation.method} {operation.path} HTTP/1.1", *(f"{key}: {value}" for key, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def workers(server: support.Server) -> list[psutil.Process]:
    """Return the worker processes of a server."""
    assert server.process
    return psutil.Process(server.process.pid).children()


def resident(server: support.Server) -> int:
    """Return the memory of all worker processes, in MiB."""
    return sum(worker.memory_info().rss for worker in workers(server)) >> 20


def repeat(make: Callable[[int], bytes]) -> Iterator[bytes]:
    """Return the requests that `make` gives for 0, 1, 2 and so on."""
    return map(make, itertools.count())


def cycle(requests: Iterable[bytes]) -> Iterator[bytes]:
    return itertools.cycle(requests)
