"""What holds for every request: tokens, JSON, paths and methods, and features that were declared absent."""

from typing import Any

from certify.client import Answer
from certify.play import Play, entry, ids
from certify.requirements import Flow
from certify.scenario import scenario

ABSENT = (404, 405, 501)


def harmless(play: Play) -> dict[Flow, Any]:
    """Return a request for each operation that the server has, which changes nothing where it is served."""
    nobody = play.guests.guest()
    requests = {
        Flow.SEARCH: play.body(Flow.SEARCH, {"email": nobody["email"]}),
        Flow.ENROLL: play.body(Flow.ENROLL, nobody),
        Flow.LIST: play.body(Flow.LIST, [play.unknown_id()]),
        Flow.LINK: play.link_body(play.unknown_id(), True, play.customer()),
    }
    return {flow: body for flow, body in requests.items() if flow not in play.options.absent}


def refused(play: Play, requirement: str, flow: Flow, answer: Answer, what: str) -> None:
    """Judge whether a request was refused for its token."""
    told = f"{what} is answered with {answer.status} ({flow}), and not with 401."
    play.check(requirement, answer.status == 401, told, answer)


@scenario(Flow.EVERY, "authentication-missing-token-is-401", "authentication-refusal-is-a-problem")
def call_without_token(play: Play) -> None:
    """Call each operation without a token."""
    for flow, body in harmless(play).items():
        answer = play.call(flow, body, authorization="")
        refused(play, "authentication-missing-token-is-401", flow, answer, "A request without a token")


@scenario(Flow.EVERY, "authentication-wrong-token-is-401", "authentication-refusal-has-a-challenge")
def call_with_wrong_token(play: Play) -> None:
    """Call each operation with a wrong token, a longer one, and the token under another scheme."""
    token = play.options.token
    for flow, body in harmless(play).items():
        for authorization, what in (
            ("Bearer certify-wrong-token", "A wrong token"),
            ("Bearer", "The scheme without a token"),
            (f"Bearer x{token}", "The token with a letter before it"),
            (f"Bearer {token}x", "The token with a letter after it"),
            (f"Bearer {token.swapcase()}", "The token in other cases of letters"),
            (f"Basic {token}", "The token under the scheme Basic"),
        ):
            if authorization == f"Bearer {token}":
                continue  # it has no letters
            answer = play.call(flow, body, authorization=authorization)
            refused(play, "authentication-wrong-token-is-401", flow, answer, what)


@scenario(Flow.EVERY, "authentication-comes-first")
def call_without_token_and_body(play: Play) -> None:
    """Call each operation without a token, with a body that is wrong as well."""
    for flow in harmless(play):
        answer = play.call(flow, {}, authorization="")
        refused(play, "authentication-comes-first", flow, answer, "A malformed request without a token")


@scenario(Flow.EVERY, "authentication-refused-does-nothing", needs=(Flow.ENROLL, Flow.SEARCH))
def enroll_with_wrong_token(play: Play) -> None:
    """Look for a customer who was enrolled with a wrong token."""
    guest = play.guests.guest()
    body = play.body(Flow.ENROLL, guest)
    refusal = play.call(Flow.ENROLL, body, authorization="Bearer certify-wrong-token")
    answer = play.search({"email": guest["email"]})
    told = "A customer who was enrolled with a wrong token is found as a member."
    play.check("authentication-refused-does-nothing", not ids(answer), told, refusal, answer)


@scenario(Flow.EVERY, "authentication-rotation-takes-two-tokens", needs=(Flow.ENROLL, Flow.LIST))
def rotate_token(play: Play) -> None:
    """Call with the current token and with the second one, as Mews does on the day that it changes over."""
    name = "authentication-rotation-takes-two-tokens"
    if not play.options.second_token:
        play.judge.skip(name, "No second token was given (--second-token).")
        return
    enrolled = play.enroll()
    body = play.body(Flow.LIST, [enrolled.id])
    answers = [
        play.call(Flow.LIST, body, authorization=f"Bearer {token}")
        for token in (play.options.token, play.options.second_token, play.options.token)
    ]
    for answer, which in zip(answers, ("current", "second", "current"), strict=True):
        told = f"The {which} token is answered with {answer.status}, and not with the same membership."
        same = answer.is_success and entry(answer, enrolled.id) == entry(answers[0], enrolled.id) is not None
        play.check(name, same, told, answer)


@scenario(Flow.EVERY, "requests-malformed-json-refused")
def send_malformed_json(play: Play) -> None:
    """Send bodies that are no JSON, or no object."""
    for flow in harmless(play):
        for content, what in (
            (b"{", "A body that is cut off"),
            (b"", "An empty body"),
            (b"[]", "A list in place of an object"),
            (b'{"mewsEnterpriseId": "\xff"}', "A body that is not UTF-8"),
        ):
            answer = play.call(flow, None, content=content)
            told = f"{what} is answered with {answer.status} ({flow}), and not with 400."
            play.check("requests-malformed-json-refused", answer.status == 400, told, answer)


@scenario(Flow.EVERY, "requests-charset-is-taken")
def send_charset(play: Play) -> None:
    """Send a Content-Type with a charset."""
    for flow, body in harmless(play).items():
        if flow in (Flow.SEARCH, Flow.LIST):
            answer = play.call(flow, body, headers={"Content-Type": "application/json; charset=utf-8"})
            told = f"A request with a charset is answered with {answer.status} ({flow})."
            play.check("requests-charset-is-taken", answer.is_success, told, answer)


@scenario(
    Flow.EVERY,
    "requests-near-a-path-are-not-redirected",
    "requests-elsewhere-are-404",
    "requests-method-not-allowed",
)
def call_elsewhere(play: Play) -> None:
    """Call paths and methods that the spec does not have."""
    for flow, body in harmless(play).items():
        operation = play.spec.operation(flow)
        for path in (f"{operation.path}/", f"/{operation.path}"):
            answer = play.send(operation.method, path, body, observed=False)
            told = f"A path with a slash too many is redirected, with {answer.status}."
            play.check("requests-near-a-path-are-not-redirected", not 300 <= answer.status < 400, told, answer)
        answer = play.send("DELETE", operation.path, observed=False)
        told = f"DELETE is answered with {answer.status}, and with neither 404 nor 405 and Allow."
        has_allow = answer.status == 405 and "Allow" in answer.headers
        play.check("requests-method-not-allowed", has_allow or answer.status == 404, told, answer)
    answer = play.send("POST", f"/certify-{play.guests.run}", {}, observed=False)
    told = f"A path that the spec does not have is answered with {answer.status}, and not with 404."
    play.check("requests-elsewhere-are-404", answer.status == 404, told, answer)


@scenario(Flow.CHECKOUT, "absent-feature-is-not-served")
def call_what_is_absent(play: Play) -> None:
    """Call the operations of the features that were declared absent."""
    name = "absent-feature-is-not-served"
    operations = [found for flow in play.options.absent for found in play.spec.operations[flow]]
    if not play.options.absent:
        told = "No feature was declared absent (--without)."
        if play.spec.operations[Flow.CHECKOUT]:
            told += " The spec has checkout events: no scenario plays them, only generated requests do."
        play.judge.skip(name, told)
    elif not operations:
        play.judge.skip(name, "The spec has no operation for what was declared absent, so there is nothing to call.")
    for operation in operations:
        answer = play.send(operation.method, operation.path, {}, observed=False)  # 400 where it is served after all
        told = f"An operation that was declared absent is answered with {answer.status}."
        play.check(name, answer.status in ABSENT, told, answer)
