"""Stubs for operations without a handler: they serve at once, name themselves, and change nothing that was written."""

import ast
import copy
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog.testing
import yaml

from app import problems
from codegen import schemas, stubs
from tests import support

CONTRACT = schemas.load_contract()
SPECIFICATION = schemas.CONTRACT.relative_to(schemas.ROOT)
COPIED = ("app", "codegen", "handlers", "models", "spec", "tests", "pyproject.toml", "setup.cfg")
TOLD = "Something went wrong on the server; its log has it under this request's id."
SUMMARY = 'Merge "two"\nmembers \\ of\tone """family"""'
MERGE = {"path": "/members/merge", "method": "post", "operationId": "mergeMembers", "tags": ["Members"]}
ADD = {"path": "/points", "method": "put", "operationId": "addPoints", "tags": ["Points and Tiers"]}
READ = {"path": "/points/{memberId}", "method": "get", "operationId": "readPoints", "tags": ["Points and Tiers"]}
ADDED = [
    MERGE | {"summary": SUMMARY, "body": "mergeMembersRequest"},
    ADD | {"summary": "Add points", "body": "addPointsRequest"},
    READ
    | {
        "summary": "Read the points of a member. " + "It is a long story. " * 12,
        "parameters": [
            {"name": "limit", "in": "query", "schema": {"type": ["integer", "null"]}},
            {"name": "memberId", "in": "path", "required": True, "schema": {"type": "string"}},
        ],
    },
]
COMPONENTS = {
    "mergeMembersRequest": {"type": "object", "properties": {"mergedIds": {"type": "array"}}},
    "addPointsRequest": {"type": "object", "properties": {"entries": {"$ref": "#/components/schemas/pointEntry"}}},
    "pointEntry": {"type": "object", "properties": {"bookedAt": {"type": "string", "format": "date-time"}}},
}
POINTS = '''"""Points, and what "tier" they make."""


def add_points(*, body: dict) -> dict:
    """Add points."""
    raise NotImplementedError("addPoints")


def read_points(*, limit: str | None = None, member_id: str) -> dict:
    """Read the points of a member. It is a long story. It is a long story. It is a long story. It is a long story.
    It is a long story. It is a long story. It is a long story. It is a long story. It is a long story. It is a
    long story. It is a long story. It is a long story.
    """
    raise NotImplementedError("readPoints")
'''
MERGED = r'''

def merge_members(*, body: dict) -> dict:
    """Merge "two" members \\ of one \"\"\"family\"\"\"."""
    raise NotImplementedError("mergeMembers")
'''
TEST = '''"""The operation addPoints. Made by `make generate`, to be replaced."""

import pytest


def test_add_points():
    pytest.fail(
        "addPoints (PUT /points) is not implemented yet: write handlers.points_and_tiers.add_points, and "
        "tests of it in place of this one.",
        pytrace=False,
    )
'''
WRITTEN = [
    "handlers/members.py",
    "handlers/points_and_tiers.py",
    "handlers/schemas.py",
    "tests/handlers/__init__.py",
    "tests/handlers/test_add_points.py",
    "tests/handlers/test_merge_members.py",
    "tests/handlers/test_read_points.py",
]


def document_with(*added: dict, **changed: object) -> dict:
    """The contract with further operations: OpenAPI's members of each, its path and method, and `body`, a component."""
    document = copy.deepcopy(CONTRACT) | changed
    document["components"]["schemas"] |= COMPONENTS
    for operation in copy.deepcopy(added):
        place, method = operation.pop("path"), operation.pop("method")
        if "body" in operation:
            reference = {"$ref": f"#/components/schemas/{operation.pop('body')}"}
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": reference}}}
        answers = {"200": {"description": "Done.", "content": {"application/json": {"schema": {"type": "object"}}}}}
        document["paths"].setdefault(place, {})[method] = {"responses": answers} | operation
    return document


@dataclasses.dataclass
class Checkout:
    """A copy of the repository, of which `before` holds what stood in its files at first."""

    root: Path
    before: dict[str, bytes] = dataclasses.field(default_factory=dict)

    def run(self, *words: str) -> subprocess.CompletedProcess:
        """Run a module of Python in it."""
        environment = os.environ | {"PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, "-m", *words], cwd=self.root, env=environment, capture_output=True, text=True, timeout=120
        )

    def contents(self) -> dict[str, bytes]:
        paths = [path for path in self.root.rglob("*") if path.is_file() and "_cache" not in str(path)]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in paths if "__pycache__" not in str(path)}


