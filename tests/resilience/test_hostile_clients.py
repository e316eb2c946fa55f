"""Clients that are slow, silent, greedy or gone cost a bounded time and memory, and good clients do not notice."""

import asyncio
import concurrent.futures
import contextlib
import resource
import socket
import subprocess
import time

import pytest

from app import protocol
from app import server as app_server
from app.edge import MOST_FIELDS
from models.clock import system_clock
from tests import support
from tests.resilience import load
from tests.resilience.soak import rounds
from tests.support import HOTEL

# How long tests wait for what is promised sooner, on a machine that has other things to do.
PATIENCE_SECONDS = 20
DEADLINE = 2.0
MOST_GROWTH = 100  # MiB
CONNECTIONS, FILES = 200, 1024
IDLE = rounds(1000, 5000)
SIEGE_SECONDS = rounds(4, 60)
GOOD_RATE = 10
NOTHING = {"mewsEnterpriseId": HOTEL, "providerMembershipIds": ["a"]}

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def connect(server: support.Server) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=PATIENCE_SECONDS)


def good(server: support.Server) -> bytes:
    return load.request(server, support.LIST, NOTHING)


def head(server: support.Server, **fields: str) -> bytes:
    """A request without its body."""
    return load.request(server, support.LIST, NOTHING, **fields).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def is_ended(connection: socket.socket) -> bool:
    """Read to the end of a connection, whichever way it ends."""
    with contextlib.suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return True


@pytest.fixture
def few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that are started have no more files than a login session of old."""
    start = subprocess.Popen

    def limited(*arguments: object, **options: object) -> subprocess.Popen:
        limits = resource.RLIMIT_NOFILE, (FILES, FILES)
        return start(*arguments, preexec_fn=lambda: resource.setrlimit(*limits), **options)

    monkeypatch.setattr(support.subprocess, "Popen", limited)


@pytest.mark.parametrize("limit", ["200", "1000000"], ids=["limited", "few files"])
def test_idle_connections_keep_nobody_out(start, few_files, tell, limit):
    server = start(LOYALTY_WORKERS="1", LOYALTY_CONNECTION_LIMIT=limit)
    most = min(int(limit), FILES // 2)
    assert server.list(["a"]).status_code == 200
    before = load.resident(server)
    with contextlib.ExitStack() as stack:
        for _ in range(IDLE):
            stack.enter_context(connect(server))
            if _ % 50 == 0:
                assert server.list(["a"], headers={"Connection": "close"}).status_code == 200
        [worker] = load.workers(server)
        grown = load.resident(server) - before
        assert len(worker.net_connections()) <= most + 2
        assert grown < MOST_GROWTH
        metrics = server.client.get(f"{server.url}/metrics").text
    [closed] = [line for line in metrics.splitlines() if line.startswith("loyalty_closed_connections_total")]
    assert float(closed.split()[1]) >= IDLE - most
    assert worker.is_running()
    tell(idle_connections=IDLE, kept=most, grown_MiB=grown, refused=0)


def test_a_client_that_is_served_is_not_closed_for_new_ones(start):
    settings = {"LOYALTY_BACKEND": "tests.http.slow_backend:make", "LOYALTY_CONNECTION_LIMIT": "10"}
    server = start(LOYALTY_WORKERS="1", **settings)
    with concurrent.futures.ThreadPoolExecutor(1) as executor, contextlib.ExitStack() as stack:
        served = executor.submit(server.enroll, {"firstName": "Ann", "lastName": "1.5"})
        time.sleep(0.3)
        for _ in range(50):
            stack.enter_context(connect(server))
        assert served.result().status_code == 200


SLOW = {
    "nothing": (b"", b""),
    "empty lines": (b"\r\n", b"\r\n"),
    "a head": (b"GET /livez HTTP/1.1\r\n", b"a: b\r\n"),
    "a second head": (b"GET /livez HTTP/1.1\r\n\r\nGET /livez HTTP/1.1\r\n", b"a: b\r\n"),
    "empty lines between requests": (b"GET /livez HTTP/1.1\r\n\r\n", b"\r\n"),
    "a body after its answer": (b"POST /x HTTP/1.1\r\nContent-Length: 9000\r\n\r\n", b"x"),
    "a trailer after the answer": (
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"a: b\r\n",
    ),
}


@pytest.mark.parametrize("kind", SLOW)
def test_what_trickles_ends(database_url, monkeypatch, kind):
    """However often a byte comes: only a request that is complete, or its answer, counts."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    first, again = SLOW[kind]
    token = support.prepare(database_url)
    with support.threaded(database_url, token, system_clock) as server, connect(server) as connection:
        connection.sendall(first)
        until = time.monotonic() + PATIENCE_SECONDS
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < until:
                connection.sendall(again or b"")
                connection.settimeout(0.05)
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(65536):
                        break
        assert time.monotonic() < until


