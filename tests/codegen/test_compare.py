"""Comparing where several things change at once, what was inferred, and files that are no OpenAPI 3.1."""

import copy
import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from app.cli import main
from codegen.compare import Comparison, compare
from codegen.comparison import documents, marks
from codegen.comparison.documents import REMOVED
from codegen.schemas import CONTRACT
from tests.cli.commands import Loyalty
from tests.codegen.compare_mutations import (
    BREAKS,
    OLD,
    STRING,
    TEXT,
    WIDEN,
    WORK,
    add,
    both,
    m,
    move,
    put,
    renamed_component,
)

ROOT = Path(__file__).parents[2]
TEXT_OF_OLD = CONTRACT.read_text(encoding="utf-8")
TAIL = "#/components/schemas/customer"


def compared(*changes) -> Comparison:
    return compare(OLD, m("", TEXT, "", both(*changes)).applied(), TEXT_OF_OLD)


def found(comparison: Comparison) -> set[tuple[str, str]]:
    return {(str(difference.verdict), difference.pointer) for difference in comparison.differences}


def small(schema: object, components: dict | None = None, **operation: object) -> dict:
    """A valid document with one operation, whose request body has this schema."""
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    described = {"operationId": "send", "requestBody": body, "responses": {"200": {"description": ""}}} | operation
    identifier = {"name": "id", "in": "path", "required": True, "schema": {}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "paths": {"/send/{id}": {"parameters": [identifier], "post": described}},
        "components": {"schemas": components or {}},
    }
    documents.check(document, "small")
    return document


def test_a_file_does_not_differ_from_itself():
    comparison = compare(OLD, copy.deepcopy(OLD), TEXT_OF_OLD)
    assert (comparison.differences, comparison.exit_code) == ([], 0)
    assert [mark for mark in comparison.marks if not mark.confirmed] == []


def test_other_names_of_all_components_are_no_difference():
    renamed = json.loads(re.sub(r"#/components/(schemas|responses)/", r"#/components/\1/New.", json.dumps(OLD)))
    for kind in ("schemas", "responses"):
        renamed["components"][kind] = {f"New.{name}": item for name, item in renamed["components"][kind].items()}
    documents.check(renamed, "renamed")
    comparison = compare(OLD, renamed, TEXT_OF_OLD)
    assert comparison.differences == []
    refuted = {mark.reason for mark in comparison.marks if not mark.confirmed}
    assert "it refers to #/components/schemas/New.enrollCustomerResponse in the new document" in refuted
    assert "it is #/components/schemas/New.membershipStub in the new document" in refuted


def test_components_written_out_in_place_are_no_difference():
    def written_out(node: object) -> object:
        if isinstance(node, dict) and "$ref" in node:
            return written_out(documents.at(OLD, documents.place_of(node["$ref"])))
        if isinstance(node, dict):
            return {name: written_out(value) for name, value in node.items()}
        return [written_out(value) for value in node] if isinstance(node, list) else node

    plain = {**OLD, "paths": written_out(OLD["paths"])}
    assert compare(OLD, plain).differences == compare(plain, OLD).differences == []


def test_references_within_an_all_of_of_their_own_are_no_difference():
    def wrapped(node: object) -> object:
        if isinstance(node, dict) and str(node.get("$ref", "")).startswith("#/components/schemas/"):
            return {"allOf": [node]}
        if isinstance(node, dict):
            return {name: wrapped(value) for name, value in node.items()}
        return [wrapped(value) for value in node] if isinstance(node, list) else node

    new = wrapped(OLD)
    documents.check(new, "wrapped")
    comparison = compare(OLD, new, TEXT_OF_OLD)
    assert comparison.differences == compare(new, OLD).differences == []
    assert [mark for mark in comparison.marks if not mark.confirmed] == []


@pytest.mark.parametrize("keyword", ["oneOf", "anyOf"])
@pytest.mark.parametrize(
    ("field", "verdict", "back"),
    [("enrollCustomerRequest/properties/customer", BREAKS, WIDEN), ("member/properties/address", WIDEN, WORK)],
    ids=["request", "answer"],
)
def test_null_beside_a_reference_is_one_difference(keyword, field, verdict, back):
    reference = documents.at(OLD, documents.place_of(f"#/components/schemas/{field}"))
    new = m("", TEXT, "", put(f"S/{field}", {keyword: [reference, {"type": "null"}]})).applied()
    [difference] = compare(OLD, new).differences
    place = f"#/components/schemas/{field}"
    assert (difference.verdict, difference.pointer, difference.change) == (verdict, place, "null is now allowed")
    [difference] = compare(new, OLD).differences
    assert (difference.verdict, difference.pointer, difference.change) == (back, place, "null is no longer allowed")


