"""Faults of listing and refreshing memberships."""

import time

from tests.certify.faults.seeding import crash, is_repeat, lock, seeded, spoil, spoil_list, success
from tests.certify.front import Answer, Call, problem
from tests.support import LIST, PROBLEM

SLOW_SECONDS = 5.3  # staff wait for five


@seeded("list-answers-200")
def multi_status(call: Call) -> Answer:
    return spoil(LIST, call, lambda found: found.with_status(207))


@seeded("list-answer-follows-spec")
def memberships_by_identifier(call: Call) -> Answer:
    """An object in place of the list."""
    return spoil(
        LIST,
        call,
        lambda found: found.with_body({one["providerMembershipId"]: one for one in found.body["memberships"]}),
    )


@seeded("list-returns-membership")
def points_of_yesterday(call: Call) -> Answer:
    """Another table than the one that an enrollment answers from."""
    return spoil_list(call, lambda every: [one | ({"points": 10} if "points" in one else {}) for one in every])


@seeded("list-returns-membership")
def another_number(call: Call) -> Answer:
    return spoil_list(
        call,
        lambda every: [one | ({"membershipNumber": "0815"} if "membershipNumber" in one else {}) for one in every],
    )


@seeded("list-unknown-is-not-found")
def unknown_left_out(call: Call) -> Answer:
    return spoil_list(call, lambda every: [one for one in every if one["status"] != "notFound"])


@seeded("list-unknown-is-not-found")
def unknown_is_404(call: Call) -> Answer:
    found = call.forward()
    return problem(404, "core/not-found", "Not found") if call.is_for(LIST) and b"notFound" in found.content else found


@seeded("list-unknown-is-not-found")
def nobody_known_is_404(call: Call) -> Answer:
    found = call.forward()
    if call.is_for(LIST) and found.is_ok and {one["status"] for one in found.body["memberships"]} == {"notFound"}:
        return problem(404, "core/not-found", "Not found")
    return found


@seeded("list-has-no-other")
def stranger_beside(call: Call) -> Answer:
    stranger = {"providerMembershipId": "a-stranger", "status": "pending"}
    return spoil_list(call, lambda every: [*every, stranger])


@seeded("list-takes-as-many-as-the-spec-allows")
def full_list_forgets(call: Call) -> Answer:
    def change(every: list[dict]) -> list[dict]:
        if len(every) <= 50:
            return every
        return [{"providerMembershipId": one["providerMembershipId"], "status": "notFound"} for one in every]

    return spoil_list(call, change)


@seeded("list-takes-as-many-as-the-spec-allows")
def full_list_has_one_twice(call: Call) -> Answer:
    return spoil_list(call, lambda every: [*every, every[0]] if len(every) > 50 else every)


@seeded("list-unknown-is-not-found")
def unknown_is_declined(call: Call) -> Answer:
    return spoil_list(
        call,
        lambda every: [
            one | ({"status": "declined", "membershipNumber": ""} if one["status"] == "notFound" else {})
            for one in every
        ],
    )


@seeded("membership-stub-has-two-fields")
def unknown_with_points(call: Call) -> Answer:
    return spoil_list(call, lambda every: [one | ({} if "points" in one else {"points": 0}) for one in every])


@seeded("list-takes-as-many-as-the-spec-allows")
def fifty_at_most(call: Call) -> Answer:
    if len(call.identifiers) > 50:
        error = {"type": f"{PROBLEM}core/field-too-long", "pointer": "#/providerMembershipIds"}
        return problem(400, "core/bad-request", "Bad request", error)
    return call.forward()


@seeded("list-takes-as-many-as-the-spec-allows")
def first_page_only(call: Call) -> Answer:
    return spoil_list(call, lambda every: every[:50])


@seeded("list-refuses-one-more")
def any_number_taken(call: Call) -> Answer:
    if len(call.identifiers) > 100:
        return call.with_body(call.body | {"providerMembershipIds": call.identifiers[:100]}).forward()
    return call.forward()


@seeded("list-refuses-none")
def none_taken(call: Call) -> Answer:
    if call.is_for(LIST) and call.body.get("providerMembershipIds") == []:
        return success({"memberships": []})
    return call.forward()


@seeded("list-order-is-as-asked")
def order_of_the_database(call: Call) -> Answer:
    return spoil_list(call, lambda every: sorted(every, key=lambda one: one["providerMembershipId"]))


@seeded("list-repeated-id-is-one-entry")
def entry_for_each_repeat(call: Call) -> Answer:
    def change(every: list[dict]) -> list[dict]:
        by_identifier = {one["providerMembershipId"]: one for one in every}
        return [by_identifier[identifier] for identifier in call.identifiers]

    return spoil_list(call, change)


@seeded("list-repeat-is-byte-for-byte")
def fields_in_another_order(call: Call) -> Answer:
    """A map that knows no order."""
    if is_repeat(call, LIST):
        return spoil_list(call, lambda every: [dict(reversed(one.items())) for one in every])
    return call.forward()


@seeded("list-missing-field-refused")
def no_list_is_an_empty_one(call: Call) -> Answer:
    if call.is_for(LIST) and "mewsEnterpriseId" in call.body and "providerMembershipIds" not in call.body:
        return success({"memberships": []})
    return call.forward()


@seeded("list-wrong-type-refused")
def numbers_taken_for_identifiers(call: Call) -> Answer:
    texts = [str(one) if isinstance(one, int) else one for one in call.identifiers]
    return call.with_body(call.body | {"providerMembershipIds": texts}).forward() if texts else call.forward()


@seeded("list-unknown-field-refused")
def unknown_fields_ignored(call: Call) -> Answer:
    known = ("mewsEnterpriseId", "providerEnterpriseId", "providerMembershipIds")
    if call.is_for(LIST) and call.identifiers:
        return call.with_body({name: value for name, value in call.body.items() if name in known}).forward()
    return call.forward()


@seeded("list-serves-the-nightly-burst")
def few_lists_at_once(call: Call) -> Answer:
    """A pool of connections that raises as soon as it is empty."""
    if not call.is_for(LIST):
        return call.forward()
    with lock:
        running = call.memory["running"] = call.memory.get("running", 0) + 1
    try:
        time.sleep(0.02)
        return crash() if running > 2 else call.forward()
    finally:
        with lock:
            call.memory["running"] -= 1


@seeded("requests-are-answered-in-time")
def slow_with_many(call: Call) -> Answer:
    """A query for each identifier; the next time all are in a cache."""
    with lock:
        is_slow = len(call.identifiers) == 100 and not call.memory.get("cached")
        call.memory["cached"] = call.memory.get("cached") or is_slow
    time.sleep(SLOW_SECONDS if is_slow else 0)
    return call.forward()
