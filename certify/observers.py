"""What every answer is looked at for, whichever scenario asked: the spec's shapes, problem details, time, redirects."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from certify import problems
from certify.client import Answer
from certify.judge import Judge
from certify.masking import Masker
from certify.requirements import Flow
from certify.specification import Specification
from certify.wording import duration

SLOWEST_SECONDS = 5
# Of RFC 6901, section 6: percent-encoded where RFC 3986 asks for it in a fragment.
_POINTER = re.compile(r"#(/([A-Za-z0-9\-._!$&'()*+,;=:@/?]|~[01]|%[0-9A-Fa-f]{2})*)?")
# A membership of these statuses is a stub.
STUBS = ("pending", "notFound")
# A check: requirement, whether it holds, what is told if not, and where in the spec.
Check = tuple[str, bool, str, str]


class Observer:
    """Looks at answers, and keeps what it needs to compare them.

    Args:
        spec: the contract.
        judge: is told what was found.
        masker: masks what is told of an answer.
    """

    def __init__(self, spec: Specification, judge: Judge, masker: Masker) -> None:
        self._spec = spec
        self._judge = judge
        self._masker = masker
        self._titles: dict[tuple[str, str], str] = {}

    def look(self, answer: Answer) -> None:
        """Judge an answer to a request at a path of the spec."""
        self._judge.statuses[answer.status] += 1
        looks: list[Callable[[Answer], Iterator[Check]]] = [self._transport]
        if answer.is_success:
            looks += [self._success, self._stubs]
        if answer.status >= 400:
            looks += [self._problem, self._field_errors]
        if answer.status == 401:
            looks += [_refusal]
        for look in looks:
            for name, holds, told, pointer in look(answer):
                self._judge.check(name, holds, told, answer.exchange, pointer=pointer)

    def _transport(self, answer: Answer) -> Iterator[Check]:
        seconds = answer.exchange.seconds
        yield "requests-are-answered", True, "", ""
        yield "requests-are-answered-in-time", seconds <= SLOWEST_SECONDS, f"The answer took {duration(seconds)}.", ""
        redirected = 300 <= answer.status < 400
        yield "requests-are-not-redirected", not redirected, f"The answer is a redirect, {answer.status}.", ""
        yield "requests-meet-no-server-error", answer.status < 500, f"The answer is {answer.status}.", ""

    def _success(self, answer: Answer) -> Iterator[Check]:
        flow = self._spec.flow_of(answer.exchange.method, answer.path)
        if flow not in (Flow.SEARCH, Flow.ENROLL, Flow.LIST, Flow.LINK):
            return
        yield f"{flow}-answers-200", answer.status == 200, f"The status is {answer.status}, and not 200.", ""
        shape, is_json = f"{flow}-answer-follows-spec", answer.media_type == "application/json"
        yield shape, is_json, f"The media type is {self._media_type(answer)}, and not application/json.", ""
        faults = self._spec.faults(self._spec.operation(flow), answer.body)
        within = [fault for fault in faults if _is_in_membership(answer.body, fault.place)]
        yield shape, True, "", ""
        yield "membership-follows-spec", True, "", ""
        for fault in faults:
            name = "membership-follows-spec" if fault in within else shape
            yield name, False, f"{fault.told}.", fault.pointer

    def _stubs(self, answer: Answer) -> Iterator[Check]:
        for membership in memberships(answer.body):
            if membership.get("status") in STUBS:
                others = membership.keys() - {"providerMembershipId", "status"}
                named = sorted(others & self._spec.names) or ["a field that the spec does not have"]
                told = f"A membership that is {membership['status']} has also {', '.join(named)}."
                yield "membership-stub-has-two-fields", not others, told, ""

    def _problem(self, answer: Answer) -> Iterator[Check]:
        body, status = answer.body, answer.status
        told = f"The {status} is no JSON object with type, status and title."
        yield "errors-are-problem-details", problems.is_problem(body), told, ""
        media = f"The media type is {self._media_type(answer)}, and not {problems.MEDIA_TYPE}."
        yield "errors-are-problem-json", answer.media_type == problems.MEDIA_TYPE, media, ""
        if not isinstance(body, dict):
            return
        for name in ("detail", "instance"):
            if name in body:
                told = f"The {name} of the problem is no text."
                yield "errors-members-are-texts", isinstance(body[name], str), told, ""
        if "status" in body:
            same = body["status"] == status
            yield "errors-tell-the-status", same, f"The problem tells another status than {status}.", ""
        if status in problems.TYPES and "type" in body:
            allowed = [problems.BASE + name for name in problems.TYPES[status]]  # of a list any JSON value can be asked
            told = f"The type of a {status} is {self._shown(body['type'])}, and none that Mews publishes for it."
            yield "errors-have-the-published-type", body["type"] in allowed, told, ""
        asked = answer.exchange.sent_headers.get("Accept-Language", "")
        title = self._titles.setdefault((asked, str(body.get("type"))), str(body.get("title")))
        if body.get("type") != "about:blank":
            told = f"The type {self._shown(body.get('type'))} has several titles."
            yield "errors-keep-their-title", title == str(body.get("title")), told, ""

    def _field_errors(self, answer: Answer) -> Iterator[Check]:
        if not isinstance(answer.body, dict) or "errors" not in answer.body:
            return
        listed = answer.body["errors"]
        objects = isinstance(listed, list) and all(isinstance(error, dict) for error in listed)
        yield "errors-of-fields-have-published-types", objects, "errors is no list of objects.", ""
        published = [problems.BASE + name for name in problems.FIELD_TYPES]
        for error in problems.errors(answer.body):
            told = f"The type of an error is {self._shown(error.get('type'))}, and none that Mews publishes."
            yield "errors-of-fields-have-published-types", error.get("type") in published, told, ""
            pointer = error.get("pointer")
            told = "An error of a field has no pointer."
            yield "errors-of-fields-have-published-types", isinstance(pointer, str), told, ""
            told = "An error's pointer is not in URI fragment form, such as #/customer/email."
            if isinstance(pointer, str):
                yield "errors-point-in-fragment-form", _POINTER.fullmatch(pointer) is not None, told, ""

    def _media_type(self, answer: Answer) -> str:
        return self._masker.words(answer.media_type) or "not told"

    def _shown(self, uri: Any) -> str:
        """Return a type that is a URI; what a server puts there otherwise may be anything."""
        is_uri = isinstance(uri, str) and re.fullmatch(r"[a-z]+:[!-~]*", uri)
        return self._masker.address(uri) if is_uri else "no URI"


def _refusal(answer: Answer) -> Iterator[Check]:
    is_problem = problems.is_problem(answer.body) and answer.body["type"] == f"{problems.BASE}core/unauthorized"
    told = "The 401 is no problem detail of the type core/unauthorized."
    yield "authentication-refusal-is-a-problem", is_problem, told, ""
    challenge = answer.headers.get("WWW-Authenticate", "")
    told = "The 401 has no WWW-Authenticate with the scheme Bearer."
    yield "authentication-refusal-has-a-challenge", challenge.lower().startswith("bearer"), told, ""


def memberships(node: Any) -> list[dict]:
    """Return every membership within an answer, whatever it is wrapped in."""
    if isinstance(node, dict):
        own = [node] if "providerMembershipId" in node else []
        return own + [found for value in node.values() for found in memberships(value)]
    return [found for value in node for found in memberships(value)] if isinstance(node, list) else []


def members(node: Any) -> list[dict]:
    """Return every object within an answer that holds a membership as a field, whatever it is wrapped in."""
    if isinstance(node, dict):
        holds = any(isinstance(value, dict) and "providerMembershipId" in value for value in node.values())
        return [node] if holds else [found for value in node.values() for found in members(value)]
    return [found for value in node for found in members(value)] if isinstance(node, list) else []


def _is_in_membership(body: Any, place: tuple[str | int, ...]) -> bool:
    nodes = [body]
    for step in place:
        nodes.append(nodes[-1][step])
    # One that lacks its identifier has a number.
    return any(isinstance(node, dict) and node.keys() & {"providerMembershipId", "membershipNumber"} for node in nodes)
