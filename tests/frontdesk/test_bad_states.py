"""Whatever a partner server does, staff see what went wrong, and nothing is changed by it."""

import json
import re
import socket
import threading
import time

import pytest

from tests.frontdesk import desks
from tests.support import PROBLEM, free_port

MEMBERSHIP = {"providerMembershipId": "m-1", "membershipNumber": "6006", "points": 7, "status": "enrolled"}
OTHER = MEMBERSHIP | {"providerMembershipId": "m-2", "membershipNumber": "7007", "points": 8}
BROKEN = "The answer breaks the contract"


@pytest.fixture
def profile(scripted: desks.Reader, partner: desks.Partner) -> desks.Reader:
    """The profile of a customer with a membership."""
    partner.always(200, {"membership": MEMBERSHIP})
    return scripted.create(lastName="Lovelace").send("/enroll")


def problem(name: str, status: int, **further: object) -> dict:
    return {
        "type": PROBLEM + name,
        "status": status,
        "title": f"Title of {name}",
        "detail": "What went wrong.",
    } | further


@pytest.mark.parametrize(
    ("status", "body", "headers", "told"),
    [
        (401, problem("core/unauthorized", 401), {}, "Start the front desk with a token that the loyalty system knows"),
        (429, problem("core/too-many-requests", 429), {"Retry_After": "7"}, "Wait 7 seconds before you try again."),
        (500, problem("core/internal-server-error", 500), {}, "What went wrong."),
        (503, b"<h1>Bad gateway</h1>", {}, "It has status 503, and is no problem detail"),
        (500, b"", {}, "It has status 500, and is no problem detail"),
        (302, b"", {"Location": "http://127.0.0.1:1/"}, "It has status 302, and is no problem detail"),
        (201, {"memberships": [MEMBERSHIP]}, {}, "It has status 201, and is no problem detail"),
        (200, b"no JSON", {}, "The body is no JSON: "),
        (200, b'{"memberships": [\xff]}', {}, "The body is not UTF-8 from byte 18 on."),
        (200, b"[" * 100_000, {}, "The body is no JSON: "),
        (
            200,
            {"memberships": [MEMBERSHIP | {"points": "7"}]},
            {},
            '/memberships/0/points : "7" is not of type "integer"',
        ),
        (200, MEMBERSHIP, {}, '"memberships" is a required property'),
        (200, b"null", {}, BROKEN),
        (200, {"memberships": []}, {}, '"m-1" was asked for, and has no entry.'),
        (200, {"memberships": [OTHER]}, {}, '/memberships/0/providerMembershipId : "m-2" was not asked for.'),
        (200, {"memberships": [MEMBERSHIP | {"points": 8}, OTHER]}, {}, '"m-2" was not asked for.'),
        (200, {"memberships": [MEMBERSHIP | {"points": 8}] * 2}, {}, '"m-1" has an entry already.'),
        (200, {"memberships": [MEMBERSHIP | {"points": 8}]}, {"Content_Type": "text/html"}, "is text/html, and not"),
    ],
)
def test_a_bad_answer_is_shown_and_changes_nothing(profile, partner, status, body, headers, told):
    partner.always(status, body, **headers)
    profile.send("/refresh")
    assert told in profile.alert
    assert (BROKEN in profile.alert) == (not isinstance(body, dict) or "type" not in body)
    assert f"{status} List memberships by IDs" in profile.text
    assert "Membership number 6006" in profile.text
    assert "Points 7" in profile.text


def test_field_errors_of_a_problem_are_listed(profile, partner):
    errors = [
        {"type": f"{PROBLEM}core/field-required", "pointer": "#/customer/firstName", "detail": "It is required."},
        {"type": f"{PROBLEM}core/field-too-long", "pointer": "#/customer/address/city", "detail": "It is too long."},
        {"type": f"{PROBLEM}core/field-too-long", "pointer": "#/customer/shoeSize"},
        "no object",
    ]
    partner.always(400, problem("core/bad-request", 400, errors=errors))
    profile.create(lastName="Byron").send("/enroll")
    assert "First name: It is required. City: It is too long. Shoe size: Not accepted." in profile.alert
    assert "#/customer/address/city It is too long. core/field-too-long" in profile.text


