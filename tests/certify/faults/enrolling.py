"""Faults of enrolling, and of the membership that it answers with."""

import re
import time
import uuid

from tests.certify.faults.seeding import (
    crash,
    email_of,
    is_repeat,
    lock,
    seeded,
    spoil,
    spoil_list,
    spoil_memberships,
    without,
)
from tests.certify.front import Answer, Call, problem
from tests.support import ENROLL, LINK, PROBLEM


@seeded("enroll-answers-200")
def created(call: Call) -> Answer:
    """As REST guides have it."""
    return spoil(ENROLL, call, lambda found: found.with_status(201))


@seeded("enroll-answer-follows-spec")
def another_wrapper(call: Call) -> Answer:
    return spoil(ENROLL, call, lambda found: found.with_body({"data": found.body["membership"]}))


@seeded("enroll-answer-follows-spec")
def json_called_html(call: Call) -> Answer:
    """What PHP says of all that is printed."""
    return spoil(ENROLL, call, lambda found: found.with_header("Content-Type", "text/html; charset=UTF-8"))


@seeded("membership-follows-spec")
def number_missing(call: Call) -> Answer:
    return spoil_memberships(call, lambda one: without(one, "membershipNumber"))


@seeded("membership-follows-spec")
def points_as_text(call: Call) -> Answer:
    return spoil_memberships(call, lambda one: one | {"points": str(one["points"])})


@seeded("membership-follows-spec")
def points_with_a_fraction(call: Call) -> Answer:
    return spoil_memberships(call, lambda one: one | {"points": 0.5})


@seeded("membership-follows-spec")
def internal_field(call: Call) -> Answer:
    return spoil_memberships(call, lambda one: one | {"databaseId": 7})


@seeded("membership-follows-spec")
def null_for_what_is_absent(call: Call) -> Answer:
    return spoil_memberships(call, lambda one: one | {"tier": None})


@seeded("membership-follows-spec")
def expiry_without_a_time(call: Call) -> Answer:
    return spoil_memberships(call, lambda one: one | {"expiresAt": "2031-12-31"})


@seeded("membership-follows-spec")
def status_in_capitals(call: Call) -> Answer:
    return spoil_memberships(call, lambda one: one | {"status": one["status"].upper()})


@seeded("enroll-creates-membership")
def enrolled_not_listed_at_once(call: Call) -> Answer:
    """Lists are read from a replica that lags behind."""
    found = call.forward()
    if call.is_for(ENROLL) and found.is_ok:
        call.memory.setdefault(found.body["membership"]["providerMembershipId"], time.monotonic() + 60)

    def change(one: dict) -> dict:
        is_late = time.monotonic() < call.memory.get(one["providerMembershipId"], 0)
        return {"providerMembershipId": one["providerMembershipId"], "status": "notFound"} if is_late else one

    return spoil_list(call, lambda memberships: [change(one) for one in memberships])


@seeded("enroll-ids-are-unique")
def identifiers_cut(call: Call) -> Answer:
    """A column of eight characters, with which those of one minute begin alike."""
    return spoil_memberships(call, lambda one: one | {"providerMembershipId": one["providerMembershipId"][:8]})


@seeded("enroll-repeat-returns-existing")
def second_membership(call: Call) -> Answer:
    if email_of(call) and is_repeat(call, ENROLL):
        return call.with_customer(email=f"{uuid.uuid4()}.{email_of(call)}").forward()
    return call.forward()


@seeded("enroll-answers-200")
def conflict(call: Call) -> Answer:
    """Who is a member already is refused."""
    return problem(409, "core/bad-request", "Conflict") if is_repeat(call, ENROLL) else call.forward()


@seeded("enroll-repeat-is-byte-for-byte")
def welcome_points_each_time(call: Call) -> Answer:
    if not email_of(call):
        return call.forward()
    with lock:
        times = call.memory[email_of(call)] = call.memory.get(email_of(call), 0) + 1
    return spoil_memberships(call, lambda one: one | {"points": 100 * times})


@seeded("enroll-repeat-is-byte-for-byte")
def another_order_of_fields(call: Call) -> Answer:
    if is_repeat(call, ENROLL):
        return spoil_memberships(call, lambda one: dict(reversed(one.items())))
    return call.forward()


@seeded("enroll-at-once-makes-one-membership")
def race(call: Call) -> Answer:
    """A look whether the guest is there, and then an insert, without a constraint in the database."""
    with lock:
        running = call.memory.setdefault("running", [])
        is_race = email_of(call) in running
        running.append(email_of(call))
    try:
        time.sleep(0.03 if email_of(call) else 0)
        changed = call.with_customer(email=f"{uuid.uuid4()}.{email_of(call)}") if is_race and email_of(call) else call
        return changed.forward()
    finally:
        with lock:
            running.remove(email_of(call))


@seeded("enroll-takes-accented-names")
def other_scripts_crash(call: Call) -> Answer:
    """A column of Latin-1."""
    return crash() if any(ord(letter) > 255 for letter in str(call.part("customer"))) else call.forward()


