"""What a partner server answered is shown as it came, or it is said what was left out."""

import html
import itertools
import json
import re
import shlex
import time

import orjson
import pytest

from frontdesk.faults import MOST_FAULTS
from frontdesk.reading import LONGEST_SHOWN
from tests import support
from tests.frontdesk import desks

MEMBERSHIP = {"providerMembershipId": "m-1", "membershipNumber": "6006", "points": 7, "status": "enrolled"}
NO_UTF_8 = 'The body is not UTF-8 from byte {} on. What is not stands here as in "\\xff".'


@pytest.fixture
def profile(scripted: desks.Reader, partner: desks.Partner) -> desks.Reader:
    """The profile of a customer with a membership."""
    partner.always(200, {"membership": MEMBERSHIP})
    return scripted.create(lastName="Lovelace").send("/enroll")


@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (200, b'{"memberships": [{"tier": "Vermeil \xe9toile"}]}', r'"Vermeil \xe9toile"'),
        (400, b'{"type": "about:blank", "status": 400, "title": "Ung\xfcltig"}', r"Ung\xfcltig"),
        (503, "Dienst nicht verfügbar".encode("latin-1"), r"verf\xfcgbar"),
    ],
)
def test_an_answer_that_is_not_utf_8_is_shown_with_the_bytes_that_are_not(profile, partner, status, body, shown):
    partner.always(status, body)
    profile.send("/refresh")
    assert "The answer breaks the contract" in profile.alert
    assert NO_UTF_8.format(re.search(rb"[^ -~]", body).start() + 1) in profile.alert
    assert shown in profile.text
    assert "�" not in profile.text
    assert "Membership number 6006" in profile.text


def test_bytes_that_are_not_utf_8_do_not_become_a_good_answer(profile, partner):
    body = json.dumps({"memberships": [MEMBERSHIP | {"tier": "?", "points": 8}]}).encode().replace(b"?", b"\xff")
    partner.always(200, body)
    assert "The answer breaks the contract" in profile.send("/refresh").alert
    assert "Points 7" in profile.text


@pytest.mark.parametrize(
    "body",
    [
        '{"points": 1, "points": 2}',
        '{"points": 7.10, "factor": 1e2}',
        '{"points": 1e400}',
        "<h1>Bad gateway</h1>\n  <p>Try again.</p>",
        "[" * 1000 + "]" * 1000,
    ],
)
def test_an_answer_that_does_not_bear_indenting_is_shown_as_it_came(profile, partner, body):
    partner.always(200, body.encode())
    profile.send("/refresh")
    assert body_of_answer(profile) == body


def test_an_answer_that_nests_too_deeply_to_be_judged_is_a_bad_one(profile, partner):
    partner.always(200, b"[" * 1000 + b"]" * 1000)
    assert "The body nests too deeply." in profile.send("/refresh").alert
    assert "Points 7" in profile.text


def test_an_answer_in_json_is_indented_with_its_letters_and_numbers_kept(profile, partner):
    partner.always(500, b'{"name":"\\u0141ukasz","id":12345678901234567890123,"rate":1.5,"none":null}')
    profile.send("/refresh")
    lines = ['  "name": "Łukasz",', '  "id": 12345678901234567890123,', '  "rate": 1.5,', '  "none": null']
    assert body_of_answer(profile) == "\n".join(["{", *lines, "}"])


def test_of_a_very_long_answer_the_beginning_is_shown_and_how_much_there_is(profile, partner):
    partner.always(200, b'{"memberships": [' + b" " * 1_000_000 + b"]}")
    profile.send("/refresh")
    assert len(body_of_answer(profile)) == LONGEST_SHOWN
    assert f"The first {LONGEST_SHOWN:,} of 1,000,019 characters." in profile.text
    assert len(profile.page.text) < 3 * LONGEST_SHOWN


def test_a_fault_that_quotes_a_very_long_value_is_cut(profile, partner):
    partner.always(200, {"memberships": [MEMBERSHIP | {"points": "7" * 1_000_000}]})
    assert '/memberships/0/points : "7777' in profile.send("/refresh").alert
    assert len(profile.alert) < 1000


def test_of_many_faults_the_first_are_told_and_that_there_are_more(profile, partner):
    partner.always(200, {"memberships": [MEMBERSHIP | {"points": "7"}] * (MOST_FAULTS + 1)})
    profile.send("/refresh")
    assert profile.alert.count('"7" is not of type "integer"') == MOST_FAULTS
    assert f"These are the first {MOST_FAULTS}; there are more." in profile.alert
    partner.always(200, {"memberships": [MEMBERSHIP | {"points": "7"}] * MOST_FAULTS})
    profile.send("/refresh")
    assert profile.alert.count('"7" is not of type "integer"') == MOST_FAULTS
    assert "there are more" not in profile.alert


