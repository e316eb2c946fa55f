"""The command line from outside: what each command prints, where, and as which JSON; on SQLite and on Postgres."""

import datetime
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from app.cli import main
from tests.cli.commands import Loyalty

ROOT = Path(__file__).parents[2]
ADA = ("--first-name", "Ada", "--last-name", "Lovelace", "--email", "ada@example.com")
CAMEL = re.compile(r"[a-z][a-zA-Z0-9]*")


def walk(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from walk(found, (*words, name))


COMMANDS = dict(walk(main))


@pytest.fixture
def loyalty(tmp_path: Path, database_url: str) -> Loyalty:
    return Loyalty(tmp_path, LOYALTY_DATABASE_URL=database_url, PYTHONPATH=str(ROOT))


@pytest.fixture
def sqlite(tmp_path: Path) -> Loyalty:
    return Loyalty(tmp_path, LOYALTY_DATABASE_URL="sqlite:///x.db", PYTHONPATH=str(ROOT))


def keys(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for item in value.values() for key in keys(item)}
    return {key for item in value for key in keys(item)} if isinstance(value, list) else set()


def test_every_noun_and_verb_is_there():
    verbs = {words for words, command in COMMANDS.items() if not isinstance(command, click.Group)}
    assert verbs == {
        ("serve",), ("demo",), ("frontdesk",), ("settings",), ("certify",), ("spec", "diff"), ("spec", "upgrade"),
        ("db", "upgrade"), ("db", "status"), ("db", "backup"), ("db", "restore"), ("db", "check"),
        ("token", "create"), ("token", "list"), ("token", "revoke"),
        ("program", "add"), ("program", "list"), ("enterprise", "add"), ("enterprise", "list"),
        *(("member", verb) for verb in ("add", "show", "search", "import", "export")),
        *(("member", verb) for verb in ("confirm", "decline", "cancel", "delete")),
    }  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_explains_and_gives_an_example_that_exists(words):
    command = COMMANDS[words]
    text = command.get_help(click.Context(command, info_name=" ".join(("loyalty", *words)), max_content_width=200))
    assert len((command.help or "").split()) >= 3
    examples = re.findall(r"(?:^| )loyalty ((?:[a-z]+ ?)+)", command.epilog or "", re.MULTILINE)
    if not isinstance(command, click.Group):
        assert "Examples:" in text
        assert all(tuple(example.split())[: len(words)] == words for example in examples)
        assert examples


def test_help_works_as_a_process_without_any_setting(tmp_path):
    shown = Loyalty(tmp_path, PYTHONPATH=str(ROOT))("token", "create", "-h")
    assert (shown.code, shown.stderr) == (0, "")
    assert "loyalty token create mews-2027 --json" in shown.stdout


def test_version(tmp_path):
    assert Loyalty(tmp_path, PYTHONPATH=str(ROOT))("--version").stdout == "loyalty, version 0.1.0\n"


def test_db_upgrade_creates_and_then_changes_nothing(loyalty):
    pending = loyalty("db", "status", "--json")
    assert pending.code == 1
    assert "loyalty db upgrade" in pending.stderr
    listed = json.loads(pending.stdout)["migrations"]
    assert listed[0] == {"name": "0001_initial", "applied": None}
    assert {migration["applied"] for migration in listed} == {None}
    upgraded = loyalty("db", "upgrade", "--json").json
    assert upgraded["migrations"] == [{"name": migration["name"]} for migration in listed]
    assert upgraded["keys"] == {"renewed": 0, "twins": []}
    again = loyalty("db", "upgrade")
    assert (again.code, again.stdout, again.stderr) == (0, "", "The schema is up to date.\n")
    status = loyalty("db", "status", "--json").json
    assert [migration["name"] for migration in status["migrations"]] == [migration["name"] for migration in listed]
    assert all(migration["applied"] for migration in status["migrations"])
    assert status["outdatedKeys"] == 0
    [program] = loyalty("program", "list", "--json").json["programs"]
    assert program["name"] == "default"


def test_tokens_are_shown_once_listed_and_revoked(loyalty):
    first = loyalty("token", "create", "mews-2027", "--json")
    assert first.stderr == "The database was empty; its tables were created.\n"
    assert re.fullmatch(r"loyalty_[0-9a-f]{72}", first.json["token"])
    lifetime = datetime.datetime.fromisoformat(first.json["expiresAt"]) - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(days=364) < lifetime <= datetime.timedelta(days=365)
    second = loyalty("token", "create", "mews-2028", "--program", "default", "--days", "30", "--json")
    assert second.stderr == ""
    assert second.json["program"] == "default"
    revoked = loyalty("token", "revoke", "mews-2027", "--json").json
    assert loyalty("token", "revoke", "mews-2027", "--json").json == revoked
    listed = loyalty("token", "list", "--json")
    assert first.json["token"] not in listed.stdout
    assert [(token["name"], token["revokedAt"]) for token in listed.json["tokens"]] == [
        ("mews-2027", revoked["revokedAt"]),
        ("mews-2028", None),
    ]
    assert keys(listed.json["tokens"]) == {"name", "program", "createdAt", "expiresAt", "revokedAt", "lastUsedAt"}
    taken = loyalty.refused("token", "create", "mews-2028")
    assert taken == "A token with this name exists; choose another name."
    assert loyalty.refused("token", "revoke", "nobody") == "No token has this name; see `loyalty token list`."
    assert "Name one of the programs: default." in loyalty.refused("token", "create", "x", "--program", "gold")


def test_a_token_is_printed_in_one_piece(sqlite):
    assert re.search(r"loyalty_[0-9a-f]{72}", sqlite("token", "create", "mews-2027").stdout)


def test_programs_and_hotels(loyalty):
    added = loyalty(
        "program", "add", "gold", "--requires-confirmation", "--required-field", "lastName", "--required-field",
        "address/city", "--number-pattern", "GOLD-######?", "--json",
    ).json  # fmt: skip
    assert added == {
        "name": "gold",
        "requiresConfirmation": True,
        "requiredFields": ["lastName", "address/city"],
        "numberPattern": "GOLD-######?",
        "visibleStatuses": ["pending", "enrolled", "canceled"],
    }
    assert loyalty("program", "add", "open", "--no-required-fields", "--json").json["requiredFields"] == []
    programs = loyalty("program", "list", "--json").json["programs"]
    assert [program["name"] for program in programs] == ["default", "gold", "open"]
    assert "this name exists" in loyalty.refused("program", "add", "gold")
    hotel = str(uuid.uuid4())
    assert "Name one of the programs: default, gold, open." in loyalty.refused("enterprise", "add", hotel)
    registered = loyalty("enterprise", "add", hotel, "--program", "gold", "--json").json
    assert (registered["mewsEnterpriseId"], registered["program"]) == (hotel, "gold")
    assert loyalty("enterprise", "list", "--json").json == {"enterprises": [registered]}
    assert "registered already" in loyalty.refused("enterprise", "add", hotel, "--program", "default")
    assert "not a valid UUID" in loyalty.refused("enterprise", "add", "hotel", "--program", "gold")


def test_visible_statuses_are_given_as_the_contract_spells_them(sqlite):
    words = ("--visible-status", "enrolled", "--visible-status", "declined")
    assert sqlite("program", "add", "gold", *words, "--json").json["visibleStatuses"] == ["enrolled", "declined"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--number-pattern", "A##?"), "at least 6 # for random digits and one ? for the check digit"),
        (("--number-pattern", "########"), "at least 6 # for random digits and one ? for the check digit"),
        (("--required-field", "shoeSize"), "shoeSize is no field of an enrollment: firstName"),
        (("--visible-status", "notFound"), "'notFound' is not one of"),
        (("--visible-status", "expired"), "'expired' is not one of"),
    ],
    ids=["few digits", "no check digit", "unknown field", "status of nobody", "unknown status"],
)
def test_a_program_that_cannot_be_is_refused(sqlite, words, sentence):
    sqlite("db", "upgrade")
    assert sentence in sqlite.refused("program", "add", "gold", *words)


