"""Servers that are right, each with a way of its own that the contract leaves open: none may be found at fault."""

import json
from collections.abc import Callable

from tests.certify.faults.seeding import keep_members, lock, spoil_errors, spoil_memberships, spoil_problems, without
from tests.certify.front import Answer, Call, Fault, problem
from tests.support import ENROLL

INNOCENTS: dict[str, Fault] = {}


def innocent(way: Fault) -> Fault:
    """Put a way into the table."""
    INNOCENTS[way.__name__] = way
    return way


def rewritten(found: Answer, write: Callable[[object], str]) -> Answer:
    """Write the same JSON otherwise."""
    return found.with_content(write(found.body).encode()) if found.content else found


@innocent
def json_with_indentation(call: Call) -> Answer:
    return rewritten(call.forward(), lambda body: json.dumps(body, indent=4, ensure_ascii=False))


@innocent
def json_in_ascii(call: Call) -> Answer:
    """Letters beyond ASCII as `\\u00eb` (RFC 8259, section 7)."""
    return rewritten(call.forward(), json.dumps)


@innocent
def fields_by_alphabet(call: Call) -> Answer:
    return rewritten(call.forward(), lambda body: json.dumps(body, sort_keys=True, ensure_ascii=False))


@innocent
def charset_beside_the_media_type(call: Call) -> Answer:
    found = call.forward()
    media_type = found.headers.get("Content-Type")
    return found.with_header("Content-Type", f"{media_type}; charset=utf-8") if media_type else found


@innocent
def media_type_in_capitals(call: Call) -> Answer:
    """RFC 9110, section 8.3.1: it has no case."""
    found = call.forward()
    return found.with_header("Content-Type", found.headers["Content-Type"].title()) if found.content else found


@innocent
def further_headers(call: Call) -> Answer:
    return call.forward().with_header("Strict-Transport-Security", "max-age=63072000").with_header("Via", "1.1 proxy")


@innocent
def confirmed_when_it_is_listed(call: Call) -> Answer:
    """An enrollment that is begun, and confirmed by the time of the next list; the contract has `pending` for it."""
    found = call.forward()
    if not (call.is_for(ENROLL) and found.is_ok):
        return found
    begun = {"status": "pending"}
    return found.with_memberships(lambda one: {"providerMembershipId": one["providerMembershipId"]} | begun)


@innocent
def no_request_id(call: Call) -> Answer:
    return call.forward().without_header("X-Request-Id").without_header("Cache-Control")


@innocent
def problems_with_the_required_members_only(call: Call) -> Answer:
    return spoil_problems(call, lambda body: without(body, "detail", "instance"))


@innocent
def problems_with_a_member_more(call: Call) -> Answer:
    """RFC 9457, section 3.2: extension members are allowed."""
    return spoil_problems(call, lambda body: body | {"traceId": "0af7651916cd43dd8448eb211c80319c"})


@innocent
def own_titles(call: Call) -> Answer:
    return spoil_problems(call, lambda body: body | {"title": f"Sorry ({body['status']})", "detail": "See our guide."})


@innocent
def errors_without_detail(call: Call) -> Answer:
    return spoil_errors(call, lambda error: without(error, "detail"))


@innocent
def errors_in_another_order(call: Call) -> Answer:
    return spoil_problems(call, lambda body: body | ({"errors": body["errors"][::-1]} if "errors" in body else {}))


@innocent
def english_only(call: Call) -> Answer:
    """The provider has declared no other language."""
    return call.with_header("Accept-Language", "en").forward()


@innocent
def memberships_with_all_that_is_optional(call: Call) -> Answer:
    optional = {"tier": "Gold", "expiresAt": "2099-12-31T23:59:59+01:00", "deeplinkUrl": "https://example.com/m/1"}
    return spoil_memberships(call, lambda one: one | optional)


@innocent
def memberships_without_what_is_optional(call: Call) -> Answer:
    return spoil_memberships(call, lambda one: without(one, "points"))


@innocent
def welcome_points(call: Call) -> Answer:
    return spoil_memberships(call, lambda one: one | {"points": 500})


@innocent
def namesakes_beside_whoever_is_found(call: Call) -> Answer:
    """A search by likeness, the likeliest first."""
    membership = {"providerMembershipId": "7", "membershipNumber": "7", "points": 5000, "status": "enrolled"}
    namesake = {"firstName": "Jan", "membership": membership}
    return keep_members(
        call, lambda members: members + [namesake | {"lastName": one["lastName"]} for one in members[:1]]
    )


@innocent
def busy_at_times(call: Call) -> Answer:
    """A limit of rates, with the time to wait (RFC 6585, section 4)."""
    with lock:
        calls = call.memory["calls"] = call.memory.get("calls", 0) + 1
    busy = problem(429, "core/too-many-requests", "Too many requests").with_header("Retry-After", "1")
    return busy if calls % 100 == 0 else call.forward()
