"""Faults of member search."""

import datetime

from tests.certify.faults.seeding import (
    is_repeat,
    keep_members,
    nobody,
    seeded,
    spoil,
    spoil_members,
    success,
    without,
)
from tests.certify.front import Answer, Call, problem
from tests.support import ENROLL, LINK, PROBLEM, SEARCH

FIELDS = ("email", "membershipNumber", "providerMembershipId", "firstName", "lastName", "phoneNumber")
FIELDS += ("city", "postalCode", "countryCode")


def asked(call: Call) -> dict:
    return call.part("memberFilter") if call.is_for(SEARCH) else {}


@seeded("search-answers-200")
def partial_content(call: Call) -> Answer:
    """A page of results, told as a part."""
    return spoil(SEARCH, call, lambda found: found.with_status(206))


@seeded("search-answer-follows-spec")
def bare_array(call: Call) -> Answer:
    return spoil(SEARCH, call, lambda found: found.with_body(found.body["members"]))


@seeded("search-answer-follows-spec")
def byte_order_mark(call: Call) -> Answer:
    """RFC 8259, section 8.1, forbids it."""
    return spoil(SEARCH, call, lambda found: found.with_content(b"\xef\xbb\xbf" + found.content))


@seeded("search-answer-follows-spec")
def paging_beside_the_members(call: Call) -> Answer:
    return spoil(SEARCH, call, lambda found: found.with_body(found.body | {"total": len(found.body["members"])}))


@seeded("search-answer-follows-spec")
def person_in_an_object(call: Call) -> Answer:
    return spoil_members(
        call, lambda member: {"customer": without(member, "membership"), "membership": member["membership"]}
    )


@seeded("search-answer-follows-spec")
def length_counts_letters(call: Call) -> Answer:
    """A Content-Length of letters, where UTF-8 has more bytes: the end is missing."""
    return spoil(SEARCH, call, lambda found: found.with_content(found.content[: len(found.content.decode())]))


@seeded("search-finds-by-email")
def found_tomorrow(call: Call) -> Answer:
    """An index that is renewed at night."""
    return nobody(call)


@seeded("search-finds-by-email")
def email_not_enough(call: Call) -> Answer:
    return nobody(call, unless=set(asked(call)) != {"email"})


@seeded("search-finds-by-membership-number")
def number_not_searched(call: Call) -> Answer:
    return nobody(call, unless="membershipNumber" not in asked(call))


@seeded("search-finds-by-provider-membership-id")
def identifier_not_searched(call: Call) -> Answer:
    return nobody(call, unless="providerMembershipId" not in asked(call))


@seeded("search-finds-by-name")
def name_not_enough(call: Call) -> Answer:
    return nobody(call, unless=set(asked(call)) != {"firstName", "lastName"})


@seeded("search-finds-by-location")
def location_refused(call: Call) -> Answer:
    if set(asked(call)) == {"lastName", "city", "countryCode"}:
        return problem(400, "loyalty/invalid-member-search-criteria", "Invalid member search criteria")
    return call.forward()


@seeded("search-finds-by-all-that-is-known")
def postal_code_must_be_known(call: Call) -> Answer:
    """Each field becomes a condition, also those that no column answers to."""
    return nobody(call, unless=len(asked(call)) < 5)


@seeded("search-shows-the-person")
def accents_mangled(call: Call) -> Answer:
    """UTF-8 that was read as Latin-1 and written as UTF-8 again."""
    return spoil(SEARCH, call, lambda found: found.with_content(found.content.decode("latin-1").encode()))


@seeded("search-shows-the-person")
def accents_lost(call: Call) -> Answer:
    def plain(member: dict) -> dict:
        return member | {"lastName": member["lastName"].encode("ascii", "replace").decode()}

    return spoil_members(call, plain)


@seeded("search-shows-the-person")
def names_in_capitals(call: Call) -> Answer:
    return spoil_members(call, lambda member: member | {"lastName": member["lastName"].upper()})


@seeded("search-shows-the-person")
def names_swapped(call: Call) -> Answer:
    return spoil_members(
        call, lambda member: member | {"firstName": member["lastName"], "lastName": member.get("firstName", "")}
    )


@seeded("search-finds-without-accents")
def accents_must_agree(call: Call) -> Answer:
    """Whoever types Zoe does not find Zoë."""
    wanted = asked(call).get("lastName")
    return keep_members(call, lambda members: [one for one in members if wanted is None or one["lastName"] == wanted])


@seeded("search-without-match-is-empty")
def nobody_is_404(call: Call) -> Answer:
    return spoil(
        SEARCH, call, lambda found: found if found.body["members"] else problem(404, "core/not-found", "Not found")
    )


@seeded("search-answer-follows-spec")
def nobody_is_null(call: Call) -> Answer:
    return spoil(SEARCH, call, lambda found: found if found.body["members"] else found.with_body({"members": None}))


@seeded("search-without-match-is-empty")
def nearest_for_nobody(call: Call) -> Answer:
    """A search by likeness that always has somebody: a guest of another hotel, who has nothing in common."""
    return keep_members(call, lambda members: members or [somebody()])