def test_a_member_is_added_and_shown(loyalty):
    expiry = "2999-12-31T23:59:59+01:00"
    added = loyalty(
        "member", "add", *ADA, "--birthday", "1815-12-10", "--phone-number", "+44 20 7946 0001", "--city", "London",
        "--postal-code", "W1J 7NT", "--country-code", "GB", "--membership-number", "OLD-17", "--tier", "Gold",
        "--points", "5000", "--expires-at", expiry, "--deeplink-url", "https://example.com/ada", "--json",
    ).json  # fmt: skip
    assert added == {
        "providerMembershipId": added["providerMembershipId"],
        "status": "enrolled",
        "membershipNumber": "OLD-17",
        "tier": "Gold",
        "points": 5000,
        "expiresAt": expiry,
        "deeplinkUrl": "https://example.com/ada",
    }
    for identifier in (added["providerMembershipId"], "old 17", "ADA@example.com"):
        [member] = loyalty("member", "show", identifier, "--json").json["members"]
        assert member["membership"] == added
    assert [event["kind"] for event in member["history"]] == ["enrolled"]
    assert (member["birthday"], member["address"]["postalCode"]) == ("1815-12-10", "W1J 7NT")
    assert all(CAMEL.fullmatch(key) for key in keys(member))
    assert "member already" in loyalty.refused("member", "add", *ADA)
    family = loyalty("member", "add", "--last-name", "King", "--email", "ada@example.com", "--shares-email", "--json")
    assert family.json["points"] == 0
    assert len(loyalty("member", "show", "ada@example.com", "--json").json["members"]) == 2
    taken = loyalty.refused("member", "add", "--last-name", "Byron", "--membership-number", "old-17")
    assert taken == "This membership number is taken; give another or none."


