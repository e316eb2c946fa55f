"""What staff see when the loyalty system is away, refuses, waits, breaks, or finds fault with a field."""

import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

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


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[desks.Desk]:
    """A front desk before a server that is not there."""
    folder = tmp_path_factory.mktemp("away")
    with desks.frontdesk(folder, f"http://127.0.0.1:{free_port()}", "--port", str(free_port())) as desk:
        yield desk


def look_for(shown: Screen, **details: str) -> None:
    """Fill in a new customer, and go on to those who match."""
    page = shown.page
    page.goto("/customers/new")
    for label, text in ({"Last_name": "Lovelace"} | details).items():
        page.get_by_label(label.replace("_", " ")).fill(text)
    page.get_by_role("button", name="Next").click()


def create(shown: Screen, **details: str) -> None:
    """Create a customer without a membership."""
    look_for(shown, **details)
    shown.page.get_by_role("button", name="Confirm").click()
    shown.waits_for("not enrolled")


BAD_ANSWERS = [
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
    (502, b"<html><h1>502 Bad Gateway</h1></html>", {}, "It has status 502, and is no problem detail"),
    (302, b"", {"Location": f"https://login.example.com/{'realm/' * 20}"}, "It leads to https://login.example.com"),
    (200, {"memberships": [MEMBERSHIP | {"points": "many", "tier": 3}]}, {}, '"many" is not of type "integer"'),
    (200, b'{"memberships": [{"tier": "\xe9toile"}]}', {}, "The body is not UTF-8"),
    (200, b'{"memberships": [' + b'"",' * 50_000 + b"0]}", {}, "there are more"),
]


def test_answers_that_are_bad(open_screen, scripted_desk, partner, size, scheme):
    partner.always(200, {"membership": MEMBERSHIP})
    shown = open_screen(scripted_desk.url, size, scheme)
    create(shown)
    shown.page.get_by_role("button", name="Enroll").click()
    shown.shows("6006636052853118", "0-before")
    for number, (status, body, headers, told) in enumerate(BAD_ANSWERS, start=1):
        partner.always(status, body, **headers)
        shown.page.get_by_role("button", name="Refresh").click()
        shown.shows(told, f"{number}-{status}")
        expect(shown.page.locator(".membership")).to_contain_text("6006636052853118")


def test_statuses_that_need_a_word(open_screen, scripted_desk, partner, size, scheme):
    partner.always(200, {"membership": {"providerMembershipId": "m-1", "status": "pending"}})
    shown = open_screen(scripted_desk.url, size, scheme)
    create(shown)
    shown.page.get_by_role("button", name="Enroll").click()
    shown.shows("The enrollment waits for confirmation.", "1-pending")
    told = MEMBERSHIP | {"providerMembershipId": "m-1", "expiresAt": "2024-01-31T23:59:59Z"}
    for number, (status, words) in enumerate((("canceled", "has expired"), ("declined", "has declined")), start=2):
        partner.always(200, {"memberships": [told | {"status": status}]})
        shown.page.get_by_role("button", name="Refresh").click()
        shown.shows(words, f"{number}-{status}")


def test_many_matches_with_names_of_all_kinds(open_screen, scripted_desk, partner, size, scheme):
    names = [("محمد", "الخطيب"), ("Maximiliane", "von Hohenlohe-Langenburg und " * 4), ("X", "Donaudampfschiff" * 7)]
    members = [
        {
            "firstName": first,
            "lastName": last,
            "address": {"city": "القاهرة"},
            "membership": MEMBERSHIP | {"providerMembershipId": f"m-{number}"},
        }
        for number, (first, last) in enumerate([*names, *[("John", "Smith")] * 17])
    ]
    partner.always(200, {"members": members})
    shown = open_screen(scripted_desk.url, size, scheme)
    page = shown.page
    look_for(shown, Last_name="الخطيب", Email="m@example.com")
    shown.shows("Select from the matched results (20)", "1-matches")
    expect(page.get_by_role("button", name="Confirm")).to_be_in_viewport(ratio=1)
    page.locator("[name=choice]").first.focus()
    for _ in range(8):
        page.keyboard.press("ArrowDown")
        label, buttons = page.locator(".choice:has(:focus)").bounding_box(), page.locator(".actions").bounding_box()
        assert label["y"] >= 0, "what has the focus is in sight"
        assert label["y"] + label["height"] <= buttons["y"], "and not under the buttons"


def test_a_server_that_is_away(open_screen, away, size, scheme):
    shown = open_screen(away.url, size, scheme)
    page = shown.page
    look_for(shown, Email="ada@example.com")
    shown.shows("No answer from the loyalty system", "1-matches")
    page.get_by_role("button", name="Confirm").click()
    shown.waits_for("not enrolled")
    page.get_by_role("button", name="Enroll").click()
    shown.shows("No answer from the loyalty system", "2-profile")


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
