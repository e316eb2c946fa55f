"""Members whom release 0.1.0 wrote, under the key rules of this one: found again, never lost, never twice."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import peewee
import pytest
from playhouse.migrations import Runner

from models import database, folding, memberships, programs, rekeying, schema, tokens
from models.clock import system_clock
from models.tables import Member, Membership
from tests import support
from tests.cli.commands import SECONDS, Loyalty, environment

ROOT = Path(__file__).parents[2]
# What that release had written, run on the customers that its columns show; the missing columns are null.
ROWS = [json.loads(line) for line in Path(__file__).with_name("members_of_0_1_0.jsonl").read_text("utf-8").splitlines()]
IDS = {row["case"]: row["membership"]["provider_membership_id"] for row in ROWS}
TWINS = [IDS["the same in another spelling"], IDS["with a number from elsewhere"]]
CUSTOMERS = {
    "greek, without an e-mail": {
        "firstName": "Ευάγγελος",
        "lastName": "Παπαδόπουλος",
        "birthday": "1971-03-05",
        "address": {"city": "Αθήνα", "postalCode": "105 57", "countryCode": "GR"},
    },
    "by e-mail": {"firstName": "Jürgen", "lastName": "Strauß", "email": "Jürgen.Strauß@Bücher.example"},
    "by telephone": {"firstName": "Сергій", "lastName": "Шевченко", "phoneNumber": "00380 44 555 0015"},
    "by all that is known": {"firstName": "Сергій", "lastName": "Коваленко", "address": {"city": "Київ"}},
    "imported": {"firstName": "Олена", "lastName": "Гриценко", "email": "olena@example.com"},
}
RENEW = """
import os, signal, sys
from models import database, rekeying
database.connect(sys.argv[1])
rekeying.BATCH_SIZE = 2
print("ready", flush=True)
sys.stdin.readline()
with database.session():
    steps = rekeying.renew()
    {then}
