"""Contracts that are written otherwise than ours, served beside it: over HTTP, with handlers of their own."""

import copy
import pathlib
import pkgutil
from collections.abc import Callable

import httpx
import pytest
import yaml

from models.clock import system_clock
from tests import support
from tests.support import GUEST

BASE_PATH = "/other"


@pytest.fixture
def beside(tmp_path: pathlib.Path) -> Callable[[dict], dict]:
    """A function that gives the settings under which a document is served beside the contract."""

    def write(document: dict) -> dict:
        path = tmp_path / "other.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return {"second_contract": str(path), "second_base_path": BASE_PATH}

    return write


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_charset_in_the_contract_changes_nothing_for_callers(database_url, beside):
    document = copy.deepcopy(support.CONTRACT.document)
    operation = support.operation(support.ENROLL)
    body = document["paths"][operation.path][operation.method.lower()]["requestBody"]
    body["content"] = {"application/json; charset=utf-8": body["content"].pop("application/json")}
    token = support.prepare(database_url)
    with support.threaded(database_url, token, system_clock, **beside(document)) as server:
        expected = server.enroll(GUEST).json()
        server.base_path = BASE_PATH
        for content_type in ("application/json", "application/json; charset=utf-8"):
            answer = server.enroll(GUEST, headers={"Content-Type": content_type})
            assert (answer.status_code, answer.json()) == (200, expected)
        assert server.enroll({"lastName": 7}).status_code == 400


READ = {
    "operationId": "readMember",
    "tags": ["Members"],
    "parameters": [
        {"name": "member-id", "in": "path", "required": True, "schema": {"type": "string"}},
        {"name": "page", "in": "path", "required": True, "schema": {"type": "integer"}},
        {"name": "pageSize", "in": "query", "required": True, "schema": {"type": "integer"}},
        {"name": "id", "in": "query", "schema": {"type": ["string", "null"], "default": "x"}},
    ],
    "responses": {"200": {"description": "Found.", "content": {"application/json": {"schema": {"type": "object"}}}}},
}


@pytest.fixture
def document() -> dict:
    """The contract with an operation that has parameters and no body."""
    document = copy.deepcopy(support.CONTRACT.document)
    document["paths"]["/members/{member-id}/pages/{page}"] = {"get": READ}
    return document


def read(server: support.Server, address: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {server.token}"}
    return server.client.get(f"{server.url}{BASE_PATH}{address}", headers=headers)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_handler_gets_path_and_query_parameters_as_texts(database_url, beside, document, monkeypatch):
    monkeypatch.setattr("handlers.members.read_member", lambda **taken: taken, raising=False)
    token = support.prepare(database_url)
    with support.threaded(database_url, token, system_clock, **beside(document)) as server:
        answer = read(server, "/members/Zo%C3%AB%201/pages/7?pageSize=many&id=a&unknown=1")
        assert answer.json() == {"member_id": "Zoë 1", "page": "7", "page_size": "many", "id_": "a"}
        answer = read(server, "/members/1/pages/7")
        assert answer.json() == {"member_id": "1", "page": "7", "page_size": None, "id_": None}
        assert read(server, "/members/1/pages/first").json()["page"] == "first"
        support.assert_problem(
            read(server, "/members/1%2F2/pages/7"), "core/not-found", "There is nothing at this address."
        )


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_handler_that_takes_fewer_parameters_serves_too(database_url, beside, document, monkeypatch):
    monkeypatch.setattr("handlers.members.read_member", lambda page: {"page": page}, raising=False)
    token = support.prepare(database_url)
    with support.threaded(database_url, token, system_clock, **beside(document)) as server:
        assert read(server, "/members/1/pages/7?pageSize=5").json() == {"page": "7"}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_handler_gets_a_parameter_beside_the_body(database_url, beside, monkeypatch):
    document = copy.deepcopy(support.CONTRACT.document)
    operation = support.operation(support.ENROLL)
    document["paths"][operation.path]["parameters"] = [{"name": "dryRun", "in": "query", "schema": {"type": "boolean"}}]
    asked = []
    original = pkgutil.resolve_name(operation.handler)

    def enroll(*, dry_run: str | None = None, body: dict) -> dict:
        asked.append(dry_run)
        return original(body=body)

    monkeypatch.setattr(operation.handler, enroll)
    token = support.prepare(database_url)
    with support.threaded(database_url, token, system_clock, **beside(document)) as server:
        assert server.enroll(GUEST).status_code == 200
        server.base_path = BASE_PATH
        assert server.enroll(GUEST, params={"dryRun": "true"}).status_code == 200
    assert asked == [None, "true"]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_path_goes_before_a_template_that_has_it_too(database_url, beside, monkeypatch):
    """OpenAPI 3.1, "Path Templating Matching": concrete definitions are matched before their templated counterparts."""
    operation = support.operation(support.SEARCH)
    template = operation.path.rpartition("/")[0] + "/{memberId}"
    parameter = {"name": "memberId", "in": "path", "required": True, "schema": {"type": "string"}}
    added = READ | {"parameters": [parameter], "requestBody": {"content": {"application/json": {}}}}
    paths = {template: {operation.method.lower(): added}} | support.CONTRACT.document["paths"]
    monkeypatch.setattr("handlers.members.read_member", lambda member_id, body: {member_id: body}, raising=False)
    token = support.prepare(database_url)
    chosen = beside(support.CONTRACT.document | {"paths": paths})
    with support.threaded(database_url, token, system_clock, **chosen) as server:
        server.base_path = BASE_PATH
        assert server.search({"email": GUEST["email"]}).json() == {"members": []}
        address = f"{server.url}{BASE_PATH}{template.format(memberId=1)}"
        headers = {"Authorization": f"Bearer {token}"}
        assert server.client.request(operation.method, address, headers=headers, json=[2]).json() == {"1": [2]}
