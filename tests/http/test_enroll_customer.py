"""POST /members: the documented answers; one person, one membership, however it is spelled and however often asked."""

import datetime
import uuid

import pytest
from stdnum import luhn

from models.database import session
from models.tables import Event, Member, Membership
from tests import support
from tests.support import FIELDS, GUEST, REQUIRED, assert_problem

SCHEMAS = support.CONTRACT.document["components"]["schemas"]
LONGEST_NAME = SCHEMAS["customer"]["properties"]["firstName"]["maxLength"]
UNAUTHORIZED = "The bearer token is missing, unknown, expired or revoked."
DUPLICATE = ("core/field-duplicate", "#/customer/email", "Another member, with another name, has this e-mail address.")
OUT_OF_RANGE = "This date or time is out of range."
PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


def enrolled(server, customer: dict) -> dict:
    answer = server.enroll(customer)
    assert answer.status_code == 200, answer.text
    return answer.json()["membership"]


def person(first: str | None, last: str, **more: object) -> dict:
    return {"lastName": last, **({"firstName": first} if first is not None else {}), **more}


def assert_one_member() -> None:
    assert support.count(Member) == support.count(Membership) == 1
    assert support.count(Event, Event.kind == "enrolled") == support.count(Event) == 1


def stored() -> dict:
    with session():
        return Member.select().dicts().get()


def test_a_new_member_gets_a_whole_membership(server):
    answer = server.enroll(GUEST)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    membership = answer.json()["membership"]
    identifier, number = membership["providerMembershipId"], membership["membershipNumber"]
    assert answer.json() == {
        "membership": {
            "providerMembershipId": identifier,
            "membershipNumber": number,
            "status": "enrolled",
            "points": 0,
        }
    }
    assert uuid.UUID(identifier).version == 7
    assert str(uuid.UUID(identifier)) == identifier
    assert len(number) == 10
    assert luhn.is_valid(number)


def test_everything_given_is_kept_as_given(server):
    enrolled(server, GUEST)
    row = stored()
    address = {name: row[name] for name in ("line1", "line2", "city")}
    assert address == {name: GUEST["address"][name] for name in address}
    assert row["first_name"] == GUEST["firstName"]
    assert (row["last_name"], row["email"]) == (GUEST["lastName"], GUEST["email"])
    assert (row["birthday"], row["phone_number"]) == (datetime.date(1984, 2, 29), GUEST["phoneNumber"])
    assert (row["postal_code"], row["country_code"], row["country_subdivision_code"]) == ("10118", "US", "NY")


def test_400_names_every_field_error(server):
    customer = {"firstName": "x" * (LONGEST_NAME + 1), "email": "nobody", "birthday": "1984-13-01", "address": [1]}
    assert_problem(
        server.call(support.ENROLL, {"customer": customer}),
        "core/bad-request",
        FIELDS,
        ("core/field-required", "#/mewsEnterpriseId", REQUIRED),
        ("core/field-required", "#/customer/lastName", REQUIRED),
        ("core/field-too-long", "#/customer/firstName", f"At most {LONGEST_NAME} characters are allowed."),
        ("core/field-email-invalid", "#/customer/email", "This is no e-mail address."),
        ("core/field-invalid-format", "#/customer/birthday", "The value must have the format date."),
        ("core/field-invalid-type", "#/customer/address", "The value must be of type object."),
    )
    assert support.count(Member) == 0


@pytest.mark.parametrize("birthday", ["0000-01-01", "0000-02-29"])
def test_400_for_a_date_that_python_cannot_hold(server, birthday):
    error = ("core/field-invalid-format", "#/customer/birthday", OUT_OF_RANGE)
    assert_problem(server.enroll(GUEST | {"birthday": birthday}), "core/bad-request", FIELDS, error)


@pytest.mark.parametrize("token", [None, "wrong"])
def test_401(server, token):
    assert_problem(server.enroll(GUEST, token=token), "core/unauthorized", UNAUTHORIZED)
    assert support.count(Member) == 0


def test_422_for_an_unregistered_enterprise_beside_several_programs(server):
    support.add_program("second")
    detail = "This enterprise is not registered with a program of yours."
    error = ("core/field-not-allowed-value", "#/mewsEnterpriseId", detail)
    assert_problem(server.enroll(GUEST), "core/unprocessable-entity", detail, error)
    assert support.count(Member) == 0


def test_each_program_has_members_of_its_own(server):
    first, hotel = enrolled(server, GUEST), str(uuid.uuid4())
    support.add_program("second", hotel)
    answer = server.call(support.ENROLL, {"mewsEnterpriseId": hotel, "customer": GUEST})
    assert answer.status_code == 200
    assert answer.json()["membership"]["providerMembershipId"] != first["providerMembershipId"]


