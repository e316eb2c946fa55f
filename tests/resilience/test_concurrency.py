"""Many at once: one row and equal answers; and whoever is in another's way tries again, and is never answered 500."""

import concurrent.futures
import contextlib
import sqlite3
import threading
import time
import urllib.parse
import uuid

import psycopg
import pytest

from models import database
from models.clock import system_clock
from models.database import sqlite_path
from models.tables import Event, Link, Member, Membership
from tests import support
from tests.resilience.soak import rounds
from tests.resilience.traffic import wait_until
from tests.support import GUEST, HOTEL, assert_problem

AT_ONCE = 50
BOUND_SECONDS = 60
CUSTOMER = str(uuid.uuid4())
BUSY = "The server is busy; try again shortly."
# What is shown here does not depend on how fast the machine is.
PATIENT = {"LOYALTY_WORKERS": "4", "LOYALTY_REQUEST_DEADLINE": "30"}
only_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
only_postgres = pytest.mark.parametrize("engine", ["postgres"], indirect=True)


def enroll_at_once(server, customers: list[dict]) -> list:
    with concurrent.futures.ThreadPoolExecutor(len(customers)) as executor:
        return list(executor.map(server.enroll, customers))


def one_more() -> dict:
    return GUEST | {"email": f"{uuid.uuid4()}@example.com"}


def assert_all_served(answers: list) -> None:
    assert [answer.status_code for answer in answers] == [200] * len(answers)


def test_many_identical_enrollments_leave_one_row_and_equal_answers(start, tell):
    server = start(**PATIENT)
    for number in range(1, rounds(10, 200) + 1):
        # The first round records the hotel, which lets requests pass one by one.
        answers = enroll_at_once(server, [one_more()] * AT_ONCE)
        assert_all_served(answers)
        assert len({answer.content for answer in answers}) == 1
        assert support.count(Member) == support.count(Membership) == support.count(Event) == number
    tell(threads=AT_ONCE, workers=4, rounds=number, rows_doubled=0)


def test_many_different_enrollments_at_once_all_succeed(start):
    answers = enroll_at_once(start(**PATIENT), [one_more() for _ in range(AT_ONCE)])
    assert_all_served(answers)
    assert len({answer.json()["membership"]["membershipNumber"] for answer in answers}) == AT_ONCE
    assert support.count(Member) == support.count(Membership) == support.count(Event) == AT_ONCE


def configure(database_url: str, setting: str, value: str) -> None:
    """Give all later connections to a Postgres database another default."""
    name = urllib.parse.urlsplit(database_url).path.removeprefix("/")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")


def counted(connection: psycopg.Connection, what: str) -> int:
    """Return a figure of Postgres' statistics about the database of the connection."""
    query = f"SELECT {what} FROM pg_stat_database WHERE datname = current_database()"
    return connection.execute(query).fetchone()[0]


