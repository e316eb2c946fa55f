"""An attack for each item of the OWASP API Security Top 10 (2023), by its number and name."""

import json
import re
import socket
import threading
import uuid
from collections.abc import Iterator

import psutil
import pytest

from models import tokens
from models.clock import system_clock
from models.database import session
from models.programs import find_program
from models.tables import Event, Link, Member, Membership
from tests import support
from tests.support import CONTRACT, ENROLL, GUEST, HOTEL, LINK, LIST, PROBLEM, SEARCH, assert_problem

OTHER_HOTEL = "99999999-8888-4777-a666-555555555555"
CUSTOMER = "5c0e3e0f-1a2b-4c3d-8e9f-0a1b2c3d4e5f"
SCHEMAS = CONTRACT.document["components"]["schemas"]
WRONG = "The bearer token is missing, unknown, expired or revoked."
# What an attacker would like to be, or to have. None of it is the caller's to say.
PRIVILEGES = {
    "points": 1_000_000,
    "tier": "Platinum",
    "status": "enrolled",
    "membershipNumber": "VIP-1",
    "providerMembershipId": "chosen",
    "membership": {"points": 1_000_000},
    "id": 1,
    "program": "gold",
    "isAdmin": True,
    "__class__": "Member",
}
NOTHING_IS_THERE = [
    *("/openapi.json", "/openapi.yaml", "/swagger.json", "/ui", "/ui/", "/docs", "/redoc", "/graphql"),
    *("/v1/members/search", "/v2/members", "/beta/members", "/api/members", "/internal/members", "/members/search"),
    *("/admin", "/tokens", "/programs", "/enterprises", "/members/export", "/members/import", "/settings"),
    *("/debug", "/console", "/env", "/actuator", "/server-status", "/metrics/", "/livez/x"),
    *(
        "/.git/config",
        "/.env",
        "/setup.cfg",
        "/requirements.lock",
        "/loyalty.db",
        "/../loyalty.db",
        "/%2e%2e/etc/passwd",
    ),
    *("/static/", "/favicon.ico", "/robots.txt", "/.well-known/security.txt"),
]


@pytest.fixture
def two_programs(server):
    """A guest of the default program, and a token for another program with a hotel of its own."""
    membership = server.enroll(GUEST).json()["membership"]
    support.add_program("rival", OTHER_HOTEL)
    with session():
        rival, _ = tokens.create(f"rival-{uuid.uuid4()}", system_clock(), program=find_program("rival"))
    return membership["providerMembershipId"], rival


@pytest.fixture
def listener() -> Iterator[tuple[str, list]]:
    """An address of this machine, and what has connected to it."""
    seen: list = []
    with socket.create_server(("127.0.0.1", 0)) as opened:
        opened.settimeout(0.1)
        ended = threading.Event()

        def accept() -> None:
            while not ended.is_set():
                try:
                    connection, peer = opened.accept()
                except TimeoutError:
                    continue
                seen.append(peer)
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{opened.getsockname()[1]}/x", seen
        ended.set()
        thread.join()


def rows() -> dict[str, int]:
    return {table.__name__: support.count(table) for table in (Member, Membership, Link, Event)}


def hotel_body(hotel: str, **fields: object) -> dict:
    return {"mewsEnterpriseId": hotel, **fields}


def test_api1_broken_object_level_authorization(server, two_programs):
    """With a token for one program, take a member of another by its identifier, from either program's hotel."""
    identifier, rival = two_programs
    before = rows()
    listed = server.call(LIST, hotel_body(OTHER_HOTEL, providerMembershipIds=[identifier]), token=rival)
    assert listed.json() == {"memberships": [{"providerMembershipId": identifier, "status": "notFound"}]}
    wanted = hotel_body(OTHER_HOTEL, memberFilter={"email": GUEST["email"], "lastName": GUEST["lastName"]})
    assert server.call(SEARCH, wanted, token=rival).json() == {"members": []}
    link = {"providerMembershipId": identifier, "isLinked": True, "mewsCustomerId": CUSTOMER}
    stolen = server.call(LINK, hotel_body(OTHER_HOTEL, **link), token=rival)
    assert_problem(stolen, "core/not-found", "No membership has this identifier.")
    for name, fields in ((LIST, {"providerMembershipIds": [identifier]}), (LINK, link)):
        assert server.call(name, hotel_body(HOTEL, **fields), token=rival).status_code == 422
    assert rows() == before


