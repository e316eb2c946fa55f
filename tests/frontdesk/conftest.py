"""A front desk before a server of ours, and one before a partner server that does as it is told."""

from collections.abc import Callable, Iterator

import pytest

from tests import support
from tests.frontdesk import desks


@pytest.fixture(scope="session")
def loyalty(make_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[support.Server]:
    """Our server, whose database is not emptied between tests: each has guests of its own."""
    url = make_database("sqlite")
    token = support.prepare(url)
    with support.gunicorn(url, token, tmp_path_factory.mktemp("log") / "loyalty.log", LOYALTY_WORKERS="1") as server:
        yield server


@pytest.fixture(scope="session")
def desk(loyalty: support.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[desks.Desk]:
    with desks.frontdesk(tmp_path_factory.mktemp("desk"), loyalty.url, "--port", port(), token=loyalty.token) as desk:
        yield desk


@pytest.fixture(scope="session")
def scripted_partner() -> Iterator[desks.Partner]:
    with desks.partner() as served:
        yield served


@pytest.fixture(scope="session")
def scripted_desk(scripted_partner: desks.Partner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[desks.Desk]:
    with desks.frontdesk(tmp_path_factory.mktemp("scripted"), scripted_partner.url, "--port", port()) as desk:
        yield desk


@pytest.fixture
def partner(scripted_partner: desks.Partner) -> desks.Partner:
    """The partner server, which was asked nothing yet."""
    scripted_partner.requests.clear()
    return scripted_partner


@pytest.fixture
def reader(desk: desks.Desk) -> desks.Reader:
    return desk.reader()


@pytest.fixture
def scripted(scripted_desk: desks.Desk, partner: desks.Partner) -> desks.Reader:
    """Somebody at the front desk before the partner server that does as it is told."""
    return scripted_desk.reader()


def port() -> str:
    return str(support.free_port())