@only_postgres
def test_serialization_failures_are_tried_again(start, database_url, tell):
    """Under this isolation level one of two transactions fails that meet; the default waits instead."""
    configure(database_url, "default_transaction_isolation", "serializable")
    server = start(**PATIENT)
    for number in range(1, rounds(3, 50) + 1):
        answers = enroll_at_once(server, [one_more()] * (AT_ONCE // 2) + [one_more() for _ in range(AT_ONCE // 2)])
        assert_all_served(answers)
        assert len({answer.content for answer in answers}) == 1 + AT_ONCE // 2
        assert support.count(Member) == support.count(Event) == number * (1 + AT_ONCE // 2)
    server.process.terminate()  # Postgres adds what a session has done up at its end at the latest
    server.process.wait(timeout=BOUND_SECONDS)
    with psycopg.connect(database_url, autocommit=True) as connection:
        wait_until(lambda: counted(connection, "xact_rollback") > 0, BOUND_SECONDS, "no transaction failed")
        failures = counted(connection, "xact_rollback")
    tell(rounds=number, serialization_failures=failures, answered_500=0)


class Rival:
    """Locks what a request to link locks, in the opposite order, so that one of the two must give way."""

    def __init__(self, database_url: str) -> None:
        self._connection = psycopg.connect(database_url)
        self._watch = psycopg.connect(database_url, autocommit=True)
        self._connection.execute("SET deadlock_timeout = '5s'")  # later than the server's, which is to be the victim
        self._connection.commit()
        self.gave_way = 0

    def meet(self, request) -> object:
        """Lock the membership, let the request lock the hotel and wait for it, and go for the hotel too."""
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            self._connection.execute("SELECT 1 FROM membership FOR UPDATE")
            answer = executor.submit(request)
            while not self._watch.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:
                assert not answer.done(), answer.result().text
            try:
                self._connection.execute("UPDATE enterprise SET created_at = created_at")
                self._connection.commit()
            except psycopg.errors.DeadlockDetected:
                self._connection.rollback()
                self.gave_way += 1
            return answer.result()

    def deadlocks(self) -> int:
        """Return how often the server gave way."""
        return counted(self._watch, "deadlocks") - self.gave_way

    def close(self) -> None:
        self._connection.close()
        self._watch.close()


@only_postgres
def test_deadlocks_are_tried_again(start, database_url, tell):
    configure(database_url, "deadlock_timeout", "300ms")
    server = start(**PATIENT)
    identifier = server.enroll(GUEST).json()["membership"]["providerMembershipId"]
    wanted = rounds(3, 50)
    with contextlib.closing(Rival(database_url)) as rival:
        for number in range(wanted * 3):
            body = {"mewsEnterpriseId": HOTEL, "providerEnterpriseId": f"a name that is new {number}"}
            body |= {"providerMembershipId": identifier, "isLinked": number % 2 == 0, "mewsCustomerId": CUSTOMER}
            answer = rival.meet(lambda body=body: server.call(support.LINK, body))
            assert answer.status_code == 200, answer.text
            assert support.count(Link) == (number + 1) % 2
            assert support.count(Event) == number + 2
            if number >= wanted and rival.deadlocks() >= wanted:
                break
        assert rival.deadlocks() >= wanted
        tell(deadlocks=rival.deadlocks(), answered_500=0)


@only_postgres
def test_a_link_waits_for_a_change_of_the_status_and_goes_by_it(start, database_url):
    """Without a lock on the membership's row, the link would see it as it was, and stand beside its cancelation."""
    server = start(**PATIENT)
    identifier = server.enroll(GUEST).json()["membership"]["providerMembershipId"]
    body = {"mewsEnterpriseId": HOTEL, "providerMembershipId": identifier, "isLinked": True, "mewsCustomerId": CUSTOMER}
    with (
        concurrent.futures.ThreadPoolExecutor(1) as executor,
        contextlib.closing(psycopg.connect(database_url)) as rival,
    ):
        rival.execute("UPDATE membership SET status = 'canceled'")
        answer = executor.submit(server.call, support.LINK, body)
        with pytest.raises(concurrent.futures.TimeoutError):
            answer.result(1)
        rival.commit()
    assert answer.result().status_code == 422
    assert support.count(Link) == 0


@contextlib.contextmanager
def locked(database_url: str):
    """Keep all others from writing members until the block ends; it can be released before."""
    if database_url.startswith("sqlite"):
        connection = sqlite3.connect(sqlite_path(database_url), isolation_level=None, check_same_thread=False)
        statement = "BEGIN IMMEDIATE"
    else:
        connection, statement = psycopg.connect(database_url), "LOCK TABLE member IN ACCESS EXCLUSIVE MODE"
    with contextlib.closing(connection):
        connection.execute(statement)
        yield connection.rollback


@only_sqlite
def test_a_file_that_another_program_keeps_locked_is_tried_again(database_url, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SHARE", 0.001)  # SQLite itself gives up after 30 milliseconds
    token = support.prepare(database_url)
    with (
        support.threaded(database_url, token, system_clock, request_deadline=30.0) as server,
        locked(database_url) as release,
    ):
        releasing = threading.Timer(1, release)
        releasing.start()
        answer = server.enroll(GUEST)
        assert releasing.finished.is_set()
        assert answer.status_code == 200
    assert support.count(Member) == 1


def test_a_database_that_stays_locked_is_too_busy_and_changes_nothing(database_url, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SHARE", 0.001)
    monkeypatch.setattr(database, "STATEMENT_SHARE", 0.02)
    token = support.prepare(database_url)
    with support.threaded(database_url, token, system_clock, request_deadline=30.0) as server:
        with locked(database_url):
            answer = server.enroll(GUEST)
        assert_problem(answer, "core/too-many-requests", BUSY)
        assert int(answer.headers["Retry-After"]) >= 1
        time.sleep(0.1)
        assert support.count(Member) == 0
        assert server.enroll(GUEST).status_code == 200
