"""The generated schemas: up to date, deterministic, and faithful in both directions."""

import datetime
import importlib.util
import types
import uuid

import marshmallow
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings

from codegen import schemas as generator
from codegen.__main__ import main
from handlers import conversion, schemas
from tests.codegen.schema_instances import Instances

CONTRACT = generator.load_contract()
COMPONENTS = CONTRACT["components"]["schemas"]
INSTANCES = Instances(CONTRACT)


def attribute(component: str) -> str:
    return generator.attribute_name(generator.pascal_case(component))


GENERATED = sorted(name for name in COMPONENTS if hasattr(schemas, attribute(name)))


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
        level: { enum: [1, gold, null] }
        kind: { const: node }
        rank: { allOf: [{ type: [integer, "null"] }, { minimum: 3 }] }
        code: { type: string, pattern: "^[A-Z]{2}$" }
        home: { allOf: [{ $ref: "#/components/schemas/cat" }] }
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
    "level": None,
    "kind": "node",
    "rank": None,
    "code": "CZ",
    "home": {"lives": 7},
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


def assert_reversed(schema: marshmallow.Schema, component: str, instances: Instances) -> None:
    """Dump gives back what load took, in the contract's order, and nothing that load took is missing in between."""
    described = {"$ref": f"#/components/schemas/{component}"}
    order = list(dict.fromkeys(instances.names(described)))

    @settings(max_examples=50, deadline=None, database=None)
    @given(instances.of(described).filter(lambda value: isinstance(value, dict)))
    def check(value):
        loaded = schema.load(value)
        assert type(loaded) is dict
        assert set(loaded) == {generator.attribute_name(name) for name in value}
        dumped = schema.dump(loaded)
        assert dumped == value
        assert list(dumped) == [name for name in order if name in value]

    check()


@pytest.mark.parametrize("component", GENERATED)
def test_dump_reverses_load(component):
    assert_reversed(getattr(schemas, attribute(component)), component, INSTANCES)


def test_dump_reverses_load_whatever_a_contract_is_made_of(artificial):
    instances = Instances(document_with(ARTIFICIAL, {}))
    for component in ("node", "base", "cat", "dog"):
        assert_reversed(getattr(artificial, component), component, instances)


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


def test_null_is_dumped_where_the_contract_allows_it(artificial):
    nothing = dict.fromkeys(["note", "parent", "anything", "level", "class_", "free_form", "word_or_number"])
    kept = {"parent": None, "note": None, "anything": None, "level": None}
    assert artificial.node.dump(nothing) == kept
    assert artificial.node.dump(types.SimpleNamespace(**nothing)) == kept


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


@pytest.mark.parametrize(("status", "generated"), [("200", 1), ("201", 1), ("2XX", 1), ("400", 0), ("default", 0)])
def test_bodies_of_every_success_have_a_class(status, generated):
    document = document_with({}, {"type": "string"})
    body = {"properties": {"nodeId": {"type": "string"}}}
    answer = {"description": "", "content": {"application/json": {"schema": body}}}
    document["paths"]["/nodes"]["post"]["responses"][status] = answer
    assert generator.generate(document).count("class SaveNodeResponse(") == generated


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
