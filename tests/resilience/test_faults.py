"""Between the server and its database things break: every request is answered in time, and all is well soon after."""

import concurrent.futures
import dataclasses
import functools
import pathlib
import resource
import time
import urllib.parse

import httpx
import psutil
import pytest

from models.database import session, sqlite_path
from models.tables import Member
from tests import support
from tests.resilience.proxy import Proxy, proxy
from tests.resilience.soak import rounds
from tests.resilience.traffic import REFUSALS, Traffic, traffic, wait_until

DEADLINE, TOLERANCE = 2.0, 1.0
FLIP_SECONDS, RECOVERY_SECONDS = 2.0, 5.0
WORKERS, THREADS = 2, 4
CONNECTIONS = WORKERS * (THREADS + 5)
SERVED_IN_A_ROW = 30
INTERNAL = "Something went wrong on the server; its log has it under this request's id."
SETTINGS = {
    "LOYALTY_REQUEST_DEADLINE": str(DEADLINE),
    "LOYALTY_WORKERS": str(WORKERS),
    "LOYALTY_CONCURRENCY": str(THREADS),
}
FAULTS = {
    "latency": lambda network: network.slow(DEADLINE + 1),
    "half-open": Proxy.silence,
    "down": Proxy.down,
    "resets": Proxy.reset,
}

only_postgres = pytest.mark.parametrize("engine", ["postgres"], indirect=True)
only_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def network(postgres):
    with proxy(postgres.get_postmaster_info().socket_path) as running:
        yield running


@pytest.fixture(scope="module")
def proxied(network, make_database, tmp_path_factory):
    """A server that reaches Postgres through the proxy; the test itself reads the rows past it."""
    url = make_database("postgres")
    token = support.prepare(url)
    behind = f"postgresql://postgres@127.0.0.1:{network.port}{urllib.parse.urlsplit(url).path}"
    with support.gunicorn(behind, token, tmp_path_factory.mktemp("log") / "server.log", **SETTINGS) as server:
        yield dataclasses.replace(server, database_url=url)


def backends(database_url: str) -> int:
    """The number of connections that Postgres has to a database, without our own."""
    opened = support.use_database(database_url)
    with session():
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return opened.execute_sql(query).fetchone()[0]


def assert_answered(seen: Traffic) -> float:
    """Every request had an answer of the contract in time, and the process was alive; return the longest time taken."""
    assert seen.wrong == []
    assert {answer.status for answer in seen.live} == {200}
    longest = max(answer.seconds for answer in seen.answers)
    assert longest < DEADLINE + TOLERANCE
    return longest


def assert_flipped(seen: Traffic, broken: float, healed: float) -> None:
    """Readiness told of the fault, and of its end, within two seconds, and of nothing else."""
    told = [answer for answer in seen.ready if answer.began >= broken + FLIP_SECONDS and answer.ended < healed]
    assert {answer.status for answer in told} <= {503}
    first = next(answer.ended for answer in seen.ready if answer.ended > broken and answer.status == 503)
    assert first < broken + FLIP_SECONDS
    again = next(answer.ended for answer in seen.ready if answer.ended > healed and answer.status == 200)
    assert again < healed + FLIP_SECONDS
    assert {answer.status for answer in seen.ready if answer.began > healed + FLIP_SECONDS} <= {200}


def assert_one_effect(seen: Traffic) -> int:
    """Every guest who was acknowledged is there, once; return how many."""
    with session():
        rows = [row for (row,) in Member.select(Member.email).tuples()]
    assert len(rows) == len(set(rows))
    assert seen.acknowledged.keys() <= set(rows)
    return len(seen.acknowledged)


def recover(seen: Traffic, healed: float) -> float:
    """Wait until all is served again; return after how many seconds it was."""
    wait_until(lambda: seen.served_since(healed) > SERVED_IN_A_ROW, 30, "it is not served again")
    wait_until(lambda: seen.is_ready_since(healed), 30, "it is not ready again")
    took = max(0.0, seen.last_failure() - healed)
    assert took < RECOVERY_SECONDS
    return round(took, 2)