def somebody() -> dict:
    membership = {"providerMembershipId": "7", "membershipNumber": "7", "points": 5000, "status": "enrolled"}
    return {"firstName": "Jan", "lastName": "Jansen", "email": "jan@example.com", "membership": membership}


@seeded("search-fits-a-dialog")
def everybody_twice(call: Call) -> Answer:
    """A join that has a row for each address."""
    return keep_members(call, lambda members: [one for one in members for _ in range(2)])


@seeded("search-fits-a-dialog")
def the_likeliest_last(call: Call) -> Answer:
    return keep_members(call, lambda members: members[::-1])


@seeded("search-repeat-is-the-same")
def namesakes_in_any_order(call: Call) -> Answer:
    """A query that sorts by nothing, and has the rows as they come."""
    return keep_members(call, lambda members: members[::-1]) if is_repeat(call, SEARCH) else call.forward()


@seeded("search-without-combination-refused")
def any_filter_taken(call: Call) -> Answer:
    found = call.forward()
    return success({"members": []}) if is_criteria(found) else found


def is_criteria(found: Answer) -> bool:
    return found.is_problem and found.body["type"].endswith("invalid-member-search-criteria")


@seeded("search-without-combination-names-criteria")
def criteria_by_the_common_type(call: Call) -> Answer:
    found = call.forward()
    return found.with_body(found.body | {"type": f"{PROBLEM}core/bad-request"}) if is_criteria(found) else found


@seeded("search-missing-field-refused")
def hotel_not_required(call: Call) -> Answer:
    if call.is_for(SEARCH) and asked(call) and "mewsEnterpriseId" not in call.body:
        return success({"members": []})
    return call.forward()


@seeded("search-wrong-type-refused")
def numbers_taken_for_texts(call: Call) -> Answer:
    texts = {name: str(value) for name, value in asked(call).items() if isinstance(value, int | float)}
    return call.with_body(call.body | {"memberFilter": asked(call) | texts}).forward() if texts else call.forward()


@seeded("search-too-long-refused")
def long_texts_cut(call: Call) -> Answer:
    cut = {name: value[:255] for name, value in asked(call).items() if isinstance(value, str)}
    return call.with_body(call.body | {"memberFilter": asked(call) | cut}).forward() if cut else call.forward()


@seeded("search-invalid-email-refused")
def any_text_for_an_email_searched(call: Call) -> Answer:
    email = asked(call).get("email", "@")
    return success({"members": []}) if isinstance(email, str) and "@" not in email else call.forward()


@seeded("search-unknown-field-refused")
def unknown_fields_searched(call: Call) -> Answer:
    """Who asks by a field that is none gets the answer to another question."""
    if not asked(call):
        return call.forward()
    kept = {name: value for name, value in call.body.items() if name in ("mewsEnterpriseId", "providerEnterpriseId")}
    known = {name: value for name, value in asked(call).items() if name in FIELDS}
    return call.with_body(kept | {"memberFilter": known}).forward()


@seeded("staff-look-up-and-link")
def linked_not_found_again(call: Call) -> Answer:
    """A search for those who can still be linked."""
    linked = call.memory.setdefault("linked", set())
    if call.is_for(LINK) and call.body.get("isLinked") is True:
        linked.add(call.body.get("providerMembershipId"))
    return keep_members(
        call, lambda members: [one for one in members if one["membership"]["providerMembershipId"] not in linked]
    )


@seeded("search-shows-the-person")
def email_hidden(call: Call) -> Answer:
    """A privacy filter made for another channel."""
    return spoil_members(call, lambda member: member | {"email": "***"} if "email" in member else member)


@seeded("search-shows-the-person")
def birthday_a_day_early(call: Call) -> Answer:
    """Midnight of the hotel, told in UTC."""

    def change(member: dict) -> dict:
        if "birthday" not in member:
            return member
        birthday = datetime.date.fromisoformat(member["birthday"]) - datetime.timedelta(days=1)
        return member | {"birthday": birthday.isoformat()}

    return spoil_members(call, change)


@seeded("search-shows-the-person")
def address_lost(call: Call) -> Answer:
    """The address, by which staff tell namesakes apart."""
    return spoil_members(call, lambda member: without(member, "address"))


@seeded("search-without-match-is-empty")
def unknown_number_is_404(call: Call) -> Answer:
    """A number names a resource, and that is not there."""
    found = call.forward()
    is_nobody = "membershipNumber" in asked(call) and found.is_ok and not found.body["members"]
    return problem(404, "core/not-found", "Not found") if is_nobody else found


@seeded("search-fits-a-dialog")
def every_namesake_at_once(call: Call) -> Answer:
    """A search without a limit."""
    found, known = call.forward(), call.memory.setdefault("members", [])
    if call.is_for(ENROLL) and found.is_ok:
        known.append({**call.part("customer"), "membership": found.body["membership"]})
    if set(asked(call)) != {"firstName", "lastName"}:
        return found
    namesakes = [one for one in known if all(one.get(name) == value for name, value in asked(call).items())]
    return keep_members(call, lambda members: namesakes or members)