@pytest.fixture(scope="module")
def make_checkout(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict], Checkout]:
    def make(document: dict) -> Checkout:
        root = tmp_path_factory.mktemp("repository")
        unneeded = shutil.ignore_patterns("__pycache__", "hostile")
        for name in COPIED:
            source = schemas.ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(
                source, root / name, **({"ignore": unneeded} if source.is_dir() else {})
            )
        (root / SPECIFICATION).write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        checkout = Checkout(root)
        checkout.before = checkout.contents()
        return checkout

    return make


@pytest.fixture(scope="module")
def upgraded(make_checkout: Callable[[dict], Checkout]) -> Checkout:
    """A copy in which stubs were made for three operations: one with a tag that exists, two with a new one."""
    tags = [*CONTRACT["tags"], {"name": "Points and Tiers", "description": 'Points, and what "tier"\nthey make'}]
    checkout = make_checkout(document_with(*ADDED, tags=tags))
    done = checkout.run("codegen")
    assert done.returncode == 0, done.stderr
    assert sorted(line.split()[1].rstrip(".") for line in done.stdout.replace(".py.", ".py").splitlines()) == WRITTEN
    return checkout


def test_only_the_announced_files_change_and_what_was_written_by_hand_stays(upgraded):
    after = upgraded.contents()
    assert sorted(name for name in after if after[name] != upgraded.before.get(name)) == WRITTEN
    assert set(upgraded.before) <= set(after)
    assert after["handlers/members.py"] == upgraded.before["handlers/members.py"] + MERGED.encode()


def test_new_modules_and_tests_read_like_written_by_hand(upgraded):
    assert (upgraded.root / "handlers/points_and_tiers.py").read_text() == POINTS
    assert (upgraded.root / "tests/handlers/test_add_points.py").read_text() == TEST
    for words in (["check", "."], ["format", "--check", "."]):
        done = upgraded.run("ruff", *words, "--no-cache")
        assert done.returncode == 0, done.stdout


def test_generating_again_changes_nothing(upgraded):
    after = upgraded.contents()
    done = upgraded.run("codegen")
    assert (done.returncode, done.stdout) == (0, "Wrote handlers/schemas.py.\n")
    checked = upgraded.run("codegen", "--check")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    assert upgraded.contents() == after


def test_stubs_answer_500_and_name_themselves_in_the_log_while_the_others_serve(
    upgraded, make_database, tmp_path, monkeypatch
):
    url, log = make_database("sqlite"), tmp_path / "server.log"
    token = support.prepare(url)
    monkeypatch.chdir(upgraded.root)  # from where `python -m` takes its modules
    with support.gunicorn(url, token, log, PYTHONPATH=str(upgraded.root)) as server:
        enrolled = server.enroll(support.GUEST)
        identifier = enrolled.json()["membership"]["providerMembershipId"]
        answers = [
            enrolled,
            server.search({"email": support.GUEST["email"]}),
            server.list([identifier]),
            server.link(identifier, is_linked=True, customer=support.HOTEL),
        ]
        assert [answer.status_code for answer in answers] == [200] * len(support.OPERATIONS)
        for operation in ADDED:
            address = server.url + operation["path"]
            body = {"json": {"note": "Zoë"}} if "body" in operation else {}
            headers = {"Authorization": f"Bearer {token}"}
            answer = server.client.request(operation["method"], address, headers=headers, **body)
            support.assert_problem(answer, "core/internal-server-error", TOLD)
            assert server.client.request(operation["method"], address, **body).status_code == 401
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    unwritten = [line["operation"] for line in lines if line["event"] == "not implemented yet"]
    assert unwritten == [operation["operationId"] for operation in ADDED]
    assert [line["event"] for line in lines].count("internal error") == len(ADDED)
    assert "Zoë" not in json.dumps(lines, ensure_ascii=False)


def test_generated_tests_fail_and_say_what_to_write(upgraded):
    done = upgraded.run("pytest", "-q", "tests/handlers")
    assert done.returncode == 1, done.stdout
    assert "3 failed" in done.stdout
    told = " ".join(done.stdout.split())
    assert "mergeMembers (POST /members/merge) is not implemented yet: write handlers.members.merge_members" in told
    assert "addPoints (PUT /points) is not implemented yet: write handlers.points_and_tiers.add_points" in told
    assert "readPoints (GET /points/{memberId}) is not implemented yet" in told


