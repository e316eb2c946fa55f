"""Faults of linking and unlinking."""

from tests.certify.faults.seeding import crash, is_repeat, seeded, spoil, success
from tests.certify.front import Answer, Call, answer, problem
from tests.support import ENROLL, LINK, LIST


def linked(call: Call) -> bool | None:
    """What a link asks for: True to link, False to unlink, None if this is no link."""
    return call.body.get("isLinked") if call.is_for(LINK) else None


def unlinked_before(call: Call) -> set:
    """The identifiers of the memberships that were unlinked up to this call, and with it."""
    unlinked = call.memory.setdefault("unlinked", set())
    if linked(call) is False:
        unlinked.add(call.body.get("providerMembershipId"))
    return unlinked


def refused(title: str) -> Answer:
    return problem(422, "core/unprocessable-entity", title)


@seeded("link-answers-200")
def no_content(call: Call) -> Answer:
    return spoil(LINK, call, lambda _: answer(204))


@seeded("link-answer-follows-spec")
def link_in_the_answer(call: Call) -> Answer:
    return spoil(LINK, call, lambda found: found.with_body(found.body | {"isLinked": linked(call)}))


@seeded("link-links-membership")
def answer_of_another_membership(call: Call) -> Answer:
    """The membership that this server saw first, whichever is linked."""
    found = call.forward()
    if call.is_for(ENROLL) and found.is_ok:
        call.memory.setdefault("first", found)
    return call.memory.get("first", found) if linked(call) and found.is_ok else found


@seeded("link-links-membership")
def enrolled_cannot_be_linked(call: Call) -> Answer:
    return refused("Not confirmed yet") if linked(call) and call.forward().is_ok else call.forward()


@seeded("link-repeat-changes-nothing")
def already_linked(call: Call) -> Answer:
    is_again = is_repeat(call, LINK)
    found = call.forward()
    return refused("Already linked") if linked(call) and found.is_ok and is_again else found


@seeded("unlink-removes-link")
def unlink_not_offered(call: Call) -> Answer:
    return refused("Not offered") if linked(call) is False and call.forward().is_ok else call.forward()


@seeded("unlink-keeps-membership")
def unlink_deletes(call: Call) -> Answer:
    """The membership goes with its link."""
    deleted = unlinked_before(call)

    def change(one: dict) -> dict:
        identifier = one["providerMembershipId"]
        return {"providerMembershipId": identifier, "status": "notFound"} if identifier in deleted else one

    return spoil(LIST, call, lambda found: found.with_memberships(change))


@seeded("unlink-keeps-membership")
def unlink_cancels(call: Call) -> Answer:
    canceled = unlinked_before(call)

    def change(one: dict) -> dict:
        return one | ({"status": "canceled"} if one["providerMembershipId"] in canceled else {})

    return spoil(LIST, call, lambda found: found.with_memberships(change))


@seeded("unlink-keeps-membership")
def unlink_takes_the_points(call: Call) -> Answer:
    emptied = unlinked_before(call)

    def change(one: dict) -> dict:
        return one | ({"points": -1} if one["providerMembershipId"] in emptied else {})

    return spoil(LIST, call, lambda found: found.with_memberships(change))


@seeded("unlink-repeat-changes-nothing")
def nothing_to_unlink(call: Call) -> Answer:
    """The link to remove is not there: 404."""
    links = call.memory.setdefault("links", set())
    found = call.forward()
    if linked(call) is None or not found.is_ok:
        return found
    link = (call.body["providerMembershipId"], call.body.get("mewsCustomerId"))
    if linked(call):
        links.add(link)
    elif link not in links:
        return problem(404, "core/not-found", "Not found")
    else:
        links.remove(link)
    return found


@seeded("link-after-unlink-works")
def linked_once_for_good(call: Call) -> Answer:
    """Ended links are kept, and the constraint does not know that they ended."""
    if linked(call) and call.body.get("providerMembershipId") in unlinked_before(call):
        return refused("Linked before")
    unlinked_before(call)
    return call.forward()


@seeded("staff-unlink-and-link-anew")
def one_customer_for_good(call: Call) -> Answer:
    """A membership belongs to the customer that it was first linked to."""
    owners = call.memory.setdefault("owners", {})
    if not linked(call):
        return call.forward()
    owner = owners.setdefault(call.body.get("providerMembershipId"), call.body.get("mewsCustomerId"))
    return call.forward() if owner == call.body.get("mewsCustomerId") else refused("Linked to another customer")


@seeded("link-unknown-is-404")
def unknown_link_crashes(call: Call) -> Answer:
    found = call.forward()
    return crash() if linked(call) and found.status == 404 else found


@seeded("link-unknown-is-404")
def unknown_link_succeeds(call: Call) -> Answer:
    found = call.forward()
    if linked(call) and found.status == 404:
        return success(
            {"membership": {"providerMembershipId": call.body["providerMembershipId"], "status": "notFound"}}
        )
    return found


@seeded("unlink-unknown-is-404")
def unknown_unlink_succeeds(call: Call) -> Answer:
    """What is not there is as good as unlinked."""
    found = call.forward()
    if linked(call) is False and found.status == 404:
        return success(
            {"membership": {"providerMembershipId": call.body["providerMembershipId"], "status": "notFound"}}
        )
    return found


@seeded("link-missing-field-refused")
def link_unless_told(call: Call) -> Answer:
    if call.is_for(LINK) and call.body.get("providerMembershipId") and "isLinked" not in call.body:
        return call.with_body(call.body | {"isLinked": True}).forward()
    return call.forward()


@seeded("link-wrong-type-refused")
def text_taken_for_a_truth(call: Call) -> Answer:
    if isinstance(linked(call), str | int) and not isinstance(linked(call), bool):
        return call.with_body(call.body | {"isLinked": True}).forward()
    return call.forward()
