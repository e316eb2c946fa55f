"""The flows of Mews' documentation in a browser: by mouse and by keyboard alone, narrow and wide, light and dark."""

import os
import subprocess

import pytest
from playwright.sync_api import expect

from tests import support
from tests.browser.screens import SECONDS
from tests.frontdesk import desks

pytestmark = pytest.mark.browser


@pytest.fixture
def guest(loyalty) -> dict[str, str]:
    """Somebody whom no other test knows."""
    support.use_database(loyalty.database_url)
    name = desks.new_name()
    return {"First name": "Zoë", "Last name": name, "Email": f"zoe@{name.lower()}.example", "City": "München"}


@pytest.fixture
def membership(loyalty, guest) -> dict:
    """The membership that the guest has already, and two namesakes of hers too."""
    names = {"firstName": guest["First name"], "lastName": guest["Last name"]}
    for number in (1, 2):
        address = {"line1": f"{number} Prinzregentenstraße", "city": guest["City"], "countryCode": "DE"}
        loyalty.enroll(names | {"birthday": f"198{number}-02-03", "address": address})
    customer = names | {"email": guest["Email"], "address": {"city": guest["City"], "countryCode": "DE"}}
    found = loyalty.enroll(customer).json()["membership"]
    support.alter(found["providerMembershipId"], tier="Gold", points=4200)
    return found


def create(shown, hand, guest, choice: str) -> None:
    hand.press("New customer")
    shown.waits_for("Enter customer details")
    for label, text in guest.items():
        hand.fill(label, text)
    hand.press("Next")
    shown.waits_for("Create new profile")
    hand.choose(choice)
    hand.press("Confirm")
    expect(shown.page.locator("#loyalty-title")).to_be_visible(timeout=SECONDS * 1000)


def test_enter_a_customer_correct_and_verify_the_membership(shown, hand, guest, membership):
    shown.shows("Customers", "1-customers")
    hand.press("New customer")
    shown.shows("Enter customer details", "2-details")
    for label, text in (guest | {"Email": "no address"}).items():
        hand.fill(label, text)
    hand.press("Next")
    shown.shows("This is no e-mail address.", "3-errors")
    hand.fill("Email", f"new.{guest['Email']}")  # with the one that is known, she alone would be found
    hand.select("Country", "Germany")
    hand.press("Next")
    shown.shows("Address: 1 Prinzregentenstraße", "4-matches")
    shown.waits_for("Address: 2 Prinzregentenstraße")
    hand.choose(membership["membershipNumber"])
    shown.shows("Create new profile", "5-chosen")
    hand.press("Confirm")
    shown.shows("The membership is linked to this customer.", "6-linked")
    expect(shown.page.locator(".membership")).to_contain_text(membership["membershipNumber"])
    expect(shown.page.locator(".membership")).to_contain_text("4,200")


def test_create_a_customer_without_a_membership_and_enroll(shown, hand, guest):
    create(shown, hand, guest, "Without a membership")
    shown.shows("The customer is not enrolled in the loyalty program.", "1-not-enrolled")
    hand.press("Enroll")
    shown.shows("The enrollment was accepted.", "2-enrolled")
    expect(shown.page.locator(".membership")).to_contain_text("Enrolled")


def test_keep_a_membership_up_unlink_it_look_it_up_and_lose_it(shown, hand, guest, membership):
    create(shown, hand, guest, membership["membershipNumber"])
    support.alter(membership["providerMembershipId"], tier="Platinum", points=9001, status="canceled")
    hand.press("Refresh")
    shown.shows("9,001", "1-refreshed")
    shown.waits_for("Canceled")
    support.alter(membership["providerMembershipId"], tier="Diamond", status="enrolled")
    hand.press("Customers")
    shown.waits_for("Refresh all memberships")
    hand.press("Refresh all memberships")
    shown.shows("Refreshed.", "2-all-refreshed")
    expect(shown.page.get_by_role("row", name=guest["Last name"])).to_contain_text("Diamond")
    hand.press(f"{guest['First name']} {guest['Last name']}")
    shown.waits_for("Unlink this membership")
    hand.press("Unlink this membership")
    shown.shows("The guest stays a member of the loyalty program.", "3-unlink")
    hand.press("Unlink")
    shown.shows("The membership is no longer linked to this customer.", "4-unlinked")
    hand.press("Look up membership")
    shown.shows("Select membership profile", "5-looked-up")
    hand.choose(membership["membershipNumber"])
    hand.press("Confirm")
    shown.waits_for("The membership is linked to this customer.")
    support.delete(membership["providerMembershipId"])
    hand.press("Refresh")
    shown.shows("Not found", "6-lost")


def test_pages_change_without_loading_anew_and_the_way_back_works(open_screen, desk, guest):
    shown = open_screen(desk.url)
    shown.page.evaluate("window.kept = true")
    shown.page.get_by_role("link", name="New customer").first.click()
    shown.waits_for("Enter customer details")
    expect(shown.page.get_by_label("Email")).to_be_focused()
    assert shown.page.title() == "New customer · Front desk"
    shown.page.go_back()
    expect(shown.page.get_by_role("heading", level=1)).to_have_text("Customers")
    assert shown.page.evaluate("window.kept")


def test_a_page_begins_at_its_top_however_far_down_it_was_left(open_screen, desk):
    shown = open_screen(desk.url)
    page = shown.page
    page.set_viewport_size({"width": 1360, "height": 400})
    page.goto("/customers/new")
    page.get_by_label("Last name").fill("Lovelace")
    page.get_by_role("button", name="Next").click()
    shown.waits_for("Too little is known")
    page.get_by_role("button", name="Confirm").click()
    shown.waits_for("The customer is not enrolled")
    assert page.evaluate("window.scrollY") == 0


def test_without_javascript_it_works_as_well(open_screen, desk, guest, membership):
    shown = open_screen(desk.url, java_script_enabled=False)
    page = shown.page
    page.get_by_role("link", name="New customer").first.click()
    for label, text in guest.items():
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name="Next").click()
    page.locator(".choice", has_text=membership["membershipNumber"]).click()
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator(".membership")).to_contain_text(membership["membershipNumber"])
    expect(page.get_by_role("button", name="Copy as curl")).to_be_hidden()


def test_the_copied_command_asks_the_same_again(open_screen, desk, loyalty, guest, membership):
    shown = open_screen(desk.url, permissions=["clipboard-read", "clipboard-write"])
    page = shown.page
    page.goto("/customers/new")
    page.get_by_label("Last name").fill("O’Neil & 'Sons'")
    page.get_by_label("Email").fill(guest["Email"])
    page.get_by_role("button", name="Next").click()
    shown.waits_for("Create new profile")
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.locator(".exchange [role=status]")).to_have_text("Copied.")
    command = page.evaluate("navigator.clipboard.readText()")
    assert loyalty.token not in command
    environment = os.environ | {"LOYALTY_TOKEN": loyalty.token}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=SECONDS, env=environment)
    assert membership["membershipNumber"] in done.stdout, done.stderr


def test_a_front_desk_that_has_ended_says_so(open_screen, tmp_path):
    with desks.frontdesk(tmp_path, "http://127.0.0.1:1", "--port", str(support.free_port())) as desk:
        shown = open_screen(desk.url)
        desk.process.terminate()
        desk.process.wait(timeout=SECONDS)
        shown.page.get_by_role("link", name="New customer").first.click()
        shown.shows("The front desk itself does not answer.", "1")
    shown.errors.clear()  # the browser tells of the refused connection there
