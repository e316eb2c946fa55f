"""The strict wire format: one reading of a body, or none (RFC 8259, and I-JSON, RFC 7493)."""

import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from app.contract import JSON
from app.languages import N_, Message
from app.problems import (
    BAD_REQUEST,
    FIELD_DUPLICATE,
    FIELD_INVALID_FORMAT,
    FIELD_REQUIRED,
    FIELDS_DETAIL,
    FieldProblem,
    Problem,
)

_HOLDING = {dict, list}  # what can hold names
_UTF8 = {"utf-8", "utf8"}
_MEDIA_DETAIL = Message(N_("Send one body of application/json in UTF-8, without a content encoding."))


class _RepeatedName(ValueError):
    pass


def check_media_type(headers: list[tuple[bytes, bytes]]) -> None:
    """Do nothing if the header fields allow the body to be read as JSON.

    Raises:
        Problem: 400, another media type, charset or a content encoding is declared.
    """
    types = [value for name, value in headers if name == b"content-type"]
    encodings = [value.strip().lower() for name, value in headers if name == b"content-encoding"]
    if len(types) > 1 or any(encoding != b"identity" for encoding in encodings):
        raise Problem(BAD_REQUEST, _MEDIA_DETAIL)
    if types and not _is_json_in_utf8(types[0]):
        raise Problem(BAD_REQUEST, _MEDIA_DETAIL)


@functools.lru_cache(64)  # a client sends the same one each time
def _is_json_in_utf8(content_type: bytes) -> bool:
    media, *parameters = content_type.decode("latin-1").split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    charsets = [value.strip().strip('"').lower() for name, _, value in pairs if name.strip().lower() == "charset"]
    return media.strip().lower() == JSON and all(charset in _UTF8 for charset in charsets)


async def read_body(receive: Callable) -> bytes | None:
    """Return the whole body, or None if the client hung up before its end."""
    chunks, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


def parse(body: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        Problem: 400, it is no JSON in UTF-8 without byte order mark, nests deeper than 1,024, holds a lone surrogate,
            a number that is none, a repeated name or U+0000 (which Postgres cannot hold).
        RecursionError: it nests nearly that deep.
    """
    try:
        value = orjson.loads(body)
        # orjson takes the last of two equal names. Each has a colon: are there no more than names, none was left out.
        if body.count(b":") != _count_names(value):
            json.loads(body, object_pairs_hook=_refuse_repeated, parse_int=str, parse_float=str)
    except _RepeatedName:
        raise Problem(BAD_REQUEST, FIELDS_DETAIL, [_repeated()]) from None
    except orjson.JSONDecodeError as error:
        place = {"line": error.lineno, "column": error.colno}
        detail = Message(N_("The body is no valid JSON (line %(line)s, column %(column)s)."), place)
        raise Problem(BAD_REQUEST, detail) from None
    if b"\\u0000" in body:
        _refuse_nul(value)
    return value


def _count_names(value: Any) -> int:
    if type(value) is dict:
        return len(value) + sum(_count_names(item) for item in value.values() if type(item) in _HOLDING)
    if type(value) is list:
        return sum(_count_names(item) for item in value if type(item) in _HOLDING)
    return 0


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise _RepeatedName


def _repeated() -> FieldProblem:
    return FieldProblem(FIELD_DUPLICATE, (), Message(N_("An object of the body holds a name twice.")))


def nested_too_deeply() -> Problem:
    """Return the answer to a body that nests deeper than Python can follow, though orjson could."""
    return Problem(BAD_REQUEST, Message(N_("The body is nested too deeply.")))


def missing_body() -> Problem:
    """Return the answer to a request without the body that its operation needs."""
    field = FieldProblem(FIELD_REQUIRED, (), Message(N_("This operation needs a JSON body.")))
    return Problem(BAD_REQUEST, FIELDS_DETAIL, [field])


def _refuse_nul(value: Any) -> None:
    detail = Message(N_("The character U+0000 is not allowed."))
    fields = [FieldProblem(FIELD_INVALID_FORMAT, path, detail) for path in _nul_paths(value, ())]
    if fields:
        raise Problem(BAD_REQUEST, FIELDS_DETAIL, fields)


def _nul_paths(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, str) and "\0" in value:
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            if "\0" in key:
                yield (*path, key)
            yield from _nul_paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nul_paths(item, (*path, index))
