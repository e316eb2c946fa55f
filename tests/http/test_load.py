"""Many at once, for longer than one burst; and what is left of requests that were given up."""

import concurrent.futures
import itertools
import json
import socket
import sys
import time
import urllib.error
import urllib.request

import pytest

from app import protocol
from models.clock import system_clock
from models.database import sqlite_path
from models.tables import Member
from tests import support
from tests.resilience import load
from tests.support import HOTEL

CLIENTS, ROUNDS = 30, 12
RECEIVED_SEGMENTS = slice(152, 156)  # of Linux' struct tcp_info: tcpi_data_segs_in


def test_clients_that_enroll_without_pause_are_all_served(start):
    """A writer that only tries again until a timeout starves: one burst does not show it.

    The deadline is so long that a busy machine does not come near it; one who starves waits until it is over.
    """
    server = start(LOYALTY_WORKERS="4", LOYALTY_REQUEST_DEADLINE="16")
    numbers = itertools.count()

    def enroll(_: int) -> list[int]:
        guests = ({"firstName": "Ann", "lastName": "Lee", "email": f"{next(numbers)}@a.cz"} for _ in range(ROUNDS))
        return [server.enroll(guest).status_code for guest in guests]

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as executor:
        statuses = [status for answers in executor.map(enroll, range(CLIENTS)) for status in answers]
    assert statuses == [200] * CLIENTS * ROUNDS
    assert support.count(Member) == CLIENTS * ROUNDS


def test_an_answer_is_one_packet(start):
    server = start()
    request = load.request(server, support.SEARCH, {"mewsEnterpriseId": HOTEL, "memberFilter": {"email": "a@b.cz"}})
    with socket.create_connection((server.host, server.port), timeout=5) as connection:
        for answered in range(1, 4):
            connection.sendall(request)
            head, _, rest = connection.recv(65536).partition(b"\r\n\r\n")
            assert b"content-length: %d\r\n" % len(rest) in head + b"\r\n"
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            assert int.from_bytes(info[RECEIVED_SEGMENTS], sys.byteorder) == answered


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_was_given_up_while_it_waited_is_not_done_later(start):
    settings = {"LOYALTY_BACKEND": "tests.http.slow_backend:make", "LOYALTY_REQUEST_DEADLINE": "1"}
    server = start(LOYALTY_WORKERS="1", LOYALTY_CONCURRENCY="1", **settings)
    guests = [{"firstName": "Ann", "lastName": "1.4", "email": f"{number}@a.cz"} for number in range(6)]
    with concurrent.futures.ThreadPoolExecutor(len(guests)) as executor:
        answers = list(executor.map(server.enroll, guests))
    assert {answer.status_code for answer in answers} <= {408, 429}
    time.sleep(1)  # until the one that ran has ended
    found = [len(server.search({"email": guest["email"]}).json()["members"]) for guest in guests]
    assert sum(found) == 1


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_server_with_another_backend_is_not_ready_without_the_database_of_its_tokens(start, database_url):
    server = start(LOYALTY_BACKEND="tests.http.memory_backend:MemoryBackend", LOYALTY_WORKERS="1")
    sqlite_path(database_url).unlink()
    assert server.client.get(f"{server.url}/readyz").status_code == 503


def test_every_line_of_the_log_is_json_whatever_was_sent(start):
    server = start()
    for sent in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"):
        with socket.create_connection((server.host, server.port), timeout=5) as connection:
            connection.sendall(sent)
            assert connection.recv(100).startswith(b"HTTP/1.1 400")
    server.search({"email": "a@b.cz"})
    lines = [line for line in server.log.read_text().splitlines() if line]
    assert any(json.loads(line)["event"] == "Invalid HTTP request received." for line in lines)


def test_a_client_that_sends_too_much_still_reads_why(start):
    """It writes all of its body before it looks for an answer."""
    server = start(LOYALTY_BODY_LIMIT="65536")
    operation = support.operation(support.SEARCH)
    for _ in range(10):
        body = json.dumps({"mewsEnterpriseId": HOTEL, "memberFilter": {"lastName": "x" * 400_000}}).encode()
        headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{server.url}{operation.path}", body, headers, method=operation.method)
        with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(request, timeout=5):
            pass
        with refused.value as answer:
            assert answer.code == 400
            assert json.load(answer)["detail"] == "The body may have 65536 bytes."


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("sent", "received"), [(b"", b""), (b"GET /livez HT", b"HTTP/1.1 400")])
def test_a_head_that_does_not_come_ends_the_connection(database_url, monkeypatch, sent, received):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    token = support.prepare(database_url)
    with (
        support.threaded(database_url, token, system_clock) as server,
        socket.create_connection((server.host, server.port), timeout=5) as connection,
    ):
        connection.sendall(sent)
        assert connection.recv(100)[:12] == received
