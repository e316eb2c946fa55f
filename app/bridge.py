"""From ASGI to Flask: a bounded pool of threads with a bounded queue, and one thread hop per request."""

import asyncio
import contextlib
import contextvars
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from a2wsgi.wsgi import build_environ
from werkzeug.wsgi import ClosingIterator

from app.languages import N_, Message
from app.problems import TOO_MANY_REQUESTS, Problem

RETRY_AFTER_SECONDS = 1


class Bridge:
    """Runs a WSGI application for whole (buffered) requests.

    Requests beyond `threads` wait; beyond `threads + queue_limit` they are refused with 429.
    """

    def __init__(self, wsgi_app: Callable, *, threads: int, queue_limit: int) -> None:
        self._wsgi_app = wsgi_app
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="handler")
        self._capacity = threads + queue_limit
        self._admitted = 0

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Serve one HTTP request.

        Raises:
            Problem: 429, the queue is full.
        """
        if self._admitted >= self._capacity:
            raise Problem(
                TOO_MANY_REQUESTS,
                Message(N_("The server is busy; try again shortly.")),
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        body = (await receive()).get("body", b"")
        status, headers, answer = await self._run_in_thread(scope, body)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _run_in_thread(self, scope: dict, body: bytes) -> Any:
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()
        self._admitted += 1
        job = self._executor.submit(context.run, self._run, scope, body)
        job.add_done_callback(lambda _: loop.call_soon_threadsafe(self._release))
        # Past the deadline a job that waits is taken out of the line. One that runs cannot be stopped: it keeps its
        # place until its end.
        return await asyncio.wrap_future(job)

    def _release(self) -> None:
        self._admitted -= 1

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

    def shutdown(self) -> None:
        """Wait for the running requests and end the threads."""
        self._executor.shutdown(wait=True)
