"""JSON values that a schema describes, at random: whatever the next contract's schemas are made of."""

import datetime
import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
from hypothesis import strategies as st

from app.contract import DIALECT

LENGTH, COUNT = 20, 3
JSON_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
IMPLIED = {"properties": "object", "required": "object", "items": "array"}
EMAILS = st.from_regex(r"[a-z0-9.+]{0,9}[a-z]@[a-z]{1,9}\.(cz|example)", fullmatch=True).filter(
    lambda address: ".." not in address and not address.startswith(".")
)
URIS = st.text("abcdefgh/", max_size=9).map(lambda path: f"https://provider.example/{path}")
FORMATS = {
    "date": st.dates().map(datetime.date.isoformat),
    "date-time": st.datetimes(
        timezones=st.integers(-1439, 1439).map(lambda m: datetime.timezone(datetime.timedelta(minutes=m)))
    ).map(datetime.datetime.isoformat),
    "time": st.times().map(lambda time: f"{time.isoformat()}Z"),
    "uuid": st.uuids().map(str),
    # Not st.emails(): it draws upper-case "XN--" domains, which jsonschema-rs takes for invalid.
    **dict.fromkeys(["email", "idn-email"], EMAILS),
    **dict.fromkeys(["uri", "uri-reference", "iri", "iri-reference"], URIS),
    "hostname": st.from_regex(r"[a-z]{1,9}\.example", fullmatch=True),
    "ipv4": st.ip_addresses(v=4).map(str),
    "ipv6": st.ip_addresses(v=6).map(str),
}


class Instances:
    """Strategies for the schemas of a document; each is made once, since a schema may contain itself."""

    def __init__(self, document: dict) -> None:
        self.document = document
        self.known: dict[str, st.SearchStrategy] = {}

    def of(self, schema: Any) -> st.SearchStrategy:
        """The valid values of a schema."""
        key = json.dumps(schema)
        if key not in self.known:
            self.known[key] = st.deferred(
                lambda: st.one_of([self._plain(one) for one in self.alternatives(schema)]).filter(self.is_valid(schema))
            )
        return self.known[key]

    def is_valid(self, schema: Any) -> Callable[[Any], bool]:
        # A base is needed for the references to the document; the contract has no id of its own.
        whole = {"$schema": DIALECT, "allOf": [schema], "components": self.document["components"]}
        return jsonschema_rs.Draft202012Validator(whole, validate_formats=True).is_valid

    def target(self, reference: str) -> Any:
        return self.document["components"]["schemas"][reference.rpartition("/")[2]]

    def names(self, schema: Any) -> Iterator[str]:
        """The names of an object's fields, in the document's order; some twice."""
        for keyword, value in schema.items() if isinstance(schema, dict) else ():
            if keyword == "properties":
                yield from value
            for part in self._parts(keyword, value):
                yield from self.names(part)

    def _parts(self, keyword: str, value: Any) -> list:
        if keyword == "$ref":
            return [self.target(value)]
        return value if keyword in ("allOf", "oneOf", "anyOf") else []

    def alternatives(self, schema: Any) -> list[dict]:
        """What a schema may mean: without references and compositions, one for each choice of branches."""
        found: list[dict] = [{}]
        for keyword, value in schema.items() if isinstance(schema, dict) else ():
            branches = [self.alternatives(part) for part in self._parts(keyword, value)]
            if keyword in ("oneOf", "anyOf"):
                branches = [[one for branch in branches for one in branch]]
            for branch in branches or [[{keyword: value}]]:
                found = [merged(left, right) for left in found for right in branch]
        return found

    def _plain(self, schema: dict) -> st.SearchStrategy:
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        makers = {"object": self._object, "array": self._array, "string": string, "number": number, "integer": integer}
        simple = {"null": st.none(), "boolean": st.booleans()}
        return st.one_of([simple[name] if name in simple else makers[name](schema) for name in types(schema)])

    def _object(self, schema: dict) -> st.SearchStrategy:
        if "properties" not in schema:
            return st.dictionaries(st.text(max_size=LENGTH), st.integers() | st.none(), max_size=COUNT)
        fields = {name: self.of(value) for name, value in schema["properties"].items()}
        required = {name: fields[name] for name in schema.get("required", []) if name in fields}
        optional = {name: value for name, value in fields.items() if name not in required}
        return st.fixed_dictionaries(required, optional=optional)

    def _array(self, schema: dict) -> st.SearchStrategy:
        least = schema.get("minItems", 0)
        most = min(schema.get("maxItems", COUNT), max(least, COUNT))
        return st.lists(self.of(schema.get("items", True)), min_size=least, max_size=most)


def merged(left: dict, right: dict) -> dict:
    """Both at once; of a keyword that only one of them can have, the right one's."""
    both = left | right
    if "type" in left and "type" in right:
        both["type"] = [name for name in types(left) if name in types(right)]
    if "required" in both:
        both["required"] = [*left.get("required", []), *right.get("required", [])]
    if "properties" in left and "properties" in right:
        shared = left["properties"].keys() & right["properties"].keys()
        overlap = {name: {"allOf": [left["properties"][name], right["properties"][name]]} for name in shared}
        both["properties"] = left["properties"] | right["properties"] | overlap
    return both


def types(schema: dict) -> list[str]:
    """The JSON types of a schema: those that it names, else what its keywords are for, else all."""
    if "type" in schema:
        return [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return list(dict.fromkeys(IMPLIED[keyword] for keyword in schema if keyword in IMPLIED)) or list(JSON_TYPES)


def string(schema: dict) -> st.SearchStrategy:
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]]
    if "pattern" in schema:
        return st.from_regex(schema["pattern"])
    least = schema.get("minLength", 0)
    return st.text(min_size=least, max_size=min(schema.get("maxLength", LENGTH), max(least, LENGTH)))


def integer(schema: dict) -> st.SearchStrategy:
    return st.integers(schema.get("minimum"), schema.get("maximum"))


def number(schema: dict) -> st.SearchStrategy:
    return st.floats(schema.get("minimum"), schema.get("maximum"), allow_nan=False, allow_infinity=False)
