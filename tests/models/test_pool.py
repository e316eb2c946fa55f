"""A connection to Postgres that is asked by libpq's own functions, as requests do."""

import asyncio
import datetime
import threading
import time
from collections.abc import Callable, Iterator

import peewee
import psycopg
import pytest

from models import connection, greenlets
from models.pool import PostgresPool
from tests import support

pytestmark = pytest.mark.parametrize("engine", ["postgres"], indirect=True)


@pytest.fixture
def opened(database_url: str) -> Iterator[PostgresPool]:
    opened = support.use_database(database_url)
    opened.execute_sql("CREATE TABLE thing (id BIGINT PRIMARY KEY, name TEXT, day DATE, good BOOLEAN)")
    opened.close()
    yield opened
    opened.close()


def in_thread(function: Callable[[], object]) -> object:
    return function()


def in_job(function: Callable[[], object]) -> object:
    async def run() -> object:
        return await greenlets.start(function)

    return asyncio.run(run())


def names(opened: PostgresPool) -> list[str]:
    return [name for (name,) in opened.ask("SELECT name FROM thing ORDER BY id", [], tuple)[0]]


@pytest.mark.parametrize("value", [None, "", "O'Neil %s %% $1 \\ Łukasz 王", "x" * 100_000])
def test_values_come_back_as_they_went(opened, value):
    insert = "INSERT INTO thing (id, name, day, good) VALUES (%s, %s, %s, %s)"
    rows = [[2**40, value, datetime.date(1984, 2, 29), True], [1, value, None, False]]
    for row in rows:
        assert opened.ask(insert, row, tuple) == ([], 1)
    found, count = opened.ask("SELECT * FROM thing WHERE name IS NOT DISTINCT FROM %s ORDER BY id DESC", [value], list)
    assert (found, count) == (rows, 2)
    assert opened.ask("SELECT 5 %% 3 WHERE %s AND 'loss' LIKE '%%s'", [True], tuple)[0] == [(2,)]


@pytest.mark.parametrize("run", [in_thread, in_job])
def test_a_commit_for_which_no_time_is_left_is_not_sent(opened, run):
    def write() -> None:
        with opened.connection_context():
            opened.begin()
            opened.ask("INSERT INTO thing (id, name) VALUES (%s, %s)", [1, "lost"], tuple)
            opened.connection().give_up = 0.0
            opened.commit()

    with pytest.raises(peewee.OperationalError, match="no time is left"):
        run(write)
    assert names(opened) == []


def test_what_postgres_refuses_harms_no_other_statement(opened):
    insert = "INSERT INTO thing (id, name) VALUES (%s, %s)"
    opened.ask(insert, [1, "first"], tuple)
    with pytest.raises(peewee.IntegrityError):
        opened.ask(insert, [1, "again"], tuple)
    with pytest.raises(peewee.DataError):
        opened.ask(insert, [2**70, "large"], tuple)
    with pytest.raises(peewee.ProgrammingError):
        opened.ask("SELECT gone FROM thing", [], tuple)
    with opened.atomic() as transaction:
        opened.ask(insert, [2, "undone"], tuple)
        transaction.rollback()
    opened.ask(insert, [3, "third"], tuple)
    assert names(opened) == ["first", "third"]


def test_more_statements_than_are_prepared(opened):
    for number in range(2 * connection.MOST_PREPARED):
        assert opened.ask(f"SELECT {number} + %s::int", [1], tuple)[0] == [(number + 1,)]
    ((count,),), _ = opened.ask("SELECT COUNT(*) FROM pg_prepared_statements", [], tuple)
    assert count == connection.MOST_PREPARED


def end_while_asked(dsn: str, backend: int) -> None:
    asked = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = 'active' AND query LIKE '%%pg_sleep%%'"
    with psycopg.connect(dsn, autocommit=True) as other:
        while not other.execute(asked, [backend]).fetchone():
            time.sleep(0.01)
        other.execute("SELECT pg_terminate_backend(%s)", [backend])


@pytest.mark.parametrize("run", [in_thread, in_job])
def test_a_connection_that_postgres_ends_is_replaced(opened, run):
    def ask() -> list[str]:
        with opened.connection_context():
            info = opened.connection().info
            ending = threading.Thread(target=end_while_asked, args=(info.dsn, info.backend_pid))
            ending.start()
            with pytest.raises(peewee.OperationalError) as raised:
                opened.ask("SELECT pg_sleep(%s)", [5], tuple)
            assert isinstance(raised.value.__context__, psycopg.errors.AdminShutdown)
            ending.join()
        with opened.connection_context():
            return names(opened)

    assert run(ask) == []
