"""Requests that Schemathesis generates from the spec, within and beyond it, and chains as the flows are chained."""

import copy
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import schemathesis
import schemathesis.engine
from hypothesis import configuration, strategies
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events

from app import contract
from certify import problems, requirements
from certify.bounds import TIMEOUT_SECONDS, answers_read_in_time, in_time
from certify.client import parsed
from certify.exchange import Exchange
from certify.guests import DOMAIN
from certify.observers import SLOWEST_SECONDS, memberships
from certify.play import Play
from certify.requirements import Flow
from certify.specification import CARRIES, Specification

# Which requirement a check of Schemathesis judges; its others are about what this contract does not have.
JUDGES = {
    "not_a_server_error": "generated-no-server-error",
    "status_code_conformance": "generated-answers-follow-spec",
    "content_type_conformance": "generated-answers-follow-spec",
    "response_headers_conformance": "generated-answers-follow-spec",
    "response_schema_conformance": "generated-answers-follow-spec",
    "negative_data_rejection": "generated-invalid-requests-refused",
    "positive_data_acceptance": "generated-valid-requests-served",
    "ignored_auth": "generated-requests-need-a-token",
    "unsupported_method": "generated-methods-refused",
    "max_response_time": "requests-are-answered-in-time",
}
# For the request that is on its way when the time is over, and for Schemathesis to look at its answer.
GRACE_SECONDS = 30
# The time alone ends the phases that draw at random.
MOST_EXAMPLES = 100_000
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def judge_generated(play: Play, seconds: float, seed: int, progress: Callable[[str], None]) -> None:
    """Judge a server by generated requests.

    Args:
        play: the run.
        seconds: how long.
        seed: of what is generated.
        progress: is told how far it is.
    """
    # Whoever is made up by a valid request is of the kit's domain.
    address = strategies.builds(f"{{}}@{DOMAIN}".format, strategies.text(_LETTERS, min_size=1, max_size=30))
    for name in ("email", contract.FORMATS["email"]):
        schemathesis.openapi.format(name, address)
    # Half of the hotels are the one that the provider knows: a server with registered hotels refuses all others.
    schemathesis.openapi.format("uuid", strategies.just(play.options.enterprise) | strategies.uuids().map(str))
    schema = schemathesis.openapi.from_dict(_document(play.spec), config=_configuration(play, seconds, seed))
    absent = {(found.method, found.path) for flow in play.options.absent for found in play.spec.operations[flow]}
    judged = schema.exclude(lambda context: (context.operation.method.upper(), context.operation.path) in absent)
    ends = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, answers_read_in_time():
        configuration.set_hypothesis_home_dir(folder)  # which is .hypothesis where the kit is called, otherwise
        try:
            for event in in_time(schemathesis.engine.from_schema(judged).execute(), ends + GRACE_SECONDS):
                _take(event, play)
                progress(f"Generated requests, {max(0, ends - time.monotonic()):.0f} s left")
        except TimeoutError:
            told = "The answer to a generated request did not come to its end."
            play.judge.check("generated-no-server-error", False, told)
            play.judge.break_off(_names(), told)
    configuration.set_hypothesis_home_dir(None)


def _names() -> list[str]:
    return [found.name for found in requirements.load().values() if found.flow is Flow.GENERATED]


def _configuration(play: Play, seconds: float, seed: int) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "base-url": play.options.base_url,
            "seed": seed,
            "max-time": max(1, round(seconds)),
            "max-redirects": 0,
            "request-timeout": TIMEOUT_SECONDS,
            "continue-on-failure": True,
            "auth": {"openapi": {name: {"bearer": play.options.token} for name in _bearer_schemes(play.spec)}},
            "checks": {"enabled": True, "max_response_time": SLOWEST_SECONDS},
            "generation": {"max-examples": MOST_EXAMPLES, "database": "none"},
            "suppress-health-check": ["all"],
        }
    )


def _bearer_schemes(spec: Specification) -> list[str]:
    schemes = spec.document.get("components", {}).get("securitySchemes", {})
    return [name for name, scheme in schemes.items() if spec.contract.resolve(scheme).get("scheme", "") == "bearer"]


def _document(spec: Specification) -> dict:
    """Return the spec with addresses of every script, and the links along which the flows are chained."""
    document = _widened(copy.deepcopy(spec.document))
    version = contract.Contract(document)
    hotel = {"mewsEnterpriseId": "$request.body#/mewsEnterpriseId"}
    for giver in (Flow.ENROLL, Flow.LINK):
        for operation in spec.operations[giver]:
            responses = version.node(["paths", operation.path, operation.method.lower(), "responses"])
            identifier = _place_of_identifier(spec, operation)
            if identifier:
                links = dict(_links(spec, f"$response.body#{identifier}", hotel))
                version.resolve(responses.get("200", {}))["links"] = links
    return document


def _links(spec: Specification, identifier: str, hotel: dict) -> Iterator[tuple[str, dict]]:
    for flow, carried in (
        (Flow.SEARCH, {"providerMembershipId": identifier}),
        (Flow.LIST, [identifier]),
        (Flow.LINK, identifier),
    ):
        for operation in spec.operations[flow]:
            body = hotel | {CARRIES[flow]: carried}
            yield operation.operation_id, {"operationId": operation.operation_id, "requestBody": body}


