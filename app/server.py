"""Gunicorn with uvicorn's worker: worker processes, signals, and the bounds that HTTP parsing needs."""

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from prometheus_client import multiprocess
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn_worker import UvicornWorker

from app import telemetry
from app.application import create_app
from app.edge import MOST_FIELDS
from app.handling import TRANSPORT
from app.settings import Settings

# Beyond the limit for a problem document (LOYALTY_HEAD_LIMIT) a head is not even kept in memory.
LARGEST_HEAD = 65_536
HEAD_SECONDS = 10.0
# How long a client may take in nothing of an answer.
READ_SECONDS = 10
# Requests that a client may send before it has the answer to the first.
MOST_PIPELINED = 16
# Every event that the event loop looks at waits so long for threads that compute: at Python's own 5 ms, it starves.
SWITCH_SECONDS = 0.001
WORKER_STALL_SECONDS = 30
# How long a connection stays open that has no request when the server stops: one may be on its way.
PARTING_SECONDS = 1.0


class NotHttp1(Exception):
    """A request in another protocol than HTTP/1.0 or 1.1, or for a change to one."""


class TooManyPipelined(Exception):
    """More requests without waiting for an answer than any honest client sends."""


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
        """Start waiting for the rest of a further head."""
        super().on_message_begin()
        self._is_begun = True
        self._await_head()

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
        if self._head_timer is None and self in self._waiting:  # empty lines, or the rest of a body after its answer
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


class LoyaltyWorker(UvicornWorker):
    """A worker process. Without `lifespan: on` a broken application would boot and answer 500 to everything."""

    CONFIG_KWARGS = {
        "loop": "uvloop",
        "http": BoundedProtocol,
        "ws": "none",
        "lifespan": "on",
        "access_log": False,
        "server_header": False,
        "date_header": True,
        "timeout_notify": 0.5,
    }

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # The base class gave it Gunicorn's handlers, of which there are none: Python would print it as plain text.
        logging.getLogger("uvicorn.error").propagate = True
        # Gunicorn's main process would end by force what takes longer, but it may be gone.
        self.config.timeout_graceful_shutdown = self.cfg.graceful_timeout

    async def callback_notify(self) -> None:
        """Tell Gunicorn's main process that this one lives; if that was killed, end, and leave the port to another."""
        await super().callback_notify()
        if os.getppid() != self.ppid:
            signal.raise_signal(signal.SIGTERM)

    def init_process(self) -> None:
        """Set what all connections of the process have in common."""
        for listener in self.sockets:  # whoever is accepted there inherits it
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, READ_SECONDS * 1000)
        super().init_process()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stop uvicorn too when Gunicorn asks for a quick end; its own worker would only note it."""
        super().handle_exit(sig, frame)
        signal.raise_signal(signal.SIGTERM)


class QuietLogger(Logger):
    """Gunicorn's logger without handlers of its own: all goes to the process's JSON log."""

    def setup(self, cfg: Any) -> None:
        """Send Gunicorn's messages up to the root logger."""
        self.cfg = cfg
        self.error_log.handlers, self.access_log.handlers = [], []
        self.error_log.propagate = True
        self.access_log.propagate = False


class Server(BaseApplication):
    """The Gunicorn arbiter for one set of settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Translate our settings into Gunicorn's."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        options = {
            "bind": f"{host}:{settings.port}",
            "workers": settings.workers,
            "worker_class": LoyaltyWorker,
            "keepalive": settings.keep_alive,
            "forwarded_allow_ips": settings.trusted_proxies,
            "graceful_timeout": settings.shutdown_timeout,
            "timeout": WORKER_STALL_SECONDS,
            "logger_class": QuietLogger,
            "control_socket_disable": True,
            "child_exit": _forget_metrics,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Callable:
        """Return the ASGI application; called in each worker process."""
        telemetry.configure_logging(self._settings.log_level)
        telemetry.take_room()
        sys.setswitchinterval(SWITCH_SECONDS)
        BoundedProtocol.most_connections = min(self._settings.connection_limit, _files() // 2)
        return create_app(self._settings)


def _files() -> int:
    """Return how many files this process may have open: as many as it can give itself.

    Half of them are for the database, and for connections that come faster than others are closed.
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def _forget_metrics(_server: Any, worker: Any) -> None:
    multiprocess.mark_process_dead(worker.pid)


def run(settings: Settings) -> None:
    """Serve until a signal ends it."""
    telemetry.configure_logging(settings.log_level)
    gc.collect()
    gc.freeze()  # what is imported stays: worker processes share its memory, and need not look through it
    Server(settings).run()
