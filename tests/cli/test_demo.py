"""`loyalty demo` and `loyalty serve` as processes: what they print, and what they leave behind."""

import contextlib
import http.server
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from app import population
from models.programs import Status
from tests.cli.commands import SECONDS, TRACEBACK, Loyalty, environment
from tests.frontdesk.desks import Reader, address_in
from tests.support import free_port

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def running(folder: Path, *words: str, **settings: str) -> Iterator[subprocess.Popen]:
    """A command with a temporary folder of its own, `folder / "temporary"`; what it logs goes to `folder / "log"`."""
    (folder / "temporary").mkdir()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", *words],
            cwd=folder,
            env=environment(TMPDIR=str(folder / "temporary"), PYTHONPATH=str(ROOT), **settings),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            process_group=0,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=SECONDS)
        process.stdout.close()


def log_of(folder: Path) -> str:
    return (folder / "log").read_text()


def ask(server: subprocess.Popen, port: str, path: str) -> tuple[int, bytes]:
    """GET as soon as the server accepts connections."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            answer = httpx.get(f"http://127.0.0.1:{port}{path}")
            return answer.status_code, answer.content
        time.sleep(0.05)
    raise AssertionError("the server did not start")


def started_by(process: subprocess.Popen, least: int) -> list[psutil.Process]:
    """The processes that a process started, and those that they did, as soon as there are enough."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = psutil.Process(process.pid).children(recursive=True)
        if len(found) >= least:
            return found
        time.sleep(0.05)
    raise AssertionError("too few processes were started")


def test_demo_prints_one_curl_that_finds_guests_and_leaves_nothing(tmp_path):
    port = free_port()
    with running(tmp_path, "demo", "--port", str(port)) as demo:
        line = demo.stdout.readline()
        words = shlex.split(line)
        assert words[0] == "curl"
        assert f"http://127.0.0.1:{port}/" in line
        answer = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=SECONDS, check=True)
        members = json.loads(answer.stdout)["members"]
        assert len(members) == 12
        assert {(member["firstName"], member["lastName"]) for member in members} == {("John", "Smith")}
        processes = started_by(demo, least=2)
        demo.terminate()
        assert demo.wait(timeout=SECONDS) == 0
        assert demo.stdout.read() == "", "the curl command is all that standard output gets"
    assert TRACEBACK not in log_of(tmp_path)
    assert "The demo has ended; its database is gone." in log_of(tmp_path)
    assert [process for process in processes if process.is_running()] == []
    assert list((tmp_path / "temporary").iterdir()) == []


def test_demo_serves_a_front_desk_that_finds_the_guests(tmp_path):
    with running(tmp_path, "demo", "--port", str(free_port())) as demo:
        demo.stdout.readline()
        reader = Reader(address_in(tmp_path / "log", demo))
        reader.open("/customers/new").send("/customers", firstName="John", lastName="Smith", city="New York")
        reader.client.close()
        assert "Select from the matched results (12)" in reader.text
        demo.terminate()
        assert demo.wait(timeout=SECONDS) == 0
    assert TRACEBACK not in log_of(tmp_path)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_demo_with_further_members_finds_each_of_them(tmp_path):
    with running(tmp_path, "demo", "--port", str(free_port()), "--members", "2000") as demo:
        curl = demo.stdout.readline()
        members = list(population.members(2000))
        emails = [member["email"] for member in members if "email" in member and member["status"] == Status.ENROLLED]
        for email in (emails[0], emails[-1]):
            found = searched(curl, {"email": email})
            expected = next(member for member in members if member.get("email") == email)
            assert [{name: member[name] for name in ("lastName", "email")} for member in found] == [
                {name: expected[name] for name in ("lastName", "email")}
            ]
            membership = {
                name: expected[name] for name in ("providerMembershipId", "membershipNumber", "tier", "points")
            }
            assert found[0]["membership"].items() >= membership.items()
        assert "john.smith1@example.com" in {member["email"] for member in searched(curl, population.CROWD)}
    assert TRACEBACK not in log_of(tmp_path)


def searched(curl: str, member_filter: dict) -> list[dict]:
    """The members that the demo's command finds with another filter."""
    *words, body = shlex.split(curl)
    asked = json.dumps(json.loads(body) | {"memberFilter": member_filter})
    answer = subprocess.run([*words, asked], capture_output=True, text=True, timeout=SECONDS, check=True)
    return json.loads(answer.stdout)["members"]


def test_demo_that_is_ended_while_members_are_added_leaves_nothing(tmp_path):
    with running(tmp_path, "demo", "--port", str(free_port()), "--members", "10000000") as demo:
        processes = started_by(demo, least=1)
        demo.terminate()
        assert demo.wait(timeout=SECONDS) == 0
    assert [process for process in processes if process.is_running()] == []
    assert list((tmp_path / "temporary").iterdir()) == []


def test_demo_under_a_base_path(tmp_path):
    with running(tmp_path, "demo", LOYALTY_PORT=str(free_port()), LOYALTY_BASE_PATH="/loyalty/") as demo:
        curl = demo.stdout.readline()
        answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=SECONDS, check=True)
        assert json.loads(answer.stdout)["members"]


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port where something else answers 200 to whatever is asked."""

    class Anything(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Anything) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        yield other.server_address[1]
        other.shutdown()
        thread.join()


def test_demo_on_a_taken_port_says_so_and_prints_no_command(tmp_path, taken_port):
    with running(tmp_path, "demo", "--port", str(taken_port)) as demo:
        assert demo.stdout.readline() == ""
        assert demo.wait(timeout=SECONDS) != 0


def test_demo_that_is_ended_early_leaves_nothing(tmp_path):
    with running(tmp_path, "demo", "--port", str(free_port())) as demo:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and not list((tmp_path / "temporary").iterdir()):
            time.sleep(0.01)
        demo.terminate()
        demo.wait(timeout=SECONDS)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("send", "sent"),
    [(os.kill, signal.SIGTERM), (os.killpg, signal.SIGINT)],
    ids=["SIGTERM to the one process", "Ctrl+C"],
)
def test_serve_creates_the_tables_answers_and_ends(tmp_path, send, sent, database_url):
    settings = {"LOYALTY_DATABASE_URL": database_url, "LOYALTY_PORT": str(free_port()), "LOYALTY_WORKERS": "1"}
    with running(tmp_path, "serve", **settings) as server:
        assert ask(server, settings["LOYALTY_PORT"], "/readyz") == (200, b'{"status":"ready"}')
        processes = started_by(server, least=1)
        send(server.pid, sent)
        assert server.wait(timeout=SECONDS) == 0
        assert server.stdout.read() == "", "logs go to standard error"
    assert "The database was empty; its tables were created." in log_of(tmp_path)
    assert TRACEBACK not in log_of(tmp_path)
    assert [process for process in processes if process.is_running()] == []
    assert [path.name for path in (tmp_path / "temporary").iterdir() if path.name.startswith("loyalty")] == []


def test_results_can_be_read_while_a_server_runs(tmp_path, database_url):
    settings = {"LOYALTY_DATABASE_URL": database_url, "LOYALTY_PORT": str(free_port())}
    loyalty = Loyalty(tmp_path, PYTHONPATH=str(ROOT), **settings)
    token = loyalty("token", "create", "mews-2027", "--json").json["token"]
    with running(tmp_path, "serve", **settings) as server:
        assert ask(server, settings["LOYALTY_PORT"], "/nowhere")[0] == 404
        assert loyalty("token", "list", "--json").json["tokens"][0]["name"] == "mews-2027"
        assert token not in log_of(tmp_path)
