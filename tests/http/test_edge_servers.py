"""What the settings promise, each on a server of its own: deadline, overload, limits, base path, outage, backend."""

import concurrent.futures
import contextlib
import os
import sqlite3
import subprocess
import sys
import time
import urllib.parse

import httpx
import psycopg
import pytest

from models.clock import system_clock
from models.database import sqlite_path
from models.tables import Member
from tests import support
from tests.support import FIELDS, GUEST, HOTEL, REQUIRED, assert_problem

DEADLINE, SMALL_DEADLINE = 1.0, 2.0
BODY_LIMIT = 1024
BUSY_REQUESTS = 8
TIMEOUT = "The server could not answer in time; try again."
BUSY = "The server is busy; try again shortly."
TOO_LARGE = f"The body may have {BODY_LIMIT} bytes."
INTERNAL = "Something went wrong on the server; its log has it under this request's id."
UNAUTHORIZED = "The bearer token is missing, unknown, expired or revoked."
NOTHING_HERE = "There is nothing at this address."
RECOVERED_AFTER_SECONDS = 5


only_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def ask_all(server) -> dict:
    """A valid request of every operation."""
    return {
        support.SEARCH: server.search({"email": GUEST["email"]}),
        support.ENROLL: server.enroll(GUEST),
        support.LIST: server.list(["a"]),
        support.LINK: server.link("a", False),
    }


@contextlib.contextmanager
def locked(database_url: str):
    """Keep everybody else from writing members."""
    if database_url.startswith("sqlite"):
        connection = sqlite3.connect(sqlite_path(database_url), isolation_level=None)
        statement = "BEGIN IMMEDIATE"
    else:
        connection, statement = psycopg.connect(database_url), "LOCK TABLE member IN ACCESS EXCLUSIVE MODE"
    with contextlib.closing(connection):
        connection.execute(statement)
        yield
        connection.rollback()


def test_a_locked_database_holds_no_request_beyond_the_deadline(start, database_url):
    server = start(LOYALTY_REQUEST_DEADLINE=str(DEADLINE), LOYALTY_WORKERS="1")
    assert server.list(["a"]).status_code == 200
    with locked(database_url):
        started = time.monotonic()
        answer = server.enroll(GUEST)
        assert time.monotonic() - started < DEADLINE + 1
        assert server.list(["a"]).status_code == 200
    if answer.status_code == 408:
        assert_problem(answer, "core/request-timeout", TIMEOUT)
    else:
        assert_problem(answer, "core/too-many-requests", BUSY)
    assert support.count(Member) == 0
    assert server.enroll(GUEST).status_code == 200
    assert support.count(Member) == 1


@pytest.fixture(scope="module")
def small_server(make_database, tmp_path_factory):
    """One thread, one place to wait, small bodies; enrolling takes as many seconds as the last name says."""
    url = make_database("sqlite")
    settings = {
        "LOYALTY_BACKEND": "tests.http.slow_backend:make",
        "LOYALTY_REQUEST_DEADLINE": str(SMALL_DEADLINE),
        "LOYALTY_WORKERS": "1",
        "LOYALTY_CONCURRENCY": "1",
        "LOYALTY_QUEUE_LIMIT": "1",
        "LOYALTY_BODY_LIMIT": str(BODY_LIMIT),
    }
    token = support.prepare(url)
    with support.gunicorn(url, token, tmp_path_factory.mktemp("log") / "small.log", **settings) as server:
        yield server


def test_a_slow_answer_is_408_at_the_deadline(small_server):
    started = time.monotonic()
    answer = small_server.enroll({"firstName": "Ann", "lastName": "2.5"})
    took = time.monotonic() - started
    assert_problem(answer, "core/request-timeout", TIMEOUT)
    assert answer.headers["Connection"] == "close"
    assert SMALL_DEADLINE <= took < SMALL_DEADLINE + 1
    assert httpx.get(f"{small_server.url}/livez").status_code == 200
    assert small_server.search({"email": "a@b.cz"}).status_code == 200


