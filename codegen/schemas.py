"""handlers/schemas.py from the contract: a marshmallow class for each object that an operation sends or takes.

The contract's limits (required, lengths, enumerations) are left out on purpose: the compiled JSON Schema
decides what is valid, marshmallow only converts.
"""

import dataclasses
import itertools
import keyword
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import inflection

from app import contract

ROOT = Path(__file__).parent.parent
CONTRACT = ROOT / "spec" / "mews-loyalty-partner.yaml"
TARGET = ROOT / "handlers" / "schemas.py"

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
COMPOSITIONS = ("allOf", "oneOf", "anyOf")
KINDS = {
    "string": "fields.String",
    "integer": "fields.Integer",
    "number": "fields.Float",
    "boolean": "fields.Boolean",
    "array": "fields.List",
    "object": "fields.Nested",
}
KINDS_OF_STRING = {"date": "fields.Date", "date-time": "conversion.OffsetDateTime", "uuid": "fields.UUID"}
# What is not listed counts as a string.
JSON_TYPES = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object", type(None): "null"}
# What the generated module calls its imports: an attribute of that name would hide them from its class.
IMPORTED = frozenset({"conversion", "fields"})

HEADER = '''"""The contract's JSON objects as marshmallow schemas.

Generated from spec/{file} (version {version}) by `make generate`: not to be edited.
"""

from marshmallow import fields

from handlers import conversion
'''


@dataclasses.dataclass
class SchemaClass:
    """One class to write: its name, its docstring, and its attributes as (name, expression)."""

    name: str
    description: str
    attributes: list[tuple[str, str]] = dataclasses.field(default_factory=list)


def load_contract(path: Path = CONTRACT) -> dict:
    """Read an OpenAPI document. Raises OSError, or `yaml.YAMLError` for text that is not YAML."""
    return contract.read(path.read_text(encoding="utf-8"))


def generate(document: dict) -> str:
    """Write the module for an OpenAPI 3.1 document, formatted.

    Raises ValueError for a `$ref` that leads outside the document or nowhere.
    """
    collector = Collector(document)
    for suggestion, schema in bodies(collector):
        collector.expression(schema, suggestion)
    return formatted(render(document, list(collector.classes.values())))


def bodies(collector: "Collector") -> Iterator[tuple[str, Any]]:
    """List the JSON bodies of all requests and 2xx responses: (a name for a nameless one, its schema)."""
    for path, item in collector.document.get("paths", {}).items():
        operations = collector.follow(item)
        for method in (name for name in operations if name in METHODS):
            operation = operations[method]
            name = operation.get("operationId", f"{method}{path}")
            for schema in json_schemas(collector.follow(operation.get("requestBody", {}))):
                yield pascal_case(f"{name}_request"), schema
            for status, response in operation.get("responses", {}).items():
                for schema in json_schemas(collector.follow(response)) if str(status)[0] == "2" else ():
                    yield pascal_case(f"{name}_response"), schema


def json_schemas(body: dict) -> Iterator[Any]:
    """List the schemas that a request body or response has for its JSON media types."""
    for media_type, content in body.get("content", {}).items():
        if re.search(r"[/+]json\b", media_type, re.IGNORECASE) and "schema" in content:
            yield content["schema"]


