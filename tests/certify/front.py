"""A front before a running server that spoils single exchanges: what a provider's server with one mistake looks like.

A fault is a function that is given a `Call` and returns the `Answer`; it may send the server something else than what
came, once, twice or not at all, and may change what comes back.
"""

import asyncio
import contextlib
import dataclasses
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tests import support

JSON, PROBLEM_JSON = "application/json", "application/problem+json"
# What concerns one connection alone (RFC 9110, section 7.6.1), and what each side works out for itself.
OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "upgrade", "host", "content-length", "date"}


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the server answered; each method returns a changed copy. With the status 0 the connection is cut.

    Attributes:
        pause: seconds before each byte of the content.
    """

    status: int
    headers: httpx.Headers
    content: bytes
    pause: float = 0

    @property
    def is_ok(self) -> bool:
        return self.status == 200

    @property
    def is_problem(self) -> bool:
        return self.headers.get("Content-Type") == PROBLEM_JSON

    @property
    def body(self) -> Any:
        return json.loads(self.content)

    def with_status(self, status: int) -> "Answer":
        return dataclasses.replace(self, status=status)

    def with_content(self, content: bytes, media_type: str | None = None) -> "Answer":
        changed = dataclasses.replace(self, content=content)
        return changed.with_header("Content-Type", media_type) if media_type else changed

    def with_body(self, body: Any) -> "Answer":
        return self.with_content(json.dumps(body, ensure_ascii=False).encode())

    def with_header(self, name: str, value: str) -> "Answer":
        headers = self.headers.copy()
        headers[name] = value
        return dataclasses.replace(self, headers=headers)

    def without_header(self, name: str) -> "Answer":
        headers = self.headers.copy()
        headers.pop(name, None)
        return dataclasses.replace(self, headers=headers)

    def with_memberships(self, change: Callable[[dict], dict]) -> "Answer":
        """Change each membership in the answer, wherever it stands."""
        return self.with_body(_with_memberships(self.body, change))

    def with_members(self, change: Callable[[dict], dict]) -> "Answer":
        """Change each member in the answer to a search."""
        return self.with_body(self.body | {"members": [change(member) for member in self.body["members"]]})


def _with_memberships(node: Any, change: Callable[[dict], dict]) -> Any:
    if isinstance(node, list):
        return [_with_memberships(item, change) for item in node]
    if not isinstance(node, dict):
        return node
    if "providerMembershipId" in node:
        return change(node)
    return {name: _with_memberships(value, change) for name, value in node.items()}


def answer(status: int, content: bytes = b"", media_type: str | None = None) -> Answer:
    """Return an answer that the server never gave."""
    return Answer(status, httpx.Headers({"Content-Type": media_type} if media_type else {}), content)


def problem(status: int, name: str, title: str, *errors: dict) -> Answer:
    """Return a problem that the server never told; `name` is one of Mews' list."""
    body = {"type": support.PROBLEM + name, "status": status, "title": title, "detail": title}
    body |= {"errors": list(errors)} if errors else {}
    return answer(status, json.dumps(body).encode(), PROBLEM_JSON)


@dataclasses.dataclass(frozen=True)
class Call:
    """A request on its way to the server.

    Attributes:
        method: in upper case.
        target: path and query, as they came.
        headers: without those of the connection.
        content: the body.
        memory: what this front keeps between calls.
        upstream: a client of the server behind.
    """

    method: str
    target: str
    headers: httpx.Headers
    content: bytes
    memory: dict[str, Any]
    upstream: httpx.Client

    def is_for(self, *names: str) -> bool:
        """Tell whether this calls one of the operations (`support.ENROLL` and so on)."""
        wanted = [support.operation(name) for name in names]
        return (self.method, self.target) in [(found.method, found.path) for found in wanted]

    @property
    def body(self) -> dict:
        """The JSON object that was sent; empty if it was none."""
        with contextlib.suppress(ValueError):
            body = json.loads(self.content)
            return body if isinstance(body, dict) else {}
        return {}

    def part(self, name: str) -> dict:
        """Return an object within the body; empty if there is none."""
        found = self.body.get(name)
        return found if isinstance(found, dict) else {}

    @property
    def identifiers(self) -> list:
        """The memberships that a list asks for; empty if it asks for none."""
        found = self.body.get("providerMembershipIds")
        return found if isinstance(found, list) else []

    def with_body(self, body: dict) -> "Call":
        return dataclasses.replace(self, content=json.dumps(body).encode())

    def with_customer(self, **fields: Any) -> "Call":
        """Return the enrollment with other fields of the customer."""
        return self.with_body(self.body | {"customer": self.part("customer") | fields})

    def with_header(self, name: str, value: str | None) -> "Call":
        """Return the call with another value of a header field, or without it."""
        headers = self.headers.copy()
        headers.pop(name, None)
        if value is not None:
            headers[name] = value
        return dataclasses.replace(self, headers=headers)

    def forward(self) -> Answer:
        """Let the server answer."""
        address = self.upstream.base_url.copy_with(raw_path=self.target.encode("ascii"))
        found = self.upstream.request(self.method, address, headers=self.headers, content=self.content)
        return Answer(found.status_code, _without_connection(found.headers), found.content)


Fault = Callable[[Call], Answer]


def no_fault(call: Call) -> Answer:
    return call.forward()


def _without_connection(headers: httpx.Headers) -> httpx.Headers:
    return httpx.Headers([(name, value) for name, value in headers.multi_items() if name not in OF_THE_CONNECTION])


class Front:
    """The ASGI application; each request has its fault in a thread."""

    def __init__(self, upstream: httpx.Client, fault: Fault) -> None:
        self._upstream, self._fault = upstream, fault
        self._memory: dict[str, Any] = {}

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        request = Request(scope, receive)
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        headers = _without_connection(httpx.Headers(request.headers.items()))
        content = await request.body()
        call = Call(request.method, target.decode("ascii"), headers, content, self._memory, self._upstream)
        spoilt = await run_in_threadpool(self._fault, call)
        if not spoilt.status:  # uvicorn cuts the connection of an answer that does not come to its end
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
            return
        response = Response(spoilt.content, spoilt.status)
        if spoilt.pause:
            response = StreamingResponse(_dripped(spoilt), spoilt.status)
        response.raw_headers += spoilt.headers.raw
        await response(scope, receive, send)


async def _dripped(spoilt: Answer) -> AsyncIterator[bytes]:
    for byte in spoilt.content:
        await asyncio.sleep(spoilt.pause)
        yield bytes([byte])


@contextlib.contextmanager
def front(server: support.Server, fault: Fault) -> Iterator[support.Server]:
    """Run a front with this fault before a server, in a thread, until the block ends."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        httpx.Client(base_url=server.url, timeout=30, verify=False) as upstream,  # no time is lost on certificates
    ):
        config = uvicorn.Config(Front(upstream, fault), lifespan="off", log_config=None, ws="none", server_header=False)
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, args=([listening],), daemon=True)
        thread.start()  # those who call before it accepts wait in the socket's line
        try:
            with httpx.Client(timeout=20, verify=False) as client:
                yield dataclasses.replace(server, port=listening.getsockname()[1], client=client)
        finally:
            running.should_exit = True
            thread.join(timeout=30)