def break_and_heal(network: Proxy, fault: str, seconds: float) -> tuple[float, float]:
    """Return the moments of both."""
    broken = time.monotonic()
    FAULTS[fault](network)
    time.sleep(seconds)
    network.heal()
    return broken, time.monotonic()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_between_server_and_postgres(fault, proxied, network, tell):
    support.clear(proxied.database_url)
    lasts = 0 if fault == "resets" else rounds(3, 60)
    with traffic(proxied) as seen:
        wait_until(lambda: seen.served_since(0) > SERVED_IN_A_ROW, 30, "nothing is served")
        broken, healed = break_and_heal(network, fault, lasts)
        recovered = recover(seen, healed)
    longest = assert_answered(seen)
    if lasts:
        assert_flipped(seen, broken, healed)
    acknowledged = assert_one_effect(seen)
    wait_until(lambda: backends(proxied.database_url) <= CONNECTIONS, 10, "connections leak")
    failed = sum(answer.status != 200 for answer in seen.answers)
    tell(
        seconds=lasts,
        failed=failed,
        acknowledged=acknowledged,
        lost=0,
        doubled=0,
        longest=round(longest, 2),
        recovered=recovered,
        connections=backends(proxied.database_url),
    )


def is_served(seen: Traffic, since: float) -> bool:
    return seen.served_since(since) > THREADS


def test_no_fault_takes_a_connection_away_for_good(proxied, network, tell):
    """More faults than the pool has places, then as many requests at once as threads."""
    support.clear(proxied.database_url)
    times = rounds(10, 100)
    with traffic(proxied) as seen:
        for turn in range(times):
            network.reset()
            began = time.monotonic()
            wait_until(functools.partial(is_served, seen, began), 30, f"it is not served after {turn} resets")
    assert_answered(seen)
    assert backends(proxied.database_url) <= CONNECTIONS
    tell(resets=times, acknowledged=assert_one_effect(seen), lost=0, doubled=0, connections=CONNECTIONS)


def test_connections_that_end_while_they_idle_cost_no_request(proxied, network):
    support.clear(proxied.database_url)
    for _ in range(3):
        assert [proxied.list(["nobody"]).status_code for _ in range(10)] == [200] * 10
        network.reset()


def test_one_connection_that_is_found_silent_takes_with_it_those_that_idle(proxied, network):
    support.clear(proxied.database_url)
    guests = [{"firstName": "Ann", "lastName": "Lee", "email": f"{turn}@example.com"} for turn in range(64)]
    with concurrent.futures.ThreadPoolExecutor(WORKERS * THREADS) as executor:
        list(executor.map(proxied.enroll, guests))  # so that many connections are open
    network.silence()
    network.heal()
    statuses = [proxied.list(["nobody"]).status_code for _ in range(20)]
    assert statuses.count(200) >= 20 - WORKERS


def test_a_commit_whose_reply_is_lost_and_is_asked_for_again_has_one_effect(proxied, network, tell):
    support.clear(proxied.database_url)
    times = rounds(5, 100)
    for turn in range(times):
        guest = {"firstName": "Ann", "lastName": "Lee", "email": f"{turn}@example.com"}
        network.cut_after(b"COMMIT")
        assert proxied.enroll(guest).status_code in REFUSALS | {200}
        wait_until(lambda guest=guest: proxied.enroll(guest).status_code == 200, 30, "it is not acknowledged")
        assert support.count(Member, Member.email == guest["email"]) == 1
        assert support.count(Member, Member.email == guest["email"]) == 1
    tell(lost_replies=times, doubled=0)