@pytest.mark.parametrize("errors", ["nonsense", [None], {"pointer": 3}, [{"pointer": 3, "detail": []}]])
def test_a_problem_with_nonsense_in_it_is_shown_as_well(profile, partner, errors):
    partner.always(422, problem("core/unprocessable-entity", 422, errors=errors, detail=["no text"]))
    profile.send("/refresh")
    assert "Title of core/unprocessable-entity" in profile.alert


def test_a_search_that_fails_can_be_repeated_or_left_out(scripted, partner):
    partner.always(500, b"")
    scripted.open("/customers/new").send("/customers", email="ada@example.com", lastName="Lovelace")
    assert BROKEN in scripted.alert
    partner.always(200, {"members": []})
    assert "No member of the loyalty program matches" in scripted.send("/search").text
    assert "The customer is not enrolled" in scripted.send("/link", choice="").text


def test_a_link_that_fails_leaves_the_choice_open(scripted, partner):
    partner.always(200, {"members": [{"lastName": "Lovelace", "membership": MEMBERSHIP}]})
    scripted.open("/customers/new").send("/customers", email="ada@example.com", lastName="Lovelace")
    partner.always(422, problem("core/unprocessable-entity", 422))
    scripted.send("/link", choice="m-1")
    assert "Title of core/unprocessable-entity" in scripted.alert
    assert "Select from the matched results (1)" in scripted.text


def test_a_link_that_is_answered_with_another_membership_is_no_link(scripted, partner):
    partner.always(200, {"members": [{"lastName": "Lovelace", "membership": MEMBERSHIP}]})
    scripted.open("/customers/new").send("/customers", email="ada@example.com", lastName="Lovelace")
    partner.always(200, {"membership": OTHER})
    scripted.send("/link", choice="m-1")
    assert BROKEN in scripted.alert
    assert '/membership/providerMembershipId : "m-2" was not asked for.' in scripted.alert
    assert "is linked to this customer" not in scripted.text
    assert "The customer is not enrolled" in scripted.send("/link", choice="").text


def test_an_unlink_that_is_answered_with_another_membership_ends_nothing(profile, partner):
    partner.always(200, {"membership": OTHER})
    profile.send("/unlink")
    assert '"m-2" was not asked for.' in profile.alert
    assert "Membership number 6006" in profile.text


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"<h1>404 Not Found</h1>"),
        (404, {"message": "no such route"}),
        (410, problem("core/gone", 410)),
        (422, problem("core/unprocessable-entity", 422)),
        (500, problem("core/internal-server-error", 500)),
    ],
    ids=["404 of a proxy", "404 of another kind", "410", "422", "500"],
)
def test_an_unlink_that_fails_leaves_the_membership(profile, partner, status, body):
    partner.always(status, body)
    profile.send("/unlink")
    assert profile.alert
    assert "Membership number 6006" in profile.text


def test_an_unlink_of_what_the_loyalty_system_does_not_know_ends_the_link(profile, partner):
    partner.always(404, problem("core/not-found", 404))
    profile.send("/unlink")
    assert "Title of core/not-found" in profile.alert
    assert "The customer is not enrolled in the loyalty program." in profile.text


def test_what_a_server_answers_is_text_and_never_markup(profile, partner):
    name = "<script>alert(1)</script>"
    found = {"lastName": name, "membership": MEMBERSHIP | {"deeplinkUrl": "javascript:alert(1)"}}
    partner.always(200, {"members": [found]})
    profile.open("/customers/new").send("/customers", email="ada@example.com", lastName="Lovelace")
    assert name in profile.text
    assert name not in profile.page.text
    partner.always(200, {"membership": found["membership"]})
    profile.send("/link", choice="m-1")
    assert "javascript:alert(1)" in profile.text
    assert 'href="javascript' not in profile.page.text


