"""Programs are kept apart: a hotel of one sees and touches nothing of another's, whichever of the two was first."""

from certify import problems
from certify.play import Enrolled, Play, entry, ids
from certify.requirements import Flow
from certify.scenario import named_errors, scenario
from certify.scenarios.search import FILTERS, known_of

UNKNOWN = "No hotel of another program was given (--other-enterprise)."


def strangers(play: Play, requirement: str) -> list[tuple[Enrolled, dict, str]]:
    """Return a member of each of the two programs, with the field that names a hotel of the other one, and words."""
    if not play.options.other_enterprise:
        play.judge.skip(requirement, UNKNOWN)
        return []
    own = {"mewsEnterpriseId": play.options.enterprise}
    other = {"mewsEnterpriseId": play.options.other_enterprise}
    return [
        (play.enroll(), other, "for a hotel of another program"),
        (play.enroll(hotel=other), own, "for the hotel that calls, of another program's member,"),
    ]


@scenario(Flow.SEARCH, "search-keeps-programs-apart", needs=(Flow.ENROLL,))
def search_from_another_program(play: Play) -> None:
    """Look for a member for a hotel of another program, by all that a member can be found by."""
    name = "search-keeps-programs-apart"
    for enrolled, hotel, where in strangers(play, name):
        known = known_of(enrolled.guest) | enrolled.membership
        for fields in (("providerMembershipId",), ("membershipNumber",), *FILTERS.values()):
            if not set(fields) <= known.keys():
                continue  # a pending membership has no number
            member_filter = {field: known[field] for field in fields}
            answer = play.serve(Flow.SEARCH, play.body(Flow.SEARCH, member_filter) | hotel)
            told = f"A search {where} by {', '.join(fields)} finds the member."
            play.check(name, enrolled.id not in ids(answer), told, enrolled.answer, answer)


@scenario(Flow.ENROLL, "enroll-keeps-programs-apart")
def enroll_in_another_program(play: Play) -> None:
    """Enroll a member for a hotel of another program, which knows nothing of them."""
    name = "enroll-keeps-programs-apart"
    for enrolled, hotel, where in strangers(play, name):
        answer = play.call(Flow.ENROLL, play.body(Flow.ENROLL, enrolled.guest) | hotel)
        told = f"An enrollment {where} is answered with the membership that they have there."
        play.check(name, enrolled.id not in ids(answer), told, enrolled.answer, answer)
        told = f"An enrollment {where} is refused as a duplicate."
        is_duplicate = problems.DUPLICATE in {kind for kind, _ in named_errors(answer)}
        play.check(name, not is_duplicate, told, enrolled.answer, answer)


@scenario(Flow.LIST, "list-keeps-programs-apart", needs=(Flow.ENROLL,))
def list_from_another_program(play: Play) -> None:
    """Refresh a membership for a hotel of another program."""
    name = "list-keeps-programs-apart"
    for enrolled, hotel, where in strangers(play, name):
        listed = play.serve(Flow.LIST, play.body(Flow.LIST, [enrolled.id]) | hotel)
        status = (entry(listed, enrolled.id) or {"status": "notFound"}).get("status")
        play.check(name, status == "notFound", f"A list {where} has the membership.", enrolled.answer, listed)


@scenario(Flow.LINK, "link-keeps-programs-apart", needs=(Flow.ENROLL,))
def link_from_another_program(play: Play) -> None:
    """Link and unlink a membership for a hotel of another program."""
    name = "link-keeps-programs-apart"
    for enrolled, hotel, where in strangers(play, name):
        for is_linked, what in ((True, "A link"), (False, "An unlink")):
            body = play.link_body(enrolled.id, is_linked, play.customer())
            answer = play.call(Flow.LINK, body | hotel)
            play.check(name, not answer.is_success, f"{what} {where} is served.", enrolled.answer, answer)
