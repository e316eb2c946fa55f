"""Schemathesis against a server: what it must know to judge it, an own check, and three exclusions with reasons."""

import collections
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import re
import urllib.parse
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest
import schemathesis
import schemathesis.engine
from hypothesis import strategies
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events

from app import contract
from tests.support import ENROLL, LINK, LIST, OPERATIONS, PROBLEM, SEARCH, Server

SLOWEST_ANSWER_SECONDS = 8
IDENTIFIER = "$response.body#/membership/providerMembershipId"
# What the stateful phase takes from one operation's answer into the requests of others; it makes up the rest of each.
GIVES = (ENROLL, LINK)
TAKES = {
    SEARCH: {"memberFilter": {"providerMembershipId": IDENTIFIER}},
    LIST: {"providerMembershipIds": [IDENTIFIER]},
    LINK: {"providerMembershipId": IDENTIFIER},
}


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict) -> None:
    """Read `email` as `idn-email`, as the server says it does (docs/interpretations.md), and link the operations.

    Without the first Schemathesis would send `jürgen@example.com` as an invalid address and complain that it is taken.
    The links make the stateful phase feed what an enrollment answers to the other operations.
    """
    if raw_schema["info"]["title"] != contract.load().document["info"]["title"]:
        return  # another test's, in the same process
    _widen_formats(raw_schema)
    version = contract.Contract(raw_schema)
    enterprise = {"mewsEnterpriseId": "$request.body#/mewsEnterpriseId"}
    links = {
        found.operation_id: {"operationId": found.operation_id, "requestBody": enterprise | body}
        for name, body in TAKES.items()
        for found in _operations_with(version, name)
    }
    for found in (found for name in GIVES for found in _operations_with(version, name)):
        responses = version.node(["paths", found.path, found.method.lower(), "responses"])
        version.resolve(responses.get("200", {}))["links"] = links


def _operations_with(version: contract.Contract, name: str) -> list[contract.Operation]:
    """The operation of a version whose request carries a property, if it has one."""
    with contextlib.suppress(LookupError):
        return [version.operation_with(name)]
    return []


def _widen_formats(node: Any) -> None:
    if isinstance(node, dict):
        if isinstance(node.get("format"), str):
            node["format"] = contract.FORMATS.get(node["format"], node["format"])
        for value in node.values():
            _widen_formats(value)
    elif isinstance(node, list):
        for value in node:
            _widen_formats(value)


# Addresses in several scripts, which plain `email` does not allow; cheaper to make than Hypothesis' own, some of
# whose domains IDNA 2008 refuses (`xN--...`). `atext` of RFC 5322, section 3.2.3, with the letters of RFC 6531.
_LETTERS = "abcdefghijklmnopqrstuvwxyzäöüßłéñжя0123456789"
_local = strategies.text(_LETTERS + _LETTERS.upper() + "!#$%&'*+-/=?^_`{|}~", min_size=1, max_size=30)
_label = strategies.text(_LETTERS, min_size=1, max_size=20)
_address = strategies.builds("{}@{}.{}".format, _local, _label, strategies.sampled_from(["example", "de", "рф"]))
schemathesis.openapi.format("idn-email", _address)


@schemathesis.check
def problem_json(_context: Any, response: Any, _case: Any) -> None:
    """Every answer from 400 on is a problem detail (RFC 9457) as the prose asks, documented or not."""
    if response.status_code < 400 or response.request.method == "HEAD":
        return
    headers = response.headers
    assert headers.get("content-type") == ["application/problem+json"], "the media type is not problem+json"
    problem = json.loads(response.content)
    for member in ("type", "title", "detail", "instance"):
        assert isinstance(problem.get(member), str), f"the problem lacks {member}"
        assert problem[member], f"the problem's {member} is empty"
    assert problem["type"].startswith(PROBLEM) or problem["type"] == "about:blank", "the type is not of Mews' list"
    assert problem.get("status") == response.status_code, "the problem tells another status"
    assert problem["instance"] == f"urn:uuid:{headers.get('x-request-id', [''])[0]}", "instance is not X-Request-Id"
    if response.status_code == 401:
        assert headers.get("www-authenticate", [""])[0].startswith("Bearer"), "401 without WWW-Authenticate"
    for error in problem.get("errors", []):
        assert error["type"].startswith(PROBLEM), "a field error's type is not of Mews' list"
        assert error["detail"], "a field error tells nothing"
        assert error["pointer"] == "#" or error["pointer"].startswith("#/"), "a pointer is no URI fragment"
        assert error["pointer"].isascii(), "a pointer is not percent-encoded"


def text_with_nul(error: dict, name: str, value: Any) -> bool:
    """U+0000: JSON can spell it, Postgres can not hold it; the server refuses it on both databases alike."""
    return error["type"] == PROBLEM + "core/field-invalid-format" and "\0" in f"{name}{value}"


def email_of_an_earlier_case(error: dict, name: str, value: Any) -> bool:
    """An e-mail that an earlier case enrolled under another name: valid by the schema, and refused."""
    return error["type"] == PROBLEM + "core/field-duplicate" and error["pointer"] == "#/customer/email"


