"""The schema: what migrations lead to, what happens when two upgrade at once, and when one fails."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import peewee
import pytest
from playhouse.schema_diff import diff_models

from models import database, schema
from models.clock import system_clock
from models.tables import TABLES, Member, Program
from tests import support

PROCESSES = 3
SECONDS = 60
# Waits, with everything imported and connected, for a line on standard input; so that all begin at once.
UPGRADE = """
import sys
from models import database, schema
from models.clock import system_clock
opened = database.connect(sys.argv[1], create=True)
print("ready", flush=True)
sys.stdin.readline()
with database.session():
    print(schema.upgrade(opened, system_clock()))
"""
# What a later migration may do, up to the point where it fails.
FAILING = """
from peewee import IntegerField, Model

class Extra(Model):
    class Meta:
        table_name = "extra"

def up(migrator, db):
    migrator.migrate(migrator.add_column("member", "extra", IntegerField(null=True)))
    db.execute_sql("UPDATE program SET name = 'renamed'")
    with db.bind_ctx([Extra]):
        db.create_tables([Extra])
    {ending}
"""

Catalogue = dict[str, dict[str, object]]


def catalogue(opened: peewee.Database) -> Catalogue:
    """Everything that the database's own catalogue says of our tables."""
    return {
        table: {
            "columns": columns(opened, table),
            "indexes": sorted((index.columns, index.unique) for index in opened.get_indexes(table)),
            "foreign keys": sorted(key[:3] for key in opened.get_foreign_keys(table)),
        }
        for table in opened.get_tables()
        if table != "schema_migration"
    }


def columns(opened: peewee.Database, table: str) -> dict[str, tuple]:
    """Return type, length, nullability, default and whether it is the primary key, by name."""
    primary = opened.get_primary_keys(table)
    if isinstance(opened, peewee.SqliteDatabase):
        rows = opened.execute_sql(f'SELECT name, type, NULL, "notnull", dflt_value FROM pragma_table_info({table!r})')
    else:
        rows = opened.execute_sql(
            "SELECT column_name, data_type, character_maximum_length, is_nullable, column_default "
            "FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s",
            (table,),
        )
    return {name: (*rest, name in primary) for name, *rest in rows}


def test_upgraded_schema_equals_a_fresh_one(engine, make_database):
    fresh = support.use_database(make_database(engine))
    with database.session():
        fresh.create_tables(TABLES)
        expected = catalogue(fresh)
    upgraded = support.use_database(make_database(engine))
    with database.session():
        assert schema.upgrade(upgraded, system_clock()) == [migration.name for migration in schema.status(upgraded)]
        assert catalogue(upgraded) == expected
        assert expected.keys() == {table._meta.table_name for table in TABLES}
        assert not diff_models(upgraded, TABLES)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP INDEX member_program_id_email_key",
        "ALTER TABLE member ADD COLUMN extra INTEGER",
        "ALTER TABLE token DROP COLUMN last_used_at",
        "CREATE TABLE extra (id INTEGER PRIMARY KEY)",
    ],
)
def test_any_difference_is_noticed(database_url, statement):
    support.prepare(database_url)
    opened = support.use_database(database_url)
    with database.session():
        before = catalogue(opened)
        opened.execute_sql(statement)
        assert catalogue(opened) != before


def test_upgrading_again_changes_nothing(database_url):
    support.prepare(database_url)
    opened = support.use_database(database_url)
    with database.session():
        before = catalogue(opened)
        assert schema.upgrade(opened, system_clock()) == []
        assert catalogue(opened) == before
        assert Program.select().count() == 1
        schema.check(opened)


def test_processes_that_upgrade_at_once_do_not_meet(database_url):
    command = [sys.executable, "-c", UPGRADE, database_url]
    started = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        )
        for _ in range(PROCESSES)
    ]
    assert [process.stdout.readline() for process in started] == ["ready\n"] * PROCESSES
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=SECONDS) for process in started]
    assert [process.returncode for process in started] == [0] * PROCESSES, ended
    opened = support.use_database(database_url)
    with database.session():
        names = [migration.name for migration in schema.status(opened)]
        assert sorted(output for output, _ in ended) == sorted([f"{names}\n", *["[]\n"] * (PROCESSES - 1)])
        assert Program.select().count() == 1
        schema.check(opened)


def environment(**variables: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LOYALTY_")} | variables


def test_server_that_finds_an_older_schema_does_not_start(database_url):
    support.prepare(database_url)
    opened = support.use_database(database_url)
    with database.session():
        last = schema.status(opened)[-1].name
        opened.execute_sql("DELETE FROM schema_migration WHERE name = " + opened.param, (last,))
    variables = environment(LOYALTY_DATABASE_URL=database_url, LOYALTY_PORT=str(support.free_port()))
    command = [sys.executable, "-m", "app", "serve"]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode != 0
    (sentence,) = (ended.stdout + ended.stderr).splitlines()
    assert "`loyalty db upgrade`" in sentence
    assert last in sentence
    assert "Traceback" not in sentence


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations, to which a test may add."""
    copied = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(schema, "MIGRATIONS", copied)
    return copied


def test_failing_migration_leaves_nothing_half_applied(database_url, migrations):
    support.prepare(database_url)
    opened = support.use_database(database_url)
    later = migrations / "9999_later.py"
    with database.session():
        before = catalogue(opened)
        later.write_text(FAILING.format(ending="raise ZeroDivisionError"))
        with pytest.raises(ZeroDivisionError):
            schema.upgrade(opened, system_clock())
        assert catalogue(opened) == before
        assert Program.get().name == "default"
        assert schema.pending(opened) == ["9999_later"]
    with database.session():
        later.write_text(FAILING.format(ending="pass"))
        assert schema.upgrade(opened, system_clock()) == ["9999_later"]
        assert catalogue(opened).keys() - before.keys() == {"extra"}
        assert Program.get().name == "renamed"


@pytest.mark.parametrize("ending", ["pass", "raise ZeroDivisionError"])
def test_foreign_keys_are_checked_after_an_upgrade(database_url, migrations, ending):
    support.prepare(database_url)
    opened = support.use_database(database_url)
    (migrations / "9999_later.py").write_text(f"def up(migrator, db):\n    {ending}\n")
    with database.session():
        try:
            schema.upgrade(opened, system_clock())
        except ZeroDivisionError:
            assert ending != "pass"
        with pytest.raises(peewee.IntegrityError), opened.atomic():
            Member.insert(program=4711, key_version=1, created_at=system_clock()).execute()
