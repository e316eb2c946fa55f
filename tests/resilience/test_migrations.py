"""Migrations expand and contract: the release before serves while they run, and after they have run."""

import concurrent.futures
import contextlib
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import peewee
import psycopg
import pytest
from packaging.version import Version
from playhouse.migrate import SchemaMigrator
from playhouse.migrations import Runner

import app
from models import database, expanding, programs, schema
from models.clock import system_clock
from tests import support
from tests.cli.commands import environment
from tests.models.test_schema import columns
from tests.resilience.soak import rounds

FIRST = "0001_initial"
# All that the release with only the first migration said to its database in one run of every operation: enroll, search
# in every way, list, link and unlink, cancel, delete, tokens.
STATEMENTS = [
    json.loads(line) for line in Path(__file__).with_name("statements_of_0_1_0.jsonl").read_text("utf-8").splitlines()
]
BOUND_SECONDS, LONGEST_SECONDS, HOLD_SECONDS = 120, 3.0, 4.0
MANY = 20_000
SEARCH = "SELECT id FROM member WHERE program_id = 1 AND last_name_key = 'lee17' AND first_name_key = 'ann'"
MEMBER_COLUMNS = (
    "program_id, first_name, last_name, identity_key, first_name_key, last_name_key, key_version, created_at"
)
MEMBER = "(1, 'Ann', 'Lee', 'guest{number}', 'ann', 'lee{number}', 1, '2026-11-23')"
ROWS_AT_ONCE = 1000


@contextlib.contextmanager
def first_schema(url: str, members: int = 0) -> Iterator[peewee.Database]:
    """A session with a database as the first migration leaves it."""
    opened = support.use_database(url)
    with database.session():
        database.use_write_ahead_log(opened)
        Runner(opened, str(schema.MIGRATIONS)).up(FIRST)
        programs.ensure_default_program(system_clock().replace(year=2026, month=1, day=1, hour=0, minute=0, second=0))
        for begin in range(0, members, ROWS_AT_ONCE):
            values = [MEMBER.format(number=number) for number in range(begin, min(begin + ROWS_AT_ONCE, members))]
            opened.execute_sql(f"INSERT INTO member ({MEMBER_COLUMNS}) VALUES {', '.join(values)}")
        yield opened


def replay(opened: peewee.Database, statements: list[dict]) -> list[list]:
    """Run statements, and return the rows that each has answered."""
    answers = []
    for statement in statements:
        cursor = opened.execute_sql(statement["sql"], tuple(statement["parameters"]))
        answers.append([list(map(str, row)) for row in cursor.fetchall()] if cursor.description else [])
    return answers


@pytest.mark.parametrize("share", [0, 0.3, 0.6])
def test_the_release_before_reads_and_writes_what_it_did_on_the_schema_of_this_one(engine, make_database, share):
    statements = [statement for statement in STATEMENTS if statement["engine"] == engine]
    for insert in statements:  # the program is made in the test, at a time of its own
        assert 'INSERT INTO "program"' not in insert["sql"]
    with first_schema(make_database(engine)) as opened:
        expected = replay(opened, statements)
        time_of_program = str(opened.execute_sql("SELECT created_at FROM program").fetchone()[0])
    cut = int(len(statements) * share)
    with first_schema(make_database(engine)) as opened:
        opened.execute_sql(f"UPDATE program SET created_at = '{time_of_program}'")
        answers = replay(opened, statements[:cut])
        assert FIRST not in schema.upgrade(opened, system_clock())
        answers += replay(opened, statements[cut:])
    assert len(expected) > 50
    assert answers == expected


class EarlierRelease:
    """What the release before does with its database, again and again, and how long each statement took."""

    def __init__(self, url: str) -> None:
        self._url, self._is_over = url, threading.Event()
        self.seconds: list[float] = []
        self.enrolled = 0

    def _serve(self) -> None:
        opened = database.open_pool(self._url, connections=1, deadline=4, create=False)
        opened.connect()
        for number in itertools.count():
            if self._is_over.is_set():
                break
            enroll = f"INSERT INTO member ({MEMBER_COLUMNS}) VALUES {MEMBER.format(number=MANY + number)}"
            for statement in (SEARCH, enroll):
                began = time.monotonic()
                opened.execute_sql(statement)
                self.seconds.append(time.monotonic() - began)
            self.enrolled += 1
        opened.close_all()

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        failed: list[BaseException] = []

        def run() -> None:
            try:
                self._serve()
            except peewee.DatabaseError as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()
        assert failed == []


