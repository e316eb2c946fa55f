"""The flows of Mews' documentation, by someone without JavaScript, before a server of ours."""

import json
import re
import uuid

import pytest

from app import contract
from models.tables import Link
from tests import support
from tests.frontdesk import desks

CONTRACT = contract.load()


@pytest.fixture
def guest() -> dict[str, str]:
    """Somebody whom no other test knows, as a form has it."""
    name = desks.new_name()
    return {"firstName": "Zoë", "lastName": f"{name}-Łukasz", "email": f"zoë.{name}@example.com", "city": "Łódź"}


def customer(guest: dict[str, str]) -> dict:
    return {name: guest[name] for name in ("firstName", "lastName", "email")} | {"address": {"city": guest["city"]}}


def links(membership: dict) -> int:
    identifier = membership["providerMembershipId"]
    with support.database.session():
        links = Link.select().join(support.Membership)
        return links.where(support.Membership.provider_membership_id == identifier).count()


@pytest.fixture
def membership(loyalty: support.Server, guest: dict[str, str]) -> dict:
    """The membership that the guest has already."""
    support.use_database(loyalty.database_url)
    return loyalty.enroll(customer(guest)).json()["membership"]


def test_a_new_customer_who_is_a_member_is_linked(reader, guest, membership):
    reader.open("/customers/new").send("/customers", **guest)
    assert "2 Verify membership" in reader.text
    assert "Select from the matched results (1)" in reader.text
    assert f"Membership number: {membership['membershipNumber']}" in reader.text
    assert f"Email: {guest['email']}" in reader.text
    reader.send("/link", choice=membership["providerMembershipId"])
    assert "The membership is linked to this customer." in reader.text
    assert f"Membership number {membership['membershipNumber']}" in reader.text
    assert "Status Enrolled" in reader.text
    assert links(membership) == 1
    assert f"{guest['firstName']} {guest['lastName']}" in reader.open("/").text


def test_a_new_customer_is_created_without_the_membership_that_was_found(reader, guest, membership):
    reader.create(**guest)
    assert "The customer is not enrolled in the loyalty program." in reader.text
    assert links(membership) == 0


def test_a_customer_is_looked_up_and_linked(reader, guest, membership):
    reader.create(**guest).send("/search")
    assert "Select membership profile" in reader.text
    assert "Create new profile" not in reader.text
    reader.send("/link", choice=membership["providerMembershipId"])
    assert f"Membership number {membership['membershipNumber']}" in reader.text
    assert links(membership) == 1


def test_a_customer_is_enrolled(reader, guest, loyalty):
    reader.create(**guest).send("/enroll")
    assert "The enrollment was accepted." in reader.text
    found = loyalty.search({"email": guest["email"]}).json()["members"]
    assert [{name: member[name] for name in customer(guest)} for member in found] == [customer(guest)]
    assert f"Membership number {found[0]['membership']['membershipNumber']}" in reader.text


def test_a_refresh_shows_what_has_changed(reader, guest, membership):
    reader.create(membership["providerMembershipId"], **guest)
    support.alter(membership["providerMembershipId"], points=12345, tier="Platinum")
    assert "12,345" not in reader.text
    reader.send("/refresh")
    assert "Points 12,345 Tier Platinum" in reader.text
    assert "Last updated:" in reader.text


def test_a_refresh_of_what_is_gone_shows_that(reader, guest, membership):
    reader.create(membership["providerMembershipId"], **guest)
    support.delete(membership["providerMembershipId"])
    reader.send("/refresh")
    assert "Status Not found" in reader.text
    reader.send("/unlink")
    assert "No membership has this identifier." in reader.alert
    assert "The customer is not enrolled in the loyalty program." in reader.text


def test_a_membership_is_unlinked_and_stays_in_the_program(reader, guest, membership, loyalty):
    reader.create(membership["providerMembershipId"], **guest).send("/unlink")
    assert "The membership is no longer linked to this customer." in reader.text
    assert "The customer is not enrolled in the loyalty program." in reader.text
    assert links(membership) == 0
    assert loyalty.list([membership["providerMembershipId"]]).json() == {"memberships": [membership]}


def test_what_is_entered_can_be_corrected_before_it_is_searched_again(reader, guest, membership):
    reader.open("/customers/new").send("/customers", **guest | {"email": "no address"})
    assert "1 Enter customer details" in reader.text
    assert "Email: This is no e-mail address." in reader.alert
    assert re.search(r'id="email"[^>]*aria-invalid="true" aria-describedby="email-error"', reader.page.text)
    assert 'value="no address"' in reader.page.text
    reader.send("/details", **guest)
    assert "Select from the matched results (1)" in reader.text


def test_errors_of_an_enrollment_stand_at_the_fields(reader, guest, membership):
    reader.create(**guest | {"firstName": "Ada", "lastName": "Lovelace"}).send("/enroll")
    told = "Another member, with another name, has this e-mail address."
    assert told in reader.alert
    edit = re.search(r'href="([^"]+/details\?exchange=\d+)"', reader.page.text)
    assert f'id="email-error" lang="en">{told}' in reader.open(edit[1]).page.text
    reader.send("/details", **guest).send("/enroll")
    assert f"Membership number {membership['membershipNumber']}" in reader.text


def test_too_little_to_search_by_is_told_and_asks_nothing(reader):
    reader.open("/customers/new").send("/customers", lastName="Smith")
    assert "Too little is known to search members." in reader.text
    assert "First name + Last name" in reader.text
    assert "What is sent to the loyalty system" in reader.text, "nothing was sent"
    assert "The customer is not enrolled" in reader.send("/link", choice="").text