def test_a_status_moves_only_where_it_may(loyalty):
    identifier = loyalty("member", "add", *ADA, "--status", "pending", "--json").json["providerMembershipId"]
    assert loyalty.refused("member", "cancel", identifier) == "A membership that is pending cannot become canceled."
    for verb, status in (("confirm", "enrolled"), ("cancel", "canceled"), ("confirm", "enrolled")):
        assert loyalty("member", verb, identifier, "--json").json["status"] == status
    assert loyalty.refused("member", "decline", identifier) == "A membership that is enrolled cannot become declined."
    assert loyalty("member", "delete", identifier, "--yes", "--json").json == {
        "providerMembershipId": identifier,
        "deleted": True,
    }
    for verb in ("confirm", "decline", "cancel", "show"):
        loyalty.refused("member", verb, identifier)
    assert loyalty.refused("member", "delete", identifier, "--yes") == "No membership has this identifier."


def test_a_declined_membership_stays_declined(sqlite):
    identifier = sqlite("member", "add", *ADA, "--status", "pending", "--json").json["providerMembershipId"]
    assert sqlite("member", "decline", identifier, "--json").json["status"] == "declined"
    assert "is declined cannot become enrolled" in sqlite.refused("member", "confirm", identifier)


def test_an_expired_membership_reads_as_canceled_and_cannot_be_confirmed(sqlite):
    expired = ("--expires-at", "2001-01-01T00:00:00+00:00")
    membership = sqlite("member", "add", *ADA, *expired, "--json").json
    assert membership["status"] == "canceled"
    assert "has expired" in sqlite.refused("member", "confirm", membership["providerMembershipId"])


def test_deleting_asks_first(sqlite):
    identifier = sqlite("member", "add", *ADA, "--json").json["providerMembershipId"]
    unanswered = sqlite("member", "delete", identifier)
    assert (unanswered.code, unanswered.stdout) == (1, "")
    assert "Erase this member for good?" in unanswered.stderr
    assert sqlite("member", "show", identifier).code == 0


def test_lists_that_are_empty_say_so_beside_the_results(sqlite):
    sqlite("db", "upgrade")
    empty = sqlite("token", "list")
    assert (empty.code, empty.stdout, empty.stderr) == (0, "", "There are no tokens.\n")
    assert sqlite("token", "list", "--json").json == {"tokens": []}


def test_settings_lists_all_and_hides_what_is_secret(sqlite):
    hidden = sqlite("settings", "--json", LOYALTY_DATABASE_URL="postgresql://me:hunter2@db/x", LOYALTY_PORT="9000")
    assert "hunter2" not in hidden.stdout
    rows = {row["variable"]: row for row in hidden.json["settings"]}
    assert rows["LOYALTY_DATABASE_URL"]["value"] == "(hidden)"
    assert (rows["LOYALTY_PORT"]["value"], rows["LOYALTY_PORT"]["default"]) == ("9000", 8080)
    assert all(row["meaning"] for row in rows.values())
    table = sqlite("settings")
    assert (table.code, table.stderr) == (0, "")


@pytest.mark.parametrize("words", [(), ("--json",)], ids=["table", "JSON"])
def test_a_full_disk_under_standard_output(sqlite, words):
    with Path("/dev/full").open("wb") as full:
        done = sqlite("program", "list", *words, stdout=full)
    told = "Error: Standard output cannot be written: No space left on device."
    assert (done.code, done.stderr.splitlines()[-1]) == (1, told)
