"""What surrounds every operation: problem documents and their language, bearer tokens, probes and metrics."""

import concurrent.futures
import datetime
import re
import time
import uuid

import httpx
import pytest

from app.languages import DEFAULT, LANGUAGES, Message, translate
from models import tokens
from models.clock import system_clock
from models.database import session
from models.programs import find_program
from models.tables import Token
from tests import support
from tests.support import FIELDS, GUEST, HOTEL, PROBLEM, REQUIRED

SCHEMAS = support.CONTRACT.document["components"]["schemas"]
MOST_IDENTIFIERS = SCHEMAS["listMembershipsRequest"]["properties"]["providerMembershipIds"]["maxItems"]
LONGEST_CITY = SCHEMAS["memberFilter"]["properties"]["city"]["maxLength"]
OPERATIONS = list(support.OPERATIONS)
PROBES = ["/livez", "/readyz", "/metrics"]
UNAUTHORIZED = "The bearer token is missing, unknown, expired or revoked."
OTHER_HOTEL = "99999999-8888-4777-a666-555555555555"
UNKNOWN = f"{tokens.PREFIX}{'0' * 64}{tokens._checksum('0' * 64)}"
REVOKED_AFTER_SECONDS = 1.0
# On connections of their own, so many requests reach both worker processes.
MANY = 40


@pytest.fixture
def make_token(server):
    """A function that issues a token and returns its text and name."""

    def make(**options: object) -> tuple[str, str]:
        with session():
            text, row = tokens.create(f"edge-{uuid.uuid4()}", system_clock(), **options)
        return text, row.name

    return make


def revoke(name: str) -> None:
    with session():
        tokens.revoke(name, system_clock())


def refused(server) -> dict:
    """An answer of each kind of problem that a request alone can bring about, by the English detail."""
    identifier = server.enroll(GUEST).json()["membership"]["providerMembershipId"]
    support.alter(identifier, status="canceled")
    return {
        "No membership has this identifier.": lambda **options: server.link("unknown", True, **options),
        "Only pending and enrolled memberships can be linked.": lambda **options: server.link(
            identifier, True, **options
        ),
        FIELDS: lambda **options: server.list([], **options),
        UNAUTHORIZED: lambda **options: server.list(["a"], token=None, **options),
        "There is nothing at this address.": lambda **options: server.client.get(f"{server.url}/nothing", **options),
        "This address does not take this method.": lambda **options: server.client.get(
            f"{server.url}{support.operation(support.ENROLL).path}", **options
        ),
    }


def test_every_problem_has_its_header_fields(server):
    seen = set()
    for detail, ask in refused(server).items():
        answer = ask()
        assert answer.json()["detail"] == detail
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Content-Language"] == DEFAULT
        assert answer.headers["Vary"] == "Accept-Language"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Length"] == str(len(answer.content))
        assert uuid.UUID(answer.headers["X-Request-Id"]).version == 7
        assert answer.json()["instance"] == f"urn:uuid:{answer.headers['X-Request-Id']}"
        assert answer.json()["status"] == answer.status_code
        seen.add((answer.status_code, answer.headers["X-Request-Id"]))
    assert sorted(status for status, _ in seen) == [400, 401, 404, 404, 405, 422]


