"""Gunicorn with uvicorn's worker: worker processes, signals, and the bounds that HTTP parsing needs."""

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from prometheus_client import multiprocess
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn_worker import UvicornWorker

from app import telemetry
from app.application import create_app
from app.settings import Settings

# Beyond the limit for a problem document (LOYALTY_HEAD_LIMIT) a head is not even kept in memory.
LARGEST_HEAD = 65_536
HEAD_SECONDS = 10.0
WORKER_STALL_SECONDS = 30


class NotHttp1(Exception):
    """A request in another protocol than HTTP/1.0 or 1.1, or for a change to one."""


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP/1.1 with a bound on the size of a request's head, and on the time until it is complete."""

    _is_begun = False
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start waiting for the first head."""
        super().connection_made(transport)
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
        # The parser takes the body of a request with `Upgrade` for the next request on the connection.
        if self.parser.should_upgrade() or self.parser.get_http_version() not in ("1.0", "1.1"):
            raise NotHttp1
        super().on_headers_complete()
        self.headers = []

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client, unless a head grows too large."""
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > LARGEST_HEAD + len(data):
                self._refuse()
                return
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer with the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

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
    }

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # The base class gave it Gunicorn's handlers, of which there are none: Python would print it as plain text.
        logging.getLogger("uvicorn.error").propagate = True

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
        options = {
            "bind": f"[{settings.host}]:{settings.port}"
            if ":" in settings.host
            else f"{settings.host}:{settings.port}",
            "workers": settings.workers,
            "worker_class": LoyaltyWorker,
            "keepalive": settings.keep_alive,
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
        return create_app(self._settings)


def _forget_metrics(_server: Any, worker: Any) -> None:
    multiprocess.mark_process_dead(worker.pid)


def run(settings: Settings) -> None:
    """Serve until a signal ends it."""
    telemetry.configure_logging(settings.log_level)
    Server(settings).run()