def test_blanks_around_what_is_entered_are_neither_sent_nor_kept(scripted, partner):
    partner.always(200, {"members": []})
    scripted.open("/customers/new").send(
        "/customers", email=" ada@example.com\t", lastName="\u00a0Ada  Lovelace ", city=" "
    )
    [(_, _, body)] = partner.requests
    assert body["memberFilter"] == {"email": "ada@example.com", "lastName": "Ada  Lovelace"}
    scripted.send("/link", choice="")
    assert "Email ada@example.com" in scripted.text
    assert "City" not in scripted.text
    edit = re.search(r'href="([^"]+/details)"', scripted.page.text)
    assert 'value="ada@example.com"' in scripted.open(edit[1]).page.text


def test_the_language_of_the_browser_is_passed_on(reader, guest):
    reader.client.headers["Accept-Language"] = "de-AT, de;q=0.9"
    reader.open("/customers/new").send("/customers", **guest | {"email": "no address"})
    assert "Ungültige Anfrage" in reader.alert
    assert '<strong lang="de">' in reader.page.text


def test_a_reload_acts_no_second_time(reader, guest, membership):
    reader.create(membership["providerMembershipId"], **guest)
    exchanges = reader.page.text.count('class="panel exchange"')
    assert reader.open(str(reader.page.url)).page.text.count('class="panel exchange"') == exchanges


def test_the_exchange_is_shown_and_can_be_repeated_with_curl(reader, guest, membership):
    reader.open("/customers/new").send("/customers", **guest)
    operation = support.operation(support.SEARCH)
    assert f"{operation.method} http://" in reader.text
    assert "Authorization: Bearer $LOYALTY_TOKEN" in reader.text
    assert '"members": [' in reader.text
    assert re.search(r"200 Search members \d+ ms", reader.text)
    assert "curl -sS -H &#34;Authorization: Bearer $LOYALTY_TOKEN&#34; -X POST http://" in reader.page.text


def test_the_form_has_the_fields_and_limits_of_the_contract(reader):
    customer = CONTRACT.resolve(support.operation(support.ENROLL).body_schema)["properties"][support.ENROLL]
    schema = CONTRACT.resolve(customer)
    known = dict(schema["properties"]) | CONTRACT.resolve(schema["properties"]["address"])["properties"]
    del known["address"]
    reader.open("/customers/new")
    for name, field in known.items():
        [tag] = re.findall(rf'<(?:input|select) id="{name}"[^>]*>', reader.page.text)
        is_select = tag.startswith("<select")
        assert ("required" in tag) == (name in schema["required"])
        limit = re.search(r'maxlength="(\d+)"', tag)
        assert is_select or (int(limit[1]) if limit else None) == field.get("maxLength")
        assert (' type="date"' in tag) == (field.get("format") == "date")
    assert len(re.findall(r"<(?:input|select) id=", reader.page.text)) == len(known) + 1, "and the membership number"


def test_the_hotel_is_what_the_options_say(tmp_path, partner):
    partner.always(200, {"members": []})
    hotel = str(uuid.uuid4())
    words = ("--mews-enterprise-id", hotel, "--provider-enterprise-id", "H-7", "--port", str(support.free_port()))
    with desks.frontdesk(tmp_path, f"{partner.url}/loyalty/", *words) as desk:
        desk.reader().open("/customers/new").send("/customers", email="ada@example.com", lastName="Lovelace")
    [(path, headers, body)] = partner.requests
    assert path == f"/loyalty{support.operation(support.SEARCH).path}"
    assert headers["Authorization"] == f"Bearer {desks.TOKEN}"
    assert body == {
        "mewsEnterpriseId": hotel,
        "providerEnterpriseId": "H-7",
        "memberFilter": {"email": "ada@example.com", "lastName": "Lovelace"},
    }


def test_all_memberships_are_refreshed_with_as_few_requests_as_the_contract_allows(tmp_path, partner):
    most = CONTRACT.resolve(support.operation(support.LIST).body_schema)["properties"][support.LIST]["maxItems"]
    kind = {"Content-Type": "application/json; charset=utf-8"}

    def answer(path: str, body: dict) -> tuple[int, dict, bytes]:
        number = str(len(partner.requests))
        if support.ENROLL in body:
            membership = {"providerMembershipId": number, "membershipNumber": number, "status": "enrolled"}
            return 200, kind, json.dumps({"membership": membership}).encode()
        told = [
            {"providerMembershipId": identifier, "membershipNumber": "1", "status": "canceled"}
            for identifier in body[support.LIST]
        ]
        return 200, kind, json.dumps({"memberships": told}).encode()

    partner.answer = answer
    with desks.frontdesk(tmp_path, partner.url, "--port", str(support.free_port())) as desk:
        reader = desk.reader()
        for index in range(most + 1):
            reader.create(lastName=f"Guest {index}").send("/enroll")
        partner.requests.clear()
        reader.open("/").send("/refresh")
        assert "Refreshed." in reader.text
        assert reader.text.count("Canceled") == most + 1
        assert [len(body[support.LIST]) for _, _, body in partner.requests] == [most, 1]
        partner.always(500, b"")
        reader.send("/refresh")
    assert "The answer breaks the contract" in reader.alert
    assert len(partner.requests) == 3, "the second part is not asked for once the first has failed"
