"""Faults of a server with several programs, where one shows through in another."""

import uuid

from certify import problems
from tests.certify.faults.seeding import email_of, lock, seeded
from tests.certify.front import Answer, Call, problem
from tests.support import ENROLL, LINK, LIST, PROBLEM, SEARCH


def hotels(call: Call) -> tuple[str, str]:
    """Return the hotel that the front met first, and the newest of the others; each is empty if there was none."""
    hotel = str(call.body.get("mewsEnterpriseId", ""))
    try:
        uuid.UUID(hotel)
    except ValueError:
        hotel = ""
    with lock:
        if hotel:
            first = call.memory.setdefault("first hotel", hotel)
            call.memory["other hotel"] = call.memory.get("other hotel", "") if hotel == first else hotel
        return call.memory.get("first hotel", ""), call.memory.get("other hotel", "")


def for_hotel(call: Call, hotel: str) -> Answer:
    return call.with_body(call.body | {"mewsEnterpriseId": hotel}).forward() if hotel else call.forward()


def for_first_hotel(call: Call) -> Answer:
    """Answer as if the first hotel had asked, where another one has."""
    first, _ = hotels(call)
    is_other = first and call.body.get("mewsEnterpriseId") not in (None, first)
    return for_hotel(call, first) if is_other else call.forward()


def looks_for(call: Call, name: str) -> bool:
    """Tell whether a search names a member by this field, and by no address or identifier beside it."""
    others = {"email", "providerMembershipId", "membershipNumber"} - {name}
    return call.is_for(SEARCH) and name in call.part("memberFilter") and not others & call.part("memberFilter").keys()


@seeded("search-keeps-programs-apart")
def hotel_ignored(call: Call) -> Answer:
    """One token, so one program: whatever the hotel is, the first one's members are shown."""
    return for_first_hotel(call)


@seeded("search-keeps-programs-apart")
def names_of_all_programs(call: Call) -> Answer:
    """The index of names is one for all, beside addresses and identifiers that are each program's own."""
    return for_first_hotel(call) if looks_for(call, "lastName") else call.forward()


@seeded("search-keeps-programs-apart")
def cards_of_all_programs(call: Call) -> Answer:
    return for_first_hotel(call) if looks_for(call, "membershipNumber") else call.forward()


@seeded("search-keeps-programs-apart")
def identifiers_of_all_programs(call: Call) -> Answer:
    return for_first_hotel(call) if looks_for(call, "providerMembershipId") else call.forward()


@seeded("search-keeps-programs-apart")
def first_program_sees_all(call: Call) -> Answer:
    """Headquarters look into every house."""
    first, other = hotels(call)
    found = call.forward()
    is_first = call.body.get("mewsEnterpriseId") == first
    nobody = call.is_for(SEARCH) and found.is_ok and not found.body["members"]
    return for_hotel(call, other) if is_first and nobody else found


@seeded("enroll-keeps-programs-apart")
def one_membership_in_all_programs(call: Call) -> Answer:
    """Members are unique by their address alone."""
    return for_first_hotel(call) if call.is_for(ENROLL) else call.forward()


@seeded("enroll-keeps-programs-apart")
def addresses_unique_over_all_programs(call: Call) -> Answer:
    """The program finds nobody, and then the database refuses a second row."""
    if call.is_for(ENROLL) and email_of(call):
        hotels(call)
        hotel = call.body.get("mewsEnterpriseId")
        with lock:
            taken = call.memory.setdefault("addresses", {}).setdefault(email_of(call), hotel)
        if taken != hotel:
            error = {"type": f"{PROBLEM}{problems.DUPLICATE}", "pointer": "#/customer/email"}
            return problem(400, "core/bad-request", "Bad request", error)
    return call.forward()


@seeded("list-keeps-programs-apart")
def list_of_any_program(call: Call) -> Answer:
    return for_first_hotel(call) if call.is_for(LIST) else call.forward()


@seeded("list-keeps-programs-apart")
def first_program_lists_all(call: Call) -> Answer:
    first, other = hotels(call)
    found = call.forward()
    is_first = call.is_for(LIST) and call.body.get("mewsEnterpriseId") == first
    if is_first and found.is_ok and all(one["status"] == "notFound" for one in found.body["memberships"]):
        return for_hotel(call, other)
    return found


@seeded("link-keeps-programs-apart")
def link_in_any_program(call: Call) -> Answer:
    is_link = call.is_for(LINK) and call.body.get("isLinked") is True
    return for_first_hotel(call) if is_link else call.forward()


@seeded("link-keeps-programs-apart")
def unlink_in_any_program(call: Call) -> Answer:
    """Whoever wants less access gets it from anywhere."""
    is_unlink = call.is_for(LINK) and call.body.get("isLinked") is False
    return for_first_hotel(call) if is_unlink else call.forward()
