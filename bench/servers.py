"""A server with one worker process on a database, and what one request costs there."""

import contextlib
import http.client
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field

from app import contract
from bench import processes

BOOT_SECONDS = 30


@dataclass
class Costs:
    """What requests of one sort have cost.

    Attributes:
        worker: seconds of processor time per request in the server's worker process, for each visit.
        backends: the same in Postgres' backends.
        latencies: seconds from each request to its answer.
    """

    worker: list[float] = field(default_factory=list)
    backends: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    @property
    def total(self) -> list[float]:
        """Both processor times together, for each visit."""
        return [worker + backends for worker, backends in zip(self.worker, self.backends, strict=True)]


class Server:
    """A running server and the one connection to it.

    Args:
        arbiter: the process of `loyalty serve`.
        port: of 127.0.0.1.
        token: a valid bearer token.
        postmaster: the process that starts Postgres' backends; None with SQLite.
        database: its name there.
    """

    def __init__(self, arbiter: int, port: int, token: str, postmaster: int | None, database: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=BOOT_SECONDS)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": contract.JSON}
        self._operation = contract.load().operation_with("memberFilter")
        self._postmaster, self._database = postmaster, database
        (self.worker,) = processes.children(arbiter)

    def search(self, body: bytes) -> bytes:
        """Send one request and return its answer.

        Raises:
            RuntimeError: it is not 200.
        """
        self._connection.request(self._operation.method, self._operation.path, body, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"The server answered {answer.status}: {text.decode()}")
        return text

    def rest(self) -> None:
        """Close the connection, before the server does so for want of requests; the next one opens another."""
        self._connection.close()

    def visit(self, bodies: list[bytes], costs: Costs) -> None:
        """Send requests one after the other, and add what they cost; one more before them wakes the server up."""
        self.search(bodies[0])
        backends = self._backends()
        before = processes.cpu_seconds(self.worker), sum(map(processes.cpu_seconds, backends))
        for body in bodies:
            start = time.perf_counter()
            self.search(body)
            costs.latencies.append(time.perf_counter() - start)
        after = processes.cpu_seconds(self.worker), sum(map(processes.cpu_seconds, backends))
        costs.worker.append((after[0] - before[0]) / len(bodies))
        costs.backends.append((after[1] - before[1]) / len(bodies))

    def _backends(self) -> list[int]:
        if self._postmaster is None:
            return []
        all_backends = processes.children(self._postmaster)
        return [process for process in all_backends if f" {self._database} " in processes.title(process)]


@contextlib.contextmanager
def running(url: str, token: str, postmaster: int | None, log: pathlib.Path) -> Iterator[Server]:
    """Run `loyalty serve` with one worker process on a database until the block ends.

    Args:
        url: of the database.
        token: a valid bearer token.
        postmaster: see `Server`.
        log: the file that gets what the server logs.
    """
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOYALTY_")}
    settings = {"LOYALTY_DATABASE_URL": url, "LOYALTY_PORT": str(port), "LOYALTY_WORKERS": "1"}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve"], env=kept | settings, stdout=output, stderr=output
        )
    try:
        _await_answer(f"http://127.0.0.1:{port}/readyz", process, log)
        yield Server(process.pid, port, token, postmaster, urllib.parse.urlsplit(url).path.lstrip("/"))
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _await_answer(url: str, server: subprocess.Popen, log: pathlib.Path) -> None:
    for _ in range(BOOT_SECONDS * 10):
        with contextlib.suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(url, timeout=1):  # noqa: S310
            return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"The server did not start; see {log}.")
