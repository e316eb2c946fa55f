"""What keeps one request waiting keeps no other one waiting, though all run on one event loop."""

import contextlib
import itertools
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from unittest import mock

import pytest

from models.clock import system_clock
from models.sqlite_pool import SqlitePool
from tests import support
from tests.support import GUEST

SECONDS = 0.6
on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@contextlib.contextmanager
def enrolling(server: support.Server) -> Iterator[Future]:
    with ThreadPoolExecutor(1) as executor:
        yield executor.submit(server.enroll, GUEST | {"email": "second@example.com"})


def longest_search(server: support.Server, until: Future) -> float:
    """Search again and again, and return the seconds that the longest took."""
    longest = 0.0
    for number in itertools.count():
        begun = time.monotonic()
        assert len(server.search({"email": "first@example.com"}).json()["members"]) == 1
        longest = max(longest, time.monotonic() - begun)
        if until.done():
            assert number > 1
            return longest
    raise AssertionError


@on_sqlite
def test_a_lock_of_a_stranger_stops_who_writes_and_nobody_else(database_url):
    token = support.prepare(database_url)
    with support.threaded(database_url, token, system_clock) as server:
        server.enroll(GUEST | {"email": "first@example.com"})
        with contextlib.closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as stranger:
            stranger.isolation_level = None
            stranger.execute("BEGIN IMMEDIATE")
            with enrolling(server) as enrolled, ThreadPoolExecutor(1) as executor:
                searched = executor.submit(longest_search, server, enrolled)
                time.sleep(SECONDS)
                assert not enrolled.done()
                stranger.execute("ROLLBACK")
                assert enrolled.result().status_code == 200
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
    ):
        server.enroll(GUEST | {"email": "first@example.com"})  # by which the server learns that the disk is slow
        with enrolling(server) as enrolled:
            assert longest_search(server, enrolled) < SECONDS / 2
    assert enrolled.result().status_code == 200