def test_api2_broken_authentication(server):
    """Get in with a token that is guessed, altered, unsigned, of another scheme, or at another place."""
    unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ0ZXN0cyJ9."
    altered = f"{server.token[:20]}{'0' if server.token[20] != '0' else '1'}{server.token[21:]}"
    nearly = [
        altered,
        server.token[:-1],
        server.token + "0",
        server.token.upper(),
        "' OR '1'='1",
    ]
    for token in [unsigned, *nearly]:
        assert_problem(server.list(["a"], token=token), "core/unauthorized", WRONG)
    elsewhere = {"X-Api-Key": server.token, "Cookie": f"token={server.token}", "Proxy-Authorization": server.token}
    answer = server.list(["a"], token=None, headers=elsewhere, params={"access_token": server.token})
    assert_problem(answer, "core/unauthorized", WRONG)
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("place", ["customer", "address", "body"])
def test_api3_broken_object_property_level_authorization(server, place):
    """Set what only the program sets, and read what only the program knows."""
    body = hotel_body(HOTEL, customer=GUEST | {"address": dict(GUEST["address"])})
    {"customer": body["customer"], "address": body["customer"]["address"], "body": body}[place].update(PRIVILEGES)
    answer = server.call(ENROLL, body)
    membership = answer.json()["membership"]
    assert (membership["points"], membership.get("tier")) == (0, None)
    assert membership["membershipNumber"] != PRIVILEGES["membershipNumber"]
    assert membership["providerMembershipId"] != PRIVILEGES["providerMembershipId"]
    [found] = server.search({"email": GUEST["email"]}).json()["members"]
    assert found.keys() <= SCHEMAS["member"]["properties"].keys()
    assert found["membership"].keys() <= SCHEMAS["membership"]["properties"].keys()


def test_api4_unrestricted_resource_consumption(start_once):
    """Ask for much by little: large and deep bodies, long lists, wide searches, thousands of errors, many requests."""
    server = start_once(LOYALTY_SEARCH_LIMIT="3", LOYALTY_RATE_LIMIT="20/hour")
    for number in range(6):
        assert server.enroll(GUEST | {"email": f"{number}@example.com"}).status_code == 200
    json_type = {"Content-Type": "application/json"}
    nested = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    huge = b'{"a":"' + b"x" * 2_000_000 + b'"}'
    answers = [server.call(LIST, content=content, headers=json_type) for content in (nested, huge)]
    answers.append(server.list(["x"] * 10_000))
    answers.append(server.list([7] * 5_000))
    assert [answer.status_code for answer in answers] == [400] * 4
    assert max(len(answer.content) for answer in answers) < 50_000
    found = server.search({"firstName": GUEST["firstName"], "lastName": GUEST["lastName"]}).json()["members"]
    assert len(found) == 3
    statuses = [server.list(["x"]).status_code for _ in range(20)]
    assert statuses[-8:] == [429] * 8


