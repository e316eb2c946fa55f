"""Deploys: a server that stops owes nobody an answer, and one is replaced by the next without a request lost."""

import concurrent.futures
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from models.tables import Member
from tests import support
from tests.cli.commands import environment
from tests.resilience.soak import rounds

CLIENTS, EACH_SECOND = 25, 50
BOUND_SECONDS = 60
SERVING = "Application startup complete."
SLOW = {"LOYALTY_BACKEND": "tests.http.slow_backend:make", "LOYALTY_WORKERS": "1", "LOYALTY_CONCURRENCY": "2"}
# What systemd does for a service with a socket of its own (sd_listen_fds(3)): the socket is the descriptor 3.
WITH_SOCKET = "exec 3<&{descriptor}; LISTEN_PID=$$ LISTEN_FDS=1 exec {python} -m app serve"


def await_true(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + BOUND_SECONDS
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def read_to_end(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(4096), b""))


def running(server: support.Server) -> subprocess.Popen:
    assert server.process is not None
    return server.process


def test_what_runs_and_what_waits_is_answered_before_the_server_ends(start):
    """Six at once for two threads: two run and four wait when the signal comes."""
    server = start(**SLOW, LOYALTY_REQUEST_DEADLINE="20")
    guests = [{"firstName": "Ann", "lastName": "0.7", "email": f"{number}@a.cz"} for number in range(6)]
    with concurrent.futures.ThreadPoolExecutor(len(guests)) as executor:
        answers = [executor.submit(server.enroll, guest) for guest in guests]
        await_true(lambda: any(answer.done() for answer in answers))
        os.kill(running(server).pid, signal.SIGTERM)
        ended = [answer.result() for answer in answers]
    assert [answer.status_code for answer in ended] == [200] * len(guests)
    assert running(server).wait(timeout=BOUND_SECONDS) == 0
    assert sum(answer.headers.get("Connection") == "close" for answer in ended) >= 3
    with pytest.raises(httpx.ConnectError):
        server.search({"email": "a@b.cz"})


def test_connections_without_a_request_may_still_send_one_when_the_server_stops(start):
    """One is new, one was used before, and one has sent half of a request."""
    server = start(LOYALTY_WORKERS="1")
    request = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection((server.host, server.port), timeout=BOUND_SECONDS))
            for _ in range(4)
        ]
        new, used, half, idle = connections
        for connection in (used, idle):
            connection.sendall(request)
            told = b""
            while not told.endswith(b"}"):
                told += connection.recv(4096)
            assert b"connection: close" not in told
        half.sendall(request[:20])
        os.kill(running(server).pid, signal.SIGTERM)
        await_true(lambda: "Shutting down" in server.log.read_text())
        new.sendall(request)
        used.sendall(request)
        half.sendall(request[20:])
        for connection in (new, used, half):
            told = read_to_end(connection)
            assert told.startswith(b"HTTP/1.1 200 ")
            assert b"connection: close" in told
            assert told.endswith(b'{"status":"live"}')
        assert idle.recv(1) == b""
    assert running(server).wait(timeout=BOUND_SECONDS) == 0


class Fleet:
    """Servers that share one listening socket, as systemd gives it to them."""

    def __init__(self, database_url: str, log: Path) -> None:
        self._database_url, self._log = database_url, log
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self._socket.getsockname()[1]
        self.processes: list[subprocess.Popen] = []

    def start(self) -> subprocess.Popen:
        """Start a server, and return when its two worker processes serve."""
        before = self._log.read_text().count(SERVING) if self._log.exists() else 0
        settings = {"LOYALTY_DATABASE_URL": self._database_url, "LOYALTY_PORT": str(self.port), "LOYALTY_WORKERS": "2"}
        settings |= {"LOYALTY_REQUEST_DEADLINE": "30", "LOYALTY_SHUTDOWN_TIMEOUT": "60"}  # on a machine that is busy
        line = WITH_SOCKET.format(descriptor=self._socket.fileno(), python=sys.executable)
        with self._log.open("ab") as log:
            started = subprocess.Popen(
                ["bash", "-c", line],
                env=environment(**settings),
                pass_fds=[self._socket.fileno()],
                stdout=log,
                stderr=log,
            )
        self.processes.append(started)
        await_true(lambda: self._log.read_text().count(SERVING) == before + 2)
        return started

    def stop(self, process: subprocess.Popen) -> None:
        """Stop a server as systemd does, and return when it has ended."""
        process.terminate()
        assert process.wait(timeout=BOUND_SECONDS) == 0

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=BOUND_SECONDS)
        self._socket.close()


@pytest.fixture
def fleet(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    servers = Fleet(database_url, tmp_path / "fleet.log")
    yield servers
    servers.close()


class Load:
    """Clients with a connection each that is kept, 50 requests a second together, and nothing is tried twice."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self._is_over = threading.Event()
        self.seconds: list[float] = []
        self.lost: list[str] = []

    def _call(self, client: int) -> None:
        server = support.Server("127.0.0.1", self._port, self._token, "", client=httpx.Client(timeout=BOUND_SECONDS))
        with server.client:
            due = time.monotonic()
            for number in itertools.count():
                if self._is_over.wait(max(0, due - time.monotonic())):
                    return
                due += CLIENTS / EACH_SECOND
                self._ask(server, f"{client}-{number}@a.cz")

    def _ask(self, server: support.Server, email: str) -> None:
        began = time.monotonic()
        try:
            answer = server.enroll({"firstName": "Ann", "lastName": "Lee", "email": email})
            outcome = "" if answer.status_code == 200 else f"{answer.status_code} {answer.text}"
        except httpx.TransportError as error:
            outcome = repr(error)
        self.seconds.append(time.monotonic() - began)
        if outcome:
            self.lost.append(outcome)

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as executor:
            calls = [executor.submit(self._call, client) for client in range(CLIENTS)]
            try:
                yield
            finally:
                self._is_over.set()
        assert [call.exception() for call in calls] == [None] * CLIENTS

    def await_further(self, count: int) -> None:
        wanted = len(self.seconds) + count
        await_true(lambda: len(self.seconds) >= wanted)


@pytest.mark.parametrize("overlapping", [True, False], ids=["the next one first", "one after the other"])
def test_a_restart_under_load_loses_nothing(database_url, fleet, overlapping, tell):
    token = support.prepare(database_url)
    load, restarts = Load(fleet.port, token), rounds(1, 10)
    serving, began = fleet.start(), time.monotonic()
    with load.going_on():
        for _ in range(restarts):
            load.await_further(EACH_SECOND)
            if overlapping:
                following = fleet.start()
                fleet.stop(serving)
            else:
                fleet.stop(serving)
                following = fleet.start()
            serving = following
        load.await_further(EACH_SECOND)
    seconds = time.monotonic() - began
    assert load.lost == []
    assert support.count(Member) == len(load.seconds)
    tell(
        restarts=restarts,
        requests=len(load.seconds),
        each_second=round(len(load.seconds) / seconds, 1),
        longest_wait=f"{max(load.seconds):.2f} s",
        lost=0,
    )