def date_beyond_python(error: dict, name: str, value: Any) -> bool:
    """The year 0 and the second 60: RFC 3339 allows them, Python can not hold them, so they are 400."""
    if error["type"] != PROBLEM + "core/field-invalid-format" or not re.match(r"\d{4}-\d\d-\d\d", str(value)):
        return False
    try:
        datetime.datetime.fromisoformat(value.upper())
    except ValueError:
        return True
    return False


EXCLUSIONS: tuple[Callable[[dict, str, Any], bool], ...] = (text_with_nul, email_of_an_earlier_case, date_beyond_python)


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Forgive the refusal of a valid body only where the exclusions account for every single error that it tells."""
    if type(failure).__name__ != "RejectedPositiveData" or response.status_code != 400:
        return True
    errors = json.loads(response.content).get("errors", [])
    return not errors or not all(_is_excluded(error, case.body) for error in errors)


def _is_excluded(error: dict, body: Any) -> bool:
    name, value = "", body
    for step in urllib.parse.unquote(error["pointer"].removeprefix("#")).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value[name]
    return any(excludes(error, name, value) for excludes in EXCLUSIONS)


# A test of each operation: what fails, fails by its name.
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


def chosen_examples() -> int | None:
    """How many random requests the one who runs the tests asks for, if that was said."""
    return int(os.environ.get("CONTRACT_EXAMPLES", "0")) or None


def label(operation: contract.Operation) -> str:
    """What Schemathesis calls an operation."""
    return f"{operation.method} {operation.path}"


@dataclasses.dataclass
class Verdict:
    """What a run of the suite found.

    Attributes:
        failures: the first of each kind with request and answer, by `label`; by an empty text, whatever went
            wrong with Schemathesis itself.
        checks: how often each check was made and passed.
        statuses: how often each operation answered with which status.
        phases: the phases that ran.
    """

    failures: dict[str, dict[str, str]] = dataclasses.field(default_factory=lambda: collections.defaultdict(dict))
    checks: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    statuses: collections.Counter[tuple[str, int]] = dataclasses.field(default_factory=collections.Counter)
    phases: set[str] = dataclasses.field(default_factory=set)

    def assert_kept(self, operation: contract.Operation) -> None:
        """Fail with what was found at an operation, if anything was."""
        found = self.failures[label(operation)]
        assert not found, "\n".join(found.values())


def judge(
    server: Server,
    *,
    examples: int,
    seed: int | None = 1,
    most_failures: int | None = None,
    specification: pathlib.Path = contract.SPECIFICATION,
    without: Collection[str] = (),
) -> Verdict:
    """Run Schemathesis' phases with every check against a server.

    Args:
        server: where to, and with which token.
        examples: random requests for each operation in the fuzzing phase, and a fifth as many walks along the links.
        seed: of the random choices; None makes new ones.
        most_failures: after how many to stop; None stops after none.
        specification: the version of the contract that the server's base path serves.
        without: labels of operations to leave alone.
    """
    configuration = {
        "base-url": f"{server.url}{server.base_path}",
        "continue-on-failure": True,
        "auth": {"openapi": {"bearerAuth": {"bearer": server.token}}},
        "checks": {"enabled": True, "max_response_time": SLOWEST_ANSWER_SECONDS},
        "generation": {"max-examples": examples, "database": "none"},
        "phases": {"stateful": {"generation": {"max-examples": max(1, examples // 5)}}},
        "suppress-health-check": ["all"],
    }
    configuration |= {"seed": seed} if seed is not None else {}
    configuration |= {"max-failures": most_failures} if most_failures is not None else {}
    schema = schemathesis.openapi.from_path(specification, config=SchemathesisConfig.from_dict(configuration))
    schema = schema.exclude(lambda context: context.operation.label in without)
    verdict = Verdict()
    for event in schemathesis.engine.from_schema(schema).execute():
        _take(event, verdict)
    return verdict


def _take(event: Any, verdict: Verdict) -> None:
    if isinstance(event, events.ScenarioFinished):
        verdict.phases.add(event.phase.value)
        for operation, kind, line in _failures(event.recorder, verdict):
            verdict.failures[operation].setdefault(kind, line)
    elif isinstance(event, events.NonFatalError | events.FatalError):
        error = event.value if isinstance(event, events.NonFatalError) else event.exception
        verdict.failures[""].setdefault(repr(error), f"Schemathesis itself: {error!r}")


def _failures(recorder: Any, verdict: Verdict) -> Iterator[tuple[str, str, str]]:
    labels = {case_id: case.value.operation.label for case_id, case in recorder.cases.items()}
    for case_id, interaction in recorder.interactions.items():
        verdict.statuses[labels[case_id], interaction.response.status_code if interaction.response else 0] += 1
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.status == Status.SUCCESS:
                verdict.checks[check.name] += 1
                continue
            failure = check.failure_info.failure if check.failure_info else "the check crashed"
            interaction = recorder.interactions.get(case_id)
            answer = interaction.response.content[:600] if interaction and interaction.response else b""
            sample = check.failure_info.code_sample[:1500] if check.failure_info else ""
            kind = f"{check.name} {getattr(failure, 'title', failure)}"
            yield labels[case_id], kind, f"{kind}: {getattr(failure, 'message', '')}\n  {sample}\n  {answer!r}"
