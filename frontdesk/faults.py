"""Where a 200 breaks the contract: its schema, and what the contract says in words alone."""

import itertools
from collections.abc import Iterator
from typing import Any

import orjson

from app.contract import JSON
from frontdesk import forms
from frontdesk.store import Exchange

MOST_FAULTS = 20
_IDENTIFIER = "providerMembershipId"


def found(schema: Any, exchange: Exchange) -> list[tuple[str, str]]:
    """Return where the 200 of an exchange breaks the contract, as JSON pointers, and how; so many at most.

    Args:
        schema: the validator of the operation's answer.
        exchange: with the answer as it will be kept.
    """
    return list(itertools.islice(_found(schema, exchange), MOST_FAULTS))


def _found(schema: Any, exchange: Exchange) -> Iterator[tuple[str, str]]:
    media_type = dict(exchange.headers).get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        yield "", f"The Content-Type is {media_type or 'missing'}, and not {JSON}."
    try:
        body = orjson.loads(exchange.answer)
    except orjson.JSONDecodeError:
        yield "", "The body is no JSON."
        return
    is_valid = True
    for error in itertools.chain.from_iterable(map(_of_nearest_shape, schema.iter_errors(body))):
        is_valid = False
        yield _pointer(*error.instance_path), error.message
    if is_valid:
        yield from _of_identifiers(exchange.body, body)


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
