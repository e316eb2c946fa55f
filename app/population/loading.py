"""Made-up members on their way into a database, as an operator would bring in real ones."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.population import members


class NotLoaded(Exception):
    """The members could not be added; the text says why."""


def load(database_url: str, count: int, *, title: str) -> None:
    """Add made-up members to a database that has its tables, by `loyalty member import`; a bar shows the progress.

    Args:
        database_url: see LOYALTY_DATABASE_URL.
        count: how many.
        title: stands before the bar.

    Raises:
        NotLoaded: the import has failed.
    """
    importing = subprocess.Popen(
        [sys.executable, "-m", "app", "member", "import", "-"],
        env=os.environ | {"LOYALTY_DATABASE_URL": database_url},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _, told = _pour(importing, count, title)
    finally:
        importing.terminate()
        importing.wait()
    if importing.returncode:
        raise NotLoaded(told.decode().strip())


def _pour(importing: subprocess.Popen, count: int, title: str) -> tuple[bytes, bytes]:
    """Write the members to the import's standard input, and return what it printed and told."""
    assert importing.stdin
    with contextlib.suppress(BrokenPipeError):  # it has ended early, and says why
        importing.stdin.writelines(orjson.dumps(member) + b"\n" for member in _shown(count, title))
    return importing.communicate()


def _shown(count: int, title: str) -> Iterator[dict]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield from progress.track(members(count), total=count, description=title)
