"""A scenario plays one piece of a flow and judges some requirements by it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from certify import problems
from certify.client import Answer
from certify.play import Play
from certify.requirements import Flow


@dataclass(frozen=True)
class Scenario:
    """One piece of a flow.

    Attributes:
        flow: that it belongs to.
        judges: the requirements that it looks at, beside those that every answer is looked at for.
        needs: the flows whose operations it calls; it is left out where one is declared absent.
        play: plays it.
    """

    flow: Flow
    judges: tuple[str, ...]
    needs: tuple[Flow, ...]
    play: Callable[[Play], None]


SCENARIOS: list[Scenario] = []


def scenario(
    flow: Flow, *judges: str, needs: tuple[Flow, ...] = ()
) -> Callable[[Callable[[Play], None]], Callable[[Play], None]]:
    """Make a function a scenario of a flow that judges these requirements, and calls the operations of `needs` too."""
    own = (flow,) if flow in (Flow.SEARCH, Flow.ENROLL, Flow.LIST, Flow.LINK) else ()

    def put(play: Callable[[Play], None]) -> Callable[[Play], None]:
        SCENARIOS.append(Scenario(flow, judges, tuple(dict.fromkeys((*own, *needs))), play))
        return play

    return put


@dataclass(frozen=True)
class Wrong:
    """A request with one wrong field.

    Attributes:
        requirement: that it is refused with 400.
        what: is wrong, as the beginning of a sentence.
        body: of the request.
        at: the wrong field as a plain pointer, `/customer/email`.
        kinds: the field-level types that Mews publishes for what is wrong there.
        points: the requirement that errors, where there are any, point at the wrong field.
        repeated: what a problem must not repeat, as it stands in the wrong field.
    """

    requirement: str
    what: str
    body: dict
    at: str
    kinds: tuple[str, ...]
    points: str = "errors-point-at-the-field"
    repeated: str = ""


def expect_refusal(play: Play, flow: Flow, wrong: Wrong) -> Answer | None:
    """Send a wrong request, judge its refusal and return the answer; send nothing where the spec allows it."""
    if play.spec.takes(flow, wrong.body):
        return None
    answer = play.call(flow, wrong.body)
    told = f"{wrong.what} at #{wrong.at} is answered with {answer.status}, and not with 400."
    if not play.check(wrong.requirement, answer.status == 400, told, answer):
        return answer
    listed = named_errors(answer)
    if listed:
        told = f"{wrong.what} at #{wrong.at} is not where the errors point."
        play.check(wrong.points, wrong.at in {pointer for _, pointer in listed}, told, answer)
    told = f"{wrong.what} at #{wrong.at} is not listed as {' or '.join(wrong.kinds)}."
    play.check("errors-name-the-fault", any((kind, wrong.at) in listed for kind in wrong.kinds), told, answer)
    if wrong.repeated:
        told = f"The problem repeats the value at #{wrong.at}."
        play.check("errors-repeat-no-personal-data", wrong.repeated.encode() not in answer.content, told, answer)
    return answer


def expect_missing_fields_refused(play: Play, flow: Flow, body: dict) -> None:
    """Leave out each field that the spec requires of a request, one at a time, and judge the refusals."""
    for name in play.spec.schema_of(flow).get("required", ()):
        _expect_missing_refused(play, flow, without(body, name), f"/{name}")
        for below in play.spec.schema_of(flow, name).get("required", ()):
            _expect_missing_refused(play, flow, body | {name: without(body[name], below)}, f"/{name}/{below}")


def _expect_missing_refused(play: Play, flow: Flow, body: dict, at: str) -> None:
    requirement = f"{flow}-missing-field-refused"
    expect_refusal(play, flow, Wrong(requirement, "A missing field", body, at, (problems.REQUIRED,)))


def expect_wrong_fields_refused(play: Play, flow: Flow, body: dict, *names: str) -> list[Answer]:
    """Make each field that the spec has in a request wrong in each way that it forbids, and judge the refusals.

    Args:
        play: with which.
        flow: whose request it is.
        body: the request, right.
        names: of the fields that lead to the object whose fields are made wrong; without, those of the request.

    Returns:
        the answers.
    """
    answers = []
    for name in play.spec.schema_of(flow, *names).get("properties", ()):
        place = (*names, name)
        schema = play.spec.schema_of(flow, *place)
        for way, what, value, kinds in _wrong_values(schema):
            requirement = f"{flow}-{way}-refused"
            if requirement in play.judge.records:
                repeated = value if isinstance(value, str) and way == "too-long" else ""
                spoilt = replaced(body, place, value)
                wrong = Wrong(requirement, what, spoilt, f"/{'/'.join(place)}", kinds, repeated=repeated)
                answers.append(expect_refusal(play, flow, wrong))
        if "properties" in schema:
            answers += expect_wrong_fields_refused(play, flow, body, *place)
    return [answer for answer in answers if answer is not None]


def _wrong_values(schema: dict) -> Iterator[tuple[str, str, Any, tuple[str, ...]]]:
    """Yield values that a field's schema does not allow: in which way, in words, the value, and its published types."""
    if "type" in schema:
        value = "certify" if schema["type"] in ("object", "array") else 7
        yield "wrong-type", "A value of another type", value, (problems.INVALID_TYPE,)
    if "maxLength" in schema:
        is_email = schema.get("format") == "email"
        text = "x" * (schema["maxLength"] + 1) + ("@certify.example" if is_email else "")
        kinds = (problems.TOO_LONG, *((problems.EMAIL_INVALID, problems.INVALID_FORMAT) if is_email else ()))
        yield "too-long", "A text that is too long", text, kinds
    if schema.get("format") in ("date", "date-time", "uuid"):
        yield "invalid-format", f"A text that is no {schema['format']}", "certify", (problems.INVALID_FORMAT,)


def replaced(body: dict, place: tuple[str, ...], value: Any) -> dict:
    """Return a body with another value at a place, whether there was one or not."""
    name, *below = place
    return body | {name: replaced(body.get(name, {}), tuple(below), value) if below else value}


def without(fields: dict, name: str) -> dict:
    """Return the fields but one."""
    return {key: value for key, value in fields.items() if key != name}


def named_errors(answer: Answer) -> set[tuple[str, str]]:
    """Return the errors of fields that an answer lists, as pairs of the type's name and the plain pointer."""
    listed = problems.errors(answer.body)
    return {(problems.name(error.get("type")), problems.plain(error.get("pointer"))) for error in listed}
