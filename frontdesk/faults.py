"""Where an answer breaks the contract: its encoding, its schema, and what the contract says in words alone."""

import itertools
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import orjson

from app.contract import JSON
from frontdesk import forms
from frontdesk.store import Exchange

MOST_FAULTS = 20
LONGEST_FAULT = 300
# Of each list in an answer that is wrong, so many entries are looked at for what is wrong with them.
MOST_ENTRIES = 200
_IDENTIFIER = "providerMembershipId"


def found(schema: Any, exchange: Exchange) -> list[tuple[str, str]]:
    """Return where the 200 of an exchange breaks the contract, as JSON pointers, and how; the first of them, if many.

    Args:
        schema: the validator of the operation's answer.
        exchange: with the answer as it will be kept.
    """
    first = list(itertools.islice(_found(schema, exchange), MOST_FAULTS + 1))
    if len(first) > MOST_FAULTS:
        first[MOST_FAULTS:] = [("", f"These are the first {MOST_FAULTS}; there are more.")]
    return [(at, what if len(what) <= LONGEST_FAULT else f"{what[:LONGEST_FAULT]}…") for at, what in first]


def of_encoding(body: bytes) -> list[tuple[str, str]]:
    """Return what is wrong with the encoding of an answer, as `found` does."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return [("", f'The body is not UTF-8 from byte {error.start + 1} on. What is not stands here as in "\\xff".')]
    return []


def _found(schema: Any, exchange: Exchange) -> Iterator[tuple[str, str]]:
    media_type = dict(exchange.headers).get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        yield "", f"The Content-Type is {media_type or 'missing'}, and not {JSON}."
    try:
        body = orjson.loads(exchange.answer)
    except orjson.JSONDecodeError as broken:
        yield "", f"The body is no JSON: {broken}."
        return
    try:
        errors = _errors(schema, body)
    except (ValueError, RecursionError):
        yield "", "The body nests too deeply."
        return
    for error in itertools.chain.from_iterable(map(_of_nearest_shape, errors)):
        yield _pointer(*error.instance_path), error.message
    if not errors:
        yield from _of_identifiers(exchange.body, body)


def _errors(schema: Any, body: Any) -> list[Any]:
    """Return what is wrong by the schema.

    All errors are found before any is told, which would take half a minute for a long list of nothing else. So they are
    those in the beginning of each list, or the first one if there are none.
    """
    try:
        schema.validate(body)
    except jsonschema_rs.ValidationError as first:
        return list(schema.iter_errors(_shortened(body))) or [first]
    return []


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    return [_shortened(item) for item in value[:MOST_ENTRIES]] if isinstance(value, list) else value


def _of_identifiers(asked: dict, body: dict) -> Iterator[tuple[str, str]]:
    """Return where an answer is not about the memberships that were asked for, with one entry for each."""
    told: list[tuple[tuple, dict]]
    if forms.LIST in asked:
        told = [(("memberships", index), membership) for index, membership in enumerate(body["memberships"])]
        wanted = set(asked[forms.LIST])
    elif forms.LINK in asked:
        told, wanted = [(("membership",), body["membership"])], {asked[forms.LINK]}
    else:
        return
    missing = set(wanted)
    for path, membership in told:
        identifier = membership[_IDENTIFIER]
        if identifier not in missing:
            how = "has an entry already" if identifier in wanted else "was not asked for"
            yield _pointer(*path, _IDENTIFIER), f'"{identifier}" {how}.'
        missing.discard(identifier)
    for identifier in sorted(missing):
        yield "", f'"{identifier}" was asked for, and has no entry.'


def _pointer(*path: str | int) -> str:
    return "".join(f"/{step}" for step in path)


def _of_nearest_shape(error: Any) -> Iterator[Any]:
    """Return what is wrong with a value that has none of several shapes by the one that has all of its fields."""
    shapes = getattr(error.kind, "context", None) or [[error]]
    nearest = min(shapes, key=lambda causes: any(cause.kind.name == "additionalProperties" for cause in causes))
    for cause in nearest:
        yield from [cause] if cause is error else _of_nearest_shape(cause)