def test_a_change_within_what_became_nullable_is_told_beside_it():
    null = {"oneOf": [{"$ref": "#/components/schemas/customer"}, {"type": "null"}]}
    city = put("S/customer/properties/lastName/maxLength", 9)
    comparison = compared(put("S/enrollCustomerRequest/properties/customer", null), city)
    assert found(comparison) == {
        ("breaks now", "#/components/schemas/enrollCustomerRequest/properties/customer"),
        ("widen", "#/components/schemas/customer/properties/lastName/maxLength"),
    }


def test_messages_show_references_as_they_are_in_the_file():
    branches = [{"$ref": "#/components/schemas/membership"}, {"$ref": "#/components/schemas/membershipStub"}]
    comparison = compared(put("S/membershipDetails", {"anyOf": branches}))
    changes = [difference.change for difference in comparison.differences]
    assert len(changes) == 2
    assert all("#/components/schemas/membership" in change for change in changes)


def test_each_of_several_changes_has_its_own_class():
    comparison = compared(
        put("S/memberFilter/properties/tier", {"type": "string"}, "S/memberFilter/properties/city/maxLength", 9),
        put("enroll/operationId", "createMember", "search/summary", "Find"),
    )
    filters = "#/components/schemas/memberFilter/properties"
    assert [(str(difference.verdict), difference.pointer) for difference in comparison.differences] == [
        ("breaks now", f"{filters}/tier"),
        ("work to do", "#/paths/~1members/post/operationId"),
        ("widen", f"{filters}/city/maxLength"),
        ("text only", "#/paths/~1members~1search/post/summary"),
    ]
    assert comparison.exit_code == 2


def test_differences_of_one_class_are_in_the_order_of_the_documents():
    names = ["second", "first", "ninth", "third", "zeroth", "sixth", "fourth", "eighth", "fifth", "seventh"]
    headers = {"200": {"description": "", "headers": {name: {"schema": {}} for name in names}}}
    without = {"200": {"description": ""}}
    fields = {name: {"type": "string"} for name in names}
    old = small({"properties": {}}, responses=headers)
    new = small({"properties": fields}, responses=without)
    assert [difference.place[-1] for difference in compare(old, new).differences] == names * 2


def test_a_component_in_requests_and_answers_has_the_worse_class_and_all_its_operations():
    [difference] = compared(put("S/address/properties/city/maxLength", 9)).differences
    assert difference.verdict is BREAKS
    assert difference.operations == ["POST /members/search", "POST /members"]


def test_a_change_below_a_renamed_component_is_tried_where_it_stands():
    comparison = compared(renamed_component, add("S/person/required", "email"), put("S/person/properties/email", {}))
    assert found(comparison) >= {("widen", "#/components/schemas/person/required")}
    assert ("breaks now", "#/components/schemas/customer/properties/email/maxLength") in found(comparison)


def test_a_component_that_one_use_leaves_is_not_changed_for_the_other():
    own = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 300}}}
    comparison = compared(
        put("S/homeAddress", own, "S/member/properties/address", {"$ref": "#/components/schemas/homeAddress"})
    )
    assert {verdict for verdict, _ in found(comparison)} == {"widen"}


def test_schemas_that_contain_themselves_under_other_names():
    def tree(name: str, kind: str) -> dict:
        return {name: {"type": kind, "properties": {"child": {"$ref": f"#/components/schemas/{name}"}}}}

    old = small({"$ref": "#/components/schemas/a"}, tree("a", "object"))
    same = compare(old, small({"$ref": "#/components/schemas/b"}, tree("b", "object")))
    assert same.differences == []
    other = compare(old, small({"$ref": "#/components/schemas/b"}, tree("b", "array")))
    assert ("breaks now", "#/components/schemas/b/type") in found(other)


PERSON = {"$ref": "#/components/schemas/person"}
CHILDREN = {"type": "array", "items": PERSON}
CHAIN = {"type": "object", "properties": {"next": PERSON}}