def test_api5_broken_function_level_authorization(server):
    """Reach what only an operator may do, by another method, a header that changes it, or another path."""
    identifier = server.enroll(GUEST).json()["membership"]["providerMembershipId"]
    before = rows()
    headers = {"Authorization": f"Bearer {server.token}"}
    paths = {operation.path: operation.method for operation in support.OPERATIONS.values()}
    for path, method in paths.items():
        for other in {"GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "POST"} - {method}:
            answer = server.client.request(other, f"{server.url}{path}", headers=headers)
            assert (answer.status_code, answer.headers["Allow"]) == (405, method), (other, path)
        assert server.client.delete(f"{server.url}{path}/{identifier}", headers=headers).status_code in (404, 405)
    overrides = {"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE", "X-Original-URL": "/admin"}
    assert server.list([identifier], headers=overrides).json()["memberships"][0]["status"] == "enrolled"
    assert rows() == before


def test_api6_unrestricted_access_to_sensitive_business_flows(start_once):
    """With a valid token, harvest the members by a script, or fill the program with made-up guests."""
    server = start_once(LOYALTY_RATE_LIMIT="30/hour")
    assert server.enroll(GUEST).status_code == 200
    for harvest in ({}, {"lastName": "O"}, {"lastName": "%"}, {"city": "New York"}, {"lastName": GUEST["lastName"]}):
        answer = server.search(harvest)
        assert (answer.status_code, answer.json().get("members")) == (400, None), harvest
    for harvest in (
        {"firstName": "%", "lastName": "%"},
        {"email": "%"},
        {"email": "*@example.com"},
        {"email": "@example.com"},
    ):
        answer = server.search(harvest)
        assert (answer.status_code, answer.json().get("members")) in [(200, []), (400, None)], harvest
    enrolled = [server.enroll(GUEST | {"email": f"{number}@example.com"}).status_code for number in range(40)]
    assert (enrolled.count(200), set(enrolled[20:])) == (20, {429})


def test_api7_server_side_request_forgery(server, listener):
    """Make the server fetch an address: in each field that takes a text, and in the headers that name hosts."""
    address, seen = listener
    texts = {**GUEST, **dict.fromkeys(("firstName", "lastName", "phoneNumber"), address)}
    texts["address"] = GUEST["address"] | dict.fromkeys(("line1", "line2", "city"), address)
    hosts = {"X-Forwarded-Host": address, "Forwarded": f"host={address}", "Referer": address, "Origin": address}
    enrolled = server.enroll(texts, headers=hosts)
    assert enrolled.status_code == 200
    body = hotel_body(HOTEL, providerEnterpriseId=address, providerMembershipIds=[address])
    assert server.call(LIST, body, headers=hosts | {"Host": address.split("/")[2]}).status_code == 200
    assert server.link(address, True, headers=hosts).status_code == 404
    absolute = f"POST {address} HTTP/1.1\r\nHost: {server.host}\r\nContent-Length: 0\r\n\r\n"
    with socket.create_connection((server.host, server.port)) as connection:
        connection.sendall(absolute.encode())
        assert b" 404 " in connection.recv(1000)
    assert seen == []


def test_api8_security_misconfiguration(server):
    """Learn of the server's insides, or use it from another site's page."""
    evil = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    broken = {"Content-Type": "application/json"}
    answers = [
        server.list(["a"], headers=evil),
        server.call(LIST, content=b"{", headers=broken),
        server.call(ENROLL, {"mewsEnterpriseId": [], "customer": "x"}),
        server.client.options(f"{server.url}{support.operation(LIST).path}", headers=evil),
        server.client.get(f"{server.url}/nothing", headers=evil),
        server.client.get(f"{server.url}/livez", headers=evil),
    ]
    for answer in answers:
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
        assert {"server", "x-powered-by", "set-cookie"} & {name.lower() for name in answer.headers} == set()
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
        assert re.search(r"Traceback|\.py|sqlite|postgres|psycopg|peewee|connexion|gunicorn", answer.text, re.I) is None


def test_api8_https_is_asked_for_where_the_proxy_speaks_it(server):
    answers = {scheme: server.list(["a"], headers={"X-Forwarded-Proto": scheme}) for scheme in ("http", "https")}
    told = {scheme: answer.headers.get("Strict-Transport-Security") for scheme, answer in answers.items()}
    assert told == {"http": None, "https": "max-age=31536000"}


def test_api9_improper_inventory_management(server):
    """Find another version, the description, a console or a file: only the contract and the probes are served."""
    for path in NOTHING_IS_THERE:
        status, problem = get_as_it_stands(server, path)
        expected = (405, "about:blank") if path in CONTRACT.document["paths"] else (404, f"{PROBLEM}core/not-found")
        assert (status, problem["type"]) == expected, path


def get_as_it_stands(server, path: str) -> tuple[int, dict]:
    """The status and the problem of a path that a client library would tidy."""
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\nConnection: close\r\n\r\n"
    with socket.create_connection((server.host, server.port)) as connection:
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(answer.split(b" ")[1]), json.loads(answer.partition(b"\r\n\r\n")[2])


def test_api10_unsafe_consumption_of_apis(server):
    """Poison an answer that the server relies on: there is none, since it connects to nothing but its database."""
    for _ in range(5):
        identifier = server.enroll(GUEST).json()["membership"]["providerMembershipId"]
        server.list([identifier])
        server.search({"email": GUEST["email"]})
        server.link(identifier, True, CUSTOMER)
        peers = {connection.raddr for process in processes(server) for connection in process.net_connections("inet")}
        reached = {peer for peer in peers if peer} - clients(server)
        assert reached == set()


def processes(server) -> list[psutil.Process]:
    """The server's processes: those that listen at its port."""
    found = {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.laddr.port == server.port and connection.status == psutil.CONN_LISTEN
    }
    family = [psutil.Process(pid) for pid in found if pid]
    return [*family, *(child for process in family for child in process.children(recursive=True))]


def clients(server) -> set[tuple]:
    """The addresses from which this process calls the server."""
    return {
        connection.laddr
        for connection in psutil.Process().net_connections("tcp")
        if connection.raddr and connection.raddr.port == server.port
    }
