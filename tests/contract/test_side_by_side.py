"""Two versions of the contract at once, served by the same handlers."""

import copy
import dataclasses
import pathlib

import pytest
import yaml

import handlers
from app import contract
from handlers import members
from models.clock import system_clock
from tests import support
from tests.contract import hooks
from tests.support import GUEST, HOTEL, UNEXPECTED

BASE_PATH = "/next"
EXAMPLES = 20
NEWER = {"mewsEnterpriseId": HOTEL, "memberFilter": {"email": GUEST["email"]}, "roomNumber": "12"}


@pytest.fixture
def newer(tmp_path) -> pathlib.Path:
    """A version with other operationIds, another number and a further field in a closed request."""
    document = copy.deepcopy(support.CONTRACT.document)
    document["info"]["version"] = "2099.01.01"
    document["components"]["schemas"]["searchMembersRequest"]["properties"]["roomNumber"] = {"type": "string"}
    for item in document["paths"].values():
        for operation in item.values():
            operation["operationId"] += "Newly"
    path = tmp_path / "newer.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


def under(server: support.Server, base_path: str) -> support.Server:
    return dataclasses.replace(server, base_path=base_path)


@pytest.fixture
def pair(start, newer) -> tuple[support.Server, support.Server]:
    server = start(LOYALTY_SECOND_CONTRACT=str(newer), LOYALTY_SECOND_BASE_PATH=f"{BASE_PATH}/")
    return server, under(server, BASE_PATH)


def test_both_serve_the_same_members_and_each_takes_what_its_version_has(pair):
    old, new = pair
    membership = old.enroll(GUEST).json()["membership"]
    assert new.enroll(GUEST).json()["membership"] == membership
    answer = new.call("searchMembers", NEWER)
    assert [member["membership"] for member in answer.json()["members"]] == [membership]
    refused = old.call("searchMembers", NEWER)
    assert refused.status_code == 400
    assert [(error["pointer"], error["detail"]) for error in refused.json()["errors"]] == [("#/roomNumber", UNEXPECTED)]


def test_refusals_of_the_program_are_told_in_either(pair):
    for server in pair:
        error = server.enroll({"lastName": "Smith"}).json()["errors"]
        assert [found["pointer"] for found in error] == ["#/customer/firstName"]
        assert server.call("linkMembership", token=None).status_code == 401


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_the_contract_suite_passes_on_both(pair, newer):
    support.set_policy(required_fields=[])
    for server, specification in zip(pair, (contract.SPECIFICATION, newer), strict=True):
        verdict = hooks.judge(server, examples=EXAMPLES, specification=specification)
        assert not verdict.failures, "\n".join(verdict.failures.values())
        assert sum(verdict.statuses.values()) > EXAMPLES


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_handler_may_ask_which_version_was_addressed(database_url, newer, monkeypatch):
    asked = []
    original = members.search_members

    def search_members(*, body: dict) -> dict:
        asked.append(handlers.contract_version())
        return original(body={name: value for name, value in body.items() if name != "roomNumber"})

    monkeypatch.setattr(members, "search_members", search_members)
    token = support.prepare(database_url)
    chosen = {"second_contract": str(newer), "second_base_path": BASE_PATH}
    with support.threaded(database_url, token, system_clock, **chosen) as server:
        assert server.search({"email": GUEST["email"]}).status_code == 200
        assert under(server, BASE_PATH).call("searchMembers", NEWER).status_code == 200
    assert asked == [support.CONTRACT.version, "2099.01.01"]