def test_a_body_that_trickles_is_408_at_the_deadline(start):
    server = start(LOYALTY_WORKERS="1", LOYALTY_REQUEST_DEADLINE=str(DEADLINE))
    with connect(server) as connection:
        begun = time.monotonic()
        connection.sendall(head(server, **{"Content-Length": "1000"}))
        answer = b""
        connection.settimeout(0.1)
        while not answer and time.monotonic() - begun < PATIENCE_SECONDS:
            connection.sendall(b" ")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 408")
        assert DEADLINE <= time.monotonic() - begun < DEADLINE + 1
        connection.settimeout(PATIENCE_SECONDS)
        assert is_ended(connection)


@pytest.mark.parametrize(("fields", "status"), [(MOST_FIELDS, b"200"), (MOST_FIELDS + 1, b"400"), (8000, b"400")])
def test_header_fields_are_bounded_in_number(server, fields, status):
    given = head(server).count(b"\r\n") - 2
    request = good(server).replace(b"\r\n", b"\r\n" + b"a: b\r\n" * (fields - given), 1)
    with connect(server) as connection:
        connection.sendall(request)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert (status == b"200") != (b"application/problem+json" in answer)


def test_requests_that_wait_for_no_answer_are_bounded_in_number(start, tell):
    server = start(LOYALTY_WORKERS="1")
    assert server.list(["a"]).status_code == 200
    before, sent = load.resident(server), 0
    flood = good(server) * 500
    with connect(server) as connection, contextlib.suppress(OSError):
        connection.settimeout(2)
        for _ in range(400):
            connection.sendall(flood)
            sent += 500
    assert sent < 400 * 500
    assert server.list(["a"]).status_code == 200
    grown = load.resident(server) - before
    assert grown < MOST_GROWTH
    tell(pipelined_at_least=sent, grown_MiB=grown)


def test_a_few_requests_in_a_row_are_answered_in_turn(server):
    asked = protocol.MOST_PIPELINED
    with connect(server) as connection:
        connection.sendall(good(server) * asked)
        answers = b""
        while answers.count(b"HTTP/1.1 200") < asked:
            more = connection.recv(65536)
            assert more, answers
            answers += more


def test_a_client_that_does_not_take_its_answers_is_cut_off(start):
    server = start(LOYALTY_WORKERS="1")
    [worker] = load.workers(server)
    request = load.request(server, support.LIST, NOTHING | {support.LIST: [str(number) for number in range(100)]})
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((server.host, server.port))
        connection.sendall(request * protocol.MOST_PIPELINED)
        port = connection.getsockname()[1]

        def is_open() -> bool:
            return any(found.raddr and found.raddr.port == port for found in worker.net_connections())

        assert is_open()
        until = time.monotonic() + app_server.READ_SECONDS + PATIENCE_SECONDS
        while is_open():
            assert time.monotonic() < until
            time.sleep(0.2)


