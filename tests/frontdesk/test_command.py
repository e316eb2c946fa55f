"""`loyalty frontdesk` as a command: what it takes, where it listens, what it keeps and leaves behind."""

import contextlib
import signal
import socket
import sqlite3
import stat

import pytest

from app.cli.frontdesk import PORT
from frontdesk.store import EXCHANGES_KEPT
from tests.cli.commands import SECONDS, TRACEBACK, Loyalty
from tests.frontdesk import desks
from tests.support import free_port

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def loyalty(tmp_path) -> Loyalty:
    return Loyalty(tmp_path, PYTHONPATH=str(desks.ROOT))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "loyalty.example.com",
        "ftp://example.com",
        "http://",
        "http://x:y@example.com",
        "http://[",
        "http://e.com/?a=b",
    ],
)
def test_an_address_that_cannot_be_one_is_refused(loyalty, url):
    assert "it must be an address such as" in loyalty.refused("frontdesk", "--base-url", url, "--token", "t")


@pytest.mark.parametrize("token", ["", "two words", "naïve", "new\nline"])
def test_a_token_that_cannot_be_one_is_refused_and_not_repeated(loyalty, token):
    told = loyalty.refused("frontdesk", "--base-url", NOWHERE, "--token", token)
    assert "a token has no blanks and no letters beyond ASCII." in told
    assert not token or token not in told


def test_a_port_that_was_asked_for_and_is_taken_is_told(loyalty):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = loyalty.refused("frontdesk", "--base-url", NOWHERE, "--token", "t", "--port", port)
    assert told == (
        f"Cannot listen at 127.0.0.1 port {port} (Address already in use): choose another with --host and --port."
    )


def test_the_usual_port_or_another_is_taken_by_itself(tmp_path):
    with desks.frontdesk(tmp_path / "one", NOWHERE), desks.frontdesk(tmp_path / "two", NOWHERE) as second:
        assert not second.url.endswith(f":{PORT}")
        assert second.reader().page.status_code == 200


def test_it_listens_at_loopback_alone_unless_told_otherwise(tmp_path):
    with desks.frontdesk(tmp_path / "one", NOWHERE, "--port", str(free_port())) as desk:
        assert desk.url.startswith("http://127.0.0.1:")
        assert "acts with the token" not in desk.log.read_text()
    with desks.frontdesk(tmp_path / "two", NOWHERE, "--host", "0.0.0.0", "--port", str(free_port())) as desk:
        assert "Whoever reaches this address acts with the token." in desk.log.read_text()


def test_customers_are_kept_in_a_file(tmp_path):
    store = tmp_path / "desk.db"
    words = ("--port", str(free_port()), "--store", str(store))
    with desks.frontdesk(tmp_path, NOWHERE, *words) as desk:
        desk.reader().create(firstName="Ada", lastName="Lovelace")
        desk.reader().open("/customers/new").send("/customers", lastName="Unfinished")
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    with desks.frontdesk(tmp_path, NOWHERE, *words) as desk:
        reader = desk.reader()
        assert "Ada Lovelace" in reader.text
        assert "Unfinished" not in reader.text


def test_a_customer_who_was_not_finished_is_forgotten_at_the_next_start_and_cannot_be_read_from_the_file(tmp_path):
    store = tmp_path / "desk.db"
    words = ("--port", str(free_port()), "--store", str(store))
    with desks.frontdesk(tmp_path, NOWHERE, *words) as desk:
        desk.reader().create(lastName="Lovelace")
        reader = desk.reader().open("/customers/new").send("/customers", lastName="Unfinished", email="u@example.com")
        path = reader.page.url.path
    assert store.read_bytes().count(b"Unfinished") == 2, "as a customer, and in the search"
    with desks.frontdesk(tmp_path, NOWHERE, *words) as desk:
        assert desk.reader().client.get(path).status_code == 404
    assert b"Unfinished" not in store.read_bytes()
    assert b"Lovelace" in store.read_bytes()


def test_a_file_that_is_no_store_is_refused_and_left_alone(loyalty, tmp_path):
    (tmp_path / "notes.txt").write_text("no database" * 100)
    words = ("frontdesk", "--base-url", NOWHERE, "--token", "t", "--store")
    assert (
        loyalty.refused(*words, "notes.txt") == "notes.txt cannot be used as a store: name another file with --store."
    )
    assert (tmp_path / "notes.txt").read_text() == "no database" * 100
    assert "cannot be used as a store" in loyalty.refused(*words, "missing/desk.db")


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_quietly_and_leaves_nothing(tmp_path, sent):
    with desks.frontdesk(tmp_path, NOWHERE, "--port", str(free_port())) as desk:
        desk.reader().create(lastName="Lovelace")
        assert len(list(tmp_path.glob("loyalty-frontdesk-*"))) == 1
        desk.process.send_signal(sent)
        assert desk.process.wait(timeout=SECONDS) == 0
    assert list(tmp_path.glob("loyalty-frontdesk-*")) == []
    assert TRACEBACK not in desk.log.read_text()


def test_only_so_many_exchanges_are_kept(tmp_path):
    store = tmp_path / "desk.db"
    with desks.frontdesk(tmp_path, NOWHERE, "--port", str(free_port()), "--store", str(store)) as desk:
        reader = desk.reader().create(lastName="Lovelace").send("/enroll").send("/enroll")
        with contextlib.closing(sqlite3.connect(store)) as database, database:
            database.execute("UPDATE exchange SET id = ? WHERE id = 2", [EXCHANGES_KEPT])
        reader.send("/enroll")
        with contextlib.closing(sqlite3.connect(store)) as database:
            kept = [number for (number,) in database.execute("SELECT id FROM exchange ORDER BY id")]
    assert kept == [EXCHANGES_KEPT, EXCHANGES_KEPT + 1]
