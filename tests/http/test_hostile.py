"""Every file of tests/hostile, replayed byte for byte over TCP: its folder is the outcome that must follow.

A file may hold {{host}}, {{token}}, {{repeat:TEXT:COUNT}} and {{length}} (of what follows the first blank line).
A `.pointers` file beside it lists, a line each, the pointers that the answer's `errors` must contain.
"""

import contextlib
import io
import json
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPResponse
from pathlib import Path

import pytest

HOSTILE = Path(__file__).parents[1] / "hostile"
ORDINARY = HOSTILE / "200" / "plain-list.http"
FOLDERS = {"200", "400", "401", "404", "405", "closed", "hangup"}
SECONDS = 8
ABORT = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes


class Line(io.RawIOBase):
    """The reading end of a connection: a reset is an end, and all reads together may last eight seconds."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.deadline = time.monotonic() + SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        self.connection.settimeout(max(0.001, self.deadline - time.monotonic()))
        with contextlib.suppress(ConnectionResetError):
            return self.connection.recv_into(buffer)
        return 0

    def makefile(self, _mode: str = "rb") -> io.BufferedReader:
        return io.BufferedReader(self)


def cases(*folders: str) -> pytest.MarkDecorator:
    files = [file for folder in folders for file in sorted((HOSTILE / folder).glob("*.http"))]
    return pytest.mark.parametrize("file", files, ids=[f"{file.parent.name}/{file.stem}" for file in files])


def expand(template: bytes, server) -> bytes:
    address = f"{server.host}:{server.port}".encode()
    named = template.replace(b"{{host}}", address).replace(b"{{token}}", server.token.encode())
    repeat = re.compile(rb"\{\{repeat:(.+?):(\d+)\}\}", re.DOTALL)
    request = repeat.sub(lambda found: found[1] * int(found[2]), named)
    body = request.partition(b"\r\n\r\n")[2]
    return request.replace(b"{{length}}", str(len(body)).encode())


def send(connection: socket.socket, request: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(request)


@contextlib.contextmanager
def conversation(server, request: bytes):
    """Send in the background, since a server may answer, and stop reading, before it has seen everything."""
    with socket.create_connection((server.host, server.port), timeout=SECONDS) as connection:
        sender = threading.Thread(target=send, args=(connection, request))
        sender.start()
        try:
            yield Line(connection)
        finally:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            sender.join()


def ask(server, template: bytes) -> Answer:
    request = expand(template, server)
    with conversation(server, request) as line:
        response = HTTPResponse(line, method=request.split(b" ", 1)[0].decode("latin-1"))
        response.begin()
        with response:
            return Answer(response.status, response.headers, response.read())


def leave(server, request: bytes, *, abruptly: bool) -> None:
    with socket.create_connection((server.host, server.port), timeout=SECONDS) as connection:
        if abruptly:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        send(connection, request)


def assert_problem_head(answer: Answer) -> None:
    assert answer.headers.get_all("Content-Type") == ["application/problem+json"]
    assert len(answer.headers.get_all("X-Request-Id", [])) == 1


def assert_problem(answer: Answer) -> dict:
    assert_problem_head(answer)
    problem = json.loads(answer.body)
    assert problem["status"] == answer.status
    assert problem["type"]
    assert problem["title"]
    assert problem["instance"] == f"urn:uuid:{answer.headers['X-Request-Id']}"
    for error in problem.get("errors", []):
        assert error.get("type", "https://").startswith("https://")
        assert error.get("pointer", "#").startswith("#")
    return problem


def assert_still_serves(server) -> None:
    answer = ask(server, ORDINARY.read_bytes())
    assert answer.status == 200
    assert answer.headers.get_content_type() == "application/json"


def expected_pointers(file: Path) -> set[str]:
    sidecar = file.with_suffix(".pointers")
    return set(sidecar.read_text().split()) if sidecar.exists() else set()


@cases("200")
def test_odd_but_legal_is_served(server, file):
    answer = ask(server, file.read_bytes())
    assert answer.status == 200, answer.body
    assert answer.headers.get_content_type() == "application/json"
    assert isinstance(json.loads(answer.body), dict)


@cases("400")
def test_bad_request_is_a_problem_that_names_the_fields(server, file):
    answer = ask(server, file.read_bytes())
    assert answer.status == 400, answer.body
    pointers = {error["pointer"] for error in assert_problem(answer).get("errors", [])}
    assert not expected_pointers(file) - pointers, pointers


@cases("401")
def test_stranger_is_challenged(server, file):
    answer = ask(server, file.read_bytes())
    assert answer.status == 401, answer.body
    assert_problem(answer)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@cases("404", "405")
def test_path_and_method_are_taken_literally(server, file):
    answer = ask(server, file.read_bytes())
    assert answer.status == int(file.parent.name), answer.body
    if file.read_bytes().startswith(b"HEAD "):
        assert_problem_head(answer)
    else:
        assert_problem(answer)
    assert bool(answer.headers["Allow"]) == (answer.status == 405)
    assert "Location" not in answer.headers


@cases("closed")
def test_what_is_not_http_is_refused_once_and_the_line_closed(server, file):
    with conversation(server, expand(file.read_bytes(), server)) as line:
        answer = line.makefile().read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.") == 1
    assert_still_serves(server)


@pytest.mark.parametrize("abruptly", [False, True], ids=["closes", "resets"])
@cases("hangup")
def test_client_that_leaves_harms_nobody(server, file, abruptly):
    leave(server, expand(file.read_bytes(), server), abruptly=abruptly)
    assert_still_serves(server)


def test_there_is_enough_hostility():
    files = list(HOSTILE.glob("*/*.http"))
    assert {file.parent.name for file in files} == FOLDERS
    assert len(files) >= 60


def test_every_sidecar_has_its_request():
    sidecars = set(HOSTILE.glob("*/*.pointers"))
    assert sidecars
    assert all(sidecar.with_suffix(".http").exists() and sidecar.parent.name == "400" for sidecar in sidecars)
