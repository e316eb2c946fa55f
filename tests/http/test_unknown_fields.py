"""Fields that Mews may send before the contract here has them: refused, or taken and counted."""

import copy

import pytest
import yaml

from app import contract
from models.clock import system_clock
from tests import support
from tests.support import GUEST, HOTEL, UNEXPECTED, assert_problem

NEWER = {"mewsEnterpriseId": HOTEL, "loyaltyTier": "x", "memberFilter": {"email": GUEST["email"], "room": {"a": [1]}}}


def test_by_default_each_is_refused_at_its_place(server):
    answer = server.call(support.SEARCH, NEWER)
    name = "core/field-not-allowed-value"
    errors = {(error["type"], error["pointer"], error["detail"]) for error in answer.json()["errors"]}
    pointers = ("#/loyaltyTier", "#/memberFilter/room")
    assert answer.status_code == 400
    assert errors == {(support.PROBLEM + name, pointer, UNEXPECTED) for pointer in pointers}


def test_ignored_ones_are_counted_by_name_and_nothing_else_is_forgiven(start):
    server = start(LOYALTY_UNKNOWN_FIELDS="ignore", LOYALTY_WORKERS="1")
    membership = server.enroll(GUEST).json()["membership"]
    found = server.call(support.SEARCH, NEWER)
    assert found.status_code == 200
    assert [member["membership"] for member in found.json()["members"]] == [membership]
    answer = server.call(support.SEARCH, NEWER | {"mewsEnterpriseId": 7})
    error = ("core/field-invalid-type", "#/mewsEnterpriseId", "The value must be of type string.")
    assert_problem(answer, "core/bad-request", support.FIELDS, error)
    assert server.call(support.SEARCH, NEWER | {"memberFilter": {"room": 1}}).status_code == 400
    metrics = server.client.get(f"{server.url}/metrics").text
    operation = support.operation(support.SEARCH).operation_id
    for field in ("room", "loyaltyTier"):
        assert f'loyalty_unknown_fields_total{{field="{field}",operation="{operation}"}} 1.0' in metrics


def test_the_number_of_names_that_are_counted_is_bounded(start):
    server = start(LOYALTY_UNKNOWN_FIELDS="ignore", LOYALTY_WORKERS="1")
    many = {f"field{number}": number for number in range(60)} | {"no plain name: ä@example.com": 1}
    body = {"mewsEnterpriseId": HOTEL, "providerMembershipIds": ["a"]} | many
    assert server.call(support.LIST, body).status_code == 200
    metrics = server.client.get(f"{server.url}/metrics").text
    counted = [line for line in metrics.splitlines() if line.startswith("loyalty_unknown_fields_total{")]
    assert len(counted) == 51
    operation = support.operation(support.LIST).operation_id
    assert f'loyalty_unknown_fields_total{{field="other",operation="{operation}"}} 11.0' in counted
    assert "ä@example.com" not in metrics


LONG = {
    "a long list": {"newField": list(range(201))},
    "a list in a list": {"newField": [list(range(201))]},
    "a large object": {"newField": {str(number): number for number in range(201)}},
    "many of them": {f"field{number}": number for number in range(201)},
}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_ignored_ones_may_hold_as_much_as_they_like(database_url):
    token = support.prepare(database_url)
    with support.threaded(database_url, token, system_clock, unknown_fields="ignore") as server:
        for name, fields in LONG.items():
            body = fields | {"mewsEnterpriseId": HOTEL, "providerMembershipIds": ["a"]}
            answer = server.call(support.LIST, body)
            assert (answer.status_code, len(answer.json()["memberships"])) == (200, 1), name
            refused = server.call(support.LIST, body | {"mewsEnterpriseId": 7})
            assert [error["pointer"] for error in refused.json()["errors"]] == ["#/mewsEnterpriseId"], name


@pytest.mark.parametrize("unknown_fields", ["refuse", "ignore"])
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_fault_late_in_a_long_list_is_found(database_url, tmp_path, unknown_fields):
    """In a version of the contract that allows lists of that length."""
    document = copy.deepcopy(support.CONTRACT.document)
    version = contract.Contract(document)
    operation = version.operation_with(support.LIST)
    version.resolve(operation.body_schema)["properties"][support.LIST]["maxItems"] = 1000
    path = tmp_path / "longer.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    chosen = {"unknown_fields": unknown_fields, "second_contract": str(path), "second_base_path": "/longer"}
    token = support.prepare(database_url)
    with support.threaded(database_url, token, system_clock, **chosen) as server:
        server.base_path = "/longer"
        body = {"mewsEnterpriseId": HOTEL, support.LIST: [*map(str, range(250)), 7]}
        error = ("core/field-invalid-type", f"#/{support.LIST}/250", "The value must be of type string.")
        assert_problem(server.call(support.LIST, body), "core/bad-request", support.FIELDS, error)
        unknown = ("core/field-not-allowed-value", "#/newField", UNEXPECTED)
        errors = [error] if unknown_fields == "ignore" else [error, unknown]
        assert_problem(server.call(support.LIST, body | {"newField": 1}), "core/bad-request", support.FIELDS, *errors)
