"""Enroll: Mews makes a customer a member."""

from certify import problems
from certify.guests import ACCENTED
from certify.play import Play, entry, ids
from certify.requirements import Flow
from certify.scenario import (
    Wrong,
    expect_missing_fields_refused,
    expect_refusal,
    expect_wrong_fields_refused,
    named_errors,
    replaced,
    scenario,
)

AT_ONCE = 6


@scenario(Flow.ENROLL, "enroll-creates-membership", "enroll-ids-are-unique", needs=(Flow.LIST,))
def enroll_new_customers(play: Play) -> None:
    """Enroll two customers, and refresh their memberships."""
    first, second = play.enroll(), play.enroll()
    told = "Two customers have one identifier."
    play.check("enroll-ids-are-unique", first.id != second.id, told, first.answer, second.answer)
    listed = play.refresh([first.id, second.id])
    for enrolled in (first, second):
        begun = str(enrolled.membership.get("status")).lower() in ("enrolled", "pending")
        told = "The new membership is neither enrolled nor pending."
        play.check("enroll-creates-membership", begun, told, enrolled.answer)
        told = "A list does not know the membership that was just made."
        known = (entry(listed, enrolled.id) or {"status": "notFound"}).get("status") != "notFound"
        play.check("enroll-creates-membership", known, told, enrolled.answer, listed)


@scenario(Flow.ENROLL, "enroll-repeat-returns-existing", "enroll-repeat-is-byte-for-byte")
def enroll_again(play: Play) -> None:
    """Enroll the same customer again."""
    first = play.enroll()
    body = play.body(Flow.ENROLL, first.guest)
    again = play.call(Flow.ENROLL, body)
    told = f"The repeat is answered with {again.status}, and not with the existing membership."
    if not play.check("enroll-repeat-returns-existing", again.is_success, told, first.answer, again):
        return
    told = "The repeat is answered with another membership."
    same = ids(again) == [first.id]
    play.check("enroll-repeat-returns-existing", same, told, first.answer, again)
    if same:
        told = "The repeat is answered with other bytes."
        play.check("enroll-repeat-is-byte-for-byte", again.content == first.answer.content, told, first.answer, again)


@scenario(Flow.ENROLL, "enroll-at-once-makes-one-membership")
def enroll_at_once(play: Play) -> None:
    """Enroll one customer several times at the same moment."""
    guest = play.guests.guest()
    play.masker.know(guest)
    body = play.body(Flow.ENROLL, guest)
    answers = play.at_once([lambda: play.call(Flow.ENROLL, body)] * AT_ONCE, AT_ONCE)
    made = {identifier for answer in answers for identifier in ids(answer)}
    told = f"{AT_ONCE} simultaneous enrollments of one customer made {len(made)} memberships."
    play.check("enroll-at-once-makes-one-membership", len(made) == 1, told, *answers[:2])
    for answer in answers:
        told = f"One of {AT_ONCE} simultaneous enrollments is answered with {answer.status}."
        served = answer.is_success or answer.status == 429
        play.check("enroll-at-once-makes-one-membership", served, told, answer)


@scenario(Flow.ENROLL, "enroll-takes-accented-names")
def enroll_accented_names(play: Play) -> None:
    """Enroll customers whose names have accents, apostrophes, hyphens and letters of other scripts."""
    for name in (ACCENTED, {"firstName": "Юлия", "lastName": "Соколова"}, {"firstName": "伟", "lastName": "王"}):
        guest = play.guests.guest(**name)
        answer = play.call(Flow.ENROLL, play.body(Flow.ENROLL, guest))
        told = f"A customer with a name that is not plain ASCII is answered with {answer.status}."
        play.check("enroll-takes-accented-names", answer.is_success, told, answer)


@scenario(Flow.ENROLL, "requests-meet-no-server-error")
def enroll_longest_texts(play: Play) -> None:
    """Enroll customers whose names and places are as long as the spec allows."""
    for place in (("firstName",), ("lastName",), *(("address", name) for name in ("line1", "city", "postalCode"))):
        longest = play.spec.schema_of(Flow.ENROLL, "customer", *place).get("maxLength", 0)
        text = (play.guests.unheard_of() * longest)[:longest]
        if text:
            play.call(Flow.ENROLL, play.body(Flow.ENROLL, replaced(play.guests.guest(), place, text)))