def test_a_success_has_a_request_id_of_its_own(server):
    answers = [server.list(["a"], headers={"X-Request-Id": "given"}) for _ in range(2)]
    identifiers = {uuid.UUID(answer.headers["X-Request-Id"]) for answer in answers}
    assert len(identifiers) == 2
    assert {identifier.version for identifier in identifiers} == {7}
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_problems_are_told_in_the_language_asked_for(server, language):
    english = [(ask(), ask(headers={"Accept-Language": f"xx, {language};q=0.7"})) for ask in refused(server).values()]
    for plain, answer in english:
        assert answer.headers["Content-Language"] == language
        for member in ("title", "detail"):
            assert answer.json()[member] == translate(Message(plain.json()[member]), language)
            assert (answer.json()[member] == plain.json()[member]) == (language == DEFAULT)
        assert answer.json()["type"] == plain.json()["type"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_field_errors_are_told_in_the_language_asked_for(server, language):
    answer = server.search({"city": "x" * (LONGEST_CITY + 1), "email": "a@b.cz"}, headers={"Accept-Language": language})
    text = Message("At most %(limit)s characters are allowed.", {"limit": LONGEST_CITY})
    error = {
        "type": f"{PROBLEM}core/field-too-long",
        "pointer": "#/memberFilter/city",
        "detail": translate(text, language),
    }
    assert answer.json()["errors"] == [error]


def test_every_field_error_is_reported(server):
    answer = server.list([7] * MOST_IDENTIFIERS)
    pointers = [error["pointer"] for error in answer.json()["errors"]]
    assert pointers == [f"#/providerMembershipIds/{index}" for index in range(MOST_IDENTIFIERS)]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_missing_body_is_told(server, operation):
    error = {"type": f"{PROBLEM}core/field-required", "pointer": "#", "detail": "This operation needs a JSON body."}
    answer = server.call(operation, content=b"", headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errors"]) == (400, [error])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_wrong_token_gets_the_same_answer(server, make_token, operation):
    expired, _ = make_token(lifetime=datetime.timedelta(seconds=-1))
    revoked, name = make_token()
    revoke(name)
    wrong = [expired, revoked, UNKNOWN, "malformed", server.token[:-1], server.token.upper(), f"{server.token} x"]
    fields = [f"Bearer {token}" for token in wrong]
    fields += ["Bearer", f"Basic {server.token}", server.token, f"Bearer,{server.token}", "Bearer \xe9"]
    headers = [{}, *({"Authorization": field.encode("latin-1")} for field in fields)]
    answers = [server.call(operation, {}, token=None, headers=given) for given in headers]
    seen = set()
    for answer in answers:
        identifier = answer.headers.pop("X-Request-Id")
        answer.headers.pop("Date")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        seen.add((answer.content.replace(identifier.encode(), b""), tuple(sorted(answer.headers.items()))))
    assert len(seen) == 1


def test_two_tokens_in_one_request_are_none(server):
    fields = [("Authorization", f"Bearer {server.token}")] * 2
    answer = server.client.post(f"{server.url}/memberships/list", headers=fields, json={})
    assert answer.status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_has_no_case(server, scheme):
    answer = server.list(["a"], token=None, headers={"Authorization": f"{scheme} {server.token}"})
    assert answer.status_code == 200


def test_two_tokens_live_at_once_and_end_apart(server, make_token):
    (old, old_name), (new, _) = make_token(), make_token()
    assert [server.list(["a"], token=token).status_code for token in (old, new)] == [200, 200]
    revoke(old_name)
    time.sleep(REVOKED_AFTER_SECONDS)
    assert [server.list(["a"], token=token).status_code for token in (old, new)] == [401, 200]


def statuses(server, token: str) -> set[int]:
    """The statuses of many requests, each on a connection of its own."""

    def ask(_: int) -> int:
        return server.list(["a"], token=token, headers={"Connection": "close"}).status_code

    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        return set(executor.map(ask, range(MANY)))


def test_a_revocation_takes_effect_within_a_second_in_every_worker(server, make_token):
    token, name = make_token()
    assert statuses(server, token) == {200}
    revoke(name)
    time.sleep(REVOKED_AFTER_SECONDS)
    assert statuses(server, token) == {401}


def test_a_tokens_last_use_is_noted_at_most_once_a_minute(server, make_token):
    token, name = make_token()
    noted = []
    for _ in range(2):
        server.list(["a"], token=token)
        time.sleep(0.6)
        with session():
            noted.append(Token.get(Token.name == name).last_used_at)
    assert noted[0] is not None
    assert noted[0] == noted[1]


def test_a_token_for_one_program_serves_its_hotels_only(server, make_token):
    support.add_program("second", OTHER_HOTEL)
    with session():
        second = find_program("second")
    token, _ = make_token(program=second)
    bodies = [{"mewsEnterpriseId": hotel, "providerMembershipIds": ["a"]} for hotel in (OTHER_HOTEL, HOTEL)]
    answers = [server.call(support.LIST, body, token=token) for body in bodies]
    assert [answer.status_code for answer in answers] == [200, 422]
    assert answers[1].json()["errors"][0]["pointer"] == "#/mewsEnterpriseId"
    assert server.call(support.LIST, bodies[0]).status_code == 200


@pytest.mark.parametrize("probe", PROBES)
def test_probes_need_no_token(server, probe):
    answer = httpx.get(f"{server.url}{probe}")
    assert answer.status_code == 200
    told = {"/livez": {"status": "live"}, "/readyz": {"status": "ready"}}
    if probe in told:
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.json() == told[probe]
    else:
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert "loyalty_requests_total" in answer.text


@pytest.mark.parametrize("probe", PROBES)
def test_probes_answer_head_and_refuse_post(server, probe):
    head = httpx.head(f"{server.url}{probe}")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["Content-Length"]) > 0
    post = httpx.post(f"{server.url}{probe}")
    assert post.status_code == 405
    assert post.headers["Allow"] == "GET, HEAD"
    assert post.json() == {
        "type": "about:blank",
        "status": 405,
        "title": "Method not allowed",
        "detail": "This address does not take this method.",
        "instance": f"urn:uuid:{post.headers['X-Request-Id']}",
    }


def counted(server, status: int, problem: str) -> float:
    operation = support.operation(support.LIST).operation_id
    text = httpx.get(f"{server.url}/metrics").text
    labels = f'operation="{operation}",problem="{problem}",status="{status}"'
    found = re.search(rf"^loyalty_requests_total{{{re.escape(labels)}}} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize(("status", "problem"), [(200, ""), (401, "core/unauthorized")])
def test_metrics_count_over_both_workers(server, status, problem):
    before = counted(server, status, problem)
    assert statuses(server, server.token if status == 200 else "wrong") == {status}
    until = time.monotonic() + 2  # a request is counted after its answer has left
    while counted(server, status, problem) < before + MANY and time.monotonic() < until:
        time.sleep(0.05)
    assert {counted(server, status, problem) for _ in range(6)} == {before + MANY}


def test_errors_name_required_fields_by_their_place(server):
    answer = server.call(support.ENROLL, {"customer": {"lastName": "Lee"}})
    error = {"type": f"{PROBLEM}core/field-required", "pointer": "#/mewsEnterpriseId", "detail": REQUIRED}
    assert answer.json()["errors"] == [error]
