"""What staff see when the loyalty system is away, refuses, waits, breaks, or finds fault with a field."""

import threading

import pytest

from tests.browser.screens import Screen
from tests.frontdesk import desks
from tests.support import PROBLEM, free_port

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("narrow", "dark")], ids=["wide", "narrow"]),
]
MEMBERSHIP = {
    "providerMembershipId": "019a9c5e-7d43-7c1e-a5f0-0d7c1f6d2a11",
    "membershipNumber": "6006636052853118",
    "tier": "Platinum",
    "points": 5000,
    "status": "enrolled",
    "expiresAt": "2029-09-09T23:59:59+02:00",
    "deeplinkUrl": "https://loyalty.example.com/members/6006636052853118",
}


def problem(name: str, status: int, title: str, detail: str, **further: object) -> dict:
    return {"type": PROBLEM + name, "status": status, "title": title, "detail": detail} | further


def create(shown: Screen, **details: str) -> None:
    """Create a customer without a membership."""
    page = shown.page
    page.goto("/customers/new")
    for label, text in ({"Last name": "Lovelace"} | details).items():
        page.get_by_label(label.replace("_", " ")).fill(text)
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Confirm").click()
    shown.waits_for("not enrolled")


@pytest.fixture
def profile(open_screen, scripted_desk, partner, size, scheme) -> Screen:
    """The profile of a customer with a membership, whose every field is filled."""
    partner.always(200, {"membership": MEMBERSHIP})
    shown = open_screen(scripted_desk.url, size, scheme)
    create(shown)
    shown.page.get_by_role("button", name="Enroll").click()
    shown.shows("6006636052853118", "0-before")
    return shown


@pytest.mark.parametrize(
    ("status", "body", "headers", "told"),
    [
        (
            401,
            problem("core/unauthorized", 401, "Unauthorized", "The bearer token is missing, unknown or expired."),
            {},
            "Start the front desk with a token",
        ),
        (
            429,
            problem("core/too-many-requests", 429, "Too many requests", "The server is busy."),
            {"Retry_After": "30"},
            "Wait 30 seconds",
        ),
        (
            500,
            problem("core/internal-server-error", 500, "Internal server error", "Something went wrong."),
            {},
            "Something went wrong.",
        ),
        (502, b"<html><h1>502 Bad Gateway</h1></html>", {}, "is no problem detail"),
        (200, {"memberships": [MEMBERSHIP | {"points": "many", "tier": 3}]}, {}, "breaks the contract"),
    ],
    ids=["401", "429", "500", "502", "broken"],
)
def test_an_answer_that_is_bad(profile, partner, status, body, headers, told):
    partner.always(status, body, **headers)
    profile.page.get_by_role("button", name="Refresh").click()
    profile.shows(told, "1")
    profile.waits_for("6006636052853118")


def test_a_server_that_is_away(open_screen, tmp_path, size, scheme):
    with desks.frontdesk(tmp_path, f"http://127.0.0.1:{free_port()}", "--port", str(free_port())) as desk:
        shown = open_screen(desk.url, size, scheme)
        page = shown.page
        page.goto("/customers/new")
        page.get_by_label("Last name").fill("Lovelace")
        page.get_by_label("Email").fill("ada@example.com")
        page.get_by_role("button", name="Next").click()
        shown.shows("cannot be reached", "1-matches")
        page.get_by_role("button", name="Confirm").click()
        page.get_by_role("button", name="Enroll").click()
        shown.shows("cannot be reached", "2-profile")


def test_field_errors(open_screen, scripted_desk, partner, size, scheme):
    shown = open_screen(scripted_desk.url, size, scheme)
    create(shown)
    missing = {"pointer": "#/customer/firstName", "detail": "This field is required."}
    short = {"pointer": "#/customer/address/city", "detail": "This is too short."}
    errors = [{"type": f"{PROBLEM}core/field-required"} | missing, {"type": f"{PROBLEM}core/field-too-short"} | short]
    detail = "One or more fields are missing or invalid."
    partner.always(400, problem("core/bad-request", 400, "Bad request", detail, errors=errors))
    shown.page.get_by_role("button", name="Enroll").click()
    shown.shows("First name: This field is required.", "1-profile")
    shown.page.get_by_role("link", name="Edit the customer's details").click()
    shown.shows("Customer details", "2-details")
    assert shown.page.get_by_label("First name").get_attribute("aria-invalid") == "true"


def test_too_little_to_search_by_and_nothing_found(open_screen, scripted_desk, partner, size, scheme):
    shown = open_screen(scripted_desk.url, size, scheme)
    page = shown.page
    page.goto("/customers/new")
    page.get_by_label("Last name").fill("Lovelace")
    page.get_by_role("button", name="Next").click()
    shown.shows("Too little is known to search members.", "1-too-little")
    page.get_by_role("link", name="Go back").click()
    page.get_by_label("Email").fill("ada@example.com")
    partner.always(200, {"members": []})
    page.get_by_role("button", name="Next").click()
    shown.shows("No member of the loyalty program matches these details.", "2-nothing-found")


def test_an_address_where_nothing_is(open_screen, desk, size, scheme):
    shown = open_screen(desk.url, size, scheme)
    shown.page.goto("/nowhere")
    shown.shows("Not Found", "1")
    shown.errors.clear()  # the browser counts a 404 among them


def test_an_impatient_hand_enrolls_once(open_screen, scripted_desk, partner, size, scheme):
    shown = open_screen(scripted_desk.url, size, scheme)
    create(shown)
    pause = threading.Event()

    def answer(*_: object) -> tuple[int, dict, bytes]:
        pause.wait(5)
        return 500, {}, b""

    partner.answer = answer
    button = shown.page.get_by_role("button", name="Enroll")
    button.dblclick()
    button.click(force=True)
    pause.set()
    shown.waits_for("breaks the contract")
    assert len(partner.requests) == 1
