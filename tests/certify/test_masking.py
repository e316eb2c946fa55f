"""What a report may show of an exchange, and that its `curl` line sends the same bytes."""

import json
import subprocess
import unicodedata

import httpx
import pytest

from certify.exchange import Exchange
from certify.masking import Masker
from certify.specification import Specification
from tests.support import GUEST

SPEC = Specification()
TOKEN = "loyalty_secret"
IDENTIFIER, NUMBER = "019a9c5e-7d43-7c1e-a5f0-0d7c1f6d2a11", "6006636052853118"
MEMBERSHIP = {"providerMembershipId": IDENTIFIER, "membershipNumber": NUMBER, "points": 0, "status": "enrolled"}


@pytest.fixture
def masker() -> Masker:
    """One that knows a guest of the kit."""
    masker = Masker({TOKEN: "$LOYALTY_TOKEN"}, SPEC.names, SPEC.personal, SPEC.vocabulary)
    masker.know(GUEST, MEMBERSHIP)
    return masker


def came(masker: Masker, body: object, sent: object = None) -> dict:
    return json.loads(masker.came(json.dumps(body).encode(), sent))


SAID = [
    ("Zoë is known", "‹firstName› is known"),
    (unicodedata.normalize("NFD", "zoë is known"), "‹firstName› is known"),
    ("zoe@example.com is a member", "‹email› is a member"),
    ("ZOE@EXAMPLE.COM, zoe@example.com", "‹email›"),
    ("call +1 212 736 5000", "call ‹phoneNumber›"),
    ("or 12127365000", "or ‹phoneNumber›"),
    ("since 1984-02-29", "since ‹birthday›"),
    ("in New York 10118", "in ‹city› ‹postalCode›"),
    ("/members/Zo%C3%AB", "/members/‹firstName›"),
    (f"{IDENTIFIER} and {NUMBER}", f"{IDENTIFIER} and {NUMBER}"),
]


@pytest.mark.parametrize(("text", "shown"), SAID)
def test_a_guest_of_the_kit_is_told_by_the_name_of_the_field(text, shown, masker):
    told = came(masker, {"title": text, "detail": text, "errors": [{"pointer": text, "detail": text}]})
    assert told == {"title": shown, "detail": shown, "errors": [{"pointer": shown, "detail": shown}]}
    assert masker.headers({"www-authenticate": text, "x-request-id": text}) == {
        "www-authenticate": shown,
        "x-request-id": shown,
    }


@pytest.mark.parametrize("field", ["title", "detail", "instance", "type", "pointer", "status", "tier", "expiresAt"])
@pytest.mark.parametrize(
    "somebody",
    [
        "Quillfeather",
        "Bartholomew Quillfeather",
        "b.quillfeather@hotel.test",
        "+44 7700 900123",
        "447700900123",
        "1961-11-23",
        "YO25 9XZ",
        "7f3c0a52-0000-4000-8000-000000000077",
        "/people/Quillfeather?born=1961-11-23",
        "https://hotel.test/Quillfeather#b.quillfeather",
        "/%51uillfeather",
    ],
)
def test_nobody_else_is_told_in_any_field(field, somebody, masker):
    shown = masker.came(json.dumps({field: f"{somebody}"}).encode()) + masker.came(
        json.dumps({"errors": [{field: f"member: {somebody}"}]}).encode()
    )
    for part in ("quillfeather", "bartholomew", "900123", "1961", "YO25", "7f3c0a52", "%51"):
        assert part.lower() not in shown.lower()


def test_numbers_that_are_somebodys_are_masked_where_counts_stand(masker):
    assert came(masker, {"points": 447700900123, "status": 400, "rooms": 7}) == {
        "points": "•••",
        "status": 400,
        "••• 3": "•••",
    }


def test_a_name_that_is_a_word_as_well_is_masked_as_a_name(masker):
    somebody = {"firstName": "Email", "lastName": "Member", "membership": MEMBERSHIP}
    told = came(masker, {"members": [somebody], "detail": "Email Member is a member by email"})
    assert told["detail"] == "••• is a member by email"
    assert (told["members"][0]["firstName"], told["members"][0]["membership"]) == ("•••", MEMBERSHIP)
    assert came(masker, {"detail": "Member is a member"}) == {"detail": "••• is a member"}


def test_what_a_problem_says_can_still_be_read(masker):
    problem = {
        "type": "https://purl.mews.com/problem/core/bad-request",
        "status": 400,
        "title": "Bad request",
        "detail": "One or more fields are missing or invalid.",
        "instance": "urn:uuid:7f3c0a52-0000-4000-8000-000000000077",
        "errors": [{"pointer": "#/providerMembershipIds/3", "detail": "This field is required."}],
    }
    assert came(masker, problem) == problem
    assert masker.headers(
        {"content-type": "application/json; charset=utf-8", "content-language": "cs", "allow": "GET, POST"}
    ) == {"content-type": "application/json; charset=utf-8", "content-language": "cs", "allow": "GET, POST"}


def test_where_a_redirect_leads_is_told_without_its_query(masker):
    headers = httpx.Headers({"Location": "https://www.example.com/members/list?email=b.quillfeather@hotel.test&x=1"})
    assert masker.headers(headers) == {"location": "https://www.example.com/members/list"}
    assert masker.headers(httpx.Headers({"Location": "/members/?who=Quillfeather"})) == {"location": "/members/"}


def test_what_was_sent_is_told_by_the_names_of_fields(masker):
    customer = {"firstName": "Юлия", "lastName": 7, "address": {"city": "Praha"}, "shoeSize": "42"}
    sent = masker.sent(json.dumps({"mewsEnterpriseId": IDENTIFIER, "customer": customer}).encode())
    assert json.loads(sent) == {
        "mewsEnterpriseId": IDENTIFIER,
        "customer": {"firstName": "‹firstName›", "lastName": 7, "address": {"city": "‹city›"}, "shoeSize": "42"},
    }
    assert came(masker, {"detail": "Юлия: 42"}, {"customer": customer}) == {"detail": "‹firstName›: 42"}


BODIES = {
    "text": b'{"providerMembershipIds": ["it\'s"]}',
    "personal": json.dumps({"customer": GUEST}, ensure_ascii=False).encode(),
    "no UTF-8": b'{"mewsEnterpriseId": "\xff\xfe"}',
    "control letters": b'{"a": "\x00\x01\r\n\x7f"}',
    "an end of line": b"{}\n",
    "a token": b'{"a": "loyalty_secret"}',
    "nothing": b"",
}


@pytest.mark.parametrize("content", BODIES.values(), ids=BODIES)
def test_the_curl_line_sends_the_same_bytes_and_shows_nobody(content, masker):
    sent = masker.sent(content)
    line = Exchange("POST", "http://x", {}, sent, 200, {}, "", 1, masker.content(content)).curl
    curl = 'curl() { case "${@: -2:1}" in --data-raw) printf %s "${@: -1}";; --data-binary) cat;; esac; }'
    again = subprocess.run(["bash", "-c", f"{curl}; {line}"], capture_output=True, check=True).stdout
    assert again == content.replace(b"loyalty_secret", b"$LOYALTY_TOKEN")
    assert not [value for value in (*GUEST.values(), TOKEN) if str(value) in line + sent]
