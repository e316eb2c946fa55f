"""Serving the front desk on this machine."""

import errno
import signal
import socket

import a2wsgi
import flask
import uvicorn

# Requests at once: most of them wait for the partner server.
THREADS = 8
STOP_SECONDS = 3


def listen(host: str, port: int, *, or_another: bool = False) -> socket.socket:
    """Return a socket that listens at an address.

    Args:
        host: name or address.
        port: 0 for any that is free.
        or_another: take any that is free if this one is taken.

    Raises:
        OSError: it is taken, or not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        if or_another and error.errno == errno.EADDRINUSE:
            return listen(host, 0)
        raise
    return listening


def serve(app: flask.Flask, listening: socket.socket) -> None:
    """Serve the application at a socket until the process is told to stop (SIGTERM, Ctrl+C)."""
    config = uvicorn.Config(
        a2wsgi.WSGIMiddleware(app, workers=THREADS),  # type: ignore[arg-type]
        lifespan="off",
        ws="none",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    server = uvicorn.Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn would do it once the loop runs, which swallows one before
        signal.signal(number, server.handle_exit)
    server.run(sockets=[listening])


def address(listening: socket.socket) -> str:
    """Return the URL where a socket is reached from this machine."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (compared, not bound)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
