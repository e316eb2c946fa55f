"""What monitors ask: `/livez`, `/readyz` and `/metrics`, outside the contract and its base path, without a token."""

import asyncio
from collections.abc import Callable

import orjson
import prometheus_client

from app import telemetry
from app.languages import N_, Message
from app.problems import METHOD_NOT_ALLOWED, NOT_READY, Problem
from models.errors import DatabaseUnavailable

# The look at the database gives up about then, so that the next one tells of its recovery in time too.
PATIENCE_SECONDS = 1.5


class Probes:
    """Answers the probes and passes everything else on."""

    def __init__(self, app: Callable, check_health: Callable[[], None]) -> None:
        self._app = app
        self._check_health = check_health
        self._check: asyncio.Task | None = None
        self._probes = {b"/livez": self._livez, b"/readyz": self._readyz, b"/metrics": self._metrics}

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Serve one request.

        Raises:
            Problem: 503, the server is not ready; 405, a probe was asked by another method than GET.
        """
        probe = self._probes.get(scope["raw_path"]) if scope["type"] == "http" else None
        if probe is None:
            return await self._app(scope, receive, send)
        if scope["method"] not in ("GET", "HEAD"):
            detail = Message(N_("This address does not take this method."))
            raise Problem(METHOD_NOT_ALLOWED, detail, headers={"Allow": "GET, HEAD"})
        content_type, body = await probe()
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        return None

    async def _livez(self) -> tuple[str, bytes]:
        return "application/json", orjson.dumps({"status": "live"})

    async def _readyz(self) -> tuple[str, bytes]:
        if self._check is None or self._check.done():
            # However many ask at once, one look at the database answers them all.
            self._check = asyncio.create_task(asyncio.to_thread(self._check_health))
        try:
            await asyncio.wait_for(asyncio.shield(self._check), PATIENCE_SECONDS)
        except (DatabaseUnavailable, TimeoutError):
            raise Problem(NOT_READY, Message(N_("The database is away or lacks migrations."))) from None
        return "application/json", orjson.dumps({"status": "ready"})

    async def _metrics(self) -> tuple[str, bytes]:
        body = await asyncio.to_thread(telemetry.render_metrics)
        return prometheus_client.CONTENT_TYPE_LATEST, body