def upgrade(url: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "app", "db", "upgrade", "--json"]
    variables = environment(LOYALTY_DATABASE_URL=url)
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def migrations_of(process: subprocess.Popen) -> list[str]:
    output, told = process.communicate(timeout=BOUND_SECONDS)
    assert process.returncode == 0, told
    return [migration["name"] for migration in json.loads(output)["migrations"]]


def test_two_upgrades_at_once_do_it_once_while_the_release_before_serves(engine, make_database, tell):
    runs, slowest, statements = rounds(1, 10), 0.0, 0
    for _ in range(runs):
        url = make_database(engine)
        with first_schema(url, MANY):
            pass
        earlier = EarlierRelease(url)
        with earlier.serving():
            started = [upgrade(url) for _ in range(2)]
            done = [migrations_of(process) for process in started]
        applied = [migration.name for migration in statuses(url)]
        assert sorted(done, key=len) == [[], applied[1:]]
        with database.session():
            found = database.database.execute_sql("SELECT COUNT(*) FROM member").fetchone()[0]
        assert found == MANY + earlier.enrolled
        assert earlier.enrolled > 0
        slowest, statements = max(slowest, *earlier.seconds), statements + len(earlier.seconds)
    tell(rounds=runs, upgrades=2 * runs, statements=statements, slowest=f"{slowest:.2f} s", failed=0)


def statuses(url: str) -> list:
    opened = support.use_database(url)
    with database.session():
        schema.check(opened)
        return schema.status(opened)


def await_waiting(opened: peewee.Database) -> None:
    """Return once somebody wants a table for itself."""
    waiting = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
    give_up = time.monotonic() + BOUND_SECONDS
    while not opened.execute_sql(waiting).fetchone()[0]:
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_an_upgrade_that_waits_for_a_table_keeps_nobody_waiting(make_database, tell):
    """A backup holds all tables for as long as it takes: who comes after an upgrade that waits would wait as well."""
    url = make_database("postgres")
    with first_schema(url, 100) as opened:
        earlier = EarlierRelease(url)
        with earlier.serving():
            with opened.atomic():
                opened.execute_sql("LOCK TABLE member IN ACCESS SHARE MODE")
                upgrading = upgrade(url)
                await_waiting(opened)
                time.sleep(HOLD_SECONDS)
                assert upgrading.poll() is None
            assert migrations_of(upgrading) == [migration.name for migration in schema.status(opened)][1:]
    assert max(earlier.seconds) < LONGEST_SECONDS  # a statement is cancelled then
    tell(held=f"{HOLD_SECONDS:.0f} s", statements=len(earlier.seconds), slowest=f"{max(earlier.seconds):.2f} s")


def build_index() -> None:
    with database.session():
        expanding.add_index(SchemaMigrator.from_database(database.database.obj), "member", ("program_id", "city"))


def test_an_index_is_built_beside_who_writes(make_database):
    """It waits for those who wrote before it began, and those who write afterwards do not wait for it."""
    url = make_database("postgres")
    waiting = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted"
    with first_schema(url, 100) as opened, concurrent.futures.ThreadPoolExecutor(1) as executor:
        with psycopg.connect(url) as before, psycopg.connect(url, options="-c lock_timeout=2s") as after:
            before.execute("UPDATE member SET city = 'A' WHERE id = 1")
            building = executor.submit(build_index)
            give_up = time.monotonic() + BOUND_SECONDS
            while not opened.execute_sql(waiting).fetchone()[0]:
                assert time.monotonic() < give_up
                time.sleep(0.02)
            after.execute("UPDATE member SET city = 'B' WHERE id = 2")
            after.commit()
            assert not building.done()
        building.result()
        assert opened.execute_sql("SELECT to_regclass('member_program_id_city')").fetchone() != (None,)


def test_an_upgrade_of_sqlite_waits_for_who_writes(make_database):
    """Longer than a request would, which gives up after two seconds."""
    url = make_database("sqlite")
    with first_schema(url, 100) as opened:
        with opened.atomic():
            upgrading = upgrade(url)
            time.sleep(HOLD_SECONDS)
            assert upgrading.poll() is None
        assert migrations_of(upgrading) == [migration.name for migration in schema.status(opened)][1:]


