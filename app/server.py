"""Gunicorn with uvicorn's worker: worker processes and signals."""

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
from uvicorn_worker import UvicornWorker

from app import telemetry
from app.application import create_app
from app.protocol import BoundedProtocol
from app.settings import Settings

# How long a client may take in nothing of an answer.
READ_SECONDS = 10
# Every event that the event loop looks at waits so long for threads that compute: at Python's own 5 ms, it starves.
SWITCH_SECONDS = 0.001
WORKER_STALL_SECONDS = 30


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
