"""Member search: Mews looks for members that match a customer."""

import unicodedata

from certify import problems
from certify.client import Answer
from certify.guests import ACCENTED
from certify.observers import members
from certify.play import Enrolled, Play, ids
from certify.requirements import Flow
from certify.scenario import (
    Wrong,
    expect_missing_fields_refused,
    expect_refusal,
    expect_wrong_fields_refused,
    scenario,
)

MOST_IN_A_DIALOG = 50
NAMESAKES = MOST_IN_A_DIALOG + 1
# The filter that each requirement is about, by its fields.
FILTERS = {
    "search-finds-by-email": ("email",),
    "search-finds-by-name": ("firstName", "lastName"),
    "search-finds-by-location": ("lastName", "city", "countryCode"),
    "search-finds-by-all-that-is-known": (
        "email",
        "firstName",
        "lastName",
        "phoneNumber",
        "city",
        "postalCode",
        "countryCode",
    ),
}


def known_of(guest: dict) -> dict:
    """Return what a filter can have of a guest."""
    return {name: value for name, value in guest.items() if name != "address"} | guest["address"]


@scenario(Flow.SEARCH, *FILTERS, needs=(Flow.ENROLL,))
def search_by_what_is_known(play: Play) -> None:
    """Look for a member by each accepted combination of what Mews knows of a customer."""
    enrolled = play.enroll()
    for requirement, names in FILTERS.items():
        _find(play, requirement, enrolled, {name: known_of(enrolled.guest)[name] for name in names})


@scenario(
    Flow.SEARCH,
    "search-finds-by-membership-number",
    "search-finds-by-provider-membership-id",
    needs=(Flow.ENROLL,),
)
def search_by_identifiers(play: Play) -> None:
    """Look for a member by the number on the card, and by the provider's identifier."""
    enrolled = play.enroll()
    for requirement, name in (
        ("search-finds-by-provider-membership-id", "providerMembershipId"),
        ("search-finds-by-membership-number", "membershipNumber"),
    ):
        if name not in enrolled.membership:
            play.judge.skip(requirement, "The membership is pending, and has no number yet.")
            continue
        _find(play, requirement, enrolled, {name: enrolled.membership[name]})


def _find(play: Play, requirement: str, enrolled: Enrolled, member_filter: dict) -> None:
    answer = play.call(Flow.SEARCH, play.body(Flow.SEARCH, member_filter))
    by = ", ".join(member_filter)
    told = f"A search by {by} is answered with {answer.status}, and not with the member."
    found = answer.is_success and enrolled.id in ids(answer)
    play.check(requirement, found, told, enrolled.answer, answer)


@scenario(Flow.SEARCH, "search-shows-the-person", "search-finds-without-accents", needs=(Flow.ENROLL,))
def search_with_accents(play: Play) -> None:
    """Look for a member whose name has accents, as it is written and as staff type it."""
    last_name = f"{ACCENTED['lastName']} {play.guests.unheard_of()}"
    enrolled = play.enroll(play.guests.guest(firstName=ACCENTED["firstName"], lastName=last_name))
    answer = play.search({"email": enrolled.guest["email"]})
    found = [member for member in members(answer.body) if _has(member, enrolled)]
    for name in ("firstName", "lastName", "email"):
        same = bool(found) and found[0].get(name) == enrolled.guest[name]
        play.check("search-shows-the-person", same, f"The member's {name} is not as it was enrolled.", answer)
    _shows_details(play, enrolled.guest, found, answer)
    decomposed = {name: unicodedata.normalize("NFD", enrolled.guest[name]) for name in ("firstName", "lastName")}
    bare = {
        "firstName": "Zoe-Marie",
        "lastName": last_name.replace("’", "'").replace("Ł", "L").replace("ř", "r").replace("á", "a"),
    }
    for member_filter, written in ((decomposed, "in decomposed form"), (bare, "without its accents")):
        answer = play.search(member_filter)
        told = f"The member is not in the answer to a search by the name {written}."
        play.check("search-finds-without-accents", enrolled.id in ids(answer), told, answer)


def _shows_details(play: Play, guest: dict, found: list[dict], answer: Answer) -> None:
    """Judge what staff tell namesakes apart by: the city, and the birthday where the server tells it."""
    for member in found[:1]:
        address = member.get("address")
        city = address.get("city") if isinstance(address, dict) else None
        told = "The member's city is not as it was enrolled."
        play.check("search-shows-the-person", city == guest["address"]["city"], told, answer)
        told = "The member's birthday is not as it was enrolled."
        same = member.get("birthday", guest["birthday"]) == guest["birthday"]
        play.check("search-shows-the-person", same, told, answer)


def _has(member: dict, enrolled: Enrolled) -> bool:
    return any(
        isinstance(value, dict) and value.get("providerMembershipId") == enrolled.id for value in member.values()
    )