def test_an_index_that_an_interrupted_upgrade_left_incomplete_is_built_anew(make_database):
    url, index = make_database("postgres"), "member_program_id_city_key_last_name_key_first_name_key"
    with first_schema(url, 100) as opened:
        opened.execute_sql(f"CREATE INDEX {index} ON member (program_id, city_key, last_name_key, first_name_key)")
        opened.execute_sql(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{index}'::regclass")
        schema.upgrade(opened, system_clock())
        valid = f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{index}'::regclass"
        assert opened.execute_sql(valid).fetchall() == [(True,)]


# --- the rule -------------------------------------------------------------------------------------------------------

NEXT = """
from peewee import *

unused_since = {version!r}

def up(migrator, db):
    migrator.migrate(migrator.{step})
"""
Catalogue = dict[str, dict[str, tuple]]


def described(opened: peewee.Database) -> tuple[Catalogue, set[tuple]]:
    """The columns of each table, and the unique indexes."""
    tables = [table for table in opened.get_tables() if table != "schema_migration"]
    unique = {(table, *index.columns) for table in tables for index in opened.get_indexes(table) if index.unique}
    return {table: columns(opened, table) for table in tables}, unique


def breaches(opened: peewee.Database, before: tuple[Catalogue, set[tuple]]) -> list[str]:
    """What the release before cannot do any more since then."""
    (tables, unique), (tables_now, unique_now) = before, described(opened)
    found = [f"{table} is gone" for table in tables.keys() - tables_now.keys()]
    found += [f"{index} is unique" for index in unique_now - unique if index[0] in tables]
    for table in tables.keys() & tables_now.keys():
        old, new = tables[table], tables_now[table]
        found += [f"{table}.{name} is gone" for name in old.keys() - new.keys()]
        found += [f"{table}.{name} is another" for name in old.keys() & new.keys() if old[name] != new[name]]
        found += [f"{table}.{name} must be given" for name in new.keys() - old.keys() if is_demanded(new[name])]
    return found


def is_demanded(column: tuple) -> bool:
    """Whether a row needs a value for it: not null, and no default."""
    _type, _length, null, default, _primary = column
    return null in (1, "NO") and default is None


def forbidden(url: str) -> list[str]:
    """Which migrations break the release before, unless it is long since that a release used what they take away.

    Such a migration has `unused_since = "1.4.0"`: the release that has stopped to use it. That must be an earlier one.
    """
    opened, found = support.use_database(url), []
    with database.session():
        database.use_write_ahead_log(opened)
        for migration in schema.status(opened):
            before = described(opened)
            Runner(opened, str(schema.MIGRATIONS)).up(migration.name)
            unused_since = getattr(migration.load(), "unused_since", None)
            if before[0] and not (unused_since and Version(unused_since) < Version(app.__version__)):
                found += breaches(opened, before)
    return found


def test_no_migration_takes_away_what_the_release_before_uses(database_url):
    assert forbidden(database_url) == []


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ("drop_column('token', 'last_used_at')", ["token.last_used_at is gone"]),
        ("rename_column('token', 'name', 'title')", ["token.name is gone", "token.title must be given"]),
        ("rename_table('link', 'tie')", ["link is gone"]),
        ("add_not_null('member', 'last_name')", ["member.last_name is another"]),
        ("add_column('member', 'rank', IntegerField(default=1))", ["member.rank must be given"]),
        ("add_index('member', ('email',), unique=True)", ["('member', 'email') is unique"]),
        ("alter_column_type('membership', 'points', TextField())", ["membership.points is another"]),
        ("add_column('member', 'rank', IntegerField(null=True))", []),
        ("add_column('member', 'rank', IntegerField(constraints=[SQL('DEFAULT 1')], default=1))", []),
    ],
)
@pytest.mark.parametrize(("version", "is_allowed"), [(None, False), ("0.0.9", True), (app.__version__, False)])
def test_the_rule_notices_what_breaks_the_release_before(
    database_url, tmp_path, monkeypatch, step, found, version, is_allowed
):
    for migration in schema.MIGRATIONS.glob("[0-9]*.py"):
        (tmp_path / migration.name).symlink_to(migration)
    (tmp_path / "9999_next.py").write_text(NEXT.format(version=version, step=step))
    monkeypatch.setattr(schema, "MIGRATIONS", tmp_path)
    told = forbidden(database_url)
    assert (told == []) == (is_allowed or found == [])
    assert is_allowed or set(told) >= set(found)
