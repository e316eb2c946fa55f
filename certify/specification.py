"""The contract that a server is judged by: the vendored one or the partner's file, and what the kit asks of it."""

import functools
import hashlib
import itertools
import pathlib
import urllib.parse
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import yaml

from app import contract
from certify.masking import words
from certify.requirements import FEATURES, Flow, Requirement
from codegen.comparison import documents

# What the request of each flow's operation carries. A spec may name its operations as it likes.
CARRIES = {
    Flow.SEARCH: "memberFilter",
    Flow.ENROLL: "customer",
    Flow.LIST: "providerMembershipIds",
    Flow.LINK: "providerMembershipId",
}
# What names a membership, and nobody by itself.
IDENTIFIERS = ("providerMembershipId", "membershipNumber")
_EXCERPT_LINES = 14
# Entries of a list that are looked at for each of their faults.
_MOST_ENTRIES = 1000
# What an error of a schema repeats of the answer; the rest of it is of the spec.
_OF_THE_ANSWER = ("value", "context", "unexpected", "error")


class UnusableSpec(Exception):
    """The file is no contract that the kit can judge by; the text is one sentence that says why."""


@dataclass(frozen=True)
class Fault:
    """Where a body breaks its schema, without the value that does.

    Attributes:
        place: of the value in the body.
        pointer: of the keyword in the spec; empty if the place is not known.
        told: what the schema asks for.
    """

    place: tuple[str | int, ...]
    pointer: str
    told: str