@scenario(Flow.SEARCH, "search-without-match-is-empty")
def search_without_match(play: Play) -> None:
    """Look for someone whom nobody knows."""
    nobody = play.guests.guest(firstName=play.guests.unheard_of())
    name = {"firstName": nobody["firstName"], "lastName": nobody["lastName"]}
    with_emoji = {"firstName": "😀", "lastName": f"{name['lastName']} 🏨"}  # beyond the plane of all alphabets
    number, identifier = {"membershipNumber": play.unknown_id()}, {"providerMembershipId": play.unknown_id()}
    for member_filter in ({"email": nobody["email"]}, name, with_emoji, number, identifier):
        answer = play.call(Flow.SEARCH, play.body(Flow.SEARCH, member_filter))
        told = f"A search that nobody matches is answered with {answer.status}, and not with 200."
        if play.check("search-without-match-is-empty", answer.is_success, told, answer):
            told = "A search that nobody matches is answered with members."
            play.check("search-without-match-is-empty", not ids(answer), told, answer)


@scenario(Flow.SEARCH, "search-fits-a-dialog", "search-repeat-is-the-same", needs=(Flow.ENROLL,))
def search_among_namesakes(play: Play) -> None:
    """Look for one of many members of the same name, as staff see them in a dialog."""
    name = {"firstName": "Maria", "lastName": play.guests.unheard_of()}
    enrolled = [play.enroll(play.guests.guest(**name)) for _ in range(NAMESAKES)]
    answer = play.search(name)
    found = ids(answer)
    told = f"{NAMESAKES} members have this name, and the answer has {len(found)}, of whom {len(set(found))} differ."
    fits = len(found) == len(set(found)) <= MOST_IN_A_DIALOG and not {one.id for one in enrolled}.isdisjoint(found)
    play.check("search-fits-a-dialog", fits, told, answer)
    again = play.search(name)
    told = "The same search, asked again, is answered with other members or in another order."
    play.check("search-repeat-is-the-same", ids(again) == found, told, answer, again)
    wanted = enrolled[-1]
    answer = play.search(name | {"email": wanted.guest["email"]})
    told = "The member whose e-mail address was given is not the first."
    play.check("search-fits-a-dialog", ids(answer)[:1] == [wanted.id], told, answer)


@scenario(Flow.SEARCH, "search-without-combination-refused", "search-without-combination-names-criteria")
def search_without_combination(play: Play) -> None:
    """Search by fields that are not enough."""
    for member_filter in ({}, {"city": "Prague"}, {"firstName": "Ada", "countryCode": "CZ"}):
        body = play.body(Flow.SEARCH, member_filter)
        if play.spec.takes(Flow.SEARCH, body):
            continue
        answer = play.call(Flow.SEARCH, body)
        given = ", ".join(member_filter) or "nothing"
        told = f"A filter with {given} is answered with {answer.status}, and with neither 400 nor 422."
        if not play.check("search-without-combination-refused", answer.status in (400, 422), told, answer):
            continue
        kind = problems.name(answer.body.get("type")) if isinstance(answer.body, dict) else ""
        pointed = [pointer.startswith("/memberFilter") for pointer in problems.pointers(answer.body)]
        told = f"A filter with {given} is refused with {answer.status}, and not as 400 with fields of the filter."
        named = (answer.status, kind) == (400, "loyalty/invalid-member-search-criteria") and pointed and all(pointed)
        play.check("search-without-combination-names-criteria", bool(named), told, answer)


@scenario(
    Flow.SEARCH,
    "search-missing-field-refused",
    "search-wrong-type-refused",
    "search-too-long-refused",
    "search-invalid-format-refused",
    "search-invalid-email-refused",
    "search-unknown-field-refused",
)
def search_with_wrong_fields(play: Play) -> None:
    """Search with fields that are missing, of the wrong type or form, too long, or unknown."""
    name = {"firstName": "Ada", "lastName": "Lovelace"}
    body = play.body(Flow.SEARCH, name)
    expect_missing_fields_refused(play, Flow.SEARCH, body)
    expect_wrong_fields_refused(play, Flow.SEARCH, body)
    no_address = (problems.EMAIL_INVALID, problems.INVALID_FORMAT)
    for requirement, what, field, value, kinds in (
        ("search-invalid-email-refused", "A text that is no e-mail address", "email", "no address", no_address),
        ("search-unknown-field-refused", "An unknown field", "shoeSize", "42", (problems.NOT_ALLOWED_VALUE,)),
    ):
        spoilt = play.body(Flow.SEARCH, name | {field: value})
        expect_refusal(play, Flow.SEARCH, Wrong(requirement, what, spoilt, f"/memberFilter/{field}", kinds))