def family(person: dict | None = None, **keywords: object) -> dict:
    """A document whose request contains itself; with these fields of a person, and keywords of the schema."""
    fields = {"name": {"type": "string", "maxLength": 9}, "children": CHILDREN} | (person or {})
    return small(PERSON, {"person": {"type": "object", "properties": fields} | keywords})


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (family(), family({"remark": STRING}), WIDEN),
        (family(), family({"name": {"type": "string", "maxLength": 5}}), WIDEN),
        (family(), family(required=["name"]), WIDEN),
        (family(), family({"children": CHILDREN | {"maxItems": 2}}), WIDEN),
        (small({"type": "object"}), small(PERSON, {"person": CHAIN}), WIDEN),
        (family(), family({"name": {"type": "string", "maxLength": 10}}), BREAKS),
        (family(required=["name"]), family(), BREAKS),
        (family(), family({"children": {"type": "array"}}), BREAKS),
        (family(), family({"children": {"type": "array", "items": {"type": "object"}}}), BREAKS),
        (family(additionalProperties=False), family({"remark": STRING}, additionalProperties=False), BREAKS),
        (family({"name": {"not": PERSON}}), family({"name": {"not": PERSON}}, required=["name"]), BREAKS),
    ],
    ids=["a new field", "a lower bound", "a required field", "bounded items", "new and contains itself",
         "a higher bound", "no longer required", "the loop gone", "the loop replaced",
         "a new field in a closed one", "not provable"],
)  # fmt: skip
def test_changes_of_a_request_that_contains_itself(old, new, verdict):
    assert {difference.verdict for difference in compare(old, new).differences} == {verdict}


def test_changes_that_break_only_together():
    old, new = small({"enum": ["a"], "const": "a"}), small({})
    comparison = compare(old, new)
    assert comparison.exit_code == 2
    [difference] = [difference for difference in comparison.differences if difference.verdict is BREAKS]
    assert difference.change == "the changes to this request together, though none of them alone, break it"


def test_changes_that_break_only_alone():
    assert compare(small({"enum": ["a"]}), small({"const": "a"})).exit_code == 1


def test_what_is_proven_of_answers_without_samples():
    def answering(schema: dict) -> dict:
        response = {"description": "", "content": {"application/json": {"schema": schema}}}
        return small({}, responses={"200": response})

    wide, narrow = {"type": "array", "maxItems": 9}, {"type": "array", "maxItems": 2}
    assert compare(answering(wide), answering(narrow)).exit_code == 2
    [difference] = compare(answering(narrow), answering(wide)).differences
    assert difference.verdict is WIDEN


def test_renamed_path_and_header_parameters():
    old = small({})
    new = json.loads(json.dumps(old).replace("{id}", "{key}").replace('"name": "id"', '"name": "key"'))
    assert {str(difference.verdict) for difference in compare(old, new).differences} == {"work to do", "widen"}
    header = [{"name": "X-Hotel", "in": "header", "schema": {}}]
    renamed = [{"name": "x-hotel", "in": "header", "schema": {}}]
    assert compare(small({}, parameters=header), small({}, parameters=renamed)).differences == []


def test_a_security_scheme_under_another_name_is_the_same():
    assert compared(
        move("components/securitySchemes/bearerAuth", "components/securitySchemes/token"),
        put("security", [{"token": []}]),
    ).exit_code == 0  # fmt: skip


def test_every_inferred_line_is_read():
    lines = {mark.line for mark in marks.read(TEXT_OF_OLD)}
    told = {
        number
        for number, line in enumerate(TEXT_OF_OLD.splitlines(), start=1)
        if "inferred" in line.partition("#/comp")[0].partition("# ")[2] + line.rpartition(" # ")[2]
        and not line.startswith("#")
    }
    assert lines == told
    assert len(lines) > 80


def test_marks_name_the_keyword_that_they_speak_of():
    text = "a: { type: string, maxLength: 2 } # from examples; type, maxLength inferred (as b)\nb: # inferred\n  c: 1\n"
    assert [(mark.pointer, mark.line) for mark in marks.read(text)] == [
        ("#/a/type", 1),
        ("#/a/maxLength", 1),
        ("#/b", 2),
    ]
    assert marks.read(json.dumps(OLD)) == []