class Collector:
    """Turns schemas into field expressions and collects the classes they need, in order of first mention."""

    def __init__(self, document: dict) -> None:
        self.document = document
        self.classes: dict[str, SchemaClass] = {}
        self.taken: set[str] = set()
        # Components first, so that no object without a name of its own takes a component's.
        names = document.get("components", {}).get("schemas", {})
        self.components = {f"#/components/schemas/{name}": self.class_name(name) for name in names}

    def class_name(self, text: str) -> str:
        """Give a text in PascalCase, numbered if that is taken already, and take it."""
        return unused(pascal_case(text), self.taken)

    def resolve(self, reference: str) -> Any:
        """Find what a local reference (RFC 6901 in URI fragment form) points to; else raise ValueError."""
        found: Any = self.document
        try:
            for part in reference.removeprefix("#/").split("/"):
                key = unquote(part).replace("~1", "/").replace("~0", "~")
                found = found[int(key) if isinstance(found, list) else key]
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(f"The contract refers to {reference}, which it does not contain.") from error
        return found

    def follow(self, node: dict) -> dict:
        """Follow the references of a path item, request body or response."""
        while "$ref" in node:
            node = self.resolve(node["$ref"])
        return node

    def branches(self, schema: Any, followed: frozenset = frozenset()) -> Iterator[dict]:
        """List the schemas that a schema is composed of, through references, in the document's order."""
        for piece in pieces(schema):
            if isinstance(piece, dict):
                yield piece
            elif piece not in followed:  # a base may list its variants, which refer to the base
                yield from self.branches(self.resolve(piece), followed | {piece})

    def properties(self, schema: Any) -> dict[str, Any]:
        """Merge the properties of all branches, in the order in which they first appear."""
        found: dict[str, list] = {}
        for branch in self.branches(schema):
            for name, value in branch.get("properties", {}).items():
                found.setdefault(name, []).append(value)
        return {name: merged(values) for name, values in found.items()}

    def kind(self, schema: Any) -> str:
        """Choose the field class: the one that all branches with a type share, otherwise Raw."""
        kinds = {kind for branch in self.branches(schema) for kind in kinds_of(branch)}
        if len(kinds) != 1 or (kinds == {"fields.Nested"} and not self.properties(schema)):
            return "fields.Raw"
        return kinds.pop()

    def is_nullable(self, schema: Any) -> bool:
        """Tell whether some branch lets null stand for the value, or none says what may."""
        types = {name for branch in self.branches(schema) for name in types_of(branch)}
        return not types or "null" in types

    def expression(
        self, schema: Any, suggestion: str, data_key: str | None = None, within: tuple[str, ...] = ()
    ) -> str:
        """Write the field of a schema, adding the classes it needs.

        `suggestion` names the class of an object without a name of its own. `within` lists the arrays
        around the schema: one that contains itself has no end, and becomes Raw.
        """
        kind = "fields.Raw" if repr(schema) in within else self.kind(schema)
        arguments = []
        if kind == "fields.Nested":
            arguments.append(f"lambda: {self.object_class(schema, suggestion)}")
        elif kind == "fields.List":
            items = merged([branch["items"] for branch in self.branches(schema) if "items" in branch])
            arguments.append(self.expression(items, suggestion, within=(*within, repr(schema))))
        if data_key is not None:
            arguments.append(f"data_key={data_key!r}")
        if self.is_nullable(schema):
            arguments.append("allow_none=True")
        return f"{kind}({', '.join(arguments)})"

    def object_class(self, schema: Any, suggestion: str) -> str:
        """Find or add the class of an object schema; give its name."""
        reference = self.sole_reference(schema)
        key = reference or repr(schema)
        if key not in self.classes:
            self.classes[key] = self.new_class(reference, suggestion)
            self.complete(self.classes[key], self.resolve(reference) if reference else schema)
        return self.classes[key].name

    def sole_reference(self, schema: Any) -> str | None:
        """Find the one reference that all properties of a schema come from, if there is one."""
        found = list(pieces(schema))
        own = any("properties" in piece for piece in found if isinstance(piece, dict))
        references = {piece for piece in found if isinstance(piece, str) and self.properties({"$ref": piece})}
        return references.pop() if len(references) == 1 and not own else None

    def new_class(self, reference: str | None, suggestion: str) -> SchemaClass:
        """Start the class of a component, or of an object without a name of its own."""
        if reference in self.components:
            component = reference.rpartition("/")[2]
            return SchemaClass(self.components[reference], f"The component {component}.")
        return SchemaClass(self.class_name(suggestion), "An object without a name in the contract.")

    def complete(self, target: SchemaClass, schema: Any) -> None:
        """Add the attributes of a class, then the classes of the components it is composed of."""
        taken: set[str] = set()
        for wire_name, value in self.properties(schema).items():
            name = unused(attribute_name(wire_name), taken)
            data_key = wire_name if wire_name != name else None
            suggestion = f"{target.name}{pascal_case(wire_name)}"
            target.attributes.append((name, self.expression(value, suggestion, data_key)))
        for reference in (piece for piece in pieces(schema) if isinstance(piece, str)):
            self.expression({"$ref": reference}, target.name)