def test_check_names_what_is_missing_and_writes_nothing(make_checkout):
    checkout = make_checkout(document_with(*ADDED))
    done = checkout.run("codegen", "--check")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "Error: handlers/schemas.py is not what the contract generates: run `make generate`.",
        "handlers/members.py lacks merge_members for the operation mergeMembers: run `make generate`.",
        "handlers/points_and_tiers.py lacks add_points for the operation addPoints: run `make generate`.",
        "handlers/points_and_tiers.py lacks read_points for the operation readPoints: run `make generate`.",
    ]
    assert checkout.contents() == checkout.before


def test_nothing_is_written_if_one_handler_module_cannot_be_read(make_checkout):
    checkout = make_checkout(document_with(*ADDED))
    (checkout.root / "handlers" / "points_and_tiers.py").write_text("def add_points(:\n")
    before = checkout.contents()
    done = checkout.run("codegen")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "handlers/points_and_tiers.py cannot be read as Python (ParserSyntaxError)." in done.stderr
    assert checkout.contents() == before


def test_this_repository_lacks_no_handler():
    assert stubs.missing(CONTRACT) == []


ODD = {
    "odd formatting": "import  flask ;x=1\nclass  Y : pass\ndef z( ) :  return  {'a':1 ,}   \n",
    "comments at the end": "x = 1\n\n\ndef z():\n    return 1\n    # of z\n\n# of the module\n#and more\n",
    "no trailing newline": "def z():\n    return 1",
    "an open comment": "x = 1  # why",
    "many blank lines": "x = 1\n\n\n\n\n\n",
    "blanks on an open line": "x = 1\n\n\n    ",
    "Windows line ends": "# a\r\ndef z():\r\n    return 1\r\n# b\r\n",
    "Windows line ends, the last one open": "x = 1\r\ny = 2",
    "mixed line ends": "x = 1\r\ny = 2\nz = 3\r\n",
    "tabs": "def z():\n\tif 1:\n\t\treturn 1\n",
    "two blanks": "def z():\n  return 1\n",
    "a form feed": "x = 1\n\x0c\ny = 2\n\x0c",
    "a byte order mark": "\ufeffx = 'ł'\r\n",
    "a docstring alone": '"""Members."""',
    "nothing": "",
    "blank lines alone": "\n\n",
    "a nested function of that name": "def z():\n    def merge_members(): ...\n",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_a_module_survives_byte_for_byte_however_it_is_written(text, tmp_path):
    old, path = text.encode(), tmp_path / "handlers" / "members.py"
    path.parent.mkdir()
    path.write_bytes(old)
    write(document_with(MERGE), tmp_path, {"Members"})
    new = path.read_bytes()
    assert new.startswith(old)
    added = new[len(old) :].decode()
    newline = "\r\n" if "\r\n" in text else "\n"
    assert added.replace(newline, "").isprintable() or "\t" in added
    assert added.lstrip().startswith("def merge_members(")
    assert added.endswith(f'raise NotImplementedError("mergeMembers"){newline}')
    before, after = ast.parse(old).body, ast.parse(new).body
    assert [ast.dump(node) for node in after[:-1]] == [ast.dump(node) for node in before]
    lines = new.decode().splitlines()
    above = lines[: lines.index("def merge_members() -> dict:")]
    assert not any(line.strip() for line in above[-2:])
    write(document_with(MERGE), tmp_path, {"Members"})
    assert path.read_bytes() == new


def test_a_stub_takes_the_indentation_and_the_encoding_of_its_module(tmp_path):
    path = tmp_path / "handlers" / "members.py"
    path.parent.mkdir()
    old = "# coding: latin-1\ndef z():\n\treturn 'é'\n".encode("latin-1")
    path.write_bytes(old)
    write(document_with(MERGE | {"summary": "Sloučit é členy"}), tmp_path, {"Members"})
    added = path.read_bytes()[len(old) :].decode("latin-1")
    assert added.splitlines()[2:] == [
        "def merge_members() -> dict:",
        '\t"""Slou\\u010dit é \\u010dleny."""',
        '\traise NotImplementedError("mergeMembers")',
    ]
    assert ast.get_docstring(ast.parse(path.read_bytes()).body[-1]) == "Sloučit é členy."


def write(document: dict, root: Path, tags: set[str]) -> None:
    """Make stubs in a folder for the operations with some tags."""
    paths = {
        path: {key: node for key, node in item.items() if key == "parameters" or tags & set(node["tags"])}
        for path, item in document["paths"].items()
        if path not in CONTRACT["paths"]
    }
    chosen = document | {"paths": paths}
    for path, content in stubs.files(chosen, stubs.missing(chosen, root), root).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.mark.parametrize(
    "handler",
    [
        "def merge_members(*, body):\n  return body",
        "async def merge_members(): ...",
        "merge_members = print",
        "merge_members: object = print",
        "from elsewhere import merge_members",
        "from elsewhere import merged as merge_members",
        "import merge_members",
        "if True:\n    def merge_members(): ...",
        "try:\n    from fast import merge_members\nexcept ImportError:\n    from slow import merge_members",
    ],
)
def test_a_handler_that_exists_is_not_touched(handler, tmp_path):
    path = tmp_path / "handlers" / "members.py"
    path.parent.mkdir()
    path.write_text(handler)
    write(document_with(MERGE), tmp_path, {"Members"})
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]
    assert path.read_text() == handler


