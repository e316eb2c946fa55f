"""Upgrades from end to end, each in a copy of the repository: what changes, what does not, and that it serves."""

import concurrent.futures
import copy
import dataclasses
import datetime
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from codegen import upgrade
from tests import support
from tests.codegen.upgrade_repository import CONTRACT, README, Repository, call, operation_in, rows, statuses
from tests.support import ENROLL, LINK, LIST, SEARCH

ALL = "CONTRACT_EXAMPLES" in os.environ
ALWAYS = {"an operation renamed", "an operation added"}
OLD_CHECKSUM = hashlib.sha256(upgrade.schemas.CONTRACT.read_bytes()).hexdigest()
OLD_VERSION = upgrade.schemas.load_contract()["info"]["version"]
HISTORY = f"spec/history/{OLD_VERSION}-{OLD_CHECKSUM[:12]}.yaml"
SPEC = {CONTRACT, README, HISTORY, "handlers/schemas.py"}
IN_PLACE = "This contract is in place already; nothing changed."
SERVED = dict.fromkeys((SEARCH, ENROLL, LIST, LINK), 200)
COMPONENT = "#/components/schemas/"
SEARCH_ID, ENROLL_ID, LINK_ID = (support.operation(name).operation_id for name in (SEARCH, ENROLL, LINK))
LINK_FILE, LINK_FUNCTION = "handlers/memberships.py", support.operation(LINK).handler.rpartition(".")[2]
# What fails in tests/contract where an operation answers 500.
UNSERVED = (
    "test_contract.py::test_server_keeps_the_contract[sqlite-{}]",
    "test_contract.py::test_every_operation_was_seen_to_serve_and_to_refuse[sqlite-200-{}]",
    "test_contract_can_fail.py::test_server_without_a_fault_passes[{}]",
    "test_side_by_side.py::test_the_contract_suite_passes_on_both[{}]",
)
# The rest would tell of the suite itself, and takes as long as all of this.
SUITE = "not postgres" if ALL else "not postgres and not test_fault_is_noticed"


def add_field(document: dict) -> None:
    document["components"]["schemas"]["searchMembersRequest"]["properties"]["searchHint"] = {"type": "string"}


def add_operation(document: dict) -> None:
    entry = {"type": "object", "properties": {"bookedAt": {"type": "string", "format": "date-time"}}}
    entry["properties"]["parts"] = {"type": "array", "items": {"$ref": f"{COMPONENT}pointEntry"}}
    document["components"]["schemas"]["pointEntry"] = entry
    content = {"application/json": {"schema": {"$ref": f"{COMPONENT}pointEntry"}}}
    document["tags"].append({"name": "Points", "description": "Points of members."})
    document["paths"]["/points"] = {
        "put": {
            "operationId": "addPoints",
            "tags": ["Points"],
            "summary": "Add points",
            "requestBody": {"required": True, "content": content},
            "responses": {
                "200": {"description": "Added.", "content": copy.deepcopy(content)},
                "400": {"$ref": "#/components/responses/badRequest"},
                "401": {"$ref": "#/components/responses/unauthorized"},
                "500": {"$ref": "#/components/responses/internalServerError"},
            },
        }
    }


def rename(document: dict) -> None:
    operation_in(document, LINK)["operationId"] = "linkPerson"


def widen(document: dict) -> None:
    document["components"]["schemas"]["membershipStatus"]["enum"].append("paused")


def require(document: dict) -> None:
    document["components"]["schemas"]["membership"]["required"].append("points")


def remove(document: dict) -> None:
    del document["paths"][support.operation(LINK).path]


def replace(document: dict) -> None:
    schema = document["components"]["schemas"]["linkMembershipRequest"]
    del schema["properties"]["isLinked"]
    schema["properties"]["linkState"] = {"enum": ["linked", "unlinked"]}
    schema["required"] = [name for name in schema["required"] if name != "isLinked"] + ["linkState"]


@dataclasses.dataclass(frozen=True)
class Case:
    """An upgrade, and what it is to do.

    Attributes:
        change: what is new in the document.
        edits: of files written by hand, what is replaced by what.
        made: files that are new, beside those of spec/.
        work: the operation, the file and a text in its line (or the pointer and nothing), and what the work is.
        unserved: the operationId that the work left names, and that answers 500 until that is done.
        statuses: what the server answers to today's operations.
        requests: what today's operations are sent beside today's requests.
        rest: what the developer then replaces in the module of that operation for all of them to serve.
    """

    change: Callable[[dict], None]
    edits: dict[str, tuple[bytes, bytes]] = dataclasses.field(default_factory=dict)
    made: frozenset[str] = frozenset()
    work: tuple[tuple[str, str, str, str], ...] = ()
    unserved: str = ""
    statuses: dict[str, int] = dataclasses.field(default_factory=dict)
    requests: dict[str, dict] = dataclasses.field(default_factory=dict)
    rest: tuple[str, str] | None = None


