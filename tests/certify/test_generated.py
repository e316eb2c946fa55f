"""Generated requests: what a server may answer that the spec does not expect, and how long it can hold them up."""

import contextlib
import dataclasses
import random
import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import requests
import schemathesis

from certify import bounds, generated, run
from certify.play import Options
from certify.requirements import Flow
from certify.specification import Specification
from tests import support
from tests.certify.front import Answer, answer, front, problem

NOWHERE = support.Server("127.0.0.1", 9, "loyalty_x", "")
SMALLEST = {
    "openapi": "3.1.0",
    "info": {"title": "x", "version": "1"},
    "paths": {"/x": {"get": {"responses": {"200": {"description": "x"}}}}},
}
WITH_FIELDS = problem(400, "core/bad-request", "Bad request", {"type": "x", "pointer": "#/x"})


@pytest.mark.parametrize(
    ("found", "checks"),
    [
        (answer(429), set(generated.JUDGES)),
        (WITH_FIELDS, {"positive_data_acceptance"}),
        (problem(400, "core/bad-request", "Bad request"), set()),
        (answer(418), set()),
        (answer(200, b"{}"), set()),
        (answer(500), set()),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_what_a_server_is_excused_for(found: Answer, checks: set[str]):
    told = SimpleNamespace(status_code=found.status, content=found.content)
    assert {check for check in generated.JUDGES if generated._is_excused(check, told)} == checks


def call(found: Answer) -> int:
    """Send a generated request to a server with one answer, and return the length of its body."""
    schema = schemathesis.openapi.from_dict(SMALLEST)
    with front(NOWHERE, lambda _: found) as server, bounds.answers_read_in_time():
        return len(schema["/x"]["GET"].Case().call(base_url=server.url).content)


def dripping(length: int) -> Answer:
    return dataclasses.replace(answer(200, b" " * length, "application/json"), pause=0.05)


def test_a_body_is_read_to_its_end():
    assert call(answer(200, b" " * 5000, "application/json")) == 5000
    assert call(dripping(5)) == 5
    assert call(answer(204)) == 0


def test_a_body_that_drips_is_given_up(monkeypatch):
    monkeypatch.setattr(bounds, "TIMEOUT_SECONDS", 0.3)
    began = time.monotonic()
    with pytest.raises(requests.ReadTimeout):
        call(dripping(100))
    assert time.monotonic() - began < 5


def test_a_body_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr(bounds.client, "LARGEST_ANSWER_BYTES", 1000)
    with pytest.raises(requests.ReadTimeout):
        call(answer(200, b" " * 2000, "application/json"))


def test_other_users_of_schemathesis_are_left_alone(monkeypatch):
    call(answer(200, b"{}"))
    monkeypatch.setattr(bounds.client, "LARGEST_ANSWER_BYTES", 1)
    schema = schemathesis.openapi.from_dict(SMALLEST)
    with front(NOWHERE, lambda _: answer(200, b"{}")) as server:
        assert schema["/x"]["GET"].Case().call(base_url=server.url).content == b"{}"


@contextlib.contextmanager
def dripping_heads() -> Iterator[str]:
    """A server that never comes to the end of its headers, and its address."""
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not ended.wait(0.05):
                connection.sendall(b"x")

    def accept(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not ended.is_set():
                threading.Thread(target=drip, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept, args=(listening,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            ended.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def test_headers_that_drip_do_not_hold_up_the_kit(monkeypatch):
    monkeypatch.setattr(generated, "GRACE_SECONDS", 1)
    began = time.monotonic()
    with dripping_heads() as url:
        play = run._new_play(Options(url, "loyalty_x"), Specification(), random.Random(1))
        generated.judge_generated(play, 1, 1, lambda _: None)
        assert time.monotonic() - began < 10
    play.client.close()
    record = play.judge.records["generated-no-server-error"]
    assert (record.missed, record.findings[0].told) == (1, "The answer to a generated request did not come to its end.")
    others = [
        play.judge.records[name] for name, found in run.requirements.load().items() if found.flow is Flow.GENERATED
    ]
    assert all(other.missed or other.broken_off for other in others)