def test_a_test_that_exists_is_not_touched(tmp_path):
    path = tmp_path / "tests" / "handlers" / "test_merge_members.py"
    path.parent.mkdir(parents=True)
    path.write_text("written = True")
    write(document_with(MERGE), tmp_path, {"Members"})
    assert path.read_text() == "written = True"
    assert "def merge_members(" in (tmp_path / "handlers" / "members.py").read_text()


def test_operations_of_one_name_with_different_tags_have_tests_of_their_own(tmp_path):
    other = ADD | {"operationId": "merge_members", "tags": ["Points and Tiers", "Members"]}
    write(document_with(MERGE, other), tmp_path, {"Members", "Points and Tiers"})
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.py"))
    assert found == [
        "handlers/members.py",
        "handlers/points_and_tiers.py",
        "tests/handlers/__init__.py",
        "tests/handlers/test_members_merge_members.py",
        "tests/handlers/test_points_and_tiers_merge_members.py",
    ]


BODIES = {
    "required": ({"required": True, "content": {"application/json": {}}}, "*, body: dict"),
    "optional": ({"content": {"application/json": {}}}, "*, body: dict | None"),
    "with a charset": ({"content": {"application/json; charset=utf-8": {}}}, "*, body: dict | None"),
    "referred to": ({"$ref": "#/components/requestBodies/merge"}, "*, body: dict"),
    "no JSON, which the server does not read": ({"required": True, "content": {"text/csv": {}}}, ""),
}


@pytest.mark.parametrize(("body", "parameters"), BODIES.values(), ids=BODIES.keys())
def test_a_handler_takes_the_body_that_the_server_hands_over(body, parameters, tmp_path):
    document = document_with(MERGE | {"requestBody": body})
    document["components"]["requestBodies"] = {"merge": BODIES["required"][0]}
    write(document, tmp_path, {"Members"})
    assert f"\ndef merge_members({parameters}) -> dict:\n" in (tmp_path / "handlers" / "members.py").read_text()


def parameter(name: str, place: str = "query") -> dict:
    return {"name": name, "in": place, "schema": {"type": "string"}, **({"required": True} if place == "path" else {})}


PARAMETERS = {
    "in the path": ([parameter("memberId", "path")], "*, member_id: str"),
    "in the query": ([parameter("hotelId")], "*, hotel_id: str | None = None"),
    "referred to": ([{"$ref": "#/components/parameters/hotel"}], "*, hotel: str | None = None"),
    "in a header, which the server does not read": ([parameter("X-Hotel", "header")], ""),
    "names that Python has": (
        [parameter("id"), parameter("from"), parameter("body")],
        "*, id_: str | None = None, from_: str | None = None, body_: str | None = None",
    ),
    "names that Python cannot have": (
        [parameter("filter[x-y]"), parameter("2nd")],
        "*, filter_x_y_: str | None = None, _2nd: str | None = None",
    ),
}


@pytest.mark.parametrize(("listed", "expected"), PARAMETERS.values(), ids=PARAMETERS.keys())
def test_a_handler_takes_the_parameters_that_the_server_hands_over(listed, expected, tmp_path):
    document = document_with(MERGE | {"parameters": listed})
    document["components"]["parameters"] = {"hotel": parameter("hotel")}
    write(document, tmp_path, {"Members"})
    assert f"\ndef merge_members({expected}) -> dict:\n" in (tmp_path / "handlers" / "members.py").read_text()


