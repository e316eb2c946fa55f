"""The contract as the server reads it: the vendored OpenAPI document, its operations and compiled schemas."""

import builtins
import keyword
import pathlib
import re
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import inflection
import jsonschema_rs
import yaml

SPECIFICATION = pathlib.Path(__file__).parent.parent / "spec" / "mews-loyalty-partner.yaml"
JSON = "application/json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# A guest's real address is never refused for its script (RFC 6531), though the contract's format says `email`.
FORMATS = {"email": "idn-email", "hostname": "idn-hostname"}
_EMAIL_OPTIONS = jsonschema_rs.EmailOptions(allow_domain_literal=False, allow_display_text=False)


class MissingOperation(LookupError):
    """The contract has no operation of the kind that is needed, or has it no more."""


class NameClash(ValueError):
    """The contract has two things that would have the same name in Python; the text says which."""


@dataclass(frozen=True)
class Parameter:
    """A parameter that a handler gets, as text.

    Attributes:
        argument: the name of the handler's keyword argument.
        place: where it is sent, `path` or `query`.
        name: as in the document.
    """

    argument: str
    place: str
    name: str


@dataclass(frozen=True)
class Operation:
    """One operation of the contract.

    Attributes:
        operation_id: as in the document.
        method: in upper case.
        path: the path template, without the base path.
        handler: dotted name of the function that serves it.
        parameters: those that the function gets.
        body: validates a request body; None where the operation takes none.
        body_required: whether a body must be sent.
        body_schema: the body's schema in the document, unresolved.
        answer: validates the body of a 200.
    """

    operation_id: str
    method: str
    path: str
    handler: str
    parameters: list[Parameter]
    body: jsonschema_rs.Draft202012Validator | None
    body_required: bool
    body_schema: dict
    answer: jsonschema_rs.Draft202012Validator | None


class Contract:
    """An OpenAPI 3.1 document, compiled once.

    Args:
        document: as read from its file.
        beside: another version that is served as well; an operation of the same method and path has its handler.

    Raises:
        NameClash: two operations would have one handler, or two parameters of one be the same argument.
    """

    def __init__(self, document: dict, beside: "Contract | None" = None) -> None:
        self.document = document
        # A path without parameters goes before a template that has it too (OpenAPI 3.1, section 4.8.8.2).
        self.paths = dict(sorted(document["paths"].items(), key=lambda item: item[0].count("{")))
        self.version = str(document["info"]["version"])
        known = beside.operations.values() if beside else ()
        self._handlers = {(operation.method, operation.path): operation.handler for operation in known}
        self._registry = jsonschema_rs.Registry([("urn:contract", {"$schema": DIALECT, **_with_formats(document)})])
        self.operations: dict[str, Operation] = {}
        for found in self._operations():
            other = self.operations.setdefault(found.handler, found)
            if other is not found:
                raise NameClash(
                    f"{other.method} {other.path} and {found.method} {found.path} would have one handler, "
                    f"{found.handler}: give the one that is new another operationId."
                )
        self._templates = [
            (
                re.compile(_template_pattern(path)),
                {operation.method: operation for operation in self.operations.values() if operation.path == path},
            )
            for path in self.paths
        ]

    def operations_at(self, raw_path: str) -> dict[str, Operation]:
        """Return the operations by method at an actual path, before percent-decoding; empty where there are none."""
        for template, operations in self._templates:
            if template.fullmatch(raw_path):
                return operations
        return {}

    def operation_with(self, name: str) -> Operation:
        """Return the first operation whose request body has a property of this name.

        Raises:
            MissingOperation: there is none.
        """
        for operation in self.operations.values():
            if name in self.resolve(operation.body_schema).get("properties", {}):
                return operation
        raise MissingOperation(f"No operation of the contract takes a request with {name}.")

    def node(self, path: Sequence[str | int]) -> Any:
        """Return what stands at a path of keys and indexes in the document."""
        found: Any = self.document
        for step in path:
            found = found[step]
        return found

    def resolve(self, schema: dict) -> dict:
        """Return the schema that a chain of `$ref` within the document ends at."""
        while "$ref" in schema:
            schema = self.node(_steps(schema["$ref"]))
        return schema

    def wire_path(self, operation: Operation, attributes: tuple[str, ...]) -> tuple[str, ...]:
        """Return a path of attribute names (`customer`, `first_name`) as the operation's body spells it."""
        schema, path = operation.body_schema, []
        for attribute in attributes:
            properties = self.resolve(schema).get("properties", {})
            name = next((name for name in properties if inflection.underscore(name) == attribute), attribute)
            schema = properties.get(name, {})
            path.append(name)
        return tuple(path)

    def _operations(self) -> Iterator[Operation]:
        for path, reference in self.document["paths"].items():
            place, item = self._follow(f"urn:contract#/paths/{_escape(path)}", reference)
            for method in METHODS:
                if method in item:
                    yield self._operation(path, method, item, f"{place}/{method}")

    def _operation(self, path: str, method: str, item: dict, place: str) -> Operation:
        operation = item[method]
        body = self.resolve(operation.get("requestBody", {}))
        body_schema, checks_body = self._json(f"{place}/requestBody", operation.get("requestBody", {}))
        _, checks_answer = self._json(f"{place}/responses/200", operation["responses"].get("200", {}))
        return Operation(
            operation_id=operation["operationId"],
            method=method.upper(),
            path=path,
            handler=self._handlers.get((method.upper(), path)) or handler_name(operation),
            parameters=parameters(item, operation, self.resolve),
            body=checks_body,
            body_required=body.get("required", False),
            body_schema=body_schema,
            answer=checks_answer,
        )

    def _json(self, place: str, node: dict) -> tuple[dict, jsonschema_rs.Draft202012Validator | None]:
        """Return the schema of a request body or response as JSON, and what checks it; ({}, None) without JSON."""
        place, found = self._follow(place, node)
        media_type = json_media_type(found.get("content", {}))
        if media_type is None:
            return {}, None
        schema = found["content"][media_type].get("schema")
        if schema is None:
            return {}, self._compile({})
        return schema, self._compile({"$ref": f"{place}/content/{_escape(media_type)}/schema"})

    def _follow(self, place: str, node: dict) -> tuple[str, dict]:
        """Return where a chain of `$ref` ends, as the URI of that place, and what stands there."""
        while "$ref" in node:
            place, node = f"urn:contract{node['$ref']}", self.node(_steps(node["$ref"]))
        return place, node

    def _compile(self, schema: dict) -> jsonschema_rs.Draft202012Validator:
        return jsonschema_rs.Draft202012Validator(
            schema,
            registry=self._registry,
            validate_formats=True,
            email_options=_EMAIL_OPTIONS,
            offline=True,
        )