"""
MANY = 20


def first_release(database_url: str, copies: int = 1) -> str:
    """Make a database as release 0.1.0 left it, with the new columns still empty, and return a token for it."""
    opened = support.use_database(database_url)
    with database.session():
        database.use_write_ahead_log(opened)
        Runner(opened, str(schema.MIGRATIONS)).up("0001_initial")
        programs.ensure_default_program(system_clock())
        for copy in range(copies):
            for row in ROWS:
                insert(opened, row, f"-{copy}" if copy else "")
        return tokens.create("mews", system_clock())[0]


def insert(opened: peewee.Database, row: dict, suffix: str) -> None:
    member = {name: f"{value}{suffix}" if name == "identity_key" else value for name, value in row["member"].items()}
    unique = ("provider_membership_id", "membership_number", "number_key")
    membership = {name: f"{value}{suffix}" if name in unique else value for name, value in row["membership"].items()}
    with opened.atomic():
        membership["member_id"] = insert_row(opened, "member", member)
        insert_row(opened, "membership", membership)


def insert_row(opened: peewee.Database, table: str, values: dict) -> int:
    values = {"program_id": programs.find_program(None).id} | {
        name: value[-folding.KEY_LENGTH :] if name == "identity_key" else value for name, value in values.items()
    }
    parameters = ", ".join([opened.param] * len(values))
    insert = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({parameters}) RETURNING id"
    return opened.execute_sql(insert, tuple(values.values())).fetchone()[0]


@contextlib.contextmanager
def migrated(database_url: str, copies: int = 1):
    """A session with such a database under the schema of this release, and the keys of the first."""
    first_release(database_url, copies)
    opened = support.use_database(database_url)
    with database.session():
        schema.upgrade(opened, system_clock())
        yield opened


def columns(table: type) -> list[dict]:
    return database.rows(table.select().order_by(table.id))


@pytest.fixture
def loyalty(tmp_path: Path, database_url: str) -> Loyalty:
    return Loyalty(tmp_path, PYTHONPATH=str(ROOT), LOYALTY_DATABASE_URL=database_url)


def test_keys_can_wait_until_no_server_of_the_release_before_runs(loyalty, database_url):
    first_release(database_url)
    upgraded = loyalty("db", "upgrade", "--schema-only", "--json").json
    assert upgraded["migrations"]
    assert upgraded["keys"] == {"renewed": 0, "twins": []}
    assert f"{len(ROWS)} members have keys of an earlier release" in loyalty("db", "status").stderr
    assert loyalty("db", "upgrade", "--json").json["keys"]["renewed"] == len(ROWS)
    assert loyalty("db", "status").code == 0


def test_members_of_the_first_release_are_found_and_enrolled_once(loyalty, database_url, tmp_path):
    token = first_release(database_url)
    upgraded = loyalty("db", "upgrade", "--json").json
    assert upgraded["migrations"]
    assert upgraded["keys"] == {"renewed": len(ROWS), "twins": TWINS}
    with support.gunicorn(database_url, token, tmp_path / "server.log") as server:
        for member_filter, case in [
            ({"firstName": "Evangelo", "lastName": "Papadopulos", "city": "Athina"}, "greek, without an e-mail"),
            ({"firstName": "Jurgen", "lastName": "Strauss", "city": "Koeln", "countryCode": "DE"}, "by e-mail"),
            ({"firstName": "Serhi", "lastName": "Shevchenko", "phoneNumber": "+380445550015"}, "by telephone"),
            ({"firstName": "Serhii", "lastName": "Kovalenk", "city": "Kyiv"}, "by all that is known"),
        ]:
            found = server.search(member_filter).json()["members"]
            assert IDS[case] in [member["membership"]["providerMembershipId"] for member in found], case
        for case, customer in CUSTOMERS.items():
            assert server.enroll(customer).json()["membership"]["providerMembershipId"] == IDS[case], case
        numbers = {
            member["membership"]["providerMembershipId"]
            for member in server.search({"membershipNumber": "Kyiv-17"}).json()["members"]
        }
        assert numbers == {IDS["with the same number in another spelling"]}
    assert support.count(Member) == support.count(Membership) == len(ROWS)


def test_an_upgrade_says_what_it_has_done(loyalty, database_url):
    first_release(database_url)
    upgraded = loyalty("db", "upgrade")
    assert f"The keys of {len(ROWS)} members were renewed.\n" in upgraded.stderr
    assert "2 of them have the identity or number of another member by the new rules" in upgraded.stderr
    assert ", ".join(TWINS) in upgraded.stderr
    again = loyalty("db", "upgrade", "--json").json
    assert again == {"migrations": [], "keys": {"renewed": 0, "twins": []}}
    assert loyalty("db", "status", "--json").json["outdatedKeys"] == 0


def test_status_counts_the_members_with_old_keys(loyalty, database_url):
    with migrated(database_url):
        pass
    status = loyalty("db", "status", "--json")
    assert (status.code, json.loads(status.stdout)["outdatedKeys"]) == (1, len(ROWS))
    assert status.stderr == (
        f"Error: {len(ROWS)} members have keys of an earlier release or setting: run `loyalty db upgrade`.\n"
    )


def test_nothing_but_keys_changes(database_url):
    with migrated(database_url):
        before = columns(Member), columns(Membership)
        assert sum(step.renewed for step in rekeying.renew()) == len(ROWS)
        after = columns(Member), columns(Membership)
        assert {row["key_version"] for row in after[0]} == {folding.KEY_VERSION}
        pairs = zip(before[0] + before[1], after[0] + after[1], strict=True)
        changed = {name for old, new in pairs for name in old if old[name] != new[name]}
        assert {"identity_key", "number_key", "last_name_code"} < changed
        assert {name for name in changed if not re.search("_key$|_code$|^key_version$", name)} == set()
        assert [step.renewed for step in rekeying.renew()] == [0]
        assert (columns(Member), columns(Membership)) == after


def test_of_two_who_are_one_by_the_new_rules_the_later_keeps_the_old_key(database_url):
    with migrated(database_url):
        before = {row["id"]: row["identity_key"] for row in columns(Member)}
        list(rekeying.renew())
        first, second = columns(Member)[:2]
        assert first["identity_key"] != before[first["id"]]
        assert second["identity_key"] == before[second["id"]]
        assert first["last_name_key"] == second["last_name_key"]


def test_deleted_members_stay_erased_and_their_numbers_used(database_url):
    with migrated(database_url):
        list(rekeying.renew())
        erased, tombstone = columns(Member)[-1], columns(Membership)[-1]
        assert {name for name, value in erased.items() if value is not None} == {
            "id", "program", "key_version", "created_at",
        }  # fmt: skip
        assert tombstone["number_key"] == folding.number_key(tombstone["membership_number"]) != "sergiy1"


def test_a_member_who_is_deleted_meanwhile_stays_erased(database_url, monkeypatch):
    monkeypatch.setattr(rekeying, "BATCH_SIZE", 1)
    with migrated(database_url):
        steps = rekeying.renew()
        next(steps)
        memberships.delete(programs.find_program(None), IDS["by e-mail"], system_clock())
        list(steps)
        erased = next(row for row in columns(Member) if row["id"] == 3)
        assert all(erased[name] is None for name in memberships.PERSONAL_FIELDS)
        assert rekeying.count_outdated() == 0


def test_a_deletion_that_is_under_way_is_awaited(database_url):
    with migrated(database_url) as opened:
        renewing = threading.Thread(target=renew_in_a_session)
        with opened.atomic():
            memberships.delete(programs.find_program(None), IDS["by e-mail"], system_clock())
            renewing.start()
            await_waiting(opened, renewing)
        renewing.join(SECONDS)
        erased = next(row for row in columns(Member) if row["id"] == 3)
        assert all(erased[name] is None for name in memberships.PERSONAL_FIELDS)
        assert rekeying.count_outdated() == 0


def renew_in_a_session() -> None:
    with database.session():
        list(rekeying.renew())


def await_waiting(opened: peewee.Database, renewing: threading.Thread) -> None:
    """Return once the other waits for our lock; on SQLite it does so before it reads what it will write."""
    while not isinstance(opened, peewee.SqliteDatabase):
        assert renewing.is_alive()
        if opened.execute_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:
            return
        time.sleep(0.01)


def test_a_guest_who_enrolls_again_before_the_renewal_is_reported(database_url, tmp_path):
    token = first_release(database_url)
    with database.session():
        schema.upgrade(support.use_database(database_url), system_clock())
    with support.gunicorn(database_url, token, tmp_path / "server.log") as server:
        server.enroll(CUSTOMERS["by telephone"])
    with database.session():
        before = columns(Membership)
        twins = [twin for step in rekeying.renew() for twin in step.twins]
        assert IDS["by telephone"] in twins
        assert [row["provider_membership_id"] for row in columns(Membership)] == [
            row["provider_membership_id"] for row in before
        ]


def started(database_url: str, then: str) -> subprocess.Popen:
    command = [sys.executable, "-c", RENEW.format(then=then), database_url]
    process = subprocess.Popen(
        command, env=environment(PYTHONPATH=str(ROOT)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def test_killed_it_goes_on_where_it_was(loyalty, database_url):
    with migrated(database_url, MANY):
        pass
    process = started(database_url, "next(steps); next(steps); os.kill(os.getpid(), signal.SIGKILL)")
    process.communicate("\n", timeout=SECONDS)
    assert process.returncode == -signal.SIGKILL
    assert json.loads(loyalty("db", "status", "--json").stdout)["outdatedKeys"] == len(ROWS) * MANY - 4
    upgraded = loyalty("db", "upgrade", "--json").json
    assert (upgraded["migrations"], upgraded["keys"]["renewed"]) == ([], len(ROWS) * MANY - 4)
    assert loyalty("db", "status", "--json").json["outdatedKeys"] == 0


def test_two_at_once_share_the_work(database_url):
    with migrated(database_url, MANY):
        pass
    both = [started(database_url, "print(sum(step.renewed for step in steps))") for _ in range(2)]
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    counts = [int(process.communicate(timeout=SECONDS)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(counts) == len(ROWS) * MANY
    with database.session():
        assert rekeying.count_outdated() == 0


def test_postgres_knows_of_the_new_keys(make_database):
    with migrated(make_database("postgres")) as opened:
        known = "SELECT count(*) FROM pg_stats WHERE tablename = 'member' AND attname = 'last_name_code'"
        assert opened.execute_sql(known).fetchone()[0] == 0
        list(rekeying.renew())
        assert opened.execute_sql(known).fetchone()[0] == 1
        assert opened.execute_sql("SHOW statement_timeout").fetchone()[0] == "3s"
