"""Two versions of the contract at once, served by the same handlers."""

import copy
import dataclasses
import pathlib
import pkgutil

import pytest
import yaml

import handlers
from app import contract
from models.clock import system_clock
from tests import support
from tests.contract import hooks
from tests.support import GUEST, HOTEL, SEARCH, UNEXPECTED

BASE_PATH = "/next"
EXAMPLES = min(20, hooks.chosen_examples() or 20)
NEWER = {"mewsEnterpriseId": HOTEL, "memberFilter": {"email": GUEST["email"]}, "roomNumber": "12"}


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A version with other operationIds, another number and a further field in a closed request."""
    document = copy.deepcopy(support.CONTRACT.document)
    document["info"]["version"] = "2099.01.01"
    version = contract.Contract(document)
    version.resolve(version.operation_with(SEARCH).body_schema)["properties"]["roomNumber"] = {"type": "string"}
    for operation in version.operations.values():
        document["paths"][operation.path][operation.method.lower()]["operationId"] += "Newly"
    path = tmp_path_factory.mktemp("contract") / "newer.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


def under(server: support.Server, base_path: str) -> support.Server:
    return dataclasses.replace(server, base_path=base_path)


def beside(newer: pathlib.Path) -> dict[str, str]:
    return {"LOYALTY_SECOND_CONTRACT": str(newer), "LOYALTY_SECOND_BASE_PATH": f"{BASE_PATH}/"}


@pytest.fixture
def pair(start, newer) -> tuple[support.Server, support.Server]:
    server = start(**beside(newer))
    return server, under(server, BASE_PATH)


def test_both_serve_the_same_members_and_each_takes_what_its_version_has(pair):
    old, new = pair
    membership = old.enroll(GUEST).json()["membership"]
    assert new.enroll(GUEST).json()["membership"] == membership
    answer = new.call(SEARCH, NEWER)
    assert [member["membership"] for member in answer.json()["members"]] == [membership]
    refused = old.call(SEARCH, NEWER)
    assert refused.status_code == 400
    assert [(error["pointer"], error["detail"]) for error in refused.json()["errors"]] == [("#/roomNumber", UNEXPECTED)]


def test_refusals_of_the_program_are_told_in_either(pair):
    for server in pair:
        error = server.enroll({"lastName": "Smith"}).json()["errors"]
        assert [found["pointer"] for found in error] == ["#/customer/firstName"]
        assert server.call(SEARCH, token=None).status_code == 401


@pytest.fixture(scope="module")
def verdicts(make_database, newer, tmp_path_factory) -> list[hooks.Verdict]:
    """What the suite finds under the vendored version, and under the other."""
    url, log = make_database("sqlite"), tmp_path_factory.mktemp("log") / "server.log"
    token = support.prepare(url)
    support.set_policy(required_fields=[])
    with support.gunicorn(url, token, log, **beside(newer)) as server:
        old = hooks.judge(server, examples=EXAMPLES)
        new = hooks.judge(under(server, BASE_PATH), examples=EXAMPLES, specification=newer)
    return [old, new]


@hooks.every_operation
def test_the_contract_suite_passes_on_both(verdicts, operation):
    for verdict in verdicts:
        verdict.assert_kept(operation)
        assert verdict.statuses[hooks.label(operation), 400] > 0


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_handler_may_ask_which_version_was_addressed(database_url, newer, monkeypatch):
    asked = []
    handler = support.operation(SEARCH).handler
    original = pkgutil.resolve_name(handler)

    def search_members(*, body: dict) -> dict:
        asked.append(handlers.contract_version())
        return original(body={name: value for name, value in body.items() if name != "roomNumber"})

    monkeypatch.setattr(handler, search_members)
    token = support.prepare(database_url)
    chosen = {"second_contract": str(newer), "second_base_path": BASE_PATH}
    with support.threaded(database_url, token, system_clock, **chosen) as server:
        assert server.search({"email": GUEST["email"]}).status_code == 200
        assert under(server, BASE_PATH).call(SEARCH, NEWER).status_code == 200
    assert asked == [support.CONTRACT.version, "2099.01.01"]
