"""The generated schemas: up to date, deterministic, and faithful in both directions."""

import datetime
import importlib.util
import types
import uuid

import inflection
import jsonschema_rs
import marshmallow
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen import schemas as generator
from codegen.__main__ import main
from handlers import conversion, schemas

CONTRACT = generator.load_contract()
COMPONENTS = CONTRACT["components"]["schemas"]
GENERATED = sorted(name for name in COMPONENTS if hasattr(schemas, inflection.underscore(name)))

FORMATS = {
    "date": st.dates().map(datetime.date.isoformat),
    "date-time": st.datetimes(
        timezones=st.integers(-1439, 1439).map(lambda m: datetime.timezone(datetime.timedelta(minutes=m)))
    ).map(datetime.datetime.isoformat),
    "uuid": st.uuids().map(str),
    # Not st.emails(): it draws upper-case "XN--" domains, which jsonschema-rs takes for invalid.
    "email": st.from_regex(r"[a-z0-9.+]{0,9}[a-z]@[a-z]{1,9}\.(cz|example)", fullmatch=True).filter(
        lambda address: ".." not in address and not address.startswith(".")
    ),
    "uri": st.text("abcdefgh/", max_size=9).map(lambda path: f"https://provider.example/{path}"),
}


def instances(schema: dict, document: dict = CONTRACT) -> st.SearchStrategy:
    """Build a strategy for the JSON values that a schema describes (the keywords the contract uses)."""
    if "$ref" in schema:
        target = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return st.deferred(lambda: instances(target, document))
    if "oneOf" in schema:
        return st.one_of([instances(branch, document) for branch in schema["oneOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "object":
        return objects(schema, document)
    if schema["type"] == "array":
        largest = min(schema.get("maxItems", 3), 3)
        return st.lists(instances(schema["items"], document), min_size=schema.get("minItems", 0), max_size=largest)
    if schema["type"] == "string":
        plain = st.text(max_size=min(schema.get("maxLength", 20), 20))
        return FORMATS[schema["format"]] if "format" in schema else plain
    return {"integer": st.integers(), "boolean": st.booleans()}[schema["type"]]


@st.composite
def objects(draw: st.DrawFn, schema: dict, document: dict) -> dict:
    required = {*schema.get("required", []), *draw(st.sampled_from(schema.get("anyOf", [{}]))).get("required", [])}
    present = [name for name in schema["properties"] if name in required or draw(st.booleans())]
    return {name: draw(instances(schema["properties"][name], document)) for name in present}


def is_valid(value: object, component: str) -> bool:
    # A base is needed for the references to the document; the contract has no id of its own.
    schema = {"$ref": f"#/components/schemas/{component}", "components": CONTRACT["components"]}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True).is_valid(value)


def generated_module(document: dict, folder) -> types.ModuleType:
    path = folder / "artificial_schemas.py"
    path.write_text(generator.generate(document), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def document_with(components: dict, body: dict) -> dict:
    content = {"content": {"application/json": {"schema": body}}}
    return {
        "openapi": "3.1.1",
        "info": {"title": "Artificial", "version": "1"},
        "paths": {"/nodes": {"post": {"operationId": "saveNode", "requestBody": content, "responses": {}}}},
        "components": {"schemas": components},
    }


ARTIFICIAL = yaml.safe_load("""
node:
  allOf:
    - $ref: "#/components/schemas/base"
    - type: object
      properties:
        class: { type: string }
        children: { type: array, items: { $ref: "#/components/schemas/node" } }
        grid: { type: array, items: { type: array, items: { type: integer } } }
        pet: { oneOf: [{ $ref: "#/components/schemas/cat" }, { $ref: "#/components/schemas/dog" }] }
        note: { type: [string, "null"] }
        wordOrNumber: { oneOf: [{ type: string }, { type: integer }] }
        ratio: { type: number }
        anything: {}
        freeForm: { type: object }
        owner: { type: object, properties: { fullName: { type: string } } }
        watchdog: { $ref: "#/components/schemas/dog", properties: { since: { type: string, format: date } } }
        items: { type: string }
        fields: { type: string }
        dump: { type: string }
        createdAt: { type: string, format: date-time }
base:
  type: object
  properties:
    nodeId: { type: string, format: uuid }
    parent: { anyOf: [{ $ref: "#/components/schemas/node" }, { type: "null" }] }
cat: { type: object, properties: { name: { type: string }, lives: { type: integer }, size: { type: string } } }
dog: { type: object, properties: { name: { type: string }, isLoud: { type: boolean }, size: { type: integer } } }
unreachable: { type: object, properties: { x: { type: string } } }
""")
NODE = {
    "nodeId": "8f14e45f-ceea-467f-a0e6-5b6a3a1b2c3d",
    "parent": {"class": "root", "children": [{"class": "leaf", "grid": [[]]}]},
    "class": "branch",
    "children": [{"children": [{"createdAt": "2024-02-29T12:00:00.500000-03:30"}]}],
    "grid": [[1, 2], [], [3]],
    "pet": {"name": "Tom", "lives": 9, "size": "small", "isLoud": False},
    "note": "n",
    "wordOrNumber": 7,
    "ratio": 0.5,
    "anything": [1, {"camelCase": None}],
    "freeForm": {"keptAsItIs": [True]},
    "owner": {"fullName": "A"},
    "watchdog": {"name": "Rex", "isLoud": True, "since": "2020-01-31"},
    "items": "i",
    "fields": "f",
    "dump": "d",
    "createdAt": "2025-01-01T00:00:00+05:30",
}


@pytest.fixture
def artificial(tmp_path):
    return generated_module(document_with(ARTIFICIAL, {"$ref": "#/components/schemas/node"}), tmp_path)


def test_generated_file_is_up_to_date():
    assert generator.TARGET.read_text(encoding="utf-8") == generator.generate(CONTRACT)


def test_generating_twice_gives_the_same_text():
    assert generator.generate(generator.load_contract()) == generator.generate(generator.load_contract())


def test_command_writes_and_then_finds_the_file_up_to_date(tmp_path, monkeypatch):
    monkeypatch.setattr(generator, "ROOT", tmp_path)
    monkeypatch.setattr(generator, "TARGET", tmp_path / "schemas.py")
    missing = CliRunner().invoke(main, ["--check"])
    written = CliRunner().invoke(main, [])
    checked = CliRunner().invoke(main, ["--check"])
    generator.TARGET.write_text("stale = True\n", encoding="utf-8")
    stale = CliRunner().invoke(main, ["--check"])
    assert (missing.exit_code, stale.exit_code) == (1, 1)
    assert stale.stderr == "Error: schemas.py is not what the contract generates: run `make generate`.\n"
    assert (written.exit_code, written.output) == (0, "Wrote schemas.py.\n")
    assert (checked.exit_code, checked.output) == (0, "")


def test_every_body_of_the_contract_has_a_schema():
    bodies = [schema["$ref"].rpartition("/")[2] for _, schema in generator.bodies(generator.Collector(CONTRACT))]
    operations = [operation for item in CONTRACT["paths"].values() for operation in item.values()]
    assert len(bodies) == 2 * len(operations)
    assert set(bodies) <= set(GENERATED)
    assert "problemDetail" not in GENERATED


@pytest.mark.parametrize("component", GENERATED)
def test_dump_reverses_load(component):
    schema = getattr(schemas, inflection.underscore(component))

    @settings(max_examples=50, deadline=None, database=None)
    @given(instances(COMPONENTS[component]))
    def check(value):
        assert is_valid(value, component)
        loaded = schema.load(value)
        assert type(loaded) is dict
        assert set(loaded) == {inflection.underscore(name) for name in value}
        dumped = schema.dump(loaded)
        assert dumped == value
        assert list(dumped) == [name for name in wire_names(component) if name in value]

    check()


def wire_names(component: str) -> list[str]:
    schema = COMPONENTS[component]
    branches = [COMPONENTS[branch["$ref"].rpartition("/")[2]] for branch in schema.get("oneOf", [])] or [schema]
    return list(dict.fromkeys(name for branch in branches for name in branch["properties"]))


def test_values_become_python_values():
    loaded = schemas.enroll_customer_request.load(
        {
            "mewsEnterpriseId": "8F14E45F-CEEA-467F-A0E6-5B6A3A1B2C3D",
            "customer": {"lastName": "Novak", "birthday": "2000-02-29", "unknown": 1},
            "unknown": 1,
        }
    )
    assert loaded == {
        "mews_enterprise_id": uuid.UUID("8f14e45f-ceea-467f-a0e6-5b6a3a1b2c3d"),
        "customer": {"last_name": "Novak", "birthday": datetime.date(2000, 2, 29)},
    }


def test_dump_takes_objects_and_leaves_out_none():
    address = types.SimpleNamespace(city="Praha", line1=None, country_code="CZ", unknown=1)
    assert list(schemas.address.dump(address).items()) == [("city", "Praha"), ("countryCode", "CZ")]
    assert schemas.address.dump({"country_code": None, "city": ""}) == {"city": ""}


def test_artificial_contract_round_trips(artificial):
    loaded = artificial.node.load(NODE)
    assert loaded["class_"] == "branch"
    assert loaded["owner"] == {"full_name": "A"}
    assert loaded["pet"] == {"name": "Tom", "lives": 9, "size": "small", "is_loud": False}
    assert loaded["created_at"].utcoffset() == datetime.timedelta(hours=5, minutes=30)
    assert loaded["children"][0]["children"][0]["created_at"].microsecond == 500_000
    assert artificial.node.dump(loaded) == NODE
    assert list(artificial.node.dump(loaded)) == list(NODE)


def test_artificial_contract_has_the_reachable_classes_only(artificial):
    classes = [name for name in vars(artificial) if isinstance(getattr(artificial, name), type)]
    assert classes == ["Node", "NodePet", "Cat", "Dog", "NodeOwner", "NodeWatchdog", "Base"]


def test_absent_keys_stay_absent_even_where_a_dict_has_such_a_method(artificial):
    assert artificial.node.load({}) == {}
    assert artificial.node.dump({}) == {}


def test_null_is_loaded_where_the_contract_allows_it(artificial):
    assert artificial.node.load({"note": None, "parent": None, "anything": None}) == {
        "note": None,
        "parent": None,
        "anything": None,
    }
    with pytest.raises(marshmallow.ValidationError):
        artificial.node.load({"class": None})


def test_property_whose_kind_differs_between_branches_is_left_as_it_is(artificial):
    assert artificial.node_pet.load({"size": 3}) == {"size": 3}
    assert artificial.node_pet.load({"size": "3"}) == {"size": "3"}
    assert artificial.dog.load({"size": "3"}) == {"size": 3}


def test_object_without_a_name_is_named_after_its_operation_and_name_clashes_are_numbered(tmp_path):
    body = {"properties": {"fooBar": {"type": "string"}, "foo_bar": {"type": "string"}, "3d-x": {"type": "string"}}}
    module = generated_module(document_with({}, body), tmp_path)
    value = {"fooBar": "a", "foo_bar": "b", "3d-x": "c"}
    loaded = module.save_node_request.load(value)
    assert loaded == {"foo_bar": "a", "foo_bar2": "b", "_3d_x": "c"}
    assert module.save_node_request.dump(loaded) == value


def test_schemas_that_contain_themselves_come_to_an_end(tmp_path):
    components = {
        "tree": {"type": "array", "items": {"$ref": "#/components/schemas/tree"}},
        "pet": {"properties": {"name": {"type": "string"}}, "oneOf": [{"$ref": "#/components/schemas/fish"}]},
        "fish": {"allOf": [{"$ref": "#/components/schemas/pet"}, {"properties": {"isSalty": {"type": "boolean"}}}]},
    }
    body = {
        "properties": {
            "tree": {"$ref": "#/components/schemas/tree"},
            "pet": {"$ref": "#/components/schemas/pet"},
        }
    }
    module = generated_module(document_with(components, body), tmp_path)
    value = {"tree": [[], [[[]]]], "pet": {"name": "Wanda", "isSalty": True}}
    loaded = module.save_node_request.load(value)
    assert loaded == {"tree": [[], [[[]]]], "pet": {"name": "Wanda", "is_salty": True}}
    assert module.save_node_request.dump(loaded) == value


@pytest.mark.parametrize("reference", ["#/components/schemas/missing", "other.yaml#/node", "#/paths/x"])
def test_reference_that_leads_nowhere_is_refused_in_one_sentence(reference):
    with pytest.raises(ValueError, match=f"^The contract refers to {reference}, which it does not contain.$"):
        generator.generate(document_with({}, {"$ref": reference}))


@pytest.mark.parametrize("text", ["0000-01-01", "2023-02-29", "", "yesterday"])
def test_date_that_python_cannot_hold_is_a_validation_error(text):
    with pytest.raises(marshmallow.ValidationError) as caught:
        schemas.customer.load({"birthday": text})
    assert list(caught.value.messages) == ["birthday"]


@pytest.mark.parametrize("text", ["2016-12-31T23:59:60Z", "0000-01-01T00:00:00Z", "2025-01-01T00:00:00", "", 5, ["x"]])
def test_date_time_that_python_cannot_hold_is_a_validation_error(text):
    with pytest.raises(marshmallow.ValidationError) as caught:
        schemas.membership.load({"expiresAt": text})
    assert list(caught.value.messages) == ["expiresAt"]


@pytest.mark.parametrize(
    ("text", "dumped"),
    [
        ("2025-01-01t00:00:00z", "2025-01-01T00:00:00+00:00"),
        ("2025-01-01T00:00:00Z", "2025-01-01T00:00:00+00:00"),
        ("2025-01-01T23:59:59.123456-11:30", "2025-01-01T23:59:59.123456-11:30"),
        ("2025-01-01T00:00:00.1234567890Z", "2025-01-01T00:00:00.123456+00:00"),
    ],
)
def test_date_time_keeps_its_offset(text, dumped):
    field = conversion.OffsetDateTime()
    assert field.serialize("at", {"at": field.deserialize(text)}) == dumped