def test_faults_without_end_are_told_in_time(profile, partner):
    partner.always(200, b'{"memberships": [' + b'"",' * 500_000 + b'""]}')
    begun = time.monotonic()
    profile.send("/refresh")
    assert time.monotonic() - begun < 10, "and not after half a minute"
    assert "/memberships/0 : " in profile.alert
    assert "there are more" in profile.alert


def test_a_fault_late_in_a_long_list_is_found(profile, partner):
    body = {"memberships": [MEMBERSHIP] * 300 + [MEMBERSHIP | {"points": "7"}] * 2}
    partner.always(200, body)
    assert '/memberships/300/points : "7" is not of type "integer"' in profile.send("/refresh").alert


def test_of_what_is_no_json_the_place_is_told(profile, partner):
    partner.always(200, b'{"memberships": [}')
    assert (
        "The body is no JSON: unexpected character, expected a JSON value: line 1 column 18 (char 17)."
        in profile.send("/refresh").alert
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_shown_and_not_followed(profile, partner, status):
    partner.always(status, b"", Location=f"{partner.url}/elsewhere?a=1")
    partner.requests.clear()
    profile.send("/refresh")
    assert len(partner.requests) == 1
    assert f"Location: {partner.url}/elsewhere?a=1" in profile.text
    assert f"It leads to {partner.url}/elsewhere?a=1, where the front desk does not go" in profile.alert


@pytest.mark.parametrize(
    "spelling",
    [lambda sign: sign, lambda sign: f"%{ord(sign):02X}", lambda sign: f"%25{ord(sign):02x}"],
    ids=["as it is", "percent-encoded", "twice"],
)
def test_a_token_in_a_redirect_is_not_shown(profile, partner, spelling):
    told = "".join(map(spelling, desks.TOKEN))
    partner.always(302, b"", Location=f"https://login.example.com/?token={told}&back=/")
    profile.send("/refresh")
    assert "Location: https://login.example.com/?token=•••&back=/" in profile.text
    assert told not in profile.page.text


def test_a_token_that_is_repeated_in_utf_16_is_not_shown(profile, partner):
    partner.always(500, f"ü {desks.TOKEN} ü".encode("utf-16"))
    profile.send("/refresh")
    assert "•••" in profile.text
    assert desks.TOKEN not in profile.text.replace("\0", "")


@pytest.mark.parametrize(
    ("wait", "told"),
    [
        ("1", "Wait 1 second before you try again."),
        ("90", "Wait 90 seconds before you try again."),
        ("Wed, 01 Jan 2031 10:00:00 GMT", "Wait until Wed, 01 Jan 2031 10:00:00 GMT before you try again."),
        ("soon", "Wait before you try again."),
    ],
)
def test_how_long_to_wait_is_told(profile, partner, wait, told):
    partner.always(429, {"type": "about:blank", "status": 429, "title": "Busy"}, Retry_After=wait)
    assert profile.send("/refresh").alert == f"Busy {told}"


def test_the_curl_command_sends_what_was_sent(scripted, partner):
    partner.always(200, {"members": []})
    entered = {"email": "zoë@example.com", "lastName": "O’Neil & 'Sons' $(id) `id` \\ \"x\"\x01", "city": "-@\r\nx"}
    scripted.client.headers["Accept-Language"] = "de-AT, de;q=0.9"
    scripted.open("/customers/new").send("/customers", **entered)
    [(path, headers, body)] = partner.requests
    request_head = html.unescape(re.search(r"<pre>(.*?)</pre>", scripted.page.text, re.DOTALL)[1])
    words = shlex.split(pre(scripted, "curl command"))
    given = dict(itertools.pairwise(words))
    fields = dict(words[index + 1].split(": ", 1) for index, word in enumerate(words) if word == "-H")
    assert fields == {name: headers[name] for name in fields} | {"Authorization": "Bearer $LOYALTY_TOKEN"}
    assert fields.keys() == {"Authorization", "Accept", "Accept-Language", "Content-Type"}
    assert f"{given['-X']} {partner.url}{path}" in scripted.text
    assert given["-X"] == support.operation(support.SEARCH).method
    assert given["-d"].encode() == orjson.dumps(body)
    assert body["memberFilter"] == entered
    assert set(request_head.splitlines()[1:]) == {f"{name}: {fields[name]}" for name in fields}


def body_of_answer(reader: desks.Reader) -> str:
    return pre(reader, "Answer body")


def pre(reader: desks.Reader, label: str) -> str:
    """What the newest block with such a label holds."""
    found = re.search(rf'<pre[^>]*aria-label="{label}, 1"[^>]*>(.*?)</pre>', reader.page.text, re.DOTALL)
    return html.unescape(found[1])
