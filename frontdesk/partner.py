"""The partner server, called as Mews calls it. What comes back is recorded, however bad it is."""

import itertools
import ssl
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import httpx
import orjson

from app.contract import JSON, Contract
from frontdesk.store import Exchange

# Mews does not say how long it waits; no front desk waits longer than this.
PATIENCE_SECONDS = 10.0
LARGEST_ANSWER_BYTES = 2 * 1024 * 1024
MOST_FAULTS = 20
MASK = "•••"
# The answer's header fields that say something of the operation; the others only fill the screen.
TELLING_HEADERS = ("content-type", "content-language", "retry-after", "ratelimit", "www-authenticate", "x-request-id")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class _NoAnswer(Exception):
    """There was no answer to show; the text says why."""


class Partner:
    """A partner server at a base address.

    Args:
        base_url: without a slash at its end.
        token: the bearer token that the provider issued. It goes into `Authorization` and nowhere else.
        contract: what to call, and what to expect.
    """

    def __init__(self, base_url: str, token: str, contract: Contract) -> None:
        self.base_url, self.contract = base_url, contract
        self._token = token
        # A proxy of the environment is not for this machine's own addresses.
        trust_env = urllib.parse.urlsplit(base_url).hostname not in LOOPBACK
        self._client = httpx.Client(timeout=PATIENCE_SECONDS, trust_env=trust_env, follow_redirects=False)

    def call(self, name: str, body: dict, language: str = "") -> Exchange:
        """Call the operation whose request carries this name, and return what happened, not yet saved.

        Args:
            name: a property of the operation's request body, such as `memberFilter`.
            body: what to send.
            language: for `Accept-Language`; empty for none.

        Raises:
            MissingOperation: the contract has no such operation.
        """
        operation = self.contract.operation_with(name)
        exchange = Exchange(
            operation=operation.operation_id,
            summary=self.contract.node(("paths", operation.path, operation.method.lower())).get("summary", name),
            method=operation.method,
            url=self.base_url + operation.path,
            language=language,
            body=body,
        )
        begun = time.monotonic()
        try:
            exchange.status, exchange.headers, exchange.answer = self._send(exchange)
        except _NoAnswer as failure:
            exchange.failure = str(failure)
        exchange.milliseconds = (time.monotonic() - begun) * 1000
        if exchange.status == 200 and operation.answer:
            exchange.faults = list(_faults(operation.answer, exchange.answer))
        return exchange

    def _send(self, exchange: Exchange) -> tuple[int, list[tuple[str, str]], str]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": JSON, "Accept": "application/json, */*"}
        if exchange.language:
            headers["Accept-Language"] = exchange.language
        until, content = time.monotonic() + PATIENCE_SECONDS, orjson.dumps(exchange.body)
        try:
            with self._client.stream(exchange.method, exchange.url, headers=headers, content=content) as answer:
                body = _read(answer, until)
        except httpx.HTTPError as error:
            raise _NoAnswer(_why(error)) from None
        told = [(name, self._masked(answer.headers[name])) for name in TELLING_HEADERS if name in answer.headers]
        return answer.status_code, told, self._masked(body.decode("utf-8", "replace"))

    def _masked(self, text: str) -> str:
        """Return a text without the token, which a server that repeats its request may have put there."""
        return text.replace(self._token, MASK)


def _read(answer: httpx.Response, until: float) -> bytes:
    """Return the body, which a server could send slowly, or without end."""
    body = b""
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > LARGEST_ANSWER_BYTES:
            raise _NoAnswer(f"The answer is longer than {LARGEST_ANSWER_BYTES // 1024**2} MiB, and was given up.")
        if time.monotonic() > until:
            raise _NoAnswer(f"The answer was not complete after {PATIENCE_SECONDS:.0f} seconds.")
    return body


def _why(error: httpx.HTTPError) -> str:
    match error:
        case httpx.TimeoutException():
            return f"The loyalty system did not answer within {PATIENCE_SECONDS:.0f} seconds."
        case httpx.ConnectError() if isinstance(_cause(error), ssl.SSLError):
            return "No secure connection: the loyalty system's certificate is not trusted."
        case httpx.ConnectError():
            return "The loyalty system cannot be reached: check that it runs, and the base address."
        case httpx.DecodingError():
            return "The answer says that it is compressed, and cannot be read so."
    return "The loyalty system broke the connection off, or does not speak HTTP."


def _cause(error: BaseException) -> BaseException:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return error


def _faults(answer: Any, text: str) -> Iterator[tuple[str, str]]:
    """Return where an answer breaks the contract, as JSON pointers, and how."""
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        yield "", "The body is no JSON."
        return
    errors = itertools.chain.from_iterable(map(_of_nearest_shape, answer.iter_errors(body)))
    for error in itertools.islice(errors, MOST_FAULTS):
        yield "".join(f"/{step}" for step in error.instance_path), error.message


def _of_nearest_shape(error: Any) -> Iterator[Any]:
    """Return what is wrong with a value that has none of several shapes by the one that has all of its fields."""
    shapes = getattr(error.kind, "context", None) or [[error]]
    nearest = min(shapes, key=lambda causes: any(cause.kind.name == "additionalProperties" for cause in causes))
    for cause in nearest:
        yield from [cause] if cause is error else _of_nearest_shape(cause)
