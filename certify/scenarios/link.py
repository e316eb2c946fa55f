"""Link & unlink: Mews joins a membership to a customer, and parts them."""

from certify.play import BEGUN, Enrolled, Play, entry, ids
from certify.requirements import Flow
from certify.scenario import expect_missing_fields_refused, expect_wrong_fields_refused, scenario


@scenario(
    Flow.LINK,
    "link-links-membership",
    "link-repeat-changes-nothing",
    "unlink-removes-link",
    "unlink-keeps-membership",
    "unlink-repeat-changes-nothing",
    "link-after-unlink-works",
    needs=(Flow.ENROLL, Flow.LIST),
)
def link_and_unlink(play: Play) -> None:
    """Link a membership, unlink it, do each twice, and link it again."""
    enrolled, customer = play.enroll(), play.customer()
    answers = {}
    for step, is_linked, requirement in (
        ("link", True, "link-links-membership"),
        ("link again", True, "link-repeat-changes-nothing"),
        ("unlink", False, "unlink-removes-link"),
        ("unlink again", False, "unlink-repeat-changes-nothing"),
        ("link anew", True, "link-after-unlink-works"),
    ):
        answer = play.call(Flow.LINK, play.link_body(enrolled.id, is_linked, customer))
        told = f"To {step} is answered with {answer.status}, and not with the membership."
        served = answer.is_success and ids(answer) == [enrolled.id]
        play.check(requirement, served, told, enrolled.answer, answer)
        answers[step] = answer
        if step == "unlink":
            _keeps_membership(play, enrolled)
    for step, requirement in (("link", "link-repeat-changes-nothing"), ("unlink", "unlink-repeat-changes-nothing")):
        first, again = answers[step], answers[f"{step} again"]
        if first.is_success and again.is_success:
            told = f"To {step} again is answered with other bytes."
            play.check(requirement, first.content == again.content, told, first, again)


def _keeps_membership(play: Play, enrolled: Enrolled) -> None:
    listed = play.refresh([enrolled.id])
    found = entry(listed, enrolled.id)
    status = play.masker.words(str((found or {}).get("status", "no entry")))
    told = f"After unlinking, the list has the membership as {status}."
    known = found is not None and found.get("status") in (enrolled.membership.get("status"), *BEGUN)
    if play.check("unlink-keeps-membership", known, told, listed):
        told = "After unlinking, the list has the membership with other values than before."
        play.check("unlink-keeps-membership", enrolled.is_now(found), told, listed)


@scenario(Flow.LINK, "link-unknown-is-404", "unlink-unknown-is-404")
def link_unknown(play: Play) -> None:
    """Link and unlink a membership that does not exist."""
    for is_linked, requirement in ((True, "link-unknown-is-404"), (False, "unlink-unknown-is-404")):
        body = play.link_body(play.unknown_id(), is_linked, play.customer())
        answer = play.call(Flow.LINK, body)
        told = f"An unknown membership is answered with {answer.status}, and not with 404."
        play.check(requirement, answer.status == 404, told, answer)


@scenario(
    Flow.LINK,
    "link-missing-field-refused",
    "link-wrong-type-refused",
    "link-invalid-format-refused",
    needs=(Flow.ENROLL,),
)
def link_with_wrong_fields(play: Play) -> None:
    """Link with fields that are missing, or of the wrong type or form."""
    body = play.link_body(play.enroll().id, True, play.customer())
    expect_missing_fields_refused(play, Flow.LINK, body)
    expect_wrong_fields_refused(play, Flow.LINK, body)
