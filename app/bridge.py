"""From ASGI to Flask, with one thread hop per request."""

import contextlib
import contextvars
import functools
import io
from collections.abc import Callable
from typing import Any

from a2wsgi.wsgi import build_environ
from werkzeug.wsgi import ClosingIterator

from app import context
from app.lanes import Lanes, NotWanted

# The extension of an ASGI scope that tells over which transport the request came.
TRANSPORT = "loyalty.transport"


class Bridge:
    """Runs a WSGI application for whole (buffered) requests, each in the lane of its operation."""

    def __init__(self, wsgi_app: Callable, lanes: Lanes) -> None:
        self._wsgi_app = wsgi_app
        self._lanes = lanes

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Serve one HTTP request.

        Raises:
            Problem: 429, the server is busy.
        """
        body = (await receive()).get("body", b"")
        job = functools.partial(contextvars.copy_context().run, self._run, scope, body)
        lane = self._lanes.of(context.of(scope).operation)
        with contextlib.suppress(NotWanted):
            status, headers, answer = await lane.run(job, functools.partial(_is_connected, scope))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": answer})

    def _run(self, scope: dict, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        started: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable:
            if exc_info:
                raise exc_info[1]
            started["status"] = int(status[:3])
            started["headers"] = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
            return lambda _: None

        environ = build_environ(scope, io.BytesIO(body))  # type: ignore[arg-type]
        environ["CONTENT_LENGTH"] = str(len(body))
        with contextlib.closing(ClosingIterator(self._wsgi_app(environ, start_response))) as chunks:
            answer = b"".join(chunks)
        return started["status"], started["headers"], answer


def _is_connected(scope: dict) -> bool:
    told = scope["extensions"].get(TRANSPORT)
    return told is None or not told["transport"].is_closing()