def test_overload_is_429_and_all_others_are_served(small_server):
    customers = [{"firstName": "Ann", "lastName": "0.6", "email": f"{index}@a.cz"} for index in range(BUSY_REQUESTS)]
    with concurrent.futures.ThreadPoolExecutor(BUSY_REQUESTS) as executor:
        answers = list(executor.map(small_server.enroll, customers))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert sorted(answer.status_code for answer in answers) == [200] * 2 + [429] * (BUSY_REQUESTS - 2)
    for answer in refused:
        assert_problem(answer, "core/too-many-requests", BUSY)
        assert int(answer.headers["Retry-After"]) >= 1
    assert small_server.enroll({"firstName": "Ann", "lastName": "0"}).status_code == 200


def body_of(size: int) -> bytes:
    head = f'{{"mewsEnterpriseId":"{HOTEL}","providerMembershipIds":["'
    return f'{head}{"x" * (size - len(head) - 3)}"]}}'.encode()


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_the_body_limit_is_exact(small_server, chunked):
    def ask(size: int) -> httpx.Response:
        body = body_of(size)
        assert len(body) == size
        headers = {"Content-Type": "application/json"}
        return small_server.call(support.LIST, content=iter([body]) if chunked else body, headers=headers)

    assert ask(BODY_LIMIT).status_code == 200
    assert_problem(ask(BODY_LIMIT + 1), "core/bad-request", TOO_LARGE)


@only_sqlite
@pytest.mark.parametrize(
    ("base_path", "wrong"),
    [
        ("/", ["/", "//", "/loyalty"]),
        ("/loyalty/", ["", "/loyalty/", "//loyalty", "/loyaltyx", "/Loyalty", "/%6coyalty", "/loyalty/loyalty"]),
        ("/a/b", ["", "/a", "/b", "/a//b", "/a%2Fb"]),
    ],
)
def test_the_base_path_holds_everything_and_nothing_else_does(database_url, base_path, wrong):
    token = support.prepare(database_url)
    with support.threaded(database_url, token, system_clock, base_path=base_path) as server:
        server.base_path = base_path.rstrip("/")
        assert {name: answer.status_code for name, answer in ask_all(server).items()} == {
            support.SEARCH: 200,
            support.ENROLL: 200,
            support.LIST: 200,
            support.LINK: 404,
        }
        for operation in support.OPERATIONS.values():
            assert_problem(server.call(operation.operation_id, {}, token=None), "core/unauthorized", UNAUTHORIZED)
            assert server.call(operation.operation_id, {}).status_code == 400
            for prefix in wrong:
                for headers in ({}, {"Authorization": f"Bearer {server.token}"}):
                    answer = server.client.request(
                        operation.method, f"{server.url}{prefix}{operation.path}", json={}, headers=headers
                    )
                    assert_problem(answer, "core/not-found", NOTHING_HERE)
        answer = server.call(support.LIST, {"providerMembershipIds": ["a"]})
        assert_problem(answer, "core/bad-request", FIELDS, ("core/field-required", "#/mewsEnterpriseId", REQUIRED))
        assert httpx.get(f"{server.url}/readyz").status_code == 200


