"""The flows chained as staff chain them on their screens, where each step takes what the last one answered."""

from certify.play import Play, entry, ids
from certify.requirements import Flow
from certify.scenario import scenario
from certify.scenarios.search import known_of

FLOWS = (Flow.SEARCH, Flow.ENROLL, Flow.LIST, Flow.LINK)


@scenario(Flow.CHAINED, "staff-create-and-enroll", needs=FLOWS)
def create_customer_and_enroll(play: Play) -> None:
    """Create a customer whom nobody matches, enroll them, refresh, link, and find them as the same member."""
    name, guest, customer = "staff-create-and-enroll", play.guests.guest(), play.customer()
    email = {"email": guest["email"]}
    told = "A customer who was never enrolled is found as a member."
    before = play.search(email)
    play.check(name, not ids(before), told, before)
    enrolled = play.enroll(guest)
    refreshed = play.refresh([enrolled.id])
    linked = play.link(enrolled.id, True, customer)
    found = play.search(email)
    for answer, step in ((refreshed, "refreshed"), (linked, "linked"), (found, "found again")):
        told = f"The membership that was just made is not the same when it is {step}."
        play.check(name, enrolled.is_now(entry(answer, enrolled.id)), told, enrolled.answer, answer)
    again = play.enroll(guest)
    told = "Enrolled once more, after the link, the customer has another membership."
    play.check(name, again.id == enrolled.id, told, enrolled.answer, again.answer)


@scenario(Flow.CHAINED, "staff-look-up-and-link", needs=FLOWS)
def look_up_and_link(play: Play) -> None:
    """Look up a member by all that is known, link the first match, refresh it, and look it up again."""
    name, enrolled = "staff-look-up-and-link", play.enroll()
    known = {
        field: value
        for field, value in known_of(enrolled.guest).items()
        if field in play.spec.schema_of(Flow.SEARCH, "memberFilter").get("properties", {})
    }
    looked_up = play.search(known)
    told = "The member is not the first that a search by all that is known shows."
    if not play.check(name, ids(looked_up)[:1] == [enrolled.id], told, enrolled.answer, looked_up):
        return
    chosen = ids(looked_up)[0]
    linked = play.link(chosen, True, play.customer())
    for answer, step in (
        (linked, "linked"),
        (play.refresh([chosen]), "refreshed"),
        (play.search(known), "looked up again"),
    ):
        told = f"The membership that was chosen is not the same when it is {step}."
        play.check(name, entry(answer, chosen) == entry(looked_up, chosen), told, looked_up, answer)


@scenario(Flow.CHAINED, "staff-unlink-and-link-anew", "enroll-repeat-returns-existing", needs=FLOWS)
def unlink_and_link_anew(play: Play) -> None:
    """Unlink a membership, refresh it, look it up, link it to another customer, and enroll its guest again."""
    name, enrolled, customer = "staff-unlink-and-link-anew", play.enroll(), play.customer()
    play.link(enrolled.id, True, customer)
    steps = (
        (Flow.LINK, play.link_body(enrolled.id, False, customer), "unlinked"),
        (Flow.LIST, play.body(Flow.LIST, [enrolled.id]), "refreshed"),
        (Flow.SEARCH, play.body(Flow.SEARCH, {"email": enrolled.guest["email"]}), "looked up"),
        (Flow.LINK, play.link_body(enrolled.id, True, play.customer()), "linked to another customer"),
        (Flow.LIST, play.body(Flow.LIST, [enrolled.id]), "refreshed again"),
    )
    for flow, body, step in steps:
        answer = play.call(flow, body)
        told = f"The membership is not the same when it is {step}, which is answered with {answer.status}."
        same = answer.is_success and enrolled.is_now(entry(answer, enrolled.id))
        play.check(name, same, told, enrolled.answer, answer)
    again = play.enroll(enrolled.guest)
    told = "Enrolled once more, after an unlink, the customer has another membership."
    play.check("enroll-repeat-returns-existing", again.id == enrolled.id, told, enrolled.answer, again.answer)