def _place_of_identifier(spec: Specification, operation: contract.Operation) -> str:
    """Return where the answer of an operation has a membership's identifier, as a pointer; empty if nowhere."""
    place = ["paths", operation.path, operation.method.lower(), "responses", "200"]
    content = spec.contract.resolve(spec.contract.node(place)).get("content", {})
    media_type = contract.json_media_type(content)
    schema = spec.contract.resolve(content[media_type].get("schema", {})) if media_type else {}
    if _has_identifier(spec, schema):
        return "/providerMembershipId"
    wrapped = (name for name, found in schema.get("properties", {}).items() if _has_identifier(spec, found))
    return next((f"/{name}/providerMembershipId" for name in wrapped), "")


def _has_identifier(spec: Specification, schema: dict) -> bool:
    schema = spec.contract.resolve(schema)
    shapes = [schema, *(spec.contract.resolve(shape) for shape in (*schema.get("oneOf", ()), *schema.get("anyOf", ())))]
    return any("providerMembershipId" in shape.get("properties", {}) for shape in shapes)


def _widened(node: Any) -> Any:
    if isinstance(node, dict):
        widened = {name: _widened(value) for name, value in node.items()}
        if isinstance(widened.get("format"), str):
            widened["format"] = contract.FORMATS.get(widened["format"], widened["format"])
        return widened
    return [_widened(value) for value in node] if isinstance(node, list) else node


def _take(event: Any, play: Play) -> None:
    if isinstance(event, events.Interrupted):
        raise KeyboardInterrupt
    if isinstance(event, events.ScenarioFinished):
        for case_id, interaction in event.recorder.interactions.items():
            _look(play, event.recorder.cases.get(case_id), interaction)
        for case_id, checks in event.recorder.checks.items():
            for check in checks:
                _judge(play, event.recorder, case_id, check)
    elif isinstance(event, events.FatalError | events.NonFatalError):
        error = event.exception if isinstance(event, events.FatalError) else event.value
        play.judge.break_off(_names(), f"Schemathesis stopped with {type(error).__name__}.")


def _look(play: Play, case: Any, interaction: Any) -> None:
    """Judge an answer for what Schemathesis does not know of this contract."""
    exchange = _exchange(play, interaction)
    answer = interaction.response
    if answer is None:
        play.judge.check("generated-no-server-error", False, "A generated request got no answer.", exchange)
        return
    play.judge.statuses[answer.status_code] += 1
    flow = play.spec.flow_of(exchange.method, case.value.operation.path) if case else None
    body = parsed(answer.content)
    if flow is Flow.ENROLL and answer.status_code == 200:
        play.left += [("", str(found["providerMembershipId"])) for found in memberships(body)]
    if flow and answer.status_code >= 400:
        told = f"A {answer.status_code} is no JSON object with type, status and title."
        play.judge.check("generated-errors-are-problem-details", problems.is_problem(body), told, exchange)


def _judge(play: Play, recorder: Any, case_id: str, check: Any) -> None:
    name = JUDGES.get(check.name)
    if name is None:
        return
    if check.status == Status.SUCCESS or check.failure_info is None:
        play.judge.check(name, check.status == Status.SUCCESS, "A check of Schemathesis broke down.")
        return
    failure = check.failure_info.failure
    interaction = recorder.interactions.get(failure.case_id or case_id) or recorder.interactions.get(case_id)
    if interaction is None or interaction.response is None or _is_excused(check.name, interaction.response):
        return
    exchange = _exchange(play, interaction)
    told, pointer = f"{failure.title}.", ""
    case = recorder.cases.get(case_id)
    flow = play.spec.flow_of(exchange.method, case.value.operation.path) if case else None
    if check.name == "response_schema_conformance" and flow and interaction.response.status_code == 200:
        for fault in play.spec.faults(play.spec.operation(flow), parsed(interaction.response.content))[:1]:
            told, pointer = f"{failure.title}: {fault.told}.", fault.pointer
    play.judge.check(name, False, told, exchange, pointer=pointer)


def _is_excused(check: str, answer: Any) -> bool:
    """Tell whether a server may answer so, though Schemathesis does not expect it.

    A request that the spec allows may be refused for what the program asks, with the fields to blame; and any may be
    put off for coming too often.
    """
    if answer.status_code == 429:
        return True
    return check == "positive_data_acceptance" and bool(problems.errors(parsed(answer.content)))


def _exchange(play: Play, interaction: Any) -> Exchange:
    request, answer = interaction.request, interaction.response
    sent = request.body or b""
    content = answer.content if answer else b""
    headers = {name: ", ".join(values) for name, values in (answer.headers if answer else {}).items()}
    shown = {name.title(): ", ".join(values) for name, values in request.headers.items()}
    kept = ("Authorization", "Content-Type", "Accept-Language")
    return Exchange(
        request.method,
        request.uri,
        {name: play.masker.text(shown[name]) for name in kept if name in shown},
        play.masker.sent(sent),
        answer.status_code if answer else 0,
        play.masker.headers(headers, parsed(sent)),
        play.masker.came(content, parsed(sent)),
        answer.elapsed if answer else 0,
        play.masker.content(sent),
    )
