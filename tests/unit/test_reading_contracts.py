"""Reading a contract that is not quite ours: what the next version may hold."""

import copy
import re

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
    assert [name for name in newer.operations if name.endswith(".add_points")] == ["handlers.members.add_points"]


def test_attribute_names_are_spelled_as_the_contract_does():
    operation = support.operation(support.ENROLL)
    path = support.CONTRACT.wire_path(operation, ("customer", "address", "postal_code"))
    assert path == ("customer", "address", "postalCode")


def test_yaml_is_read_as_the_json_that_it_stands_for(tmp_path):
    """A version without quotes looks like a date to YAML, a status like a number."""
    text = contract.SPECIFICATION.read_text("utf-8")
    changed, versions = re.subn(r"(?m)^  version: .*$", "  version: 2026-01-01", text.replace('"200":', "200:"))
    assert versions == 1
    path = tmp_path / "unquoted.yaml"
    path.write_text(changed, "utf-8")
    read = contract.load(path)
    assert read.version == "2026-01-01"
    assert all(operation.answer is not None for operation in read.operations.values())


def test_an_operation_is_found_by_what_its_body_holds():
    found = support.CONTRACT.operation_with(support.ENROLL)
    assert found is support.CONTRACT.operations[found.handler]
    assert support.ENROLL in support.CONTRACT.resolve(found.body_schema)["properties"]
    with pytest.raises(contract.MissingOperation, match="takes a request with nothing"):
        support.CONTRACT.operation_with("nothing")


@pytest.mark.parametrize("format_name", ["int32", "int64", "float", "double", "password", "of-our-own"])
def test_a_format_that_no_validator_knows_asks_for_nothing(format_name):
    """JSON Schema 2020-12 (validation, section 7.2.1): a format is an annotation, unless the reader knows it."""
    document = copy.deepcopy(support.CONTRACT.document)
    read = contract.Contract(document)
    body = read.resolve(read.operation_with(support.ENROLL).body_schema)
    body["properties"][support.ENROLL] = {"type": ["integer", "string"], "format": format_name}
    checked = contract.Contract(document).operation_with(support.ENROLL).body
    for value, is_valid in ((2**40, True), ("any text", True), (None, False)):
        assert checked.is_valid({"mewsEnterpriseId": support.HOTEL, support.ENROLL: value}) is is_valid
    assert not checked.is_valid({"mewsEnterpriseId": "no UUID", support.ENROLL: 1})


MEDIA_TYPES = [
    "application/json",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    "Application/JSON",
]


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_json_is_found_however_its_media_type_is_written(media_type):
    """RFC 9110, section 8.3.1: type and subtype count in any case, and a charset makes no other type."""
    document = copy.deepcopy(support.CONTRACT.document)
    for item in document["paths"].values():
        for operation in (item[method] for method in contract.METHODS if method in item):
            for body in (operation["requestBody"], operation["responses"]["200"]):
                body["content"] = {"text/csv": {}, media_type: body["content"]["application/json"]}
    read = contract.Contract(document).operations.values()
    assert [found.body_schema for found in read] == [found.body_schema for found in support.OPERATIONS.values()]
    assert [found.body.is_valid({}) for found in read] == [False] * len(support.OPERATIONS)
    assert [found.answer.is_valid([]) for found in read] == [False] * len(support.OPERATIONS)


def test_bodies_and_paths_that_are_referred_to_are_read():
    document = copy.deepcopy(support.CONTRACT.document)
    found = support.operation(support.SEARCH)
    operation = document["paths"][found.path][found.method.lower()]
    document["components"]["requestBodies"] = {"search": operation["requestBody"]}
    document["components"]["responses"]["found"] = operation["responses"]["200"]
    document["components"]["pathItems"] = {"a/b": document["paths"][found.path]}
    operation["requestBody"] = {"$ref": "#/components/requestBodies/search"}
    operation["responses"]["200"] = {"$ref": "#/components/responses/found"}
    document["paths"][found.path] = {"$ref": "#/components/pathItems/a~1b"}
    read = contract.Contract(document).operation_with(support.SEARCH)
    assert (read.body_schema, read.body_required) == (found.body_schema, found.body_required)
    assert (read.body.is_valid({}), read.answer.is_valid([])) == (False, False)


def test_json_without_a_schema_is_any_json():
    document = copy.deepcopy(support.CONTRACT.document)
    found = support.operation(support.SEARCH)
    document["paths"][found.path][found.method.lower()]["requestBody"]["content"] = {"application/json": {}}
    assert contract.Contract(document).operations[found.handler].body.is_valid([1])
