"""Logs as JSON lines and Prometheus metrics. Neither ever holds what a guest gave, nor an exception's own text."""

import contextlib
import functools
import logging
import os
import pathlib
import re
import sys
import traceback
from typing import Any

import orjson
import prometheus_client
import structlog
from prometheus_client import multiprocess

from app.settings import METRICS_DIRECTORY

_REQUESTS = prometheus_client.Counter("loyalty_requests", "Requests answered.", ["operation", "status", "problem"])
_SECONDS = prometheus_client.Histogram(
    "loyalty_request_seconds",
    "Time from the end of a request's head to the end of its answer.",
    ["operation"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8),
)
_UNKNOWN_FIELDS = prometheus_client.Counter(
    "loyalty_unknown_fields", "Fields that the contract does not have, and that were ignored.", ["operation", "field"]
)
_FAILED_AUTHENTICATIONS = prometheus_client.Counter(
    "loyalty_failed_authentications", "Requests without a valid token.", ["throttled"]
)
_OVER_RATE_LIMIT = prometheus_client.Counter(
    "loyalty_over_rate_limit", "Requests refused because their token was used too often.", ["token"]
)
_CLOSED_CONNECTIONS = prometheus_client.Counter(
    "loyalty_closed_connections", "Connections that waited for their clients and were closed to make room for new ones."
)
# Names come from outside, so neither their number nor their form is left to chance.
_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")
MOST_FIELD_NAMES = 50
_field_names: set[str] = set()


def _without_exception_text(_: Any, __: str, event: dict) -> dict:
    """Replace an exception by its class names and places: a database's messages quote the row they choke on."""
    error = event.pop("exc_info", None)
    error = error[1] if isinstance(error, tuple) else sys.exc_info()[1] if error is True else error
    if isinstance(error, BaseException):
        event["exception"] = _describe(error)
    return event


def _describe(error: BaseException) -> list[str]:
    lines: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        frames = traceback.extract_tb(seen.__traceback__)
        lines.append(type(seen).__module__ + "." + type(seen).__qualname__)
        lines += [f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        seen = seen.__cause__ or seen.__context__
    return lines


class _Lines(structlog.BytesLogger):
    """Lines of the log. One that cannot be written is lost, as with the standard library: the answer matters more."""

    def msg(self, message: bytes) -> None:
        with contextlib.suppress(OSError):
            super().msg(message)

    debug = info = warning = error = critical = msg


def configure_logging(level: str) -> None:
    """Send all logs of this process, ours and the libraries', to standard error as JSON lines.

    Args:
        level: the least severe level to log, by name.
    """
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_exception_text,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # At debug level these would log statements with their values, and raw requests.
    for name in ("peewee", "peewee.pool", "psycopg", "connexion", "asyncio", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(  # our own, past the standard library's logging, which would cost three times as much
        processors=[*shared, structlog.processors.JSONRenderer(orjson.dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Lines(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )


def take_room() -> None:
    """Take the room that this process's metrics need on the disk, at the start of a worker process.

    They are kept in files that are mapped into memory: writing to one that has no room on a full disk is a SIGBUS.

    Raises:
        OSError: there is no room.
    """
    if METRICS_DIRECTORY not in os.environ:
        return
    _CLOSED_CONNECTIONS.inc(0)  # makes the file of counters
    _SECONDS.labels("none")  # and that of histograms
    for path in pathlib.Path(os.environ[METRICS_DIRECTORY]).glob(f"*_{os.getpid()}.db"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def record_request(operation: str, status: int, problem: str, seconds: float) -> None:
    """Count an answered request.

    Args:
        operation: the operationId, or another name from a bounded set.
        status: the HTTP status.
        problem: the name of the problem type; empty for a success.
        seconds: from the end of the head to the end of the answer.
    """
    answered, took = _of_request(operation, status, problem)
    answered.inc()
    took.observe(seconds)


@functools.lru_cache(1024)
def _of_request(
    operation: str, status: int, problem: str
) -> tuple[prometheus_client.Counter, prometheus_client.Histogram]:
    """Return the metrics of such requests, of which there are a few dozen sorts; to look for one takes a while."""
    return _REQUESTS.labels(operation, status, problem), _SECONDS.labels(operation)


def record_unknown_field(operation: str, name: str) -> None:
    """Count a field that was ignored, by its name; under `other` if it is no plain name or one too many."""
    if len(_field_names) < MOST_FIELD_NAMES and _FIELD_NAME.fullmatch(name):
        _field_names.add(name)
    _UNKNOWN_FIELDS.labels(operation, name if name in _field_names else "other").inc()


def record_failed_authentication(*, throttled: bool) -> None:
    """Count a request without a valid token, and whether its address had sent too many of them."""
    _FAILED_AUTHENTICATIONS.labels(str(throttled).lower()).inc()


def record_over_rate_limit(token_name: str) -> None:
    """Count a request that was refused because its token, a valid one, was used too often."""
    _OVER_RATE_LIMIT.labels(token_name).inc()


def record_closed_connection() -> None:
    """Count a connection that was closed to make room for another."""
    _CLOSED_CONNECTIONS.inc()


def render_metrics() -> bytes:
    """Return the metrics of all worker processes in Prometheus' text format."""
    if METRICS_DIRECTORY not in os.environ:
        return prometheus_client.generate_latest()
    registry = prometheus_client.CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return prometheus_client.generate_latest(registry)