def test_repeat_is_byte_identical_and_writes_nothing(server):
    first, second = server.enroll(GUEST), server.enroll(GUEST)
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert_one_member()


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"status": "enrolled"}, "enrolled"),
        ({"status": "canceled"}, "canceled"),
        ({"status": "declined"}, "declined"),
        ({"status": "pending"}, "pending"),
        ({"status": "enrolled", "expires_at": PAST}, "canceled"),
    ],
)
def test_repeat_in_any_status_answers_it_unchanged(server, columns, told):
    identifier = enrolled(server, GUEST)["providerMembershipId"]
    support.alter(identifier, tier="Gold", points=700, **columns)
    with session():
        before = Membership.select().dicts().get()
    moved = GUEST | {"firstName": "Zoe", "phoneNumber": "+420777123456", "address": {"city": "Brno"}}
    answers = [server.enroll(GUEST), server.enroll(GUEST), server.enroll(moved)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    membership = answers[0].json()["membership"]
    assert (membership["providerMembershipId"], membership["status"]) == (identifier, told)
    assert ("points" in membership) == (told != "pending")
    with session():
        assert Membership.select().dicts().get() == before
    assert stored()["city"] == "New York"
    assert_one_member()


def test_after_a_deletion_the_person_can_enroll_anew(server):
    first = enrolled(server, GUEST)
    support.delete(first["providerMembershipId"])
    second = enrolled(server, GUEST)
    assert second["providerMembershipId"] != first["providerMembershipId"]
    assert second["status"] == "enrolled"


@pytest.mark.parametrize(
    ("email", "other"),
    [
        ("ann@example.com", "ANN@Example.COM"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@xn--bcher-kva.example", "ANN@BÜCHER.example"),
        ("josé@example.com", "jose\u0301@example.com"),
        ("żółć.josé@example.com", "ŻÓŁĆ.José@example.com"),
    ],
)
def test_an_email_is_one_however_it_is_spelled(server, email, other):
    first = enrolled(server, person("Ann", "Lee", email=email))
    assert enrolled(server, person("Ann", "Lee", email=other)) == first
    assert_one_member()


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        (("Zoë", "Łukasz"), ("zoe", "LUKASZ")),
        (("Jan", "Novák"), ("Novák", "Jan")),
        (("Robert", "Smith"), ("Bob", "Smith")),
        (("Liz", "Smith"), ("Elizabeth", "Smith")),
        (("John", "Smith"), ("J.", "Smith")),
        (("J", "Smith"), ("John", "Smith")),
        (("John", "Smith"), (None, "Smith")),
        ((None, "Smith"), ("John", "Smith")),
        (("Catherine", "Fitzgerald"), ("Catherien", "Fitzgreald")),
    ],
)
def test_a_compatible_name_with_the_same_email_is_the_same_person(server, known, asked):
    support.set_policy(required_fields=[])
    first = enrolled(server, person(*known, email="guest@example.com"))
    assert enrolled(server, person(*asked, email="guest@example.com")) == first
    assert_one_member()


@pytest.mark.parametrize(
    ("first", "last"),
    [("Peter", "Miller"), ("Mary", "Smith"), ("John", "Miller"), ("K", "Smith"), (None, "Miller")],
)
@pytest.mark.parametrize("birthday", [{}, {"birthday": "1984-02-29"}], ids=["", "same birthday"])
def test_an_incompatible_name_with_the_same_email_is_refused(server, first, last, birthday):
    support.set_policy(required_fields=[])
    enrolled(server, person("John", "Smith", email="guest@example.com", **birthday))
    refused = person(first, last, email="Guest@Example.com", **birthday)
    assert_problem(server.enroll(refused), "core/bad-request", FIELDS, DUPLICATE)
    assert_one_member()


@pytest.mark.parametrize(
    ("first", "same", "another"),
    [
        ({"birthday": "1984-02-29"}, {"birthday": "1984-02-29", "phoneNumber": "+1"}, {"birthday": "1984-02-28"}),
        ({"phoneNumber": "+12127365000"}, {"phoneNumber": "+1 (212) 736-5000"}, {"phoneNumber": "+12127365001"}),
        (
            {"phoneNumber": "+12127365000"},
            {"phoneNumber": "212 736 5000", "address": {"countryCode": "us"}},
            {"phoneNumber": "212 736 5000", "address": {"countryCode": "DE"}},
        ),
        ({"address": {"city": "Brno"}}, {"address": {"city": "Brno"}}, {"address": {"city": "Praha"}}),
        ({}, {}, {"address": {"city": "Brno"}}),
    ],
    ids=["birthday", "phone", "national phone", "whole customer", "name alone"],
)
def test_without_email_the_rest_identifies(server, first, same, another):
    membership = enrolled(server, person("Zoë", "Lee", **first))
    assert enrolled(server, person("Zoë", "Lee", **same)) == membership
    assert enrolled(server, person("Zoë", "Lee", **another)) != membership
    assert support.count(Member) == support.count(Membership) == 2


