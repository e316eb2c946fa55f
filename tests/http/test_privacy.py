"""What a guest gave never stands in a log, a problem or a metric, and neither does a token, whatever goes wrong."""

import contextlib
import dataclasses
import socket
import time

import httpx
import pytest

from models.database import database, session
from tests import support
from tests.http.slow_backend import FAILING_SECONDS

MARKER, PHONE_MARKER = "Quokkamarker", "7310258946"
MARKED = {
    "firstName": MARKER,
    "lastName": f"O’{MARKER}",
    "email": f"{MARKER}@example.com",
    "birthday": "1931-02-03",
    "phoneNumber": f"+1{PHONE_MARKER}",
    "address": {
        "line1": f"1 {MARKER} Street",
        "line2": f"Flat {MARKER}",
        "city": f"{MARKER} City",
        "postalCode": MARKER,
        "countryCode": MARKER,
        "countrySubdivisionCode": MARKER,
    },
    "nickname": MARKER,
}
BIRTHDAY_MARKERS = ("1931-02-03", "1931, 2, 3")
SECRETS = [text.casefold() for text in (MARKER, PHONE_MARKER, *BIRTHDAY_MARKERS)]
FILTER = {
    "providerMembershipId": MARKER,
    "membershipNumber": MARKER,
    "email": f"{MARKER}@example.com",
    "firstName": MARKER,
    "lastName": MARKER,
    "phoneNumber": PHONE_MARKER,
    "city": MARKER,
    "postalCode": MARKER,
    "countryCode": MARKER,
}
DEADLINE = FAILING_SECONDS - 0.3


@dataclasses.dataclass
class Trail:
    """What a server left behind: its answers, its whole log, its metrics, and what must stand in none of them."""

    answers: dict[str, httpx.Response] = dataclasses.field(default_factory=dict)
    log: str = ""
    metrics: str = ""
    secrets: list[str] = dataclasses.field(default_factory=lambda: list(SECRETS))


def wrong_values(value: object) -> object:
    """The same structure with each text in a place where it breaks the schema, or too long for it."""
    if isinstance(value, dict):
        return {name: wrong_values(item) for name, item in value.items()}
    return [value, PHONE_MARKER]


def serve_well(server) -> dict:
    identifier = server.enroll(MARKED).json()["membership"]["providerMembershipId"]
    return {
        "200 enroll": server.enroll(MARKED),
        "200 search": server.search(FILTER),
        "200 list": server.list([identifier, MARKER]),
        "200 link": server.link(identifier, True, headers={"X-Request-Id": MARKER, "User-Agent": MARKER}),
        "404 link": server.link(MARKER, True),
        "400 duplicate": server.enroll(MARKED | {"lastName": PHONE_MARKER, "firstName": PHONE_MARKER}),
        "400 required": server.enroll(MARKED | {"firstName": ""}),
        "400 criteria": server.search({"city": MARKER, "phoneNumber": PHONE_MARKER}),
    }


def break_the_schema(server) -> dict:
    long = dict.fromkeys(("firstName", "lastName", "email"), f"{MARKER}{'x' * 300}")
    bodies = {
        support.SEARCH: {"mewsEnterpriseId": MARKER, "memberFilter": wrong_values(FILTER), "extra": MARKER},
        support.ENROLL: {"mewsEnterpriseId": [MARKER], "customer": wrong_values(MARKED)},
        support.LIST: {"mewsEnterpriseId": MARKER, "providerMembershipIds": MARKER, "extra": {"a": MARKER}},
        support.LINK: {"mewsEnterpriseId": MARKER, "isLinked": MARKER, "mewsCustomerId": MARKER},
    }
    answers = {f"400 {operation}": server.call(operation, body) for operation, body in bodies.items()}
    return answers | {
        "400 too long": server.enroll(MARKED | long),
        "400 birthday": server.enroll(MARKED | {"birthday": f"{MARKER}-1931-02-03"}),
        "400 year 0": server.enroll(MARKED | {"birthday": "0000-01-01"}),
        "400 NUL": server.enroll(MARKED | {"lastName": f"{MARKER}\0"}),
        "400 text": server.call(support.ENROLL, MARKER),
    }


def send_what_is_no_json(server) -> dict:
    contents = {
        "400 bad JSON": f'{{"customer": {{"lastName": "{MARKER}", {MARKER}'.encode(),
        "400 no UTF-8": f'{{"lastName": "{MARKER}\xff"}}'.encode("latin-1"),
        "400 duplicate keys": f'{{"{MARKER}": "{MARKER}", "{MARKER}": "{PHONE_MARKER}"}}'.encode(),
        "400 surrogate": f'{{"lastName": "{MARKER}\\ud800"}}'.encode(),
        "400 depth": b'{"a":' * 2000 + f'"{MARKER}"'.encode(),
    }
    json = {"Content-Type": "application/json"}
    answers = {name: server.call(support.ENROLL, content=text, headers=json) for name, text in contents.items()}
    form = {"Content-Type": f"text/{MARKER}; charset={MARKER}"}
    return answers | {
        "400 media type": server.call(support.ENROLL, content=MARKER.encode(), headers=form),
        "400 encoding": server.enroll(MARKED, headers={"Content-Encoding": MARKER}),
    }


