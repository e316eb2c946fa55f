"""Servers with limits: one for each module, since each of its tests has an address, or a token, of its own."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests import support


@pytest.fixture(scope="module")
def start_once(
    make_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., support.Server]]:
    """A function that starts a server for the tests of a module, on SQLite: what is limited does not reach it."""
    with contextlib.ExitStack() as stack:

        def run(**settings: str) -> support.Server:
            url, log = make_database("sqlite"), tmp_path_factory.mktemp("log") / "server.log"
            return stack.enter_context(support.gunicorn(url, support.prepare(url), log, **settings))

        yield run
