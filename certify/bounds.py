"""Bounds in time on Schemathesis, whose own are of each read alone: a server may send a byte at a time, for ever."""

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import requests
import schemathesis
import schemathesis.hooks
from schemathesis.engine.core import EventStream

from certify import client

TIMEOUT_SECONDS = 15


@contextlib.contextmanager
def answers_read_in_time() -> Iterator[None]:
    """Have each answer to a generated request read within a time and a length as a whole, until the block ends."""
    schemathesis.hook("before_call")(_bound)
    try:
        yield
    finally:
        schemathesis.hooks.unregister(_bound)


def _bound(_context: Any, _case: Any, kwargs: dict[str, Any]) -> None:
    kwargs["hooks"] = {"response": _read}


def _read(answer: requests.Response, **_options: Any) -> None:
    """Read the body of an answer, of which `requests` has the head.

    Raises:
        requests.ReadTimeout: it does not come to its end.
    """
    ends, arrived = time.monotonic() + TIMEOUT_SECONDS, bytearray()
    while chunk := answer.raw.read1(client.LARGEST_ANSWER_BYTES, decode_content=True):
        arrived += chunk
        if time.monotonic() > ends or len(arrived) > client.LARGEST_ANSWER_BYTES:
            answer.close()
            told = f"Read timed out. (read timeout={TIMEOUT_SECONDS})"  # which Schemathesis reads the time from
            raise requests.ReadTimeout(TimeoutError(told), request=answer.request)
    answer._content = bytes(arrived)


def in_time(stream: EventStream, deadline: float) -> Iterator[Any]:
    """Yield the events of a stream, which is read in a thread: a head that drips holds up that one alone.

    Args:
        stream: of a run of Schemathesis.
        deadline: as `time.monotonic` tells it.

    Raises:
        TimeoutError: the deadline passed before the last event.
    """
    taken: queue.Queue[Any] = queue.Queue()

    def take() -> None:
        try:
            for event in stream:
                taken.put(event)
            taken.put(None)
        except BaseException as error:  # noqa: BLE001 (the other thread raises it)
            taken.put(error)

    threading.Thread(target=take, daemon=True).start()
    try:
        while (event := taken.get(timeout=max(0, deadline - time.monotonic()))) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event
    except queue.Empty:
        raise TimeoutError from None
    finally:
        stream.stop()