def test_parameters_of_the_path_come_before_those_of_the_operation_and_the_body(tmp_path):
    document = document_with(MERGE | {"parameters": [parameter("limit")], "requestBody": BODIES["required"][0]})
    document["paths"][MERGE["path"]]["parameters"] = [parameter("hotelId"), parameter("limit")]
    write(document, tmp_path, {"Members"})
    expected = "def merge_members(*, hotel_id: str | None = None, limit: str | None = None, body: dict) -> dict:"
    assert expected in (tmp_path / "handlers" / "members.py").read_text()


SUMMARIES = {
    "none": (None, "The operation mergeMembers."),
    "a blank one": (" \n ", "The operation mergeMembers."),
    "a quote first": ('"Merge" it', '"Merge" it.'),
    "a quote last": ('Merge "it"', 'Merge "it".'),
    "four quotes": ('Merge """" it', 'Merge """" it.'),
    "a question": ("Merge?", "Merge?"),
    "a backslash last": ("Merge \\", "Merge \\."),
    "an escape": ("Merge \\N{x} \\u", "Merge \\N{x} \\u."),
    "braces": ("Merge {both}", "Merge {both}."),
    "invisible characters": ("Merge\u202e \0it\u2028now", "Merge it now."),
}


@pytest.mark.parametrize(("summary", "told"), SUMMARIES.values(), ids=SUMMARIES.keys())
def test_every_summary_becomes_a_docstring(summary, told, tmp_path):
    write(document_with(MERGE | {"summary": summary}), tmp_path, {"Members"})
    [module, function] = ast.parse((tmp_path / "handlers" / "members.py").read_text()).body
    assert module.value.value == "Finding and enrolling people in the provider's loyalty program."
    assert ast.get_docstring(function).strip() == told


REFUSED = {
    "no tag": ([MERGE | {"tags": []}], r"POST /members/merge \(mergeMembers\) has no tag in the contract"),
    "no operationId": ([MERGE | {"operationId": None}], "POST /members/merge has no operationId in the contract"),
    "one name twice": (
        [MERGE, ADD | {"operationId": "merge_members", "tags": ["members"]}],
        r"PUT /points \(merge_members, tag members\) and POST /members/merge \(mergeMembers\) "
        r"share the handler handlers\.members\.merge_members\.$",
    ),
    "two parameters of one name": (
        [MERGE | {"parameters": [parameter("hotelId"), parameter("hotel-id")]}],
        r"^mergeMembers has two parameters that a handler would get as hotel_id\.$",
    ),
    "a keyword": ([MERGE | {"operationId": "import"}], "handlers.members.import, but import cannot be a Python name"),
    "a tag with signs": ([MERGE | {"tags": ["Members/Points"]}], "but members/points cannot be a Python name"),
    "a helper's name": ([MERGE | {"operationId": "caller"}], r"but handlers\.caller is a helper\.$"),
    "a tag with a helper's name": ([MERGE | {"tags": ["Schemas"]}], r"but handlers\.schemas is a helper\.$"),
    "a tag that would hide a function": ([MERGE | {"tags": ["Backend"]}], r"but handlers\.backend is a helper\.$"),
}


@pytest.mark.parametrize(("added", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_operations_that_can_have_no_handler_are_refused_in_one_sentence(added, told):
    with pytest.raises(ValueError, match=told):
        stubs.missing(document_with(*added))


def test_a_module_that_imports_everything_is_refused(tmp_path):
    path = tmp_path / "handlers" / "members.py"
    path.parent.mkdir()
    path.write_text("from elsewhere import *\n")
    with pytest.raises(ValueError, match=r"^handlers/members.py imports \*, which may hold merge_members or not"):
        write(document_with(MERGE), tmp_path, {"Members"})


def test_an_unfinished_backend_is_told_of_in_the_log_as_well(monkeypatch):
    log = structlog.testing.CapturingLogger()
    monkeypatch.setattr(problems, "log", log)
    operation = support.operation(support.SEARCH)
    problem = problems.from_exception(NotImplementedError("Zoë"), support.CONTRACT, operation)
    assert problem.type is problems.INTERNAL_ERROR
    assert log.calls == [("error", ("not implemented yet",), {"operation": operation.operation_id})]
