"""Settings and databases that cannot be used: one sentence that says what to do, exit code not 0, no traceback."""

import copy
from pathlib import Path

import pytest
import yaml

from models import database
from tests import support
from tests.cli.commands import Loyalty

ROOT = Path(__file__).parents[2]
DATABASE = "LOYALTY_DATABASE_URL"
OPERATOR_COMMANDS = [("serve",), ("token", "list"), ("db", "status")]


@pytest.fixture
def loyalty(tmp_path: Path) -> Loyalty:
    return Loyalty(tmp_path, PYTHONPATH=str(ROOT), LOYALTY_DATABASE_URL="sqlite:///x.db")


@pytest.mark.parametrize("words", OPERATOR_COMMANDS, ids=" ".join)
def test_without_a_database_url(tmp_path, words):
    sentence = Loyalty(tmp_path, PYTHONPATH=str(ROOT)).refused(*words)
    assert sentence.startswith(f"{DATABASE} is not set; it takes sqlite:///file.db")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("LOYALTY_PROT", "8080", "LOYALTY_PROT is no setting; `loyalty settings` lists them all."),
        ("LOYALTY_PORT", "http", "LOYALTY_PORT cannot be used: Not a valid integer."),
        ("LOYALTY_PORT", "70000", "LOYALTY_PORT cannot be used: Must be greater than or equal to 1"),
        ("LOYALTY_WORKERS", "0", "LOYALTY_WORKERS cannot be used: "),
        ("LOYALTY_BASE_PATH", "loyalty", "LOYALTY_BASE_PATH cannot be used: It must be a plain path such as /loyalty"),
        ("LOYALTY_LOG_LEVEL", "loud", "LOYALTY_LOG_LEVEL cannot be used: "),
        ("LOYALTY_VALIDATE_RESPONSES", "perhaps", "LOYALTY_VALIDATE_RESPONSES cannot be used: "),
        (DATABASE, "mysql://localhost/x", "The database URL must begin with sqlite:/// or postgresql://."),
        (DATABASE, "x.db", "The database URL must begin with sqlite:/// or postgresql://."),
        (DATABASE, "sqlite://x.db", "A SQLite URL names a file: "),
        (DATABASE, "sqlite:///:memory:", "A SQLite URL names a file: "),
        (DATABASE, "postgresql://[", "The database URL is no libpq URI; "),
        (DATABASE, "sqlite:////no/such/folder/x.db", "The database cannot be used (OperationalError): check "),
        (DATABASE, "sqlite:////proc/version", "The database cannot be used (OperationalError): check "),
        (DATABASE, "postgresql://127.0.0.1:1/x", "The database cannot be used (OperationalError): check "),
    ],
    ids=lambda value: value[:40],
)
def test_a_setting_that_cannot_be_used(loyalty, name, value, sentence):
    assert loyalty.refused("serve", **{name: value}).startswith(sentence)


def test_options_are_checked_like_settings(loyalty):
    assert loyalty.refused("serve", "--base-path", "a b").startswith("LOYALTY_BASE_PATH cannot be used: ")
    assert loyalty.refused("demo", "--port", "70000").startswith("LOYALTY_PORT cannot be used: ")


def test_the_clients_token_is_tolerated(loyalty):
    assert loyalty("token", "list", "--json", LOYALTY_TOKEN="loyalty_x").code == 0


def test_a_password_is_never_repeated(loyalty):
    for words in OPERATOR_COMMANDS:
        sentence = loyalty.refused(*words, LOYALTY_DATABASE_URL="postgresql://me:hunter2@127.0.0.1:1/x")
        assert "hunter2" not in sentence


def test_an_older_schema_is_not_served(tmp_path, make_database, engine):
    url = make_database(engine)
    loyalty = Loyalty(tmp_path, PYTHONPATH=str(ROOT), LOYALTY_DATABASE_URL=url)
    assert loyalty("db", "upgrade").code == 0
    opened = support.use_database(url)
    with database.session():
        count = opened.execute_sql("DELETE FROM schema_migration").rowcount
    for words in (("serve",), ("token", "list")):
        sentence = loyalty.refused(*words)
        assert sentence == f"The database lacks {count} migration(s), first 0001_initial: run `loyalty db upgrade`."


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("member", "add", "--first-name", "Ada"), "--last-name: This field is required."),
        (("member", "add", "--last-name", "A", "--birthday", "1815"), "does not match the format '%Y-%m-%d'."),
        (("member", "add", "--last-name", "A", "--expires-at", "soon"), "give it as 2027-12-31T23:59:59+01:00."),
        (("member", "add", "--last-name", "A", "--points", "-1"), "-1 is not in the range 0<=x<=9223372036854775807."),
        (("member", "add", "--last-name", "A", "--status", "canceled"), "'canceled' is not one of"),
        (("member", "show", "nobody"), "No member has this provider membership id, membership number or e-mail."),
        (("member", "confirm", "nobody"), "No membership has this identifier."),
        (("member", "show", "nobody", "--program", "gold"), "Name one of the programs: default."),
        (("token", "create", "x", "--days", "0"), "0 is not in the range 1<=x<=3650."),
        (("token", "create"), "Missing argument 'NAME'."),
        (("token", "destroy"), "No such command 'destroy'."),
        (("tokens",), "No such command 'tokens'."),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_words_that_cannot_be_used(loyalty, words, sentence):
    assert loyalty("db", "upgrade").code == 0
    assert sentence in loyalty.refused(*words)


