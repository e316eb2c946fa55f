"""What was sent and answered, in a form that people can read."""

import email.utils
import http
import http.client
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from frontdesk import forms
from frontdesk.partner import TELLING_HEADERS
from frontdesk.store import Exchange

# Of a body, so many characters at most are shown: a page shows several, and no one reads on from there.
LONGEST_SHOWN = 50_000
TOKEN_VARIABLE = "LOYALTY_TOKEN"  # noqa: S105 (the name of a variable)
_DONE = {
    forms.ENROLL: "The enrollment was accepted.",
    forms.LIST: "Refreshed.",
    forms.LINK: "The membership is linked to this customer.",
}


@dataclass(frozen=True)
class FieldError:
    """What is wrong with a field: its name in the contract, its label, and what was told."""

    name: str
    label: str
    pointer: str
    type: str
    detail: str


@dataclass(frozen=True)
class Alert:
    """Something that staff must know, since what they wanted was not done.

    Attributes:
        title: in short.
        detail: what went wrong.
        advice: what to do, in our words; empty if `detail` says it all.
        language: of title, detail and errors, after RFC 5646, where they are the partner server's; else empty.
        errors: what is wrong with which field.
        faults: where and how an answer breaks the contract.
    """

    title: str
    detail: str
    advice: str = ""
    language: str = ""
    errors: list[FieldError] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)


def alert(exchange: Exchange) -> Alert | None:
    """Return what to say of an exchange that was not good; None if it was."""
    if exchange.is_good:
        return None
    if exchange.failure is not None:
        which = "answer" if exchange.status is None else "whole answer"
        return Alert(f"No {which} from the loyalty system", exchange.failure)
    if exchange.status == 200:
        detail = (
            "The loyalty system answered with something that the contract does not allow. Nothing was changed here."
        )
        return Alert("The answer breaks the contract", detail, faults=exchange.faults)
    told = problem(exchange)
    if told is None:
        detail = f"It has status {exchange.status}, and is no problem detail as the contract asks for."
        return Alert("The answer breaks the contract", detail, _advice(exchange), faults=exchange.faults)
    return Alert(
        _text(told, "title") or f"Status {exchange.status}",
        _text(told, "detail"),
        _advice(exchange),
        dict(exchange.headers).get("content-language", ""),
        errors(told),
    )


def done(exchange: Exchange) -> str:
    """Return what to say of an exchange that was good."""
    if exchange.body.get("isLinked") is False:
        return "The membership is no longer linked to this customer."
    return next((told for name, told in _DONE.items() if name in exchange.body), "")


def _advice(exchange: Exchange) -> str:
    headers = dict(exchange.headers)
    if exchange.status == http.HTTPStatus.UNAUTHORIZED:
        return f"Start the front desk with a token that the loyalty system knows: --token, or {TOKEN_VARIABLE}."
    if exchange.status == http.HTTPStatus.TOO_MANY_REQUESTS:
        return " ".join(["Wait", *_how_long(headers.get("retry-after", "")), "before you try again."])
    if exchange.status in range(300, 400) and "location" in headers:
        return f"It leads to {headers['location']}, where the front desk does not go: the contract has no redirects."
    return ""


def _how_long(wait: str) -> list[str]:
    """Return a Retry-After, which has seconds or a date, in words; none if it has something else."""
    if wait.isdecimal():
        return [f"{wait} second{'' if wait == '1' else 's'}"]
    try:
        email.utils.parsedate_to_datetime(wait)
    except ValueError:
        return []
    return [f"until {wait}"]


def problem(exchange: Exchange) -> dict | None:
    """Return the problem detail (RFC 9457) that an exchange was answered with, if it was."""
    body = _parsed(exchange.answer)
    is_problem = exchange.status != 200 and isinstance(body, dict) and {"type", "title", "status"} <= body.keys()
    return body if is_problem else None


def errors(told: Mapping[str, Any]) -> list[FieldError]:
    """Return the field errors of a problem detail, as far as they can be read."""
    listed = told.get("errors")
    found = [error for error in listed if isinstance(error, dict)] if isinstance(listed, list) else []
    return [_field_error(error) for error in found]


def _field_error(error: dict) -> FieldError:
    pointer = _text(error, "pointer")
    name = pointer.rpartition("/")[2]
    return FieldError(name, forms.label(name), pointer, _text(error, "type"), _text(error, "detail") or "Not accepted.")


def _text(node: Mapping[str, Any], name: str) -> str:
    value = node.get(name)
    return value if isinstance(value, str) else ""


def request_head(exchange: Exchange) -> str:
    """Return the request line and header fields as sent, but for the token."""
    fields = {"Authorization": f"Bearer ${TOKEN_VARIABLE}"} | exchange.sent_headers
    return "\n".join([f"{exchange.method} {exchange.url}", *_lines(fields)])


def answer_head(exchange: Exchange) -> str:
    """Return the status and the header fields that say something of the operation."""
    first = f"{exchange.status} {http.client.responses.get(exchange.status or 0, '')}".strip()
    came = dict(exchange.headers)
    fields = {name: came[name.lower()] for name in TELLING_HEADERS if name.lower() in came}
    return "\n".join([first, *_lines(fields)])


def _lines(fields: Mapping[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in fields.items()]


def shown(text: str) -> str:
    """Return a JSON text with a line for each member; any other, and one that would not stay the same, as it is.

    Of one that is very long, only the beginning is returned, as it is.
    """
    if len(text) > LONGEST_SHOWN:
        return text[:LONGEST_SHOWN]
    try:
        return indented(json.loads(text, object_pairs_hook=_distinct, parse_float=_exact, parse_constant=_exact))
    except (ValueError, RecursionError):
        return text


def _distinct(members: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(members)) < len(members):
        raise ValueError("a name stands twice")
    return dict(members)


def _exact(text: str) -> float:
    if repr(float(text)) != text:
        raise ValueError("a number would be written otherwise")
    return float(text)


def indented(body: Any) -> str:
    """Return a value as JSON with a line for each member."""
    return json.dumps(body, indent=2, ensure_ascii=False)


def curl(exchange: Exchange) -> str:
    """Return a command that sends the request again, with the token in a variable of the shell."""
    fields = [word for line in _lines(exchange.sent_headers) for word in ("-H", line)]
    words = ["-X", exchange.method, exchange.url, *fields, "-d", exchange.sent_body]
    return f'curl -sS -H "Authorization: Bearer ${TOKEN_VARIABLE}" {shlex.join(words)}'


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