@scenario(Flow.ENROLL, "enroll-names-missing-fields")
def enroll_with_required_fields_alone(play: Play) -> None:
    """Enroll a customer with only what the spec requires."""
    guest = play.guests.guest()
    required = play.spec.schema_of(Flow.ENROLL, "customer").get("required", ())
    customer = {name: value for name, value in guest.items() if name in required}
    answer = play.call(Flow.ENROLL, play.body(Flow.ENROLL, customer))
    if answer.is_success:
        play.check("enroll-names-missing-fields", True, "")
        return
    named = [kind == problems.REQUIRED and at.startswith("/customer/") for kind, at in named_errors(answer)]
    told = f"The refusal, {answer.status}, does not name the fields that the program wants as core/field-required."
    play.check("enroll-names-missing-fields", answer.status == 400 and any(named), told, answer)


@scenario(
    Flow.ENROLL,
    "enroll-missing-field-refused",
    "enroll-wrong-type-refused",
    "enroll-too-long-refused",
    "enroll-invalid-format-refused",
    "errors-point-at-the-field",
    "errors-name-the-fault",
    "errors-repeat-no-personal-data",
)
def enroll_with_wrong_fields(play: Play) -> None:
    """Enroll customers with fields that are missing, of the wrong type or form, or too long."""
    guest = play.guests.guest()
    body = play.body(Flow.ENROLL, guest)
    expect_missing_fields_refused(play, Flow.ENROLL, body)
    for answer in expect_wrong_fields_refused(play, Flow.ENROLL, body):
        if answer.status >= 400:
            told_back = [name for name in ("email", "phoneNumber") if guest[name].encode() in answer.content]
            told = f"The problem repeats the customer's {' and '.join(told_back)}."
            play.check("errors-repeat-no-personal-data", not told_back, told, answer)


@scenario(Flow.ENROLL, "enroll-invalid-email-refused")
def enroll_without_an_address(play: Play) -> None:
    """Enroll a customer whose e-mail address is none."""
    for email in (f"{play.guests.unheard_of()} at home", f"two@@{play.guests.run}.example"):
        body = play.body(Flow.ENROLL, play.guests.guest(email=email))
        kinds = (problems.EMAIL_INVALID,)
        requirement, what = "enroll-invalid-email-refused", "A text that is no e-mail address"
        wrong = Wrong(requirement, what, body, "/customer/email", kinds, repeated=email)
        expect_refusal(play, Flow.ENROLL, wrong)


@scenario(Flow.ENROLL, "enroll-refused-leaves-nothing", needs=(Flow.SEARCH,))
def enroll_and_be_refused(play: Play) -> None:
    """Look for a customer whose enrollment was refused."""
    guest = play.guests.guest()
    refused = play.call(Flow.ENROLL, play.body(Flow.ENROLL, guest | {"lastName": 7}))
    if refused.is_success:
        return
    answer = play.search({"email": guest["email"]})
    told = "A customer whose enrollment was refused is found as a member."
    play.check("enroll-refused-leaves-nothing", not ids(answer), told, refused, answer)


@scenario(Flow.ENROLL, "enroll-other-name-is-duplicate", needs=(Flow.LIST,))
def enroll_under_another_name(play: Play) -> None:
    """Enroll somebody with quite another name under the e-mail address of a member."""
    first = play.enroll()
    other = play.guests.guest(email=first.guest["email"])
    answer = play.call(Flow.ENROLL, play.body(Flow.ENROLL, other))
    told = f"Another person with a member's e-mail address is answered with {answer.status}, and not as a duplicate."
    is_duplicate = answer.status == 400 and (problems.DUPLICATE, "/customer/email") in named_errors(answer)
    play.check("enroll-other-name-is-duplicate", is_duplicate, told, first.answer, answer)


@scenario(Flow.ENROLL, "errors-name-every-field")
def enroll_with_two_wrong_fields(play: Play) -> None:
    """Enroll a customer with two wrong fields."""
    body = play.body(Flow.ENROLL, play.guests.guest(firstName=7, lastName=8))
    if play.spec.takes(Flow.ENROLL, body):
        return
    answer = play.call(Flow.ENROLL, body)
    missing = {"/customer/firstName", "/customer/lastName"} - set(problems.pointers(answer.body))
    told = f"Of two wrong fields {'one is' if len(missing) == 1 else 'both are'} not listed."
    play.check("errors-name-every-field", answer.status == 400 and not missing, told, answer)