CASES = {
    "a field added to a closed request": Case(
        add_field,
        work=((SEARCH_ID, f"{COMPONENT}searchMembersRequest/properties/searchHint", "", "breaks now: "),),
        requests={SEARCH: {"searchHint": "near"}},
    ),
    "an operation added": Case(
        add_operation,
        made=frozenset({"handlers/points.py", "tests/handlers/__init__.py", "tests/handlers/test_add_points.py"}),
        work=(
            ("addPoints", "handlers/points.py", "raise NotImplementedError", "write add_points (PUT /points)"),
            ("addPoints", "#/paths/~1points/put", "", "work to do: the operation is new"),
            ("", README, "", "say where these components come from: pointEntry"),
        ),
        unserved="addPoints",
    ),
    "an operation renamed": Case(
        rename,
        edits={LINK_FILE: (f"\ndef {LINK_FUNCTION}(".encode(), b"\ndef link_person(")},
    ),
    "an enum widened": Case(widen),
    "a response field made required": Case(require),
    "an operation removed": Case(
        remove,
        work=((LINK_ID, LINK_FILE, f"def {LINK_FUNCTION}(", "the operation is gone; nothing"),),
        statuses={LINK: 404},
    ),
    "an inferred schema replaced": Case(
        replace,
        work=((LINK_ID, f"{COMPONENT}linkMembershipRequest/properties/isLinked", "", "breaks now: "),),
        unserved=LINK_ID,
        statuses={LINK: 500},
        requests={LINK: {"linkState": "linked"}},
        rest=('request["is_linked"]', 'request["link_state"] == "linked"'),
    ),
}
CHOSEN = {name: case for name, case in CASES.items() if ALL or name in ALWAYS}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.copy(tmp_path / "repository")


def refused(repository: Repository, file: Path, code: int) -> str:
    """The one sentence with which an upgrade is refused; nothing has changed."""
    done = repository.upgrade(str(file))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), done.stderr
    assert repository.contents() == repository.before
    return done.stderr


@pytest.mark.parametrize("case", CHOSEN.values(), ids=CHOSEN.keys())
def test_an_upgrade_changes_what_it_announces_and_serves(case, repository, make_database, tmp_path, monkeypatch):
    file = repository.next_version(case.change)
    rehearsed = repository.upgrade(str(file), "--dry-run")
    assert (rehearsed.returncode, rehearsed.stderr) == (0, "" if case.work else "There are no things left to do.\n")
    assert repository.contents() == repository.before
    done = repository.upgrade(str(file))
    assert (done.returncode, done.stderr) == (0, rehearsed.stderr)
    for title in ("Differences", "Files", "Work left"):
        assert rows(done.stdout, title) == rows(rehearsed.stdout, title)
    assert_changes(repository, file, case, done.stdout)
    assert_work(repository, case, done.stdout)
    assert_serves(repository, case, make_database("sqlite"), tmp_path / "server.log", monkeypatch)
    assert_keeps_the_contract(repository, case)
    if case.rest:
        written = repository.root / LINK_FILE
        written.write_text(written.read_text().replace(*case.rest))
        done_by_hand = dataclasses.replace(case, statuses={}, unserved="")
        assert_serves(repository, done_by_hand, make_database("sqlite"), tmp_path / "server.log", monkeypatch)
        assert_keeps_the_contract(repository, done_by_hand)
    again = repository.contents()
    repeated = repository.upgrade(str(file))
    assert (repeated.returncode, repeated.stdout.splitlines()[0]) == (0, IN_PLACE)
    assert repository.contents() == again


def assert_changes(repository: Repository, file: Path, case: Case, printed: str) -> None:
    """All files are as before, but for those that the upgrade names, and in those only what it announces."""
    before, after = repository.before, repository.contents()
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == SPEC | case.made | case.edits.keys()
    assert before.keys() <= after.keys()
    assert {row[0] for row in rows(printed, "Files")} == changed
    for name, (old, new) in case.edits.items():
        assert before[name].count(old) == 1
        assert after[name] == before[name].replace(old, new)
    assert after[CONTRACT] == file.read_bytes()
    assert after[HISTORY] == before[CONTRACT]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    today = datetime.datetime.now().astimezone().date()
    lines = [(old, new) for old, new in zip(*map(str.splitlines, texts(before, after)), strict=True) if old != new]
    assert [new for _, new in lines][:2] == ["| spec version | 2026.03.01 |", f"| SHA-256 | `{digest}` |"]
    assert f"| vendored on | {today} |" in after[README].decode()
    assert len(lines) <= 3
    checked = repository.run("-m", "codegen", "--check")
    assert (checked.returncode, checked.stderr) == (0, "")


