"""HTTP/1.1 of one connection: uvicorn's, with the bounds that its parsing needs, and answers that are sent whole."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app import telemetry
from app.edge import MOST_FIELDS
from app.handling import TRANSPORT

# Beyond the limit for a problem document (LOYALTY_HEAD_LIMIT) a head is not even kept in memory.
LARGEST_HEAD = 65_536
HEAD_SECONDS = 10.0
# How an interim answer begins, such as the one to `Expect: 100-continue` (RFC 9110, section 15.2).
INTERIM = b"HTTP/1.1 1"
# Requests that a client may send before it has the answer to the first.
MOST_PIPELINED = 16
# How long a connection stays open that has no request when the server stops: one may be on its way.
PARTING_SECONDS = 1.0


class NotHttp1(Exception):
    """A request in another protocol than HTTP/1.0 or 1.1, or for a change to one."""


class TooManyPipelined(Exception):
    """More requests without waiting for an answer than any honest client sends."""


class _Answer:
    """What uvicorn asks of a transport, for one answer: sends its head with its body, which are written one by one.

    So they are one packet and one system call, in place of two.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self._is_begun = False
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Keep the head, and send it with what comes next."""
        if self._is_begun or data.startswith(INTERIM):
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._head, self._is_begun = data, True

    def close(self) -> None:
        """Send what is there of the answer, and close the connection."""
        self._transport.write(self._head)
        self._transport.close()


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP/1.1 with bounds on connections, on the size of a request's head and on the time that it takes.

    Beyond `most_connections` the one is closed that has waited for its client the longest, as nginx does: many idle
    ones keep no new one out, and one with a request that is being answered stays.
    When the server stops, it answers what is on its way as well, and says with the answer that the connection ends.
    """

    most_connections = 1000
    _is_parting = False
    _is_begun = False
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Those of this worker process that wait for their clients, the longest first.
        self._waiting: dict[BoundedProtocol, None] = vars(self.server_state).setdefault("waiting", {})

    def connection_made(self, transport: Any) -> None:
        """Make room, and start waiting for the first head."""
        super().connection_made(transport)
        self._stand_in_line()
        if len(self.connections) > self.most_connections:
            self._close_longest_waiting()
        self._await_head()

    def on_message_begin(self) -> None:
        """Take what comes for a head; most are whole at once, so that `data_received` starts waiting for the rest."""
        super().on_message_begin()
        self._is_begun = True
        self._stop_waiting()

    def on_headers_complete(self) -> None:
        """Wait no longer, and let no trailer field pass for a header field (RFC 9110, section 6.5).

        Raises:
            NotHttp1: the parser makes of it a 400 and closes the connection.
        """
        self._stop_waiting()
        self._is_begun = False
        if len(self.pipeline) >= MOST_PIPELINED:
            raise TooManyPipelined
        # The parser takes the body of a request with `Upgrade` for the next request on the connection.
        if self.parser.should_upgrade() or self.parser.get_http_version() not in ("1.0", "1.1"):
            raise NotHttp1
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport, "await_client": self._await_client}}
        super().on_headers_complete()
        self.headers = []
        if self.scope["method"] != "HEAD":  # the head is all there is
            self.cycle.transport = _Answer(self.transport)  # type: ignore[assignment]
        if self._is_parting:
            self.cycle.keep_alive = False
        self._stand_in_line()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the head or of the trailer; of too many, one more than are allowed, so that it shows."""
        if len(self.headers) <= MOST_FIELDS:
            super().on_header(name, value)

    def on_response_complete(self) -> None:
        """Wait for the client again."""
        super().on_response_complete()
        self._stand_in_line()

    def pause_writing(self) -> None:
        """Wait for the client to take its answer."""
        super().pause_writing()
        self._stand_in_line()

    def resume_writing(self) -> None:
        """Go on with what the client asked for."""
        super().resume_writing()
        self._stand_in_line()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client, unless a head grows too large, or they belong to no request and do not end."""
        if self._is_begun:
            self._head_bytes += len(data)
            if self._head_bytes > LARGEST_HEAD + len(data):
                self._refuse()
                return
        super().data_received(data)
        # The beginning of a head; or empty lines, or the rest of a body after its answer.
        if self._head_timer is None and (self._is_begun or self in self._waiting):
            self._await_head()

    def send_400_response(self, msg: str) -> None:
        """Answer, unless other requests wait for their answers, for one of which this would be taken."""
        if self.pipeline:
            self.transport.abort()
        else:
            super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer with the connection."""
        self._waiting.pop(self, None)
        self._stop_waiting()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End the connection: after the answer to what it asks, or soon if it asks nothing (RFC 9112, section 9.6)."""
        self._is_parting = True
        if self._is_answering():
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(PARTING_SECONDS, self._part)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _part(self) -> None:
        if not self._is_begun and not self._is_answering():
            self.transport.close()

    def _stand_in_line(self) -> None:
        """Join those that wait for their clients, or leave them while a request is served."""
        if self._is_answering() and not self.flow.write_paused:
            self._waiting.pop(self, None)
        else:
            self._waiting[self] = None

    def _await_client(self) -> None:
        """Join those that wait though a request is being answered: its body is read to no purpose."""
        self._waiting[self] = None

    def _close_longest_waiting(self) -> None:
        longest = next(iter(self._waiting))
        del self._waiting[longest]
        longest.transport.abort()
        telemetry.record_closed_connection()

    def _await_head(self) -> None:
        self._stop_waiting()
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._refuse)

    def _stop_waiting(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self) -> None:
        self._stop_waiting()
        if not self._is_begun:  # an answer that nobody asked for would be taken for that to the first request
            self.transport.close()
        elif not self.transport.is_closing():
            self.send_400_response("Invalid HTTP request received.")
