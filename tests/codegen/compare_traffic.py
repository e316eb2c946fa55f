"""What Mews may send under a contract, and whether an answer is what a contract says. Shares no code with the judge."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs

from app.contract import DIALECT, FORMATS

UNKNOWN_NAME = "somethingNew"
TEXTS = ["", "A", "US", "0042", "link", "Müller", "2027-01-31", "a b c"]
FORMATTED = {
    "uuid": ["3fa85f64-5717-4562-b3fc-2c963f66afa6"],
    "date": ["1984-02-29"],
    "date-time": ["1984-02-29T10:00:00+01:00"],
    "idn-email": ["ada@example.com", "jürgen@bücher.example", f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 53}.example"],
    "uri": ["https://provider.example/x"],
}
LONG, LARGE = 400, 10**12


def as_read(node: Any) -> Any:
    """A document with the formats as the server reads them (design decision 14)."""
    if isinstance(node, list):
        return [as_read(value) for value in node]
    if not isinstance(node, dict):
        return node
    changed = {name: as_read(value) for name, value in node.items()}
    if isinstance(node.get("format"), str):
        changed["format"] = FORMATS.get(node["format"], node["format"])
    return changed


class Document:
    """A document under which requests are made and answers are read."""

    def __init__(self, document: dict) -> None:
        self.document = as_read(document)

    def resolve(self, node: Any) -> Any:
        while isinstance(node, dict) and "$ref" in node:
            found: Any = self.document
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step.replace("~1", "/").replace("~0", "~")]
            node = found
        return node

    def validator(self, schema: Any) -> Callable[[Any], bool]:
        whole = {"$schema": DIALECT, "allOf": [schema], "components": self.document.get("components", {})}
        return jsonschema_rs.Draft202012Validator(whole, validate_formats=True).is_valid

    def operation(self, path: str, method: str) -> dict | None:
        return self.document["paths"].get(path, {}).get(method.lower())

    def spelled_out(self, path: str, method: str) -> str:
        """All that is said about an operation, with what it refers to: equal texts mean equal traffic."""
        operation = self.operation(path, method)
        own = self.document["security"] if operation is None else operation.get("security", self.document["security"])
        schemes = self.document["components"]["securitySchemes"]
        return json.dumps([operation, own, schemes, self._reached(operation, {})], sort_keys=True)

    def _reached(self, node: Any, found: dict) -> dict:
        if isinstance(node, dict):
            if "$ref" in node and node["$ref"] not in found:
                found[node["$ref"]] = self.resolve(node)
                self._reached(found[node["$ref"]], found)
            for value in node.values():
                self._reached(value, found)
        elif isinstance(node, list):
            for value in node:
                self._reached(value, found)
        return found

    def bodies(self, schema: Any, count: int, seed: int = 1) -> list[Any]:
        """As many valid values as are found of a schema: on its bounds as often as between them."""
        is_valid, choice = self.validator(schema), random.Random(seed)
        tries = (self._value(schema, choice) for _ in range(count * 10))
        found: dict[str, Any] = {}
        while len(found) < count and (value := next(tries, tries)) is not tries:
            if is_valid(value):
                found.setdefault(json.dumps(value), value)
        return list(found.values())

    def _value(self, schema: Any, choice: random.Random) -> Any:
        schema = self._flat(schema, choice)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return choice.choice(schema["enum"])
        kinds = schema.get("type", "object" if "properties" in schema else ["string", "integer", "object", "boolean"])
        kind = choice.choice([kinds] if isinstance(kinds, str) else kinds)
        makers = {"object": self._object, "array": self._array, "string": _text, "null": lambda *_: None}
        makers |= {"integer": _number, "number": _number, "boolean": lambda *_: choice.random() < 0.5}
        return makers[kind](schema, choice)

    def _flat(self, schema: Any, choice: random.Random) -> dict:
        """The schema with its references followed and a branch chosen of each composition."""
        schema = self.resolve(schema)
        if not isinstance(schema, dict):
            return {}
        chosen = [*schema.get("allOf", [])]
        chosen += [choice.choice(schema[name]) for name in ("oneOf", "anyOf") if name in schema]
        flat = {name: value for name, value in schema.items() if name not in ("allOf", "oneOf", "anyOf")}
        for branch in (self._flat(one, choice) for one in chosen):
            required = [*flat.get("required", []), *branch.get("required", [])]
            properties = {**flat.get("properties", {}), **branch.get("properties", {})}
            flat = {**flat, **branch, "required": required, "properties": properties}
        return flat

    def _object(self, schema: dict, choice: random.Random) -> dict:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        likely = choice.choice([0, 0.5, 0.9])
        names = [name for name in properties if name in required or choice.random() < likely]
        names += [name for name in required if name not in properties]
        value = {name: self._value(properties.get(name, {}), choice) for name in names}
        if schema.get("additionalProperties", True) is not False and choice.random() < 0.3:
            further = schema.get("additionalProperties", {})
            value[UNKNOWN_NAME] = self._value(further if isinstance(further, dict) else {"type": "string"}, choice)
        return value

    def _array(self, schema: dict, choice: random.Random) -> list:
        least, most = schema.get("minItems", 0), schema.get("maxItems", 3)
        length = choice.choice([least, least + 1, most])
        if "uniqueItems" in schema:
            length = least
        return [self._value(schema.get("items", {}), choice) for _ in range(length)]

    def faults(self, path: str, method: str, answer: "Answer") -> Iterator[str]:
        """What is wrong with an answer of an operation."""
        responses = (self.operation(path, method) or {})["responses"]
        keys = (answer.status, f"{answer.status[0]}XX", "default")
        response = self.resolve(next((responses[key] for key in keys if key in responses), None))
        if response is None:
            yield f"{answer.status} is not documented"
            return
        if answer.media_type not in response.get("content", {}):
            yield f"{answer.status} has no {answer.media_type}"
        elif not self.validator(response["content"][answer.media_type].get("schema", True))(answer.body):
            yield f"{answer.status} has another schema than {answer.body}"
        for name, header in response.get("headers", {}).items():
            sent = answer.headers.get(name.lower())
            if sent is None and self.resolve(header).get("required"):
                yield f"{answer.status} lacks {name}"
            if sent is not None and not self.validator(self.resolve(header).get("schema", True))(sent):
                yield f"{answer.status} has another {name}: {sent}"


class Answer:
    """An answer that a server gave."""

    def __init__(self, response: Any) -> None:
        self.status = str(response.status_code)
        self.media_type = response.headers["content-type"]
        self.body = response.json()
        self.headers = {name.lower(): value for name, value in response.headers.items()}


def _text(schema: dict, choice: random.Random) -> str:
    if "format" in schema:
        return choice.choice(FORMATTED[schema["format"]])
    bounds = [schema["maxLength"]] if "maxLength" in schema else [LONG]
    length = choice.choice([schema.get("minLength", 0), *bounds, -1, -1])
    return choice.choice(TEXTS) if length < 0 else "x" * length


def _number(schema: dict, choice: random.Random) -> int:
    return choice.choice([schema.get("minimum", -LARGE), schema.get("maximum", LARGE), 0, 1])
