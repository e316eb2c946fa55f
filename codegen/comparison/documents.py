"""OpenAPI documents as plain JSON values, and the places in them.

A place is a tuple of keys and indexes. Both documents stand in one workspace, `{"old": ..., "new": ...}`, with their
references rewritten accordingly: so a part of the new one can be tried in the place of a part of the old one, and
its references still lead to where they did.
"""

import pathlib
from typing import Any
from urllib.parse import quote, unquote

import yaml

from app import contract

Place = tuple[str | int, ...]

# Of a schema, and of everything else: for people to read, nothing that a request or an answer could violate.
TEXTS = frozenset({"title", "description", "summary", "example", "examples", "$comment", "externalDocs", "deprecated"})


class NotOpenAPI(Exception):
    """A file that is no OpenAPI 3.1 document; the text is one sentence that says why."""


def load(path: pathlib.Path) -> dict:
    """Read an OpenAPI 3.1 document from a YAML or JSON file.

    Raises:
        NotOpenAPI: it is none.
    """
    try:
        document = contract.read(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotOpenAPI(f"{path} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError):
        raise NotOpenAPI(f"{path} is neither YAML nor JSON in UTF-8.") from None
    if not isinstance(document, dict) or not str(document.get("openapi", "")).startswith("3.1."):
        raise NotOpenAPI(f"{path} is no OpenAPI 3.1 document: it does not say so at #/openapi.")
    check(document, str(path))
    return document


def check(document: dict, name: str) -> None:
    """Do nothing if a document is valid OpenAPI, after the specification's own JSON Schema and then by its rules.

    Raises:
        NotOpenAPI: it is not; the text starts with `name`.
    """
    import openapi_spec_validator
    from openapi_spec_validator.validation.exceptions import ValidatorDetectError

    try:
        error = next(iter(openapi_spec_validator.OpenAPIV31SpecValidator(document).iter_errors()), None)
    except (ValidatorDetectError, RecursionError):
        raise NotOpenAPI(f"{name} is no OpenAPI 3.1 document.") from None
    except Exception as unexpected:  # noqa: BLE001 (it has no common class for references that lead nowhere)
        first = (str(unexpected).strip() or type(unexpected).__name__).splitlines()[0].rstrip(".")
        raise NotOpenAPI(f"{name} is no OpenAPI 3.1 document: {first[:200]}.") from None
    if error is not None:
        told = error.message.splitlines()[0].rstrip(".")
        shown = told if len(told) <= 200 else f"{told[:200]}..."
        raise NotOpenAPI(f"{name} is no OpenAPI 3.1 document: at {pointer(tuple(error.absolute_path))}, {shown}.")


def workspace(old: dict, new: dict) -> dict:
    """Return both documents in one, with references rewritten to lead where they did."""
    return {"old": _within(old, "old"), "new": _within(new, "new")}


def _within(node: Any, side: str) -> Any:
    if isinstance(node, list):
        return [_within(value, side) for value in node]
    if not isinstance(node, dict):
        return node
    moved = {name: _within(value, side) for name, value in node.items()}
    if not isinstance(node.get("$ref"), str):
        return moved
    reference = node["$ref"]
    if not reference.startswith("#/"):
        raise NotOpenAPI(f"The {side} document refers to {reference}, which is not in it.")
    moved["$ref"] = f"#/{side}/{reference[2:]}"
    beside = {name for name in moved if name != "$ref" and not is_text(name)}
    return {"allOf": [{"$ref": moved.pop("$ref")}], **moved} if beside else moved


def is_text(name: str) -> bool:
    """Tell whether a keyword holds text for people only."""
    return name in TEXTS or name.startswith("x-")


def pointer(place: Place) -> str:
    """Return a place as an RFC 6901 pointer in URI fragment form (section 6)."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in place)
    return "#" + "".join("/" + quote(step, safe="~!$&'()*+,;=:@-._{}") for step in steps)


def place_of(reference: str) -> Place:
    """Return the place that a local reference names."""
    steps = reference.removeprefix("#/").split("/")
    return tuple(unquote(step).replace("~1", "/").replace("~0", "~") for step in steps)


def at(document: Any, place: Place, default: Any = None) -> Any:
    """Return what stands at a place, without following references; `default` where there is nothing."""
    for step in place:
        try:
            document = document[int(step) if isinstance(document, list) else step]
        except (LookupError, TypeError, ValueError):
            return default
    return document


def followed(document: dict, place: Place) -> Place:
    """Return the place that a chain of references from a place ends at.

    Raises:
        NotOpenAPI: it leads nowhere, or in a circle.
    """
    seen = {place}
    while isinstance(found := at(document, place), dict) and "$ref" in found:
        place = place_of(found["$ref"])
        if place in seen or at(document, place) is None:
            raise NotOpenAPI(f"The {place[0]} document refers to {pointer(place[1:])}, where nothing stands.")
        seen.add(place)
    return place


REMOVED = object()


def edited(document: Any, place: Place, value: Any) -> Any:
    """Return a copy with another value at a place (or nothing, for `REMOVED`); the rest is shared, not copied."""
    if not place:
        return value
    step, *rest = place
    if isinstance(document, list):
        return [edited(item, tuple(rest), value) if index == int(step) else item for index, item in enumerate(document)]
    copy = dict(document)
    if rest or value is not REMOVED:
        copy[str(step)] = edited(copy.get(str(step), {}), tuple(rest), value)
    else:
        copy.pop(str(step), None)
    return copy
