"""Ctrl+C and SIGTERM, for a command that says in the end what it has done, also if they end it."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def heed() -> None:
    """Let both raise KeyboardInterrupt, and only once: another would interrupt what tells of the first."""
    _set(_interrupt)


@contextlib.contextmanager
def put_off() -> Iterator[None]:
    """Put them off until the block has ended, lest what it has done is not told. `heed` must have been called."""
    interruptions: list[int] = []
    _set(lambda number, _: interruptions.append(number))
    try:
        yield
    finally:
        _set(_interrupt)
    if interruptions:
        _interrupt()


def ignore() -> None:
    """Let them do nothing any more: there is nothing left that they could spare, and Python would show where it was."""
    _set(signal.SIG_IGN)


def _interrupt(*_: object) -> None:
    ignore()
    raise KeyboardInterrupt


def _set(handler: Callable[[int, Any], None] | signal.Handlers) -> None:
    """Set it, save for a signal that whoever started this process has told it to ignore, as `nohup` and `&` do."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
