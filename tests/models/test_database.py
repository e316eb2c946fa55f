"""How a database is opened."""

import concurrent.futures
import contextlib
import time

import pytest
from filelock import FileLock

from models import database, errors, programs, tokens
from models.clock import system_clock
from models.tables import Program, Token
from tests import support


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_sqlite_is_opened_as_it_must_be_for_many_writers_and_a_power_cut(database_url):
    support.prepare(database_url)
    opened = database.connect(database_url, deadline=3.0)
    with database.session():
        assert opened.journal_mode == "wal"
        assert opened.synchronous == 2  # full
        assert opened.foreign_keys == 1
        assert opened.pragma("busy_timeout") == 1500
        with opened.atomic():
            assert opened.connection().in_transaction
    opened.close_all()


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_libpq_uri_keeps_its_options_beside_our_time_limits(database_url):
    joined = "&" if "?" in database_url else "?"
    opened = database.connect(f"{database_url}{joined}options=-c%20application_name%3Dfrontdesk", deadline=2.0)
    with database.session():
        shown = [opened.execute_sql(f"SHOW {name}").fetchone()[0] for name in ("application_name", "statement_timeout")]
    opened.close_all()
    assert shown == ["frontdesk", "1500ms"]


@pytest.mark.parametrize("engine", ["sqlite", "postgres"], indirect=True)
def test_who_finds_no_free_connection_waits_a_quarter_of_the_deadline(database_url):
    support.prepare(database_url)
    opened = database.connect(database_url, connections=1, deadline=2.0)
    with database.session():
        started = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(1) as executor, pytest.raises(errors.DatabaseUnavailable):
            executor.submit(lambda: database.session().__enter__()).result()
        assert 0.4 < time.monotonic() - started < 1.9
    opened.close_all()


@pytest.mark.parametrize("url", ["mysql://x", "sqlite://x.db", "sqlite:///:memory:", "postgresql://[", "nonsense", ""])
def test_other_urls_are_refused(url):
    with pytest.raises(errors.InvalidDatabaseUrl):
        database.connect(url)


def test_a_server_never_makes_an_empty_database_of_a_missing_file(tmp_path):
    database.connect(f"sqlite:///{tmp_path}/missing.db")
    with pytest.raises(errors.DatabaseUnavailable), database.session():
        pass
    assert list(tmp_path.iterdir()) == []


def create_token() -> None:
    with database.session():
        tokens.create("late", system_clock())


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_a_command_writes_waits_for_its_turn_too(database_url):
    support.prepare(database_url)
    path = database.sqlite_path(database_url)
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        with FileLock(path.with_name(f"{path.name}-writers")):
            waiting = executor.submit(create_token)
            time.sleep(0.3)
            assert support.count(Token, Token.name == "late") == 0
        waiting.result()
    assert support.count(Token, Token.name == "late") == 1


def test_a_transaction_within_another_needs_no_turn_and_ends_with_it(database_url):
    support.prepare(database_url)
    with contextlib.suppress(ZeroDivisionError), database.session(), database.transaction():
        programs.add_program("inner", system_clock())
        assert Program.select().where(Program.name == "inner").exists()
        raise ZeroDivisionError
    assert support.count(Program, Program.name == "inner") == 0