@pytest.mark.parametrize("more", [{"birthday": "1984-02-29"}, {"phoneNumber": "+12127365000"}])
def test_without_email_the_name_is_compared_folded(server, more):
    membership = enrolled(server, person("Zoë", "O’Neil", **more))
    assert enrolled(server, person("ZOE", "O'neil", **more)) == membership
    assert enrolled(server, person("Eve", "O'Neil", **more)) != membership


def test_fields_that_the_program_requires_are_all_listed(server):
    support.set_policy(required_fields=["firstName", "lastName", "email", "birthday", "address/postalCode"])
    pointers = ["#/customer/firstName", "#/customer/email", "#/customer/birthday", "#/customer/address/postalCode"]
    errors = [("core/field-required", pointer, REQUIRED) for pointer in pointers]
    answer = server.enroll(person("  ", "Lee", address={"city": "Brno"}))
    assert_problem(answer, "core/bad-request", FIELDS, *errors)
    assert support.count(Member) == 0
    assert enrolled(server, GUEST)["status"] == "enrolled"


def test_by_default_first_and_last_name_are_required(server):
    errors = [("core/field-required", f"#/customer/{name}", REQUIRED) for name in ("firstName", "lastName")]
    assert_problem(server.enroll({"lastName": " ", "email": "a@example.com"}), "core/bad-request", FIELDS, *errors)


def test_a_program_without_required_fields_takes_a_last_name_alone(server):
    support.set_policy(required_fields=[])
    membership = enrolled(server, {"lastName": "Lee"})
    assert membership["status"] == "enrolled"
    assert enrolled(server, {"lastName": "Lee"}) == membership


def test_a_program_that_confirms_answers_a_pending_stub(server):
    support.set_policy(requires_confirmation=True)
    first, second = server.enroll(GUEST), server.enroll(GUEST)
    identifier = first.json()["membership"]["providerMembershipId"]
    assert first.json() == {"membership": {"providerMembershipId": identifier, "status": "pending"}}
    assert uuid.UUID(identifier).version == 7
    assert first.content == second.content
    assert_one_member()


def test_unknown_properties_of_open_schemas_are_ignored(server):
    customer = GUEST | {"loyaltyTier": {"deep": [1]}, "address": GUEST["address"] | {"line3": "x"}}
    body = {"mewsEnterpriseId": support.HOTEL, "customer": customer, "unknown": 1, "first_name": "x"}
    answer = server.call(support.ENROLL, body)
    assert answer.status_code == 200
    assert answer.content == server.enroll(GUEST).content


@pytest.mark.parametrize("code", ["NY", "US-NY"])
def test_a_subdivision_is_taken_bare_and_whole_and_answered_as_received(server, code):
    enrolled(server, GUEST | {"address": {"countryCode": "US", "countrySubdivisionCode": code}})
    member = server.search({"email": GUEST["email"]}).json()["members"][0]
    assert member["address"] == {"countryCode": "US", "countrySubdivisionCode": code}


@pytest.mark.parametrize("phone", ["+1 555 01", "call me", "0", "☎ 555-0100", "9" * 300, ""])
def test_an_invalid_phone_number_is_kept_as_given(server, phone):
    membership = enrolled(server, GUEST | {"phoneNumber": phone})
    member = server.search({"email": GUEST["email"]}).json()["members"][0]
    assert member["phoneNumber"] == phone
    assert member["membership"] == membership


@pytest.mark.parametrize(("pattern", "prefix", "digits"), [("HTL-######?", "HTL-", 7), ("42######## ?", "42", 11)])
def test_numbers_follow_the_pattern_of_the_program(server, pattern, prefix, digits):
    support.set_policy(number_pattern=pattern)
    number = enrolled(server, GUEST)["membershipNumber"]
    found = "".join(sign for sign in number if sign.isdecimal())
    assert number.startswith(prefix)
    assert (len(number), len(found)) == (len(pattern), digits)
    assert luhn.is_valid(found)


def test_history_says_who_enrolled_the_member(server):
    answer = server.enroll(GUEST)
    with session():
        event = Event.get()
        assert event.membership.provider_membership_id == answer.json()["membership"]["providerMembershipId"]
        assert event.enterprise.mews_enterprise_id == support.HOTEL
        assert event.request_id == answer.headers["X-Request-Id"]
        assert event.actor.startswith("tests-")
