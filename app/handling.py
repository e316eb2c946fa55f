"""From ASGI to a handler: called when its lane has a place, within Flask's application context."""

import functools
from collections.abc import Callable
from typing import Any

import flask

from app.contract import JSON
from app.lanes import Lane, NotWanted

# The extension of an ASGI scope that tells over which transport the request came.
TRANSPORT = "loyalty.transport"


class HandlerOperation:
    """Calls the handler of one operation, and sends what it returns.

    Connexion's own way leads through WSGI: it hops threads five times, routes the request again, and decorates the
    handler anew for each. What a handler needs of Flask is `flask.g` and `flask.current_app`.

    Args:
        call: gets the ASGI scope and `flask.g`, and returns the answer's JSON.
        lane: in which it is called.
        flask_app: the application that handlers are in.
    """

    def __init__(self, call: Callable[[dict, Any], bytes], lane: Lane, flask_app: flask.Flask) -> None:
        self._call, self._lane, self._flask_app = call, lane, flask_app

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Serve one request.

        Raises:
            Problem: 429, the server is busy.
        """
        try:
            answer = await self._lane.run(functools.partial(self._run, scope), functools.partial(_is_connected, scope))
        except NotWanted:
            await receive()  # until uvicorn knows it too, which would else complain that nothing was answered
            return
        headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _run(self, scope: dict) -> bytes:
        with self._flask_app.app_context() as flask_context:
            return self._call(scope, flask_context.g)  # `flask.g` would look for it at each use


def _is_connected(scope: dict) -> bool:
    told = scope["extensions"].get(TRANSPORT)
    return told is None or not told["transport"].is_closing()