def test_a_bad_base_path_refuses_to_start(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOYALTY_")}
    environment |= {"LOYALTY_DATABASE_URL": f"sqlite:///{tmp_path}/new.db", "LOYALTY_PORT": str(support.free_port())}
    command = [sys.executable, "-m", "app", "serve"]
    attempts = [
        subprocess.Popen(command, env=environment | {"LOYALTY_BASE_PATH": bad}, stderr=subprocess.PIPE, text=True)
        for bad in ("loyalty", "/a//b", "/{hotel}")
    ]
    for attempt in attempts:
        _, told = attempt.communicate(timeout=30)
        assert attempt.returncode not in (0, None)
        assert "LOYALTY_BASE_PATH" in told
        assert "Traceback" not in told
        assert len(told.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def assert_out_of_service(server) -> None:
    for answer in ask_all(server).values():
        assert_problem(answer, "core/internal-server-error", INTERNAL)
    assert httpx.get(f"{server.url}/livez").json() == {"status": "live"}
    ready = httpx.get(f"{server.url}/readyz")
    assert ready.status_code == 503
    assert ready.headers["Content-Type"] == "application/problem+json"
    assert ready.json() == {
        "type": "about:blank",
        "status": 503,
        "title": "Service unavailable",
        "detail": "The database is away or lacks migrations.",
        "instance": f"urn:uuid:{ready.headers['X-Request-Id']}",
    }


@only_sqlite
def test_without_its_sqlite_file_the_server_is_out_of_service(start, database_url):
    server = start(LOYALTY_WORKERS="1")
    path = sqlite_path(database_url)
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    assert_out_of_service(server)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_with_postgres_away_the_server_is_out_of_service_until_it_is_back(start, database_url, postgres):
    server = start()
    name = urllib.parse.urlsplit(database_url).path.removeprefix("/")
    for _ in range(4):
        assert [answer.status_code for answer in ask_all(server).values()] == [200, 200, 200, 404]
    postgres.psql(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
    try:
        postgres.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        time.sleep(0.6)  # until no token is believed without the database
        assert_out_of_service(server)
    finally:
        postgres.psql(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
    until = time.monotonic() + RECOVERED_AFTER_SECONDS
    served = 0
    while served < 20:
        assert time.monotonic() < until, "it did not recover"
        served = served + 1 if server.enroll(GUEST).status_code == 200 else 0
    assert httpx.get(f"{server.url}/readyz").status_code == 200


@pytest.fixture(scope="module")
def memory_server(make_database, tmp_path_factory):
    url = make_database("sqlite")
    settings = {"LOYALTY_BACKEND": "tests.http.memory_backend:make", "LOYALTY_WORKERS": "1"}
    token = support.prepare(url)
    with support.gunicorn(url, token, tmp_path_factory.mktemp("log") / "memory.log", **settings) as running:
        yield running


@pytest.fixture(params=["built-in", "in-memory"])
def backend_server(request, server, memory_server):
    return server if request.param == "built-in" else memory_server


@pytest.fixture
def membership(backend_server) -> dict:
    answer = backend_server.enroll(GUEST)
    assert answer.status_code == 200, answer.text
    return answer.json()["membership"]


def test_a_backend_enrolls_once(backend_server, membership):
    assert membership == {
        "providerMembershipId": membership["providerMembershipId"],
        "membershipNumber": membership["membershipNumber"],
        "status": "enrolled",
        "points": 0,
    }
    assert backend_server.enroll(GUEST).json() == {"membership": membership}


def test_a_backend_finds_by_every_combination(backend_server, membership):
    known = GUEST | GUEST["address"] | membership
    filters = support.CONTRACT.document["components"]["schemas"]["memberFilter"]["anyOf"]
    for branch in filters:
        answer = backend_server.search({name: known[name] for name in branch["required"]})
        assert answer.json() == {"members": [GUEST | {"membership": membership}]}
    assert backend_server.search({"email": "nobody@example.com"}).json() == {"members": []}


def test_a_backend_lists_and_links(backend_server, membership):
    identifier = membership["providerMembershipId"]
    answer = backend_server.list(["x", identifier, "x"])
    stub = {"providerMembershipId": "x", "status": "notFound"}
    assert answer.json() == {"memberships": [stub, membership]}
    for is_linked in (True, True, False, False):
        assert backend_server.link(identifier, is_linked, HOTEL).json() == {"membership": membership}


def test_a_backends_refusals_become_problems(backend_server, membership):
    missing = backend_server.enroll({"lastName": "Lee"})
    assert_problem(missing, "core/bad-request", FIELDS, ("core/field-required", "#/customer/firstName", REQUIRED))
    taken = backend_server.enroll(GUEST | {"firstName": "Karel", "lastName": "Novák"})
    assert [error["pointer"] for error in taken.json()["errors"]] == ["#/customer/email"]
    assert_problem(backend_server.link("x", True), "core/not-found", "No membership has this identifier.")
    assert_problem(backend_server.list(["a"], token=None), "core/unauthorized", UNAUTHORIZED)
    assert httpx.get(f"{backend_server.url}/readyz").status_code == 200