def test_what_a_client_asked_that_hung_up_is_not_begun(start, tell):
    settings = {"LOYALTY_BACKEND": "tests.http.slow_backend:make", "LOYALTY_CONCURRENCY": "1"}
    server = start(LOYALTY_WORKERS="1", **settings)
    guests = [{"firstName": "Ann", "lastName": "0.5", "email": f"{number}@a.cz"} for number in range(20)]
    for guest in guests:
        with connect(server) as connection:
            body = {"mewsEnterpriseId": HOTEL, "customer": guest}
            connection.sendall(load.request(server, support.ENROLL, body))
            time.sleep(0.02)
    enrolled = [guest for guest in guests if server.search({"email": guest["email"]}).json()["members"]]
    assert len(enrolled) <= 2
    tell(hung_up=len(guests), begun=len(enrolled))


# What besiegers send at first, and then again and again until they are cut off, to come back at once.
def besiegers(server: support.Server) -> dict[str, tuple[bytes, bytes]]:
    stranger = {"Authorization": "Bearer nobody"}  # a flood with a valid token is overload, and no siege
    large = {"Content-Length": "1000000"}
    request = load.request(server, support.LIST, NOTHING, **stranger)
    return {
        "idle": (b"", b""),
        "trickles a head": (b"POST /x HTTP/1.1\r\n", b"a: b\r\n"),
        "trickles a body": (head(server, **large), b" "),
        "trickles a body though refused": (head(server, **large, **stranger), b" " * 2000),
        "announces what is too large": (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n", b" "),
        "reads nothing": (request * protocol.MOST_PIPELINED, request),
        "pipelines": (request * 1000, b""),
        "sends fields": (b"GET /livez HTTP/1.1\r\n" + b"a: b\r\n" * 10_000, b"a: b\r\n"),
        "hangs up": (head(server, **large) + b"{", None),
        "sends no HTTP": (b"\x16\x03\x01" * 100, b""),
    }


async def besiege(server: support.Server, first: bytes, again: bytes | None, until: float) -> int:
    """Keep one hostile connection open, and another when it ends; return how many there were."""
    count = 0
    while time.perf_counter() < until:
        count += 1
        with contextlib.suppress(OSError, RuntimeError):  # uvloop raises the latter for a connection that has ended
            _, writer = await asyncio.open_connection(server.host, server.port)
            try:
                writer.write(first)
                while again is not None and time.perf_counter() < until and not writer.is_closing():
                    await asyncio.sleep(0.25)
                    writer.write(again)
            finally:
                writer.transport.abort()
        await asyncio.sleep(0.25)
    return count


def test_good_clients_are_served_during_a_siege(start, tell):
    server = start(
        LOYALTY_WORKERS="1", LOYALTY_REQUEST_DEADLINE=str(DEADLINE), LOYALTY_CONNECTION_LIMIT=str(CONNECTIONS)
    )
    load.run(load.pour(server, load.cycle([good(server)]), 1, rate=GOOD_RATE))
    before = load.resident(server)
    kinds, until = besiegers(server).values(), time.perf_counter() + SIEGE_SECONDS
    each = 2 * CONNECTIONS // len(kinds)

    async def siege() -> int:
        return sum(await asyncio.gather(*(besiege(server, *kind, until) for kind in kinds for _ in range(each))))

    served, attacks = load.run(load.pour(server, load.cycle([good(server)]), SIEGE_SECONDS, rate=GOOD_RATE), siege())
    grown = load.resident(server) - before
    statuses = dict(served.statuses)
    tell(hostile_connections=attacks, good=statuses, p99_ms=round(served.percentile(99) * 1000), grown_MiB=grown)
    assert statuses.keys() == {200}
    assert served.percentile(95) < rounds(PATIENCE_SECONDS, DEADLINE)
    assert grown < MOST_GROWTH
    [worker] = load.workers(server)
    gone = time.monotonic() + PATIENCE_SECONDS
    while len(worker.net_connections()) > 5 and time.monotonic() < gone:
        time.sleep(0.1)
    assert len(worker.net_connections()) <= 5