def pieces(schema: Any) -> Iterator[dict | str]:
    """List what a schema is composed of, in its own order: itself, and references (not followed)."""
    if not isinstance(schema, dict):  # true or false
        return
    if "properties" not in schema:
        yield schema
    for name, value in schema.items():
        if name == "properties":
            yield schema
        elif name == "$ref":
            yield value
        elif name in COMPOSITIONS:
            for branch in value:
                yield from pieces(branch)


def types_of(branch: dict) -> set[str]:
    """List the JSON types that one branch names, or else implies."""
    if "type" in branch:
        return {branch["type"]} if isinstance(branch["type"], str) else set(branch["type"])
    if "properties" in branch:
        return {"object"}
    if "items" in branch:
        return {"array"}
    values = branch.get("enum", [branch["const"]] if "const" in branch else [])
    return {JSON_TYPES.get(type(value), "string") for value in values}


def kinds_of(branch: dict) -> set[str]:
    """List the field classes that fit one branch; none if it names no type (only `required`, say)."""
    of_string = KINDS_OF_STRING.get(branch.get("format", ""), KINDS["string"])
    kinds = {**KINDS, "string": of_string}
    return {kinds.get(name, "fields.Raw") for name in types_of(branch) - {"null"}}


def merged(schemas: list) -> Any:
    """Make one schema of several for the same place; of none, the one that takes anything."""
    distinct = [schema for index, schema in enumerate(schemas) if schema not in schemas[:index]]
    return distinct[0] if len(distinct) == 1 else {"allOf": distinct}


def pascal_case(text: str) -> str:
    """Make a class name: `enrollCustomerRequest` gives `EnrollCustomerRequest`."""
    return identifier(inflection.camelize(identifier(text)))


def attribute_name(text: str) -> str:
    """Make an attribute name: `mewsEnterpriseId` gives `mews_enterprise_id`, `class` gives `class_`."""
    name = inflection.underscore(identifier(text))
    return f"{name}_" if keyword.iskeyword(name) or name in IMPORTED else name


def identifier(text: str) -> str:
    """Replace what Python's names cannot have; leading underscores go, since two would mangle the name."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", text).lstrip("_")
    return name if name.isidentifier() else f"_{name}"


def unused(name: str, taken: set[str]) -> str:
    """Number a name if it is taken already, and take it."""
    candidates = itertools.chain([name], (f"{name}{number}" for number in itertools.count(2)))
    free = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(free)
    return free


def render(document: dict, classes: list[SchemaClass]) -> str:
    """Write the module's text, not yet formatted."""
    parts = [HEADER.format(file=CONTRACT.name, version=document["info"]["version"])]
    for item in classes:
        lines = [f"{name} = {expression}" for name, expression in item.attributes]
        parts.append("\n    ".join([f"class {item.name}(conversion.Schema):", f'"""{item.description}"""', "", *lines]))
    taken: set[str] = set()
    parts.extend(f"{unused(attribute_name(item.name), taken)} = {item.name}()" for item in classes)
    return "\n".join(parts) + "\n"


def formatted(source: str) -> str:
    """Format Python source as the project does. Raises `subprocess.CalledProcessError` if it is no Python."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TARGET), "-"]
    answer = subprocess.run(  # noqa: S603 (no shell, and a fixed command)
        command, input=source, cwd=ROOT, capture_output=True, check=True, encoding="utf-8"
    )
    return answer.stdout
