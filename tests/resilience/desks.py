"""Front desks that enroll and link without pause, and ask again until they are answered: so what must be is known."""

import concurrent.futures
import contextlib
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable

import httpx
import psycopg

from models.database import rows, session, sqlite_path
from models.tables import TABLES, Event, Link, Member, Membership
from tests import support
from tests.support import GUEST, HOTEL

DESKS = 4
# No answer, but that which a desk may get while something is broken.
TRY_AGAIN = {408, 429, 500}
PATIENCE_SECONDS = 120


class Desks:
    """Works in threads of its own until the block ends, and then until every call that was begun is answered."""

    def __init__(self, server: support.Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self._executor = concurrent.futures.ThreadPoolExecutor(DESKS)
        self.acknowledged: list[tuple[dict, bytes]] = []
        self.retries = 0

    def __enter__(self) -> "Desks":
        self._running = [self._executor.submit(self._work) for _ in range(DESKS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._running:
            each.result()
        self._executor.shutdown()

    def _work(self) -> None:
        while not self._stop.is_set():
            guest = GUEST | {"email": f"{uuid.uuid4()}@example.com"}
            answer = self._insist(lambda guest=guest: self._server.enroll(guest))
            identifier = answer.json()["membership"]["providerMembershipId"]
            self._insist(lambda identifier=identifier: self._server.link(identifier, True, HOTEL))
            self.acknowledged.append((guest, answer.content))

    def _insist(self, call: Callable[[], httpx.Response]) -> httpx.Response:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up:
            with contextlib.suppress(httpx.TransportError):
                answer = call()
                if answer.status_code == 200:
                    return answer
                assert answer.status_code in TRY_AGAIN, answer.text
            self.retries += 1
            time.sleep(0.1)
        raise AssertionError("the server never answered")

    def work_on(self) -> None:
        """Return when each desk has been served anew."""
        wanted = len(self.acknowledged) + 2 * DESKS
        until(lambda: len(self.acknowledged) >= wanted or any(each.done() for each in self._running))

    def assert_nothing_is_lost_or_doubled(self) -> None:
        """Compare what was acknowledged with the rows, and with what a repeated enrollment answers."""
        assert self.retries > 0, "nothing was broken"
        with session():
            stored = {row["email"] for row in rows(Member.select(Member.email))}
        assert stored == {guest["email"] for guest, _ in self.acknowledged}
        for table, conditions in (
            (Member, ()),
            (Membership, ()),
            (Link, ()),
            (Event, (Event.kind == "enrolled",)),
            (Event, (Event.kind == "linked",)),
        ):
            assert support.count(table, *conditions) == len(self.acknowledged), table
        for guest, answer in self.acknowledged[-50:]:
            assert self._server.enroll(guest).content == answer


def until(condition: Callable[[], bool]) -> None:
    """Return when a condition holds."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def assert_whole(database_url: str) -> None:
    """Look at the database itself: its files, its indexes, and that each row's references are there."""
    if database_url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(sqlite_path(database_url))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("REINDEX SCHEMA public")  # reads all pages with their checksums, and every unique index anew
        for table in TABLES:
            for key in table._meta.refs:
                child, parent = table._meta.table_name, key.rel_model._meta.table_name
                orphans = f"{key.column_name} NOT IN (SELECT id FROM {parent}) AND {key.column_name} IS NOT NULL"
                count = connection.execute(f"SELECT count(*) FROM {child} WHERE {orphans}").fetchone()
                assert count == (0,), (child, key.column_name)
