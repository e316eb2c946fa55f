"""Faults that any request can meet."""

import json
import re

from certify.requirements import Flow
from tests.certify.faults.seeding import crash, seeded, spoil
from tests.certify.front import Answer, Call, answer
from tests.support import CONTRACT, ENROLL, HOTEL, LINK, LIST, PROBLEM, SEARCH


def is_known(call: Call) -> bool:
    return bool(CONTRACT.operations_at(call.target))


def is_object(content: bytes) -> bool:
    try:
        return isinstance(json.loads(content), dict)
    except ValueError:
        return False


@seeded("requests-malformed-json-refused")
def malformed_json_crashes(call: Call) -> Answer:
    found = call.forward()
    return crash() if found.status == 400 and not is_object(call.content) else found


@seeded("requests-malformed-json-refused")
def malformed_json_is_an_empty_object(call: Call) -> Answer:
    """`json_decode` says null, and goes on."""
    found = call.forward()
    if found.status == 400 and not is_object(call.content) and call.is_for(SEARCH):
        return answer(200, b'{"members": []}', "application/json")
    return found


@seeded("search-missing-field-refused")
def validation_as_422(call: Call) -> Answer:
    """What frameworks answer by themselves."""
    found = call.forward()
    if found.is_problem and found.status == 400:
        changed = found.body | {"status": 422, "type": f"{PROBLEM}core/unprocessable-entity"}
        return found.with_status(422).with_body(changed)
    return found


@seeded("requests-charset-is-taken")
def media_type_to_the_letter(call: Call) -> Answer:
    return answer(415) if ";" in call.headers.get("Content-Type", "") else call.forward()


@seeded("requests-are-not-redirected")
def redirect_to_a_slash(call: Call) -> Answer:
    """Of a framework whose addresses end with one."""
    return answer(308).with_header("Location", f"{call.target}/") if call.is_for(ENROLL) else call.forward()


@seeded("requests-are-not-redirected")
def redirect_to_another_host(call: Call) -> Answer:
    return (
        answer(301).with_header("Location", f"https://www.example.com{call.target}")
        if is_known(call)
        else (call.forward())
    )


@seeded("requests-near-a-path-are-not-redirected")
def redirect_from_a_slash(call: Call) -> Answer:
    nearest = re.sub("/+", "/", call.target).rstrip("/")
    is_near = nearest != call.target and CONTRACT.operations_at(nearest)
    return answer(307).with_header("Location", nearest) if is_near else call.forward()


@seeded("requests-elsewhere-are-404")
def page_for_every_address(call: Call) -> Answer:
    """The fallback of a single-page application."""
    return call.forward() if is_known(call) else answer(200, b"<!doctype html><div id=app></div>", "text/html")


@seeded("requests-method-not-allowed")
def method_without_allow(call: Call) -> Answer:
    return call.forward().without_header("Allow")


@seeded("requests-method-not-allowed")
def any_method_taken(call: Call) -> Answer:
    found = call.forward()
    return answer(200, b"{}", "application/json") if found.status == 405 else found


@seeded("requests-meet-no-server-error")
def emoji_crashes(call: Call) -> Answer:
    """MySQL's `utf8`, which holds three bytes."""
    return crash() if any(ord(letter) > 0xFFFF for letter in str(call.body)) else call.forward()


@seeded("requests-meet-no-server-error")
def longest_name_crashes(call: Call) -> Answer:
    """A column that is shorter than the contract's limit."""
    found = call.forward()
    names = [value for value in call.part("customer").values() if isinstance(value, str)]
    return crash() if found.is_ok and any(len(name) > 100 for name in names) else found


@seeded("requests-meet-no-server-error")
def missing_object_crashes(call: Call) -> Answer:
    """`body["customer"]["lastName"]`, without a look whether there is a customer."""
    return crash() if call.is_for(ENROLL) and not call.part("customer") else call.forward()


@seeded("requests-are-answered")
def worker_dies(call: Call) -> Answer:
    """A worker process that ends in the middle of a link to what is not there."""
    found = call.forward()
    return answer(0) if found.status == 404 and call.is_for(LINK) else found


@seeded("language-any-is-taken")
def other_languages_crash(call: Call) -> Answer:
    return crash() if re.search(r"[*;]|^x|-[A-Z]", call.headers.get("Accept-Language", "")) else call.forward()


@seeded("language-any-is-taken")
def unknown_language_not_acceptable(call: Call) -> Answer:
    known = call.headers.get("Accept-Language", "en")[:2] in ("en", "cs", "fr", "de", "es")
    return call.forward() if known else answer(406)


@seeded("language-any-is-taken")
def other_languages_crash_at_links(call: Call) -> Answer:
    return other_languages_crash(call) if call.is_for(LINK) else call.forward()


@seeded("language-any-is-taken")
def served_in_known_languages_only(call: Call) -> Answer:
    """Texts of tiers are translated, which a refusal does not have."""
    found = call.forward()
    return unknown_language_not_acceptable(call) if found.is_ok and call.is_for(SEARCH) else found


@seeded("absent-feature-is-not-served", absent=(Flow.LINK,))
def declared_absent_and_served(call: Call) -> Answer:
    return call.forward()


@seeded("staff-create-and-enroll")
def refresh_forgets_what_was_enrolled(call: Call) -> Answer:
    """Search and lists ask another store than the one that enrollments go to; identifiers differ there."""

    def change(found: Answer) -> Answer:
        return found.with_memberships(lambda one: one | {"providerMembershipId": f"m-{one['providerMembershipId']}"})

    return spoil(SEARCH, call, change)


def with_any_hotel(call: Call) -> Answer:
    """Take whatever text stands for the hotel."""
    hotel = call.body.get("mewsEnterpriseId")
    is_text = isinstance(hotel, str) and not re.fullmatch("[0-9a-fA-F-]{36}", hotel)
    return call.with_body(call.body | {"mewsEnterpriseId": HOTEL}).forward() if is_text else call.forward()


@seeded("search-invalid-format-refused")
def search_for_any_hotel(call: Call) -> Answer:
    return with_any_hotel(call) if call.is_for(SEARCH) else call.forward()


@seeded("list-invalid-format-refused")
def list_for_any_hotel(call: Call) -> Answer:
    return with_any_hotel(call) if call.is_for(LIST) else call.forward()


@seeded("link-invalid-format-refused")
def link_for_any_hotel(call: Call) -> Answer:
    return with_any_hotel(call) if call.is_for(LINK) else call.forward()