def test_a_standby_is_left_as_soon_as_it_is_a_primary_again(proxied, postgres):
    """As behind an address that leads to another server now; the URL does not ask for one that can be written."""
    support.clear(proxied.database_url)
    name = urllib.parse.urlsplit(proxied.database_url).path.removeprefix("/")

    def enrolls() -> bool:
        return proxied.enroll(support.GUEST).status_code == 200

    def is_ready() -> bool:
        return httpx.get(f"{proxied.url}/readyz").status_code == 200

    postgres.psql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        postgres.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        wait_until(lambda: not enrolls() and not is_ready(), 10, "it takes a standby for a primary")
    finally:
        postgres.psql(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    wait_until(lambda: enrolls() and is_ready(), RECOVERY_SECONDS, "it stays with the standby")


def processes(server: support.Server) -> list[psutil.Process]:
    """The processes of a server of this test run."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if child.environ().get("LOYALTY_PORT") == str(server.port)]


def limit_files(server: support.Server, size: int) -> None:
    """Let no file of the server's grow beyond a size, as on a disk that is full: each write fails."""
    for process in processes(server):
        process.rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@only_sqlite
def test_a_full_disk_under_sqlite(start, database_url, tell):
    server = start(**SETTINGS)
    lasts = rounds(3, 60)
    with traffic(server) as seen:
        wait_until(lambda: seen.served_since(0) > SERVED_IN_A_ROW, 30, "nothing is served")
        broken = time.monotonic()
        limit_files(server, 0)
        time.sleep(lasts)
        assert server.list(["nobody"]).status_code == 200
        limit_files(server, resource.RLIM_INFINITY)
        healed = time.monotonic()
        recovered = recover(seen, healed)
    longest = assert_answered(seen)
    assert_flipped(seen, broken, healed)
    with session():
        assert support.use_database(database_url).execute_sql("PRAGMA integrity_check").fetchone() == ("ok",)
    failed = sum(answer.status != 200 for answer in seen.answers)
    assert failed
    tell(
        seconds=lasts,
        failed=failed,
        acknowledged=assert_one_effect(seen),
        lost=0,
        doubled=0,
        longest=round(longest, 2),
        recovered=recovered,
    )


def test_a_full_disk_kills_no_worker_by_its_metrics(server):
    """A page without room on the disk, in a file that is mapped into memory, would be a SIGBUS at the first write."""
    for worker in psutil.Process(server.process.pid).children():
        maps = {pathlib.Path(found.path) for found in worker.memory_maps() if f"_{worker.pid}.db" in found.path}
        assert {path.name.partition("_")[0] for path in maps} == {"counter", "histogram"}
        for found in map(pathlib.Path.stat, maps):
            assert found.st_blocks * 512 >= found.st_size


@only_sqlite
def test_a_sqlite_file_that_cannot_be_written(database_url, tmp_path):
    token = support.prepare(database_url)
    path = sqlite_path(database_url)

    def is_ready() -> bool:
        return httpx.get(f"{server.url}/readyz").status_code == 200

    path.chmod(0o444)
    log, prefix = tmp_path / "server.log", support.WITHOUT_OVERRIDE
    with support.gunicorn(database_url, token, log, prefix=prefix, **SETTINGS) as server:
        began = time.monotonic()
        for answer in (
            server.enroll(support.GUEST),
            server.search({"email": support.GUEST["email"]}),
            server.list(["a"]),
        ):
            support.assert_problem(answer, "core/internal-server-error", INTERNAL)
        assert time.monotonic() - began < DEADLINE + TOLERANCE
        assert not is_ready()
        assert httpx.get(f"{server.url}/livez").status_code == 200
        path.chmod(0o644)
        wait_until(is_ready, FLIP_SECONDS, "it is not ready")
        wait_until(lambda: server.enroll(support.GUEST).status_code == 200, RECOVERY_SECONDS, "it does not recover")
        path.chmod(0o444)
        wait_until(lambda: not is_ready(), FLIP_SECONDS, "it is ready all the same")
        path.chmod(0o644)
        wait_until(is_ready, FLIP_SECONDS, "it is not ready again")
        assert server.enroll(support.GUEST).status_code == 200
    assert support.count(Member) == 1