def test_a_file_that_is_no_database(loyalty):
    (loyalty.folder / "x.db").write_bytes(b"no database at all, but some text that is long enough")
    loyalty.refused("token", "list")


def test_a_backend_that_cannot_be_imported(loyalty):
    port = str(support.free_port())
    sentence = loyalty.refused("serve", LOYALTY_BACKEND="no.such:thing", LOYALTY_PORT=port)
    assert sentence.startswith("LOYALTY_BACKEND names no package.module:factory")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"LOYALTY_SECOND_CONTRACT": "missing.yaml"}, "names no OpenAPI 3.1 document that can be read"),
        ({"LOYALTY_SECOND_CONTRACT": "x.yaml"}, "names no OpenAPI 3.1 document that can be read"),
        ({"LOYALTY_SECOND_BASE_PATH": "/"}, "LOYALTY_SECOND_BASE_PATH must differ from LOYALTY_BASE_PATH."),
    ],
    ids=["missing", "no document", "same base path"],
)
def test_a_second_contract_that_cannot_be_served(loyalty, settings, sentence):
    (loyalty.folder / "x.yaml").write_text("- no document")
    chosen = {
        "LOYALTY_SECOND_CONTRACT": str(ROOT / "spec" / "mews-loyalty-partner.yaml"),
        "LOYALTY_SECOND_BASE_PATH": "/next",
    }
    assert sentence in loyalty.refused("serve", **chosen | settings, LOYALTY_PORT=str(support.free_port()))


def test_a_second_contract_that_gives_the_name_of_an_operation_to_another_path(loyalty):
    """An operation keeps its handler by method and path, so the name of the handler is in use."""
    document = copy.deepcopy(support.CONTRACT.document)
    found = support.operation(support.LINK)
    method = found.method.lower()
    document["paths"]["/memberships/relink"] = {method: copy.deepcopy(document["paths"][found.path][method])}
    document["paths"][found.path][method]["operationId"] += "Legacy"
    (loyalty.folder / "second.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    chosen = {
        "LOYALTY_SECOND_CONTRACT": str(loyalty.folder / "second.yaml"),
        "LOYALTY_SECOND_BASE_PATH": "/next",
        "LOYALTY_PORT": str(support.free_port()),
    }
    assert loyalty.refused("serve", **chosen) == (
        f"LOYALTY_SECOND_CONTRACT cannot be served: {found.method} {found.path} and {found.method} /memberships/relink "
        f"would have one handler, {found.handler}: give the one that is new another operationId."
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--points", str(2**63)),
        ("--expires-at", "9999-12-31T23:59:59-01:00"),
        ("--first-name", "\udcff"),
        ("--email", "nonsense"),
        ("--deeplink-url", "not a url"),
        ("--first-name", "x" * 256),
        ("--membership-number", " "),
    ],
    ids=lambda words: words[0].removeprefix("--"),
)
def test_a_member_that_the_contract_could_not_show(loyalty, words):
    loyalty.refused("member", "add", "--last-name", "Lovelace", *words)


@pytest.mark.parametrize("name", ["", "x" * 256], ids=["empty", "too long"])
@pytest.mark.parametrize("noun", [("token", "create"), ("program", "add")], ids=" ".join)
def test_names_that_cannot_be_kept(tmp_path, make_database, noun, name):
    loyalty = Loyalty(tmp_path, PYTHONPATH=str(ROOT), LOYALTY_DATABASE_URL=make_database("postgres"))
    loyalty.refused(*noun, name)


def test_a_number_pattern_with_digits_that_are_not_ascii(loyalty):
    loyalty.refused("program", "add", "gold", "--number-pattern", "\u0663######?")


def test_a_blank_identifier_finds_nobody(loyalty):
    loyalty("member", "add", "--last-name", "Lovelace")
    loyalty.refused("member", "show", " ")
