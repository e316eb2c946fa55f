"""A run of the kit within this process: what binds, who is waited for, and which answers are given up."""

import dataclasses
import json
import threading
from typing import Any

import pytest

from app import contract
from certify import client
from certify.play import Options
from certify.report import Report
from certify.requirements import Flow
from certify.run import CannotJudge, certify_server
from certify.specification import Specification
from tests import support
from tests.certify.front import Answer, Call, answer, front, problem

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def judged(server: support.Server, *, absent: tuple[Flow, ...] = (), **options: Any) -> Report:
    """The report of a run within this process, which takes less and where time can be shortened."""
    return certify_server(Options(server.url, server.token, absent=absent), Specification(absent=absent), **options)


def certified_rows(report: Report) -> dict[str, dict]:
    """The requirements of a report by name."""
    return {row["name"]: row for row in report.as_dict()["requirements"]}


def certified(server: support.Server, **options: Any) -> dict[str, dict]:
    """The requirements of such a run by name."""
    return certified_rows(judged(server, **options))


def with_result(report: Report, *wanted: str) -> set[str]:
    return {row.requirement.name for row in report.rows if row.result in wanted}


def created(call: Call) -> Answer:
    found = call.forward()
    return found.with_status(201) if found.is_ok and call.is_for(support.ENROLL) else found


def no_challenge(call: Call) -> Answer:
    return call.forward().without_header("WWW-Authenticate")


@on_sqlite
def test_a_miss_of_what_mews_publishes_is_a_failure(server):
    with front(server, created) as spoilt:
        report = judged(spoilt)
    assert (report.exit_code, with_result(report, "failed")) == (1, {"enroll-answers-200"})
    finding = certified_rows(report)["enroll-answers-200"]["findings"][0]
    assert finding["told"] == "The status is 201, and not 200."
    assert contract.load().node(contract._steps(finding["spec"]))


@on_sqlite
def test_who_was_enrolled_under_another_name_of_the_identifier_is_listed_as_left_behind(server):
    def renamed(call: Call) -> Answer:
        found = call.forward()
        return found.with_content(found.content.replace(b"providerMembershipId", b"provider_membership_id"))

    with front(server, renamed) as spoilt:
        left = judged(spoilt).left
    assert left
    assert all(email.endswith("@certify.example") and not identifier for email, identifier in left)


@on_sqlite
def test_a_body_that_nests_deep_is_a_finding(server):
    def nested(call: Call) -> Answer:
        found = call.forward()
        return found.with_content(b"[" * 400 + b"]" * 400) if call.is_for(support.SEARCH) and found.is_ok else found

    with front(server, nested) as spoilt:
        report = judged(spoilt)
    assert "search-answer-follows-spec" in with_result(report, "failed", "advice")


@on_sqlite
@pytest.mark.parametrize(("strict", "result", "code"), [(False, "advice", 0), (True, "failed", 1)])
def test_a_miss_of_our_reading_is_advice_unless_strict(strict, result, code, server):
    with front(server, no_challenge) as spoilt:
        report = judged(spoilt, strict=strict)
    assert (report.exit_code, with_result(report, result)) == (code, {"authentication-refusal-has-a-challenge"})


@on_sqlite
def test_whoever_asks_to_wait_is_waited_for(server):
    def put_off(call: Call) -> Answer:
        call.memory["count"] = call.memory.get("count", 0) + 1
        if call.memory["count"] % 50 != 3:
            return call.forward()
        body = {"type": f"{support.PROBLEM}core/too-many-requests", "status": 429, "title": "Too many requests"}
        busy = answer(429, json.dumps(body).encode(), "application/problem+json")
        return busy.with_header("Retry-After", "1")

    with front(server, put_off) as busy:
        assert with_result(judged(busy), "failed", "advice", "not judged") == set()


@on_sqlite
@pytest.mark.parametrize("name", [support.ENROLL, support.LIST])
def test_to_put_off_what_comes_at_once_is_no_fault(name, server):
    """Whoever is alone is served, so that no wait comes to its end."""

    def one_at_a_time(call: Call) -> Answer:
        if not call.is_for(name) or call.memory.setdefault("alone", threading.Lock()).acquire(blocking=False):
            try:
                return call.forward()
            finally:
                if call.is_for(name):
                    call.memory["alone"].release()
        return problem(429, "core/too-many-requests", "Too many requests").with_header("Retry-After", "0")

    with front(server, one_at_a_time) as busy:
        report = judged(busy, strict=True)
    assert report.statuses[429] > 0
    assert with_result(report, "failed", "not judged") == set()


@on_sqlite
def test_a_server_that_never_comes_to_an_end_is_not_judged(server, monkeypatch):
    monkeypatch.setattr(client, "LONGEST_EXCHANGE_SECONDS", 0.5)
    slow = dataclasses.replace(answer(200, b"{" * 60, "application/json"), pause=0.1)
    with front(server, lambda _: slow) as dripping, pytest.raises(CannotJudge, match=r"not complete after 0\.5 s"):
        certified(dripping)


@on_sqlite
@pytest.mark.parametrize(
    ("endless", "why"),
    [
        (dataclasses.replace(answer(200, b" " * 100, "application/json"), pause=0.1), "was not complete after 3 s"),
        (answer(200, b" " * (client.LARGEST_ANSWER_BYTES + 1), "application/json"), "is longer than 10 MiB"),
    ],
    ids=["slow", "long"],
)
def test_an_answer_without_end_is_given_up(endless, why, server, monkeypatch):
    monkeypatch.setattr(client, "LONGEST_EXCHANGE_SECONDS", 3)

    def once(call: Call) -> Answer:
        call.memory["count"] = call.memory.get("count", 0) + 1
        return endless if call.memory["count"] == 30 else call.forward()

    with front(server, once) as dripping:
        found = certified(dripping, time_budget=1)
    for name in ("requests-are-answered", "requests-are-answered-in-time"):
        assert (found[name]["result"], found[name]["missed"]) == (
            "failed" if name.endswith("answered") else "advice",
            1,
        )
        assert why in found[name]["findings"][0]["told"]
    assert found["staff-look-up-and-link"]["result"] == "passed"
    assert found["generated-no-server-error"]["result"] == "not judged"
