"""List & refresh: Mews asks for memberships by their identifiers, one at a button or many at night."""

from certify import problems
from certify.play import BrokenOff, Enrolled, Play, entry, ids
from certify.requirements import Flow
from certify.scenario import (
    Wrong,
    expect_missing_fields_refused,
    expect_refusal,
    expect_wrong_fields_refused,
    scenario,
)
from certify.wording import counted

BURST, BURST_AT_ONCE = 24, 6


def filled(play: Play, enrolled: list[Enrolled], count: int) -> list[str]:
    """Return so many identifiers: of those who were enrolled, and unknown ones."""
    return [one.id for one in enrolled] + [play.unknown_id() for _ in range(count - len(enrolled))]


def most_ids(play: Play) -> int:
    """Return how many identifiers the spec allows in one list; 0 where it has no limit."""
    return play.spec.schema_of(Flow.LIST, "providerMembershipIds").get("maxItems", 0)


@scenario(
    Flow.LIST,
    "list-returns-membership",
    "list-unknown-is-not-found",
    "list-has-no-other",
    "list-order-is-as-asked",
    "list-repeated-id-is-one-entry",
    "list-repeat-is-byte-for-byte",
    needs=(Flow.ENROLL,),
)
def list_known_and_unknown(play: Play) -> None:
    """Refresh memberships, with unknown and repeated identifiers among them."""
    first, second, unknown = play.enroll(), play.enroll(), play.unknown_id()
    answer = play.refresh([first.id])
    told = "The membership in the list is not as the enrollment answered with it."
    play.check("list-returns-membership", first.is_now(entry(answer, first.id)), told, first.answer, answer)
    mixed = play.call(Flow.LIST, play.body(Flow.LIST, [second.id, unknown, first.id]))
    told = f"An unknown identifier among others is answered with {mixed.status}."
    if not play.check("list-unknown-is-not-found", mixed.is_success, told, mixed):
        raise BrokenOff(told)
    told = "The list has no entry with the status notFound for an identifier that nobody has."
    found = (entry(mixed, unknown) or {}).get("status")
    play.check("list-unknown-is-not-found", found == "notFound", told, mixed)
    for enrolled in (first, second):
        told = "Beside an unknown identifier the list does not have a known membership as it is."
        same = enrolled.is_now(entry(mixed, enrolled.id))
        play.check("list-returns-membership", same, told, enrolled.answer, mixed)
    asked = [second.id, unknown, first.id]
    told = "The list has an entry for an identifier that was not asked for."
    play.check("list-has-no-other", set(ids(mixed)) <= set(asked), told, mixed)
    alone = play.call(Flow.LIST, play.body(Flow.LIST, [unknown]))
    told = f"A list of one unknown identifier is answered with {alone.status}, and not with the status notFound."
    found = (entry(alone, unknown) or {}).get("status")
    play.check("list-unknown-is-not-found", alone.is_success and found == "notFound", told, alone)
    told = "The entries stand in another order than the identifiers."
    listed = [one for one in dict.fromkeys(ids(mixed)) if one in asked]
    ordered = listed == [one for one in asked if one in listed]
    play.check("list-order-is-as-asked", ordered, told, mixed)
    repeated = play.refresh([first.id, unknown, first.id, unknown])
    told = f"Two identifiers, each asked twice, have {counted(len(ids(repeated)), 'entry', 'entries')}."
    play.check("list-repeated-id-is-one-entry", sorted(ids(repeated)) == sorted([first.id, unknown]), told, repeated)
    again = play.refresh(asked)
    told = "The same list, asked again, is answered with other bytes."
    play.check("list-repeat-is-byte-for-byte", again.content == mixed.content, told, mixed, again)


@scenario(Flow.LIST, "list-takes-as-many-as-the-spec-allows", "list-refuses-one-more", needs=(Flow.ENROLL,))
def list_many(play: Play) -> None:
    """Refresh as many memberships as the spec allows, and one more."""
    most = most_ids(play)
    if not most:
        return
    enrolled = [play.enroll(), play.enroll()]
    asked = filled(play, enrolled, most)
    body = play.body(Flow.LIST, asked)
    answer = play.call(Flow.LIST, body)
    told = f"A list of {most} identifiers is answered with {answer.status}."
    if play.check("list-takes-as-many-as-the-spec-allows", answer.is_success, told, answer):
        entries, of_them = counted(len(ids(answer)), "entry", "entries"), len(set(ids(answer)) & set(asked))
        told = f"A list of {most} identifiers has {entries}, for {of_them} of them."
        each_once = sorted(ids(answer)) == sorted(asked)
        if play.check("list-takes-as-many-as-the-spec-allows", each_once, told, answer):
            told = "A full list does not have a membership as it is."
            for one in enrolled:
                same = one.is_now(entry(answer, one.id))
                play.check("list-takes-as-many-as-the-spec-allows", same, told, one.answer, answer)
    body = play.body(Flow.LIST, [*asked, play.unknown_id()])
    what = f"A list of {most + 1} identifiers"
    wrong = Wrong("list-refuses-one-more", what, body, "/providerMembershipIds", (problems.TOO_LONG,))
    expect_refusal(play, Flow.LIST, wrong)


@scenario(
    Flow.LIST,
    "list-refuses-none",
    "list-missing-field-refused",
    "list-wrong-type-refused",
    "list-invalid-format-refused",
    "list-pointer-is-zero-based",
    "list-unknown-field-refused",
)
def list_with_wrong_fields(play: Play) -> None:
    """Refresh with fields that are missing, empty, of the wrong type or form, or unknown."""
    body = play.body(Flow.LIST, [play.unknown_id() for _ in range(4)])
    expect_missing_fields_refused(play, Flow.LIST, body)
    expect_wrong_fields_refused(play, Flow.LIST, body)
    listed, ids_at = body["providerMembershipIds"], "/providerMembershipIds"
    number = body | {"providerMembershipIds": [*listed[:2], 7, listed[3]]}
    what, points = "A number in place of a text", "list-pointer-is-zero-based"
    for wrong in (
        Wrong("list-wrong-type-refused", what, number, f"{ids_at}/2", (problems.INVALID_TYPE,), points),
        Wrong("list-refuses-none", "No identifier", play.body(Flow.LIST, []), ids_at, (problems.TOO_SHORT,)),
        Wrong(
            "list-unknown-field-refused",
            "An unknown field",
            body | {"shoeSize": "42"},
            "/shoeSize",
            (problems.NOT_ALLOWED_VALUE,),
        ),
    ):
        expect_refusal(play, Flow.LIST, wrong)


@scenario(Flow.LIST, "list-serves-the-nightly-burst", needs=(Flow.ENROLL,))
def list_at_night(play: Play) -> None:
    """Refresh many full lists, several at a time, as the nightly job may."""
    enrolled = [play.enroll(), play.enroll()]
    body = play.body(Flow.LIST, filled(play, enrolled, most_ids(play) or 50))
    answers = play.at_once([lambda: play.call(Flow.LIST, body, patient=False)] * BURST, BURST_AT_ONCE)
    for answer in answers:
        told = f"One of {BURST} full lists, {BURST_AT_ONCE} at a time, is answered with {answer.status}."
        play.check("list-serves-the-nightly-burst", answer.is_success or answer.status == 429, told, answer)
        if answer.is_success:
            told = "A list of the burst does not have a membership as it is."
            has_both = all(one.is_now(entry(answer, one.id)) for one in enrolled)
            play.check("list-serves-the-nightly-burst", has_both, told, answer)