class Specification:
    """An OpenAPI document with the operations of the flows.

    Args:
        path: of the YAML or JSON file.
        absent: the flows that the provider declared absent, and that the document may lack.

    Raises:
        UnusableSpec: it is no OpenAPI 3.1 document, or lacks the operation of a flow.
    """

    def __init__(self, path: pathlib.Path = contract.SPECIFICATION, absent: Collection[Flow] = ()) -> None:
        try:
            self.document = documents.load(path)
            self.contract = contract.Contract(self.document)
            self.operations = {flow: self._operations_of(flow) for flow in FEATURES}
        except (documents.NotOpenAPI, contract.NameClash) as error:
            raise UnusableSpec(str(error)) from None
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise UnusableSpec(f"{path} cannot be read as a contract ({type(error).__name__}).") from None
        self.path = path
        self.checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        self.is_vendored = self.checksum == hashlib.sha256(contract.SPECIFICATION.read_bytes()).hexdigest()
        lacking = [flow for flow, found in self.operations.items() if not found and flow in CARRIES]
        for flow in lacking:
            if flow not in absent:
                raise UnusableSpec(
                    f"{path} has no operation that takes {CARRIES[flow]}: if that is right, add --without {flow}."
                )

    @property
    def title(self) -> str:
        """The document's title and version."""
        return f"{self.document['info']['title']} {self.contract.version}"

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """The names of all properties that the document's schemas have."""
        return frozenset(_property_names(self.document))

    @functools.cached_property
    def personal(self) -> frozenset[str]:
        """The names of the fields that say who somebody is: a customer's and a filter's, but for identifiers."""
        asked = [self.schema_of(flow, CARRIES[flow]) for flow in (Flow.SEARCH, Flow.ENROLL) if self.operations[flow]]
        return frozenset(name for schema in asked for name in self._fields(schema)).difference(IDENTIFIERS)

    def _fields(self, schema: dict) -> Iterator[str]:
        for name, below in self._properties(schema).items():
            yield name
            yield from self._fields(below)

    @functools.cached_property
    def vocabulary(self) -> frozenset[str]:
        """The words that the document has outside its examples, in lower case."""
        return frozenset(word for text in _texts(self.document) for word in words(text))

    def _operations_of(self, flow: Flow) -> list[contract.Operation]:
        every = self.contract.operations.values()
        checkout = [found for found in every if "checkout" in f"{found.operation_id}{found.path}".lower()]
        if flow not in CARRIES:
            return checkout
        taking = [found for found in every if CARRIES[flow] in self._properties(found.body_schema)]
        return [found for found in taking if found not in checkout][:1]

    def _properties(self, schema: dict) -> dict:
        return self.contract.resolve(schema).get("properties", {})

    def operation(self, flow: Flow) -> contract.Operation:
        """Return the operation of a flow that the document has."""
        return self.operations[flow][0]

    def flow_of(self, method: str, path: str) -> Flow | None:
        """Return the flow that the operation at a method and path belongs to."""
        found = self.contract.operations_at(path).get(method)
        return next((flow for flow, operations in self.operations.items() if found in operations), None)

    def takes(self, flow: Flow, body: Any) -> bool:
        """Tell whether the spec allows a request body."""
        validator = self.operation(flow).body
        return validator is None or validator.is_valid(body)

    def schema_of(self, flow: Flow, *names: str) -> dict:
        """Return the schema of a property of a flow's request, below properties of those names; {} if it has none."""
        schema = self.contract.resolve(self.operation(flow).body_schema)
        for name in names:
            schema = self.contract.resolve(schema.get("properties", {}).get(name, {}))
        return schema

    def faults(self, operation: contract.Operation, body: Any) -> list[Fault]:
        """Return where the body of a 200 breaks its schema; where the spec has several shapes, of the nearest."""
        if operation.answer is None:
            return []
        try:
            if operation.answer.is_valid(body):
                return []
            # All errors are found before the first is told, so that a long list of wrong entries would take minutes.
            errors = list(operation.answer.iter_errors(_shortened(body)))
        except (ValueError, RecursionError):  # beyond 255 levels
            return [Fault((), "", "The body nests deeper than the spec lets it")]
        if not errors:
            return [Fault((), "", f"An entry after the first {_MOST_ENTRIES} of a list breaks the spec")]
        return [self._fault(error) for found in errors for error in _of_nearest_shape(found)]

    def _fault(self, error: jsonschema_rs.ValidationError) -> Fault:
        kind: Any = error.kind
        asked = [value for name, value in kind.as_dict().items() if name not in _OF_THE_ANSWER]
        told = "; ".join(", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in asked)
        place = tuple(error.instance_path)
        pointer = "#/" + "/".join(_escaped(str(step)) for step in error.schema_path)
        # A name that the contract does not have may be somebody's.
        named = tuple(itertools.takewhile(lambda step: isinstance(step, int) or step in self.names, place))
        where = fragment(named) if named else "The body"
        return Fault(place, pointer, f"{where} breaks the spec's {kind.name}" + (f": {told}" if told else ""))

    def pointer_to(self, requirement: Requirement) -> str:
        """Return where the document speaks of a requirement, or of the nearest thing above it that it has."""
        if requirement.spec.startswith("#"):
            return self._existing(requirement.spec.removeprefix("#/").split("/"))
        found = self.operations.get(requirement.flow)
        if not found:
            return "#/paths"
        steps = ["paths", found[0].path, found[0].method.lower(), *requirement.spec.split("/")]
        return self._existing([_escaped(step) for step in steps])

    def _existing(self, steps: list[str]) -> str:
        found: list[str] = []
        node: Any = self.document
        for step in steps:
            key = urllib.parse.unquote(step).replace("~1", "/").replace("~0", "~")
            if not isinstance(node, dict) or key not in node:
                break
            node = node[key]
            found.append(step)
        return "#/" + "/".join(found)

    def excerpt(self, pointer: str) -> str:
        """Return the first lines of what stands at a pointer, or of what it refers to, as YAML."""
        node = self.contract.node([_unescaped(step) for step in pointer.removeprefix("#/").split("/") if step])
        node = self.contract.resolve(node) if isinstance(node, dict) else node
        lines = yaml.safe_dump(node, sort_keys=False, allow_unicode=True, width=100).rstrip().splitlines()
        if lines[-1] == "...":  # the end of a document that is one scalar
            del lines[-1]
        return "\n".join([*lines[:_EXCERPT_LINES], *(["..."] if len(lines) > _EXCERPT_LINES else [])])


def _shortened(value: Any) -> Any:
    """Return a body without what comes after the first entries of its lists, which keep their places."""
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    return [_shortened(item) for item in value[:_MOST_ENTRIES]] if isinstance(value, list) else value


def fragment(place: tuple[str | int, ...]) -> str:
    """Return a place in a body as an RFC 6901 pointer in URI fragment form."""
    return "#" + "".join(f"/{_escaped(str(step))}" for step in place)


def _escaped(step: str) -> str:
    return urllib.parse.quote(step.replace("~", "~0").replace("/", "~1"), safe="~")


def _unescaped(step: str) -> str:
    return urllib.parse.unquote(step).replace("~1", "/").replace("~0", "~")


def _of_nearest_shape(error: jsonschema_rs.ValidationError) -> Iterator[jsonschema_rs.ValidationError]:
    shapes = [shape for shape in getattr(error.kind, "context", None) or [] if shape]
    if shapes:
        yield from min(shapes, key=len)
    else:
        yield error


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield str(name)
            if name not in ("example", "examples", "default"):  # which may name somebody
                yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)
    elif isinstance(node, str):
        yield node


def _property_names(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        properties = node.get("properties")
        yield from properties if isinstance(properties, dict) else ()
        for value in node.values():
            yield from _property_names(value)
    elif isinstance(node, list):
        for value in node:
            yield from _property_names(value)
