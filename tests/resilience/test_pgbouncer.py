"""The server behind PgBouncer, which gives a connection to Postgres away after each transaction (`pool_mode`)."""

import concurrent.futures
import os
import pathlib
import subprocess
import sys
import time
import urllib.parse

import psycopg
import pytest

from tests import support
from tests.resilience.soak import rounds
from tests.resilience.traffic import traffic, wait_until

PGBOUNCER = pathlib.Path(__file__).parents[2] / ".venv/pgbouncer/pgbouncer"
TO_POSTGRES = 3
DEADLINE, TOLERANCE = 4.0, 1.0
STATEMENT_TIMEOUT = "3s"
CONFIGURATION = """
[databases]
* = host={socket} user=postgres pool_size={size}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
ignore_startup_parameters = options
"""

pytestmark = [pytest.mark.pgbouncer, pytest.mark.parametrize("engine", ["postgres"], indirect=True)]


@pytest.fixture
def pooled_url(database_url, postgres, tmp_path_factory):
    """The URL of an empty database behind PgBouncer, which has fewer connections to it than the server has threads."""
    name, port = urllib.parse.urlsplit(database_url).path.removeprefix("/"), support.free_port()
    postgres.psql(f"ALTER DATABASE {name} SET statement_timeout = '{STATEMENT_TIMEOUT}'")
    socket = postgres.get_postmaster_info().socket_dir
    file = pathlib.Path(socket) / f"pgbouncer-{port}.ini"  # a folder that the user may enter whom Postgres runs as
    file.write_text(CONFIGURATION.format(socket=socket, size=TO_POSTGRES, port=port))
    with (tmp_path_factory.mktemp("log") / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen([PGBOUNCER, file], stdout=log, stderr=log, user=postgres.system_user)
    url = f"postgresql://postgres@127.0.0.1:{port}/{name}"
    try:
        wait_until(lambda: process.poll() is None and answers(url), 30, "PgBouncer does not start; see its log")
        yield url
    finally:
        support.use_database(url).close_all()
        process.terminate()
        process.wait(timeout=30)


def answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def loyalty(url: str, *words: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"LOYALTY_DATABASE_URL": url}
    command = [sys.executable, "-m", "app", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def limits(url: str) -> set[str]:
    """The statement timeouts of all connections to Postgres, each of which is held by a transaction meanwhile."""
    with concurrent.futures.ThreadPoolExecutor(TO_POSTGRES) as executor:
        ask = "SELECT current_setting('statement_timeout') FROM pg_sleep(0.3)"

        def one(_: int) -> str:
            with psycopg.connect(url) as connection:
                return connection.execute(ask).fetchone()[0]

        return set(executor.map(one, range(TO_POSTGRES)))


def test_an_upgrade_is_refused_and_leaves_no_lock_and_no_setting_behind(pooled_url, postgres):
    refused = loyalty(pooled_url, "db", "upgrade")
    assert refused.returncode == 1
    assert refused.stderr == "Error: Give a URL of Postgres itself for an upgrade, not one of PgBouncer.\n"
    assert "(0 rows)" in postgres.psql("SELECT * FROM pg_locks WHERE locktype = 'advisory'")
    assert limits(pooled_url) == {STATEMENT_TIMEOUT}


def test_an_import_and_its_analysis_leave_no_setting_behind(pooled_url, database_url, tmp_path):
    support.prepare(database_url)
    file = tmp_path / "members.csv"
    file.write_text("membershipNumber,firstName,lastName\n" + "".join(f"N-{n},Ann,Lee\n" for n in range(2000)))
    imported = loyalty(pooled_url, "member", "import", str(file))
    assert imported.returncode == 0, imported.stderr
    assert limits(pooled_url) == {STATEMENT_TIMEOUT}


def test_all_is_served_and_nothing_is_lost_with_fewer_connections_than_clients(
    pooled_url, database_url, tmp_path, tell
):
    token = support.prepare(database_url)
    support.use_database(database_url).close_all()  # so that no connection but PgBouncer's is left
    seconds = rounds(5, 60)
    with support.gunicorn(pooled_url, token, tmp_path / "server.log", LOYALTY_CONCURRENCY="8") as server:
        with traffic(server, clients=12) as seen:
            time.sleep(seconds)
        identifier = next(iter(seen.acknowledged.values()))
        assert server.search({"email": next(iter(seen.acknowledged))}).status_code == 200
        for is_linked in (True, False):
            assert server.link(identifier, is_linked, support.HOTEL).status_code == 200
    assert seen.wrong == []
    assert {answer.status for answer in seen.answers} == {200}
    assert {answer.status for answer in seen.ready} == {200}
    with psycopg.connect(pooled_url) as connection:
        emails = {email for (email,) in connection.execute("SELECT email FROM member")}
        count = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        ).fetchone()
    assert seen.acknowledged.keys() <= emails
    assert count[0] <= TO_POSTGRES
    tell(seconds=seconds, answered=len(seen.answers), acknowledged=len(seen.acknowledged), lost=0, failed=0)


def test_connections_that_postgres_ends_behind_pgbouncer_are_a_short_gap_and_no_more(
    pooled_url, database_url, tmp_path, postgres, tell
):
    token = support.prepare(database_url)
    name = urllib.parse.urlsplit(pooled_url).path.removeprefix("/")
    with support.gunicorn(pooled_url, token, tmp_path / "server.log") as server, traffic(server) as seen:
        wait_until(lambda: seen.served_since(0) > 20, 30, "nothing is served")
        postgres.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        ended = time.monotonic()
        wait_until(lambda: seen.served_since(ended) > 20, 30, "it is not served again")
    assert seen.wrong == []
    assert max(answer.seconds for answer in seen.answers) < DEADLINE + TOLERANCE
    tell(acknowledged=len(seen.acknowledged), lost=0, seconds=round(max(0.0, seen.last_failure() - ended), 2))
