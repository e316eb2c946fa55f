"""PUT /memberships/link: the documented answers, idempotence in both directions, and the history it leaves."""

import concurrent.futures
import datetime
import uuid

import pytest

from models import tokens
from models.clock import system_clock
from models.database import session
from models.tables import Event, Link, Membership
from tests import support
from tests.support import FIELDS, GUEST, HOTEL, REQUIRED, assert_problem

SCHEMAS = support.CONTRACT.document["components"]["schemas"]
UNAUTHORIZED = "The bearer token is missing, unknown, expired or revoked."
NO_MEMBERSHIP = "No membership has this identifier."
NOT_LINKABLE = "Only pending and enrolled memberships can be linked."
PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
REFUSING = [{"status": "canceled"}, {"status": "declined"}, {"expires_at": PAST}]
CUSTOMER, OTHER_CUSTOMER = "11111111-2222-4333-8444-555555555555", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
OTHER_HOTEL = "99999999-8888-4777-a666-555555555555"
AT_ONCE = 16


@pytest.fixture
def membership(server) -> dict:
    return server.enroll(GUEST).json()["membership"]


@pytest.fixture
def identifier(membership) -> str:
    return membership["providerMembershipId"]


def link_at(server, hotel: str, identifier: str, is_linked: bool, **more: str):
    body = {"mewsEnterpriseId": hotel, "providerMembershipId": identifier, "isLinked": is_linked}
    return server.call(support.LINK, body | more)


def links() -> set[tuple[str, str]]:
    """The hotels and customers of all links."""
    with session():
        return {(link.enterprise.mews_enterprise_id, link.mews_customer_id) for link in Link.select()}


def events() -> list[str]:
    with session():
        return [event.kind for event in Event.select().where(Event.kind != "enrolled").order_by(Event.id)]


@pytest.mark.parametrize("customer", [CUSTOMER, None])
def test_linking_answers_the_membership_and_repeats_without_effect(server, membership, identifier, customer):
    first, second = server.link(identifier, True, customer), server.link(identifier, True, customer)
    assert first.status_code == second.status_code == 200
    assert first.headers["Content-Type"] == "application/json"
    assert first.json() == {"membership": membership}
    assert first.content == second.content
    assert links() == {(HOTEL, customer or "")}
    assert events() == ["linked"]


@pytest.mark.parametrize("customer", [CUSTOMER, None])
def test_unlinking_answers_the_membership_and_repeats_without_effect(server, membership, identifier, customer):
    server.link(identifier, True, customer)
    first, second = server.link(identifier, False, customer), server.link(identifier, False, customer)
    assert first.status_code == second.status_code == 200
    assert first.json() == {"membership": membership}
    assert first.content == second.content
    assert links() == set()
    assert events() == ["linked", "unlinked"]


def test_unlinking_what_was_never_linked_leaves_no_trace(server, membership, identifier):
    answer = server.link(identifier, False, CUSTOMER)
    assert answer.status_code == 200
    assert answer.json() == {"membership": membership}
    assert events() == []


def test_linking_again_after_unlinking_leaves_one_link_and_three_events(server, identifier):
    for is_linked in (True, False, True):
        assert server.link(identifier, is_linked, CUSTOMER).status_code == 200
    assert links() == {(HOTEL, CUSTOMER)}
    assert events() == ["linked", "unlinked", "linked"]


def test_a_customer_is_one_in_either_case_of_its_id(server, identifier):
    server.link(identifier, True, OTHER_CUSTOMER)
    server.link(identifier, True, OTHER_CUSTOMER.upper())
    assert links() == {(HOTEL, OTHER_CUSTOMER)}
    server.link(identifier, False, OTHER_CUSTOMER.upper())
    assert links() == set()


def test_unlinking_a_customer_keeps_the_other_links(server, identifier):
    for customer in (CUSTOMER, OTHER_CUSTOMER, None):
        server.link(identifier, True, customer)
    server.link(identifier, False, CUSTOMER)
    assert links() == {(HOTEL, OTHER_CUSTOMER), (HOTEL, "")}


def test_unlinking_without_customer_clears_the_links_of_this_hotel_only(server, identifier):
    for customer in (CUSTOMER, OTHER_CUSTOMER):
        server.link(identifier, True, customer)
    link_at(server, OTHER_HOTEL, identifier, True, mewsCustomerId=CUSTOMER)
    another = server.enroll(GUEST | {"email": "another@example.com"}).json()["membership"]["providerMembershipId"]
    server.link(another, True, CUSTOMER)
    assert server.link(identifier, False).status_code == 200
    assert links() == {(OTHER_HOTEL, CUSTOMER), (HOTEL, CUSTOMER)}
    assert support.count(Link) == 2
    with session():
        assert {link.membership.provider_membership_id for link in Link.select()} == {identifier, another}


def test_many_equal_links_at_once_make_one(server, identifier):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as executor:
        answers = list(executor.map(lambda _: server.link(identifier, True, CUSTOMER), range(AT_ONCE)))
    assert [answer.status_code for answer in answers] == [200] * AT_ONCE
    assert support.count(Link) == 1
    assert events() == ["linked"]