def test_a_server_that_is_away_is_told(tmp_path):
    with desks.frontdesk(tmp_path, f"http://127.0.0.1:{free_port()}", "--port", str(free_port())) as desk:
        reader = desk.reader().create(lastName="Lovelace").send("/enroll")
    assert "No answer from the loyalty system" in reader.alert
    assert "cannot be reached" in reader.alert
    assert "No answer Enroll a customer" in reader.text


@pytest.mark.parametrize(
    ("sent", "pause", "status", "told"),
    [
        (b"", 0, "No answer", "broke the connection off"),
        (b"220 mail.example.com ESMTP\r\n", 0, "No answer", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 3 * 1024 * 1024, 0, "200", "longer than 2 MiB"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone", 0, "200", "compressed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b" " * 100, 0.12, "200", "not complete after 10 seconds"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 10, 0.3, "No answer", "did not answer within 10 seconds"),
    ],
    ids=["nothing", "another protocol", "without end", "not compressed", "slow", "slow from the start"],
)
def test_what_is_no_answer_is_told(tmp_path, sent, pause, status, told):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=send, args=(listening, sent, pause))
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with desks.frontdesk(tmp_path, address, "--port", str(free_port())) as desk:
            reader = desk.reader().create(lastName="Lovelace").send("/enroll")
        thread.join()
    assert told in reader.alert
    assert ("No whole answer from the loyalty system" in reader.alert) == (status == "200")
    assert ("Answer 200 OK" in reader.text) == (status == "200")
    [milliseconds] = re.findall(rf"{status} Enroll a customer (\d+) ms", reader.text)
    assert int(milliseconds) < 15_000


def send(listening: socket.socket, sent: bytes, pause: float) -> None:
    """Take one request, and send bytes, with a pause after each if there is one."""
    connection, _ = listening.accept()
    with connection:
        connection.recv(65536)
        try:
            for piece in [sent[index : index + 1] for index in range(len(sent))] if pause else [sent]:
                connection.sendall(piece)
                time.sleep(pause)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except OSError:
            pass  # who asked has given up


def test_a_token_that_a_server_repeats_is_not_shown(profile, partner):
    partner.always(200, {"memberships": [MEMBERSHIP], "echo": desks.TOKEN}, X_Request_Id=desks.TOKEN)
    profile.send("/refresh")
    assert desks.TOKEN not in profile.page.text
    assert "X-Request-Id: •••" in profile.text


def test_a_token_that_a_server_repeats_in_another_spelling_is_neither_shown_nor_kept(tmp_path, partner):
    token = "loyalty_/7f+7f"
    slash, low_line, inner = (
        token.replace("/", r"\/"),
        token.replace("_", r"\u005f"),
        json.dumps(r"loyalty\u005f\/7f+7f"),
    )
    every = "".join(f"\\u{ord(sign):04X}" for sign in token)
    body = rf'{{"memberships": [], "a": "{slash}", "b": {{"{low_line}": "{every}"}}, "c": {inner}, "a": 1}}'
    told = rf'{{"type": "{PROBLEM}x", "status": 500, "title": "{slash}", "detail": "{every}", "errors": [{body}]}}'
    file, shown = tmp_path / "desk.db", []
    words = ("--port", str(free_port()), "--store", str(file))
    with desks.frontdesk(tmp_path / "desk", partner.url, *words, token=token) as desk:
        partner.always(200, {"membership": MEMBERSHIP})
        reader = desk.reader().create(lastName="Lovelace").send("/enroll")
        for status, answer in ((200, body), (500, told), (503, f"no JSON: {low_line}")):
            partner.always(status, answer.encode())
            shown.append(reader.send("/refresh").text)
    assert all("•••" in text for text in shown)
    for spelling in (token, slash, low_line, every, inner[1:-1], inner[1:-1].replace(r"\\", "\\")):
        assert not [text for text in shown if spelling in text]
        assert spelling.encode() not in file.read_bytes()
        assert spelling.replace("\\", r"\\").encode() not in file.read_bytes(), "nor as JSON in the store"
