"""What keeps one request waiting keeps no other one waiting, though all run on one event loop."""

import contextlib
import pathlib
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from unittest import mock

import psycopg
import pytest

from models import memberships
from models.clock import system_clock
from models.sqlite_pool import SqlitePool
from tests import support
from tests.support import GUEST

SECONDS = 0.6
END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("engine", ["postgres"], indirect=True)


def enroll(server: support.Server, name: str) -> int:
    return server.enroll(GUEST | {"email": f"{name}@example.com"}).status_code


def longest_search(server: support.Server, until: Future) -> float:
    """Search again and again, and return the seconds that the longest took."""
    seconds = []
    while not until.done():
        begun = time.monotonic()
        assert len(server.search({"email": "first@example.com"}).json()["members"]) == 1
        seconds.append(time.monotonic() - begun)
    assert len(seconds) > 1
    return max(seconds)


@contextlib.contextmanager
def locked(database_url: str) -> Iterator[None]:
    """Hold, as another program, what an enrollment and a link need: SQLite's write lock, or tables of Postgres."""
    if database_url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as stranger:
            stranger.execute("BEGIN IMMEDIATE")
            yield
    else:
        with psycopg.connect(database_url) as stranger:
            stranger.execute("LOCK TABLE member IN EXCLUSIVE MODE")
            yield


def test_a_lock_of_a_stranger_stops_who_writes_and_nobody_else(database_url):
    token = support.prepare(database_url)
    with support.threaded(database_url, token, system_clock) as server, ThreadPoolExecutor(2) as executor:
        assert enroll(server, "first") == 200
        with locked(database_url):
            enrolled = executor.submit(enroll, server, "second")
            searched = executor.submit(longest_search, server, enrolled)
            time.sleep(SECONDS)
            assert not enrolled.done()
        assert enrolled.result() == 200
        assert searched.result() < SECONDS / 2


@on_sqlite
def test_a_slow_disk_stops_who_writes_and_nobody_else(database_url):
    token = support.prepare(database_url)
    commit = SqlitePool._commit

    def slow_commit(self: SqlitePool, cursor: sqlite3.Cursor) -> None:
        time.sleep(SECONDS)
        commit(self, cursor)
        self._is_slow = True

    with (
        support.threaded(database_url, token, system_clock) as server,
        mock.patch.object(SqlitePool, "_commit", slow_commit),
        ThreadPoolExecutor(1) as executor,
    ):
        assert enroll(server, "first") == 200  # by which the server learns that the disk is slow
        enrolled = executor.submit(enroll, server, "second")
        assert longest_search(server, enrolled) < SECONDS / 2
        assert enrolled.result() == 200


@on_postgres
def test_connections_that_end_while_nobody_uses_them_leave_nothing_behind(database_url):
    token = support.prepare(database_url)
    admin = psycopg.connect(database_url, autocommit=True)
    files = []
    with support.threaded(database_url, token, system_clock) as server, contextlib.closing(admin):
        for number in range(4):
            assert enroll(server, f"guest{number}") == 200
            files.append(len(list(pathlib.Path("/proc/self/fd").iterdir())))
            admin.execute(END_OTHERS)
            used = time.process_time()
            time.sleep(SECONDS)
            assert time.process_time() - used < SECONDS / 2, "the event loop turns around an ended connection"
    assert files[1] == files[2] == files[3]


def test_a_job_that_raises_what_no_future_takes_gives_its_place_back(database_url):
    token = support.prepare(database_url)
    with (
        support.threaded(database_url, token, system_clock, concurrency=1) as server,
        mock.patch.object(memberships, "list_memberships", side_effect=StopIteration),
    ):
        for _ in range(3):
            assert server.list(["unknown"]).status_code == 500