@pytest.mark.parametrize(
    ("change", "pointer", "reason"),
    [
        (put("enroll/operationId", "join"), "#/paths/~1members/post/operationId", "the operation is renamed"),
        (put("S/customer/required", []), f"{TAIL}/required", "the field lastName is no longer required"),
        (put("S/customer/properties/email/maxLength", 9), f"{TAIL}/properties/email/maxLength", "maxLength becomes 9"),
        (put("S/customer/properties/birthday", {"type": "string"}), f"{TAIL}/properties/birthday/format", "format"),
        (put("S/linkMembershipRequest/properties/isLinked", {"type": "string"}),
         "#/components/schemas/linkMembershipRequest/properties/isLinked", "type becomes"),
        (move("S/membershipStub", "S/other"), "#/components/schemas/membershipStub", "#/components/schemas/other"),
        (put("enroll/requestBody/required", False), "#/paths/~1members/post/requestBody/required", "left out"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_mark_is_refuted(change, pointer, reason):
    if "other" in reason:
        change = both(change, put("S/membershipDetails/oneOf/1", {"$ref": "#/components/schemas/other"}))
    refuted = {mark.pointer: mark.reason for mark in compared(change).marks if not mark.confirmed}
    assert refuted.keys() == {pointer}
    assert reason in refuted[pointer]


NOT_OPENAPI = {
    "a text": ("hello", "is no OpenAPI 3.1 document: it does not say so at #/openapi."),
    "a list": ("[1]", "is no OpenAPI 3.1 document: it does not say so at #/openapi."),
    "no YAML": ("a: [", "is neither YAML nor JSON in UTF-8."),
    "3.0": ("openapi: 3.0.3\ninfo: {title: t, version: '1'}\npaths: {}", "it does not say so at #/openapi."),
    "without a title": (
        "openapi: 3.1.0\ninfo: {version: '1'}\npaths: {}",
        'at #/info, "title" is a required property.',
    ),
    "a dangling reference": (yaml.safe_dump(OLD).replace("schemas/address", "schemas/nothing"), "schemas/nothing"),
}


def diff(*words: object) -> Result:
    return CliRunner().invoke(main, ["spec", "diff", *map(str, words)])


@pytest.mark.parametrize("name", NOT_OPENAPI)
def test_a_file_that_is_no_openapi(tmp_path, name):
    text, sentence = NOT_OPENAPI[name]
    (tmp_path / "next.yaml").write_text(text)
    for words in ((CONTRACT, tmp_path / "next.yaml"), (tmp_path / "next.yaml", CONTRACT)):
        result = diff(*words)
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (3, "", 1)
        assert sentence in result.stderr


def test_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    loyalty = Loyalty(tmp_path, PYTHONPATH=str(ROOT))
    assert loyalty.refused("spec", "diff", str(CONTRACT), "none.yaml") == (
        "none.yaml cannot be read: No such file or directory."
    )
    assert loyalty("spec", "diff", "binary.yaml", str(CONTRACT)).code == 3


def test_without_the_development_tools(monkeypatch):
    monkeypatch.setitem(sys.modules, "openapi_spec_validator", None)
    result = diff(CONTRACT, CONTRACT)
    told = "Error: This command needs the development tools, and openapi_spec_validator is not installed.\n"
    assert (result.exit_code, result.stderr) == (3, told)


def test_a_reference_to_another_file(tmp_path):
    new = m("", TEXT, "", put("S/member/properties/address", {"$ref": "other.yaml#/address"})).applied()
    with pytest.raises(documents.NotOpenAPI, match=r"The new document refers to other\.yaml#/address"):
        compare(OLD, new)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (put("search/summary", "Find"), 0),
        (put("S/memberFilter/properties/city/maxLength", 9), 1),
        (put("S/memberFilter/properties/city/maxLength", 999), 2),
    ],
    ids=["text only", "work to do", "breaks now"],
)
def test_the_command_prints_a_table_or_json_and_exits_with_the_class(tmp_path, change, code):
    new = m("", TEXT, "", change).applied()
    new["info"]["version"] = "2026-01-01"
    text = yaml.safe_dump(new).replace("'200'", "200").replace("'2026-01-01'", "2026-01-01")
    (tmp_path / "next.yaml").write_text(text)
    told = diff(CONTRACT, tmp_path / "next.yaml", "--json")
    result = json.loads(told.stdout)
    assert told.exit_code == code
    assert result["differences"][0].keys() == {"class", "pointer", "change", "operations"}
    assert len(result["differences"]) == 2
    assert {mark["verdict"] for mark in result["inferred"]} == {"confirmed"}
    table = diff(CONTRACT, tmp_path / "next.yaml")
    assert table.exit_code == code
    for difference in result["differences"]:
        assert re.search(
            rf"{difference['class']} .*{re.escape(difference['pointer'])}.*{difference['change'][:9]}", table.stdout
        )


def test_the_difference_is_work_where_it_cannot_be_proven():
    [difference] = compared(put("S/membership/properties/points/minimum", -5)).differences
    assert difference.verdict is WORK


def test_an_answer_that_another_key_documents_is_compared_with_it():
    problem = {"description": "", "content": {"application/problem+json": {"schema": {"required": ["code"]}}}}
    comparison = compared(put("search/responses/401", REMOVED, "search/responses/default", problem))
    place = "#/paths/~1members~1search/post/responses/default/content/application~1problem+json/schema/required"
    assert ("breaks now", place) in found(comparison)


def test_each_use_of_a_renamed_component_is_tried():
    """The request (which comes first) takes what the answer must not have."""
    comparison = compared(
        move("S/address", "S/place"),
        put("S/customer/properties/address", {"$ref": "#/components/schemas/place"}),
        put("S/member/properties/address", {"$ref": "#/components/schemas/place"}),
        put("S/place/properties/city/maxLength", 9),
    )
    [difference] = comparison.differences
    assert (difference.verdict, difference.pointer) == (BREAKS, "#/components/schemas/place/properties/city/maxLength")
    assert difference.operations == ["POST /members/search", "POST /members"]


def test_a_media_type_has_no_case_and_no_parameters():
    place = "search/requestBody/content/"
    assert compared(move(f"{place}application~1json", f"{place}Application~1JSON; charset=utf-8")).differences == []


@pytest.mark.parametrize(
    ("keyword", "value", "request_class", "answer_class"),
    [
        ("format", "phone", WORK, WORK),
        ("nullable", True, WORK, WORK),
        ("unevaluatedProperties", False, WIDEN, WORK),
        ("patternProperties", {"^x": {"type": "string"}}, WIDEN, WORK),
        ("propertyNames", {"maxLength": 7}, WIDEN, BREAKS),
        ("maxProperties", 4, WIDEN, BREAKS),
        ("if", {"required": ["detail"]}, WIDEN, WIDEN),
        ("then", {"required": ["detail"]}, WIDEN, WIDEN),
        ("minContains", 2, WIDEN, WIDEN),
        ("dependentRequired", {"detail": ["errors"]}, WIDEN, BREAKS),
        ("not", {"required": ["errors", "email"]}, WIDEN, WORK),
        ("contains", {"type": "string"}, TEXT, TEXT),
        ("prefixItems", [{"type": "string"}], TEXT, TEXT),
        ("dependentSchemas", {"detail": {"required": ["errors"]}}, WIDEN, BREAKS),
    ],
)
def test_keywords_in_requests_and_answers(keyword, value, request_class, answer_class):
    for component, expected in (("customer", request_class), ("problemDetail", answer_class)):
        [difference] = compared(put(f"S/{component}/{keyword}", value)).differences
        assert difference.verdict is expected, component


def test_keywords_that_act_only_together_are_never_text():
    condition = {"properties": {"lastName": {"const": "X"}}}
    changes = put("S/member/if", condition), put("S/member/then", {"required": ["email"]})
    comparison = compared(*changes)
    assert [difference.verdict for difference in comparison.differences] == [WORK, WORK]
    conditional = m("", TEXT, "", both(*changes)).applied()
    changed = copy.deepcopy(conditional)
    changed["components"]["schemas"]["member"]["then"] = {"required": ["birthday"]}
    assert [difference.verdict for difference in compare(conditional, changed).differences] == [WORK, WIDEN]
    assert compared(put("S/customer/if", condition), put("S/customer/then", {"required": ["email"]})).exit_code == 1


@pytest.mark.parametrize("name", ["int32", "int64", "float", "password", "phone"])
def test_a_format_that_the_server_does_not_check_is_for_a_person_to_look_at(name):
    points = put("S/membership/properties/points/format", name)
    phone = put("S/customer/properties/phoneNumber/format", name)
    for change in (points, phone):
        new = m("", TEXT, "", change).applied()
        for before, after in ((OLD, new), (new, OLD)):
            [difference] = compare(before, after).differences
            assert (difference.verdict, difference.place[-1]) == (WORK, "format")


def test_a_format_becomes_one_that_is_not_checked():
    email = put("S/customer/properties/email/format", "mailbox")
    [difference] = compared(email).differences
    assert difference.verdict is BREAKS
    [difference] = compare(m("", TEXT, "", email).applied(), OLD).differences
    assert difference.verdict is WIDEN