def texts(before: dict[str, bytes], after: dict[str, bytes]) -> tuple[str, str]:
    return before[README].decode(), after[README].decode()


def assert_work(repository: Repository, case: Case, printed: str) -> None:
    """The work list has what is expected, with the file's line; and it is the last thing that is said."""
    listed = rows(printed, "Work left")
    assert not case.unserved or case.unserved in {row[0] for row in listed}
    for operation, place, text, what in case.work:
        at = repository.line(place, text) if text else place
        assert [row for row in listed if row[:2] == [operation, at] and row[2].startswith(what)], listed
    assert [row for row in listed if row[2].startswith("write ")] == [
        row for row in listed if row[0] == "addPoints" and ".py:" in row[1]
    ]


def assert_serves(repository: Repository, case: Case, url: str, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of the copy answers as the new contract says, and 500 for a stub."""
    token = support.prepare(url)
    monkeypatch.chdir(repository.root)  # from where `python -m` takes its modules
    settings = {"PYTHONPATH": str(repository.root), "PYTHONDONTWRITEBYTECODE": "1", "LOYALTY_WORKERS": "1"}
    with support.gunicorn(url, token, log, **settings) as server:
        assert statuses(server, repository, case.requests) == SERVED | case.statuses
        if case.change is add_operation:
            assert call(server, "put", "/points", {"bookedAt": "2026-03-01T10:00:00Z"}).status_code == 500
            assert '"not implemented yet"' in log.read_text()


def assert_keeps_the_contract(repository: Repository, case: Case) -> None:
    """The contract suite of the copy passes, but for what the work left names."""
    assert repository.contract_suite(SUITE) == {test.format(case.unserved) for test in UNSERVED if case.unserved}


INVALID = {
    "paths: [": "is neither YAML nor JSON in UTF-8.",
    "openapi: 3.0.3": "is no OpenAPI 3.1 document: it does not say so at #/openapi.",
    "openapi: 3.1.0\ninfo: {title: Mews}\npaths: {}": 'document: at #/info, "version" is a required property.',
}


def test_an_invalid_file_is_refused_with_the_finding_and_touches_nothing(repository):
    file = repository.root.with_name("next.yaml")
    assert "cannot be read: No such file or directory." in refused(repository, file, 3)
    for text, told in INVALID.items():
        file.write_text(text)
        assert told in refused(repository, file, 3)
    if ALL:
        assert repository.contract_suite(SUITE) == set()


def test_a_file_that_cannot_be_served_touches_nothing(repository):
    file = repository.next_version(lambda document: operation_in(document, ENROLL).pop("tags"))
    assert "has no tag in the contract" in refused(repository, file, 1)
    file = repository.next_version(lambda document: operation_in(document, ENROLL).pop("responses"))
    assert "is valid, but the server cannot read it: KeyError, 'responses'." in refused(repository, file, 1)
    (repository.root / "handlers" / "members.py").write_text("def search_members(:\n")
    repository.before = repository.contents()
    told = refused(repository, repository.next_version(rename), 1)
    assert told == "Error: handlers/members.py cannot be read as Python (ParserSyntaxError).\n"


KILLED = """
import os, sys
replace, done = os.replace, []
def killed(*paths):
    done.append(paths)
    if len(done) == 4:
        os._exit(9)
    replace(*paths)
os.replace = killed
from app.cli import main
main(["spec", "upgrade", sys.argv[1]])
"""


def test_a_killed_upgrade_is_put_back_by_the_next_one(repository):
    file = repository.next_version(rename)
    assert repository.run("-c", KILLED, str(file)).returncode == 9
    half = repository.contents()
    assert half["handlers/schemas.py"] != repository.before["handlers/schemas.py"]
    assert half[CONTRACT] == repository.before[CONTRACT]
    rehearsed = repository.upgrade(str(file), "--dry-run")
    assert (rehearsed.returncode, rehearsed.stdout) == (1, "")
    assert "An upgrade was interrupted here, or is at work" in rehearsed.stderr
    assert repository.contents() == half
    file.write_text("openapi: 3.0.3")
    done = repository.upgrade(str(file))
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        3,
        "An upgrade was interrupted here; what it had changed is put back.",
    )
    assert repository.contents() == repository.before


def test_the_way_back_is_open_after_an_operation_is_gone(repository):
    file = repository.next_version(lambda document: document["paths"].pop(support.operation(SEARCH).path))
    assert repository.upgrade(str(file)).returncode == 0
    assert repository.contents()["handlers/schemas.py"] != repository.before["handlers/schemas.py"]
    assert repository.upgrade(HISTORY).returncode == 0
    after = repository.contents()
    assert {name for name in repository.before if after[name] != repository.before[name]} <= {README}


def test_a_second_upgrade_at_once_is_refused(repository, tmp_path):
    """The first one waits for a file that is a pipe, and this test holds its other end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    file = repository.next_version(rename)
    with concurrent.futures.ThreadPoolExecutor() as threads:
        first = threads.submit(repository.upgrade, str(pipe))
        with pipe.open("wb"):  # which returns when the first one reads
            second = repository.upgrade(str(file))
        assert first.result().returncode == 3
    told = "Error: Another upgrade is at work here; try again when it has ended.\n"
    assert (second.returncode, second.stdout, second.stderr) == (1, "", told)
    assert repository.contents() == repository.before
    assert repository.upgrade(str(file)).returncode == 0


def test_back_and_forth_keeps_one_copy_of_each_version(repository):
    """Twice to the next version and back: the history has both, and the date is the day of the last change."""
    old, file = repository.root.with_name("old.yaml"), repository.next_version(rename)
    old.write_bytes(repository.before[CONTRACT])
    for number, version in enumerate((file, old, file, old), 1):
        day = datetime.date(2030, 1, number)
        upgrade.make(upgrade.plan(version, repository.root, day), repository.root)
        assert f"| vendored on | {day} |" in (repository.root / README).read_text()
    after = repository.contents()
    history = {name for name in after if name.startswith("spec/history/")}
    assert len(history) == 2
    assert HISTORY in history
    changed = {name for name in after if after[name] != repository.before.get(name)}
    assert changed == history | {README}


@pytest.mark.parametrize("edited", [LINK_FILE, README, HISTORY], ids=["handlers", "README", "a new file"])
def test_what_is_saved_while_an_upgrade_is_worked_out_is_not_overwritten(edited, repository):
    planned = upgrade.plan(repository.next_version(rename), repository.root)
    own = repository.root / edited
    own.parent.mkdir(exist_ok=True)
    own.write_bytes(repository.before.get(edited, b"") + b"# own\n")
    before = repository.contents()
    with pytest.raises(
        ValueError, match=f"^{edited} has changed while the upgrade was worked out; nothing was written"
    ):
        upgrade.make(planned, repository.root)
    assert repository.contents() == before


def test_a_file_that_still_says_the_name_from_before_is_told_of(repository):
    (repository.root / "tests" / "http" / "test_own.py").write_text(f'OWN = 1\nNAME = "{LINK_ID}"\n')
    planned = upgrade.plan(repository.next_version(rename), repository.root)
    told = f"still says {LINK_ID} or {LINK_FUNCTION}, in 1 line"
    assert upgrade.Work("linkPerson", "tests/http/test_own.py:2", told) in planned.work


def test_another_tag_is_told_of_with_the_place_of_the_function(repository):
    def move(document: dict) -> None:
        operation_in(document, ENROLL)["tags"] = ["People"]

    planned = upgrade.plan(repository.next_version(move), repository.root)
    listed = {work.place: work.what for work in planned.work if work.operation == ENROLL_ID}
    module, _, function = support.operation(ENROLL).handler.removeprefix("handlers.").partition(".")
    assert listed["handlers/people.py:6"].startswith(f"write {function} (")
    place = repository.line(f"handlers/{module}.py", f"def {function}(")
    assert listed[place] == f"its tag is now People: move {function} to handlers/people.py as {function}"
    assert repository.contents() == repository.before


def test_a_command_that_needs_a_removed_operation_says_so(repository):
    file = repository.next_version(lambda document: document["paths"].pop(support.operation(ENROLL).path))
    (repository.root / CONTRACT).write_bytes(file.read_bytes())
    told = repository.run("-m", "app", "member", "add", "--last-name", "Lee")
    sentence = f"Error: No operation of the contract takes a request with {ENROLL}.\n"
    assert (told.returncode, told.stdout, told.stderr) == (1, "", sentence)
