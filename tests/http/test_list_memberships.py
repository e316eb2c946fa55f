"""POST /memberships/list: the documented answers, one entry for each distinct id, and few SQL statements."""

import datetime
import uuid

import pytest

from models import programs
from models.backend import PeeweeBackend
from models.caller import Caller
from models.clock import system_clock
from models.database import database, session
from models.enrollment import add_member
from models.programs import find_program
from tests import support
from tests.support import FIELDS, GUEST, REQUIRED, UNEXPECTED, assert_problem

SCHEMAS = support.CONTRACT.document["components"]["schemas"]
IDENTIFIERS = SCHEMAS["listMembershipsRequest"]["properties"]["providerMembershipIds"]
FEWEST, MOST = IDENTIFIERS["minItems"], IDENTIFIERS["maxItems"]
UNAUTHORIZED = "The bearer token is missing, unknown, expired or revoked."
PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
MOST_STATEMENTS = 3


@pytest.fixture
def known(server) -> list[str]:
    """The identifiers of as many members as one request may ask for."""
    with session(), database.atomic():
        program = find_program(None)
        return [
            add_member(program, {"last_name": "Lee", "email": f"{index}@example.com"}, system_clock())[
                "provider_membership_id"
            ]
            for index in range(MOST)
        ]


@pytest.fixture
def membership(server) -> dict:
    return server.enroll(GUEST).json()["membership"]


def missing(identifier: str) -> dict:
    return {"providerMembershipId": identifier, "status": "notFound"}


def test_one_membership_is_told_in_full(server, membership):
    expires_at = datetime.datetime(2099, 1, 1, 2, 30, tzinfo=datetime.UTC)
    more = {"tier": "Gold", "points": 5000, "deeplink_url": "https://loyalty.example/me"}
    support.alter(membership["providerMembershipId"], expires_at=expires_at, expires_at_offset=-300, **more)
    answer = server.list([membership["providerMembershipId"]])
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    expected = {
        "providerMembershipId": membership["providerMembershipId"],
        "membershipNumber": membership["membershipNumber"],
        "status": "enrolled",
        "tier": "Gold",
        "points": 5000,
        "expiresAt": "2098-12-31T21:30:00-05:00",
        "deeplinkUrl": "https://loyalty.example/me",
    }
    assert answer.json() == {"memberships": [expected]}


@pytest.mark.parametrize(("offset", "told"), [(None, "2098-12-31T20:00:00+00:00"), (60, "2098-12-31T21:00:00+01:00")])
def test_an_expiry_is_told_in_its_own_offset_whatever_the_database_s_is(start, offset, told):
    server = start(PGTZ="Asia/Kolkata")  # the time zone of its sessions with Postgres
    identifier = server.enroll(GUEST).json()["membership"]["providerMembershipId"]
    expires_at = datetime.datetime(2098, 12, 31, 20, tzinfo=datetime.UTC)
    support.alter(identifier, expires_at=expires_at, expires_at_offset=offset)
    (listed,) = server.list([identifier]).json()["memberships"]
    linked = server.link(identifier, is_linked=True).json()["membership"]
    assert (listed["expiresAt"], linked["expiresAt"]) == (told, told)


def test_a_new_membership_is_told_as_at_enrollment(server, membership):
    assert server.list([membership["providerMembershipId"]]).json() == {"memberships": [membership]}


def test_as_many_as_the_contract_allows_come_in_the_order_asked(server, known):
    asked = known[::-2] + known[::2]
    assert len(asked) == MOST
    answer = server.list(asked)
    assert answer.status_code == 200
    told = answer.json()["memberships"]
    assert [membership["providerMembershipId"] for membership in told] == asked
    assert {membership["status"] for membership in told} == {"enrolled"}


def test_repeats_get_one_entry_each_in_the_order_first_asked(server, membership):
    identifier = membership["providerMembershipId"]
    answer = server.list(["b", identifier, "b", "a", identifier, identifier])
    assert answer.json() == {"memberships": [missing("b"), membership, missing("a")]}


def test_repeat_is_byte_identical(server, membership):
    asked = [membership["providerMembershipId"], "unknown"]
    first, second = server.list(asked), server.list(asked)
    assert first.status_code == second.status_code == 200
    assert first.content == second.content


@pytest.mark.parametrize("identifier", ["unknown", "", " ", "%", "x" * 5000, "ž/~0#", "01a2089c", "' OR 1=1 --"])
def test_unknown_is_a_not_found_stub(server, membership, identifier):
    answer = server.list([identifier])
    assert answer.status_code == 200
    assert answer.json() == {"memberships": [missing(identifier)]}


def test_identifiers_are_compared_as_they_are(server, membership):
    asked = [membership["providerMembershipId"].upper(), f" {membership['providerMembershipId']}"]
    assert server.list(asked).json() == {"memberships": [missing(identifier) for identifier in asked]}


