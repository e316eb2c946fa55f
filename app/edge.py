"""The layers around the contract: request id, log and metrics, problems, exact paths, limits, deadline."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable
from typing import Any

import structlog

from app import context, telemetry
from app.contract import METHODS, Contract, Operation
from app.handling import TRANSPORT
from app.languages import N_, Message, negotiate
from app.problems import (
    BAD_REQUEST,
    INTERNAL_ERROR,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    NOTHING_HERE,
    TIMEOUT,
    Problem,
    from_exception,
    render,
)

REQUEST_ID_HEADER = "X-Request-Id"
# No cache keeps an answer, a shared one neither (RFC 9111, 5.2.2.5), and a browser makes nothing of it but text.
DEFENCES = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
]
STRICT_TRANSPORT = [(b"strict-transport-security", b"max-age=31536000")]
# How much of a body that is too large is read to no purpose: so many times the limit, for so long.
DRAIN_LIMITS, DRAIN_SECONDS = 8, 1.0
# The server keeps no more of them than this and one, so that it shows.
MOST_FIELDS = 128
_KNOWN_METHODS = {method.upper() for method in METHODS}
log = structlog.get_logger("loyalty.request")


class Observed:
    """Outermost: gives each request its context, and tells log and metrics of its end."""

    def __init__(self, app: Callable) -> None:
        self._app = app

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        state = scope[context.SCOPE_KEY] = context.RequestContext(language=negotiate(_accept_language(scope)))
        started, status = time.perf_counter(), 0

        async def identified(message: dict) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], *_common_headers(scope, state)]}
            await send(message)

        try:
            await self._app(scope, receive, identified)
        finally:
            _tell(scope, state, status, time.perf_counter() - started)
        return None


def _common_headers(scope: dict, state: context.RequestContext) -> list[tuple[bytes, bytes]]:
    https = STRICT_TRANSPORT if scope["scheme"] == "https" else []  # elsewhere it must not stand (RFC 6797, 7.2)
    return [(REQUEST_ID_HEADER.lower().encode(), state.request_id.encode()), *DEFENCES, *https, *state.fields]


def _accept_language(scope: dict) -> str | None:
    values = [value for name, value in scope["headers"] if name == b"accept-language"]
    return b",".join(values).decode("latin-1") if values else None


def _tell(scope: dict, state: context.RequestContext, status: int, seconds: float) -> None:
    """One line for each request: nothing of its path or body, which may hold a guest's data."""
    operation = state.operation.operation_id if state.operation else "none"
    telemetry.record_request(operation, status, state.problem or "", seconds)
    log.info(
        "request",
        request_id=state.request_id,
        operation=operation,
        method=scope["method"] if scope["method"] in _KNOWN_METHODS else "other",
        status=status or "client hung up",
        problem=state.problem,
        token=state.token_name,
        milliseconds=round(seconds * 1000, 1),
    )


class ProblemDocuments:
    """Turns whatever the inner layers raise into an answer; the only place that does."""

    def __init__(self, app: Callable) -> None:
        self._app = app

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Serve one request."""
        begun = False

        async def watched(message: dict) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # the caller is owed a problem document
            if scope["type"] != "http" or begun:
                raise
            await self._answer(error, scope, send)

    async def _answer(self, error: Exception, scope: dict, send: Callable) -> None:
        state = context.of(scope)
        problem = from_exception(error, state.contract, state.operation)
        state.problem = problem.type.name or "about:blank"
        if problem.type is INTERNAL_ERROR:
            log.error("internal error", request_id=state.request_id, exc_info=error)
        status, headers, body = render(problem, state.language, state.instance)
        if scope["method"] == "HEAD":
            body = b""
        await send({"type": "http.response.start", "status": status, "headers": _encode(headers, body)})
        await send({"type": "http.response.body", "body": body})


def _encode(headers: dict[str, str], body: bytes) -> list[tuple[bytes, bytes]]:
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return [*pairs, (b"content-length", str(len(body)).encode())]


class ExactPaths:
    """Answers 404 and 405 before routing, from the path as sent: no redirect, no second spelling of an address."""

    def __init__(self, app: Callable, contracts: dict[str, Contract]) -> None:
        self._app = app
        # The longest base path first, as connexion has it.
        self._contracts = sorted(contracts.items(), key=lambda item: -len(item[0]))

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Serve one request.

        Raises:
            Problem: 404 or 405.
        """
        if scope["type"] == "http":
            state = context.of(scope)
            state.contract, operations = self._find(scope["raw_path"].decode("latin-1"))
            if not operations:
                raise Problem(NOT_FOUND, NOTHING_HERE)
            if scope["method"] not in operations:
                raise Problem(
                    METHOD_NOT_ALLOWED,
                    Message(N_("This address does not take this method.")),
                    headers={"Allow": ", ".join(sorted(operations))},
                )
            state.operation = operations[scope["method"]]
        await self._app(scope, receive, send)

    def _find(self, path: str) -> tuple[Contract | None, dict[str, Operation]]:
        for base_path, contract in self._contracts:
            if path.startswith(base_path) and (operations := contract.operations_at(path.removeprefix(base_path))):
                return contract, operations
        return None, {}


class Limits:
    """Bounds the size of a request's head and body, whatever its Content-Length says."""

    def __init__(self, app: Callable, *, head_limit: int, body_limit: int) -> None:
        self._app = app
        self._head_limit = head_limit
        self._body_limit = body_limit

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Serve one request.

        Raises:
            Problem: 400, it is too large.
        """
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        await self._check_head(scope, receive)
        received = 0

        async def counted() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._body_limit:
                raise await self._too_large(scope, receive)
            return message

        return await self._app(scope, counted, send)

    async def _check_head(self, scope: dict, receive: Callable) -> None:
        headers = scope["headers"]
        size = len(scope["raw_path"]) + len(scope["query_string"]) + len(": \r\n") * len(headers)
        size += sum(map(len, itertools.chain.from_iterable(headers)))
        if size > self._head_limit or not scope["query_string"].isascii():
            detail = N_("The request line and header fields may have %(limit)s bytes of ASCII.")
            raise Problem(BAD_REQUEST, Message(detail, {"limit": self._head_limit}), headers={"Connection": "close"})
        if len(headers) > MOST_FIELDS:
            many = Message(N_("A request may have %(limit)s header fields."), {"limit": MOST_FIELDS})
            raise Problem(BAD_REQUEST, many, headers={"Connection": "close"})
        declared = [value for name, value in headers if name == b"content-length"]
        if any(int(value) > self._body_limit for value in declared):
            raise await self._too_large(scope, receive)

    async def _too_large(self, scope: dict, receive: Callable) -> Problem:
        """Read on for a moment: of a connection that is closed in the middle, a client may not see the answer."""
        if told := scope["extensions"].get(TRANSPORT):  # where room for connections is needed, this one ends first
            told["await_client"]()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                left = DRAIN_LIMITS * self._body_limit
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        break
        detail = Message(N_("The body may have %(limit)s bytes."), {"limit": self._body_limit})
        return Problem(BAD_REQUEST, detail, headers={"Connection": "close"})


class Deadline:
    """One budget for everything from the upload to the answer. Gunicorn's own timeout bounds no request under ASGI."""

    def __init__(self, app: Callable, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Serve one request.

        Raises:
            Problem: 408, it took too long.
        """
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._app(scope, receive, send)
        except TimeoutError:
            detail = Message(N_("The server could not answer in time; try again."))
            raise Problem(TIMEOUT, detail, headers={"Connection": "close"}) from None