def miss_the_operations(server) -> dict:
    ask, own = server.client.request, {"Authorization": f"Bearer {server.token}", "Accept-Language": MARKER}
    members = f"{server.url}{support.operation(support.ENROLL).path}"
    return {
        "404 path": ask("POST", f"{members}/{MARKER}/{PHONE_MARKER}", json=MARKED, headers=own),
        "404 encoded": ask("GET", f"{server.url}/%00{MARKER}%0a?q={MARKER}", headers=own),
        "405": ask("DELETE", f"{members}?email={MARKER}@example.com", headers=own),
        "405 probe": ask("POST", f"{server.url}/metrics?{MARKER}", json=MARKED),
        "401 none": server.enroll(MARKED, token=None, params={"q": MARKER}),
        "401 wrong": server.enroll(MARKED, token=f"loyalty_{MARKER}"),
        "401 basic": server.enroll(MARKED, token=None, headers={"Authorization": f"Basic {MARKER}"}),
    }


def speak_no_http(server) -> None:
    for text in (f"GET /{MARKER} HTTP/9.9", f"{MARKER} / HTTP/1.1", f"GET / HTTP/1.1\r\n{MARKER}"):
        with socket.create_connection((server.host, server.port), timeout=5) as connection:
            connection.sendall(f"{text}\r\n\r\n".encode())
            with contextlib.suppress(ConnectionResetError):
                connection.recv(4096)


def break_the_database(server) -> dict:
    """Statements fail that quote what the guest gave."""
    support.use_database(server.database_url)
    with session():
        database.execute_sql("ALTER TABLE member RENAME COLUMN line2 TO gone")
        database.execute_sql("ALTER TABLE membership RENAME COLUMN tier TO lost")
    return {
        "500 enroll": server.enroll(MARKED | {"email": f"new-{MARKER}@example.com"}),
        "500 search": server.search(FILTER),
        "500 list": server.list([MARKER]),
        "500 link": server.link(MARKER, True),
    }


def leave_trail(url: str, directory, parts: list, **settings: str) -> Trail:
    token, trail = support.prepare(url), Trail()
    trail.secrets.append(token.casefold())
    settings |= {"LOYALTY_LOG_LEVEL": "debug", "LOYALTY_WORKERS": "1"}
    with support.gunicorn(url, token, directory / "privacy.log", **settings) as server:
        for part in parts:
            trail.answers |= part(server) or {}
        time.sleep(0.5)  # for what goes on after its answer
        trail.metrics = httpx.get(f"{server.url}/metrics").text.casefold()
    trail.log = (directory / "privacy.log").read_text().casefold()
    return trail


@pytest.fixture(scope="module")
def trail(engine, make_database, tmp_path_factory) -> Trail:
    parts = [serve_well, break_the_schema, send_what_is_no_json, miss_the_operations, speak_no_http, break_the_database]
    return leave_trail(make_database(engine), tmp_path_factory.mktemp("log"), parts)


def provoke(server) -> dict:
    return {
        "500 search": server.search(FILTER),
        "500 list": server.list([MARKER]),
        "500 link": server.link(MARKER, True),
        "408 enroll": server.enroll(MARKED),
    }


@pytest.fixture(scope="module")
def failing_trail(make_database, tmp_path_factory) -> Trail:
    settings = {
        "LOYALTY_BACKEND": "tests.http.slow_backend:make_failing",
        "LOYALTY_REQUEST_DEADLINE": str(DEADLINE),
    }
    return leave_trail(make_database("sqlite"), tmp_path_factory.mktemp("log"), [provoke], **settings)


def assert_answers_as_named(trail: Trail) -> None:
    assert {name: answer.status_code for name, answer in trail.answers.items()} == {
        name: int(name.split()[0]) for name in trail.answers
    }


def assert_discreet(trail: Trail) -> None:
    for secret in trail.secrets:
        assert [line for line in trail.log.splitlines() if secret in line] == []
        assert secret not in trail.metrics
        told = {name: f"{answer.headers}{answer.text}".casefold() for name, answer in trail.answers.items()}
        assert [name for name, text in told.items() if not name.startswith("200") and secret in text] == []


def test_every_way_to_go_wrong_was_taken(trail):
    assert len(trail.answers) > 30
    assert_answers_as_named(trail)


def test_the_successes_did_hold_the_marker(trail):
    told = trail.answers["200 search"].text.casefold()
    assert all(secret in told for secret in (MARKER.casefold(), PHONE_MARKER, BIRTHDAY_MARKERS[0]))


def test_the_log_knows_every_request_and_no_guest(trail):
    missing = [name for name, answer in trail.answers.items() if answer.headers["X-Request-Id"] not in trail.log]
    assert missing == []
    assert "loyalty_requests_total" in trail.metrics
    assert_discreet(trail)


def test_failures_quote_nobody(failing_trail):
    assert_answers_as_named(failing_trail)
    assert {"500 search", "500 list", "500 link", "408 enroll"} == set(failing_trail.answers)
    assert "runtimeerror" in failing_trail.log
    assert_discreet(failing_trail)