def test_deleted_is_not_found(server, membership):
    support.delete(membership["providerMembershipId"])
    answer = server.list([membership["providerMembershipId"]])
    assert answer.json() == {"memberships": [missing(membership["providerMembershipId"])]}


def test_pending_is_a_stub(server, membership):
    support.alter(membership["providerMembershipId"], status="pending", tier="Gold")
    stub = {"providerMembershipId": membership["providerMembershipId"], "status": "pending"}
    assert server.list([membership["providerMembershipId"]]).json() == {"memberships": [stub]}


@pytest.mark.parametrize("status", ["canceled", "declined"])
def test_canceled_and_declined_keep_what_they_had(server, membership, status):
    support.alter(membership["providerMembershipId"], status=status, tier="Gold", points=9)
    expected = membership | {"status": status, "tier": "Gold", "points": 9}
    assert server.list([membership["providerMembershipId"]]).json() == {"memberships": [expected]}


@pytest.mark.parametrize(
    ("status", "told"), [("enrolled", "canceled"), ("canceled", "canceled"), ("declined", "declined")]
)
def test_expiry_touches_only_enrolled(server, membership, status, told):
    support.alter(membership["providerMembershipId"], status=status, expires_at=PAST)
    expected = membership | {"status": told, "expiresAt": "2020-01-01T00:00:00+00:00"}
    assert server.list([membership["providerMembershipId"]]).json() == {"memberships": [expected]}


def test_400_names_every_field_error(server):
    body = {"providerEnterpriseId": None, "providerMembershipIds": ["a", 1, None, "b", []], "memberIds": []}
    errors = [
        ("core/field-invalid-type", f"#/providerMembershipIds/{index}", "The value must be of type string.")
        for index in (1, 2, 4)
    ]
    assert_problem(
        server.call(support.LIST, body),
        "core/bad-request",
        FIELDS,
        ("core/field-required", "#/mewsEnterpriseId", REQUIRED),
        ("core/field-invalid-type", "#/providerEnterpriseId", "The value must be of type string."),
        ("core/field-not-allowed-value", "#/memberIds", UNEXPECTED),
        *errors,
    )


def test_400_for_one_identifier_too_many(server):
    told = f"At most {MOST} entries are allowed."
    error = ("core/field-too-long", "#/providerMembershipIds", told)
    answer = server.list([str(index) for index in range(MOST + 1)])
    assert_problem(answer, "core/bad-request", FIELDS, error)


def test_400_for_too_few_identifiers(server):
    error = ("core/field-too-short", "#/providerMembershipIds", f"At least {FEWEST} entries are needed.")
    assert_problem(server.list(["a"] * (FEWEST - 1)), "core/bad-request", FIELDS, error)


@pytest.mark.parametrize("token", [None, "wrong"])
def test_401(server, membership, token):
    answer = server.list([membership["providerMembershipId"]], token=token)
    assert_problem(answer, "core/unauthorized", UNAUTHORIZED)


def test_422_for_an_unregistered_enterprise_beside_several_programs(server):
    support.add_program("second")
    detail = "This enterprise is not registered with a program of yours."
    error = ("core/field-not-allowed-value", "#/mewsEnterpriseId", detail)
    assert_problem(server.list(["a"]), "core/unprocessable-entity", detail, error)


def test_a_membership_of_another_program_is_not_found(server, membership):
    hotel = str(uuid.uuid4())
    support.add_program("second", hotel)
    asked = [membership["providerMembershipId"]]
    answer = server.call(support.LIST, {"mewsEnterpriseId": hotel, "providerMembershipIds": asked})
    assert answer.json() == {"memberships": [missing(asked[0])]}
    assert server.list(asked).json() == {"memberships": [membership]}


@pytest.mark.parametrize("hotel", ["known hotel", "new hotel"])
@pytest.mark.parametrize("number", [FEWEST, MOST])
def test_no_more_than_three_statements(server, known, monkeypatch, hotel, number):
    caller, statements = Caller(mews_enterprise_id=uuid.UUID(support.HOTEL), token_name="tests"), []

    def counted(ask):
        def count(sql, *arguments):
            statements.append(sql)
            return ask(sql, *arguments)

        return count

    backend = PeeweeBackend(search_limit=1)
    if hotel == "known hotel":
        with session():
            programs.add_enterprise(programs.find_program(None), caller.mews_enterprise_id, system_clock())
    for name in ("ask", "execute_sql"):
        monkeypatch.setattr(database.obj, name, counted(getattr(database.obj, name)))
    listed = backend.list(caller, known[:number])
    backend.shutdown()  # what it writes later counts as well
    assert [membership["provider_membership_id"] for membership in listed] == known[:number]
    assert 1 <= len(statements) <= MOST_STATEMENTS, statements