def test_pending_may_be_linked(server, identifier):
    support.alter(identifier, status="pending")
    answer = server.link(identifier, True, CUSTOMER)
    assert answer.status_code == 200
    assert answer.json() == {"membership": {"providerMembershipId": identifier, "status": "pending"}}
    assert links() == {(HOTEL, CUSTOMER)}


@pytest.mark.parametrize("columns", REFUSING, ids=["canceled", "declined", "expired"])
def test_422_for_linking_what_is_not_in_force(server, identifier, columns):
    support.alter(identifier, **columns)
    error = ("core/field-not-allowed-value", "#/providerMembershipId", NOT_LINKABLE)
    assert_problem(server.link(identifier, True, CUSTOMER), "core/unprocessable-entity", NOT_LINKABLE, error)
    assert links() == set()
    assert events() == []


@pytest.mark.parametrize("columns", REFUSING, ids=["canceled", "declined", "expired"])
def test_unlinking_what_is_not_in_force_succeeds(server, identifier, columns):
    server.link(identifier, True, CUSTOMER)
    support.alter(identifier, **columns)
    answer = server.link(identifier, False, CUSTOMER)
    assert answer.status_code == 200
    assert answer.json()["membership"]["status"] == columns.get("status", "canceled")
    assert links() == set()


def test_422_for_an_unregistered_enterprise_beside_several_programs(server, identifier):
    support.add_program("second")
    detail = "This enterprise is not registered with a program of yours."
    error = ("core/field-not-allowed-value", "#/mewsEnterpriseId", detail)
    answer = link_at(server, OTHER_HOTEL, identifier, True)
    assert_problem(answer, "core/unprocessable-entity", detail, error)


def test_404_for_a_membership_of_another_program(server, identifier):
    support.add_program("second", OTHER_HOTEL)
    for is_linked in (True, False):
        assert_problem(link_at(server, OTHER_HOTEL, identifier, is_linked), "core/not-found", NO_MEMBERSHIP)
    assert links() == set()


@pytest.mark.parametrize("is_linked", [True, False])
@pytest.mark.parametrize("unknown", ["unknown", "", "x" * 5000, str(uuid.UUID(int=0))])
def test_404_for_an_unknown_membership(server, membership, unknown, is_linked):
    assert_problem(server.link(unknown, is_linked, CUSTOMER), "core/not-found", NO_MEMBERSHIP)


@pytest.mark.parametrize("is_linked", [True, False])
def test_404_for_a_deleted_membership(server, identifier, is_linked):
    server.link(identifier, True, CUSTOMER)
    support.delete(identifier)
    assert_problem(server.link(identifier, is_linked, CUSTOMER), "core/not-found", NO_MEMBERSHIP)


def test_400_names_every_field_error(server):
    body = {"mewsEnterpriseId": 1, "providerMembershipId": {}, "isLinked": "true", "mewsCustomerId": "none"}
    assert_problem(
        server.call(support.LINK, body),
        "core/bad-request",
        FIELDS,
        ("core/field-invalid-type", "#/mewsEnterpriseId", "The value must be of type string."),
        ("core/field-invalid-type", "#/providerMembershipId", "The value must be of type string."),
        ("core/field-invalid-type", "#/isLinked", "The value must be of type boolean."),
        ("core/field-invalid-format", "#/mewsCustomerId", "The value must have the format uuid."),
    )


def test_400_lists_all_missing_fields(server):
    required = SCHEMAS["linkMembershipRequest"]["required"]
    errors = [("core/field-required", f"#/{name}", REQUIRED) for name in required]
    assert_problem(server.call(support.LINK, {}), "core/bad-request", FIELDS, *errors)


@pytest.mark.parametrize("token", [None, "wrong"])
def test_401(server, identifier, token):
    assert_problem(server.link(identifier, True, CUSTOMER, token=token), "core/unauthorized", UNAUTHORIZED)
    assert links() == set()


def test_unknown_properties_of_the_open_schema_are_ignored(server, membership, identifier):
    answer = link_at(server, HOTEL, identifier, True, note="x")
    assert answer.status_code == 200
    assert answer.json() == {"membership": membership}


def test_linking_and_unlinking_never_touch_the_membership(server, membership, identifier):
    with session():
        before = Membership.select().dicts().get()
    for is_linked in (True, False, False, True):
        server.link(identifier, is_linked, CUSTOMER)
    server.link(identifier, False)
    with session():
        assert list(Membership.select().dicts()) == [before]
    assert server.list([identifier]).json() == {"memberships": [membership]}


@pytest.mark.parametrize("customer", [CUSTOMER, None])
def test_history_says_who_linked_and_unlinked(server, identifier, customer):
    answers = [server.link(identifier, is_linked, customer) for is_linked in (True, False)]
    with session():
        name = tokens.verify(server.token, system_clock()).name
        rows = list(Event.select().where(Event.kind != "enrolled").order_by(Event.id))
        for row, kind, answer in zip(rows, ("linked", "unlinked"), answers, strict=True):
            assert (row.kind, row.actor, row.mews_customer_id) == (kind, name, customer)
            assert row.request_id == answer.headers["X-Request-Id"]
            assert row.enterprise.mews_enterprise_id == HOTEL
            assert row.membership.provider_membership_id == identifier
            assert datetime.timedelta(0) <= system_clock() - row.happened_at < datetime.timedelta(minutes=1)