def load(path: pathlib.Path = SPECIFICATION, beside: Contract | None = None) -> Contract:
    """Return the compiled contract of an OpenAPI 3.1 file; for `beside`, see `Contract`."""
    return Contract(read(path.read_text("utf-8")), beside)


class _JsonLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads YAML as the JSON that it stands for: a date is a text."""


_JsonLoader.yaml_implicit_resolvers = {
    sign: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for sign, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(text: str) -> Any:
    """Return a YAML or JSON text as plain JSON values, whose keys are all texts: a bare status is none in YAML.

    Raises:
        yaml.YAMLError: it is neither.
    """
    return _with_text_keys(yaml.load(text, _JsonLoader))  # noqa: S506 (a safe loader)


def _with_text_keys(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _with_text_keys(value) for key, value in node.items()}
    return [_with_text_keys(value) for value in node] if isinstance(node, list) else node


def handler_name(operation: dict) -> str:
    """Return the dotted name of the function that serves an operation: its first tag's module, its id in snake case."""
    module = inflection.underscore(operation["tags"][0].replace(" ", "_"))
    return f"handlers.{module}.{inflection.underscore(operation['operationId'])}"


def parameters(item: dict, operation: dict, follow: Callable[[dict], dict]) -> list[Parameter]:
    """Return the path and query parameters of an operation, in the document's order.

    Args:
        item: the path item that holds the operation, and parameters for all of its operations.
        operation: the operation.
        follow: returns what a chain of `$ref` ends at.

    Raises:
        NameClash: two of them would be the same argument.
    """
    listed = [follow(node) for node in (*item.get("parameters", ()), *operation.get("parameters", ()))]
    # An operation may state again what its path states.
    keys = dict.fromkeys((node["in"], node["name"]) for node in listed if node["in"] in ("path", "query"))
    found = [Parameter(argument_name(name), place, name) for place, name in keys]
    arguments = [parameter.argument for parameter in found]
    for argument in arguments:
        if arguments.count(argument) > 1:
            raise NameClash(f"{operation['operationId']} has two parameters that a handler would get as {argument}.")
    return found


def argument_name(name: str) -> str:
    """Return the name of a parameter as a handler's argument: in snake case, and no name that Python has or `body`."""
    snake = re.sub(r"\W|^(?=\d)", "_", inflection.underscore(name), flags=re.ASCII)
    is_taken = snake == "body" or keyword.iskeyword(snake) or hasattr(builtins, snake)
    return f"{snake}_" if is_taken else snake


def json_media_type(content: dict) -> str | None:
    """Return the media type of a body that is JSON, as the document writes it: in any case, with any parameters."""
    return next((name for name in content if name.partition(";")[0].strip().lower() == JSON), None)


def _steps(reference: str) -> list[str]:
    """Return the keys of a `$ref` within the document, which is an RFC 6901 pointer in URI fragment form."""
    steps = reference.removeprefix("#/").split("/")
    return [urllib.parse.unquote(step).replace("~1", "/").replace("~0", "~") for step in steps]


def _escape(key: str) -> str:
    """Return a key as a step of an RFC 6901 pointer in URI fragment form."""
    return urllib.parse.quote(key.replace("~", "~0").replace("/", "~1"), safe="~")


def _template_pattern(path: str) -> str:
    parts = re.split(r"(\{[^}]+\})", path)
    return "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in parts)


def _with_formats(node: Any) -> Any:
    if isinstance(node, dict):
        changed = {key: _with_formats(value) for key, value in node.items()}
        if isinstance(changed.get("format"), str):
            changed["format"] = FORMATS.get(changed["format"], changed["format"])
        return changed
    return [_with_formats(value) for value in node] if isinstance(node, list) else node