@seeded("enroll-takes-accented-names")
def apostrophe_crashes(call: Call) -> Answer:
    """A statement that is put together from texts."""
    return crash() if re.search(r"['’]", str(call.part("customer").get("lastName"))) else call.forward()


@seeded("enroll-takes-accented-names")
def letters_of_english_only(call: Call) -> Answer:
    """A pattern for names."""
    if re.search(r"[^A-Za-z '’-]", str(call.part("customer").get("lastName", ""))):
        error = {"type": f"{PROBLEM}core/field-invalid-format", "pointer": "#/customer/lastName"}
        return problem(400, "core/bad-request", "Bad request", error)
    return call.forward()


@seeded("enroll-names-missing-fields")
def wanted_fields_not_named(call: Call) -> Answer:
    """The program wants a phone number, and does not say so."""
    customer = call.part("customer")
    if call.is_for(ENROLL) and customer.get("lastName") and not customer.get("phoneNumber"):
        return problem(400, "core/bad-request", "Bad request")
    return call.forward()


@seeded("enroll-missing-field-refused")
def last_name_not_required(call: Call) -> Answer:
    if call.is_for(ENROLL) and call.part("customer") and "lastName" not in call.part("customer"):
        return call.with_customer(lastName="Unknown").forward()
    return call.forward()


@seeded("enroll-wrong-type-refused")
def numbers_taken_for_names(call: Call) -> Answer:
    """What PHP, Perl and JavaScript make of it."""
    numbers = {name: str(value) for name, value in call.part("customer").items() if isinstance(value, int | float)}
    return call.with_customer(**numbers).forward() if call.is_for(ENROLL) and numbers else call.forward()


@seeded("enroll-too-long-refused")
def long_names_cut(call: Call) -> Answer:
    """What MySQL does outside its strict mode."""
    cut = {name: value[:255] for name, value in call.part("customer").items() if isinstance(value, str)}
    return call.with_customer(**cut).forward() if call.is_for(ENROLL) and cut else call.forward()


@seeded("enroll-invalid-email-refused")
def any_text_for_an_email(call: Call) -> Answer:
    if call.is_for(ENROLL) and email_of(call) and "@" not in email_of(call):
        return call.with_customer(email=f"{uuid.uuid4()}@example.com").forward()
    return call.forward()


@seeded("enroll-refused-leaves-nothing")
def stored_and_then_refused(call: Call) -> Answer:
    """The row is committed before the rest of the request is looked at."""
    found = call.forward()
    if found.status == 400 and "@" in email_of(call):
        given = {name: value for name, value in call.part("customer").items() if name == "email"}
        names = {name: str(call.part("customer").get(name) or "Unknown")[:255] for name in ("firstName", "lastName")}
        call.with_body(call.body | {"customer": names | given}).forward()
    return found


@seeded("enroll-other-name-is-duplicate")
def name_not_compared(call: Call) -> Answer:
    """Who knows an e-mail gets the membership of its owner."""
    found = call.forward()
    kept = call.memory.setdefault("by e-mail", {})
    if email_of(call) and found.is_ok:
        kept[email_of(call)] = found
    is_duplicate = found.is_problem and b"field-duplicate" in found.content
    return kept.get(email_of(call), found) if is_duplicate else found


@seeded("enroll-invalid-format-refused")
def any_birthday(call: Call) -> Answer:
    birthday = call.part("customer").get("birthday")
    if isinstance(birthday, str) and not re.fullmatch(r"\d{4}-\d\d-\d\d", birthday):
        return call.with_customer(birthday="1970-01-01").forward()
    return call.forward()


@seeded("enroll-wrong-type-refused")
def numbers_taken_in_addresses(call: Call) -> Answer:
    address = call.part("customer").get("address")
    if isinstance(address, dict) and any(isinstance(value, int) for value in address.values()):
        return call.with_customer(address={name: str(value) for name, value in address.items()}).forward()
    return call.forward()


@seeded("enroll-too-long-refused")
def too_long_first_name_crashes(call: Call) -> Answer:
    """Only last names are looked at before they reach the database."""
    return crash() if len(str(call.part("customer").get("firstName", ""))) > 255 else call.forward()


@seeded("requests-meet-no-server-error")
def long_cities_crash(call: Call) -> Answer:
    address = call.part("customer").get("address")
    return crash() if isinstance(address, dict) and len(str(address.get("city", ""))) > 100 else call.forward()


@seeded("enroll-repeat-returns-existing")
def membership_ends_with_its_link(call: Call) -> Answer:
    """Whoever was unlinked is enrolled as somebody new."""
    found, known = call.forward(), call.memory.setdefault("identifiers", {})
    ended = call.memory.setdefault("ended", set())
    if call.is_for(LINK) and found.is_ok and call.body.get("isLinked") is False:
        ended.add(call.body["providerMembershipId"])
    if email_of(call) and found.is_ok:
        if known.get(email_of(call)) in ended:
            return call.with_customer(email=f"{uuid.uuid4()}.{email_of(call)}").forward()
        known[email_of(call)] = found.body["membership"]["providerMembershipId"]
    return found
