"""Faults of authentication, and of who sees what."""

from tests.certify.faults.seeding import seeded
from tests.certify.front import Answer, Call, answer
from tests.support import CONTRACT, LINK, LIST, SEARCH


def authorization(call: Call) -> str:
    return call.headers.get("Authorization", "")


def forward_and_keep(call: Call) -> Answer:
    """Forward, and keep a token that the server takes."""
    found = call.forward()
    if found.is_ok:
        call.memory["valid"] = authorization(call)
    return found


def let_in(call: Call) -> Answer:
    """Forward with a token that is valid, whichever was sent."""
    return call.with_header("Authorization", call.memory.get("valid")).forward()


def is_refusal(found: Answer) -> bool:
    return found.status == 401


@seeded("authentication-missing-token-is-401")
def open_to_all(call: Call) -> Answer:
    """Who sends no token is let in."""
    return forward_and_keep(call) if authorization(call) else let_in(call)


@seeded("authentication-missing-token-is-401")
def one_operation_open_to_all(call: Call) -> Answer:
    """A decorator that was forgotten at one function."""
    return open_to_all(call) if call.is_for(LINK) else forward_and_keep(call)


@seeded("authentication-wrong-token-is-401")
def any_token_taken(call: Call) -> Answer:
    found = forward_and_keep(call)
    return let_in(call) if is_refusal(found) and authorization(call).startswith("Bearer ") else found


@seeded("authentication-wrong-token-is-401")
def case_of_the_token_ignored(call: Call) -> Answer:
    """A comparison by the database, which knows no case."""
    found = forward_and_keep(call)
    is_same = authorization(call).casefold() == call.memory.get("valid", "").casefold()
    return let_in(call) if is_refusal(found) and is_same else found


@seeded("authentication-wrong-token-is-401")
def beginning_of_the_token_enough(call: Call) -> Answer:
    """A comparison that ends with the shorter text, or a column that is too short."""
    found = forward_and_keep(call)
    valid = call.memory.get("valid", "")
    is_longer = valid and authorization(call).startswith(valid)
    return let_in(call) if is_refusal(found) and is_longer else found


@seeded("authentication-wrong-token-is-401")
def any_scheme_taken(call: Call) -> Answer:
    found = forward_and_keep(call)
    token = call.memory.get("valid", "").removeprefix("Bearer ")
    return let_in(call) if is_refusal(found) and token and authorization(call).endswith(token) else found


@seeded("authentication-wrong-token-is-401")
def wrong_token_forbidden(call: Call) -> Answer:
    found = call.forward()
    if is_refusal(found) and authorization(call):
        return found.with_status(403).with_body(found.body | {"status": 403})
    return found


@seeded("authentication-refusal-is-a-problem")
def refusal_without_content(call: Call) -> Answer:
    found = call.forward()
    return answer(401).with_header("WWW-Authenticate", "Bearer") if is_refusal(found) else found


@seeded("authentication-refusal-is-a-problem")
def refusal_as_page(call: Call) -> Answer:
    """The page of the proxy in front."""
    found = call.forward()
    return found.with_content(b"<h1>401 Authorization Required</h1>", "text/html") if is_refusal(found) else found


@seeded("authentication-refusal-is-a-problem")
def refusal_in_the_words_of_oauth(call: Call) -> Answer:
    """What libraries answer by themselves (RFC 6749, section 5.2)."""
    found = call.forward()
    oauth = b'{"error": "invalid_token", "error_description": "The access token is invalid"}'
    return found.with_content(oauth, "application/json") if is_refusal(found) else found


@seeded("authentication-refusal-has-a-challenge")
def no_challenge(call: Call) -> Answer:
    return call.forward().without_header("WWW-Authenticate")


@seeded("authentication-comes-first")
def body_judged_first(call: Call) -> Answer:
    found = forward_and_keep(call)
    operation = CONTRACT.operations_at(call.target).get(call.method)
    is_wrong = operation is not None and operation.body is not None and not operation.body.is_valid(call.body)
    return let_in(call) if is_refusal(found) and is_wrong else found


@seeded("authentication-refused-does-nothing")
def done_and_then_refused(call: Call) -> Answer:
    """The token is looked at when the answer is sent."""
    found = forward_and_keep(call)
    if is_refusal(found):
        let_in(call)
    return found


@seeded("authentication-rotation-takes-two-tokens")
def one_token_at_a_time(call: Call) -> Answer:
    """The server keeps one token, the one that it was used with first."""
    found = call.forward()
    if found.is_ok:
        call.memory.setdefault("valid", authorization(call))
    is_other = found.is_ok and authorization(call) != call.memory["valid"]
    return call.with_header("Authorization", "Bearer other").forward() if is_other else found


@seeded("authentication-rotation-takes-two-tokens")
def members_of_one_token(call: Call) -> Answer:
    """Members belong to the token that enrolled them."""
    found = call.forward()
    if found.is_ok:
        call.memory.setdefault("valid", authorization(call))
    if not found.is_ok or authorization(call) == call.memory["valid"] or not call.is_for(LIST, SEARCH):
        return found
    if call.is_for(SEARCH):
        return found.with_body({"members": []})
    return found.with_memberships(
        lambda one: {"providerMembershipId": one["providerMembershipId"], "status": "notFound"}
    )


@seeded("authentication-wrong-token-is-401")
def empty_token_taken(call: Call) -> Answer:
    """A setting that is empty, which the empty token equals."""
    found = forward_and_keep(call)
    return let_in(call) if authorization(call) == "Bearer" else found
