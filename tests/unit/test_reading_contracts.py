"""Reading a contract that is not quite ours: what the next version may hold."""

import copy

import pytest

from app import contract
from tests import support

TEMPLATE = "/members/{providerMembershipId}/points"


@pytest.fixture
def newer() -> contract.Contract:
    document = copy.deepcopy(support.CONTRACT.document)
    existing = next(iter(document["paths"].values()))
    method, operation = next((key, value) for key, value in existing.items() if key in contract.METHODS)
    document["paths"][TEMPLATE] = {method: operation | {"operationId": "addPoints"}}
    return contract.Contract(document)


def test_an_operation_with_a_path_template_is_found_by_its_actual_path(newer):
    (operation,) = newer.operations_at("/members/123/points").values()
    assert operation.operation_id == "addPoints"
    assert operation.body.is_valid({}) is False
    assert newer.operations_at("/members/1/2/points") == {}
    assert newer.operations_at("/members//points") == {}


def test_handlers_are_named_by_tag_and_operation(newer):
    assert "handlers.members.add_points" in newer.operations


def test_attribute_names_are_spelled_as_the_contract_does():
    operation = support.OPERATIONS["enrollCustomer"]
    path = support.CONTRACT.wire_path(operation, ("customer", "address", "postal_code"))
    assert path == ("customer", "address", "postalCode")


def test_yaml_is_read_as_the_json_that_it_stands_for(tmp_path):
    """A version without quotes looks like a date to YAML, a status like a number."""
    text = contract.SPECIFICATION.read_text("utf-8")
    changed = text.replace("version: 2025.08.11", "version: 2026-01-01").replace('"200":', "200:")
    assert changed != text
    path = tmp_path / "unquoted.yaml"
    path.write_text(changed, "utf-8")
    read = contract.load(path)
    assert read.version == "2026-01-01"
    assert all(operation.answer is not None for operation in read.operations.values())


def test_an_operation_is_found_by_what_its_body_holds():
    assert (
        support.CONTRACT.operation_with("customer") == support.CONTRACT.operations["handlers.members.enroll_customer"]
    )
    with pytest.raises(LookupError):
        support.CONTRACT.operation_with("nothing")
