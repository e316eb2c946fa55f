"""How the kit calls a server: it waits where it is asked to, though not for long, and gives up where it is refused."""

from collections.abc import Iterable

import pytest

from certify.client import LONGEST_WAIT_SECONDS, MOST_WAITS, Answer, Client
from certify.masking import Masker
from certify.play import Options
from certify.run import CannotJudge, certify_server
from certify.scenario import SCENARIOS
from certify.specification import Specification
from tests import support
from tests.certify.front import Call, Fault, answer, front, problem

# No fault here lets the server answer, so there is none.
NOWHERE = support.Server("127.0.0.1", 9, "loyalty_x", "")


def busy(wait: str | None) -> Fault:
    """Put off every request, for a time."""
    found = problem(429, "core/too-many-requests", "Too many requests")
    return lambda _: found if wait is None else found.with_header("Retry-After", wait)


def called(fault: Fault, **options: object) -> tuple[Answer, int, list[float]]:
    """Call a server, and return its answer, how many requests were sent, and the seconds that the client waited."""
    waited: list[float] = []
    with front(NOWHERE, fault) as server:
        client = Client(server.url, "loyalty_x", Masker({}), lambda _: None, waited.append)
        try:
            return client.call("POST", "/members", {}, **options), client.sent, waited
        finally:
            client.close()


@pytest.mark.parametrize(
    ("told", "waited"),
    [
        ("1", [1.0] * MOST_WAITS),
        ("0", [0.0] * MOST_WAITS),
        (str(LONGEST_WAIT_SECONDS), [60.0] * MOST_WAITS),
        (str(LONGEST_WAIT_SECONDS + 1), []),
        ("99999999999", []),
        (None, [1.0] * MOST_WAITS),
        ("Wed, 21 Oct 2026 07:28:00 GMT", [1.0] * MOST_WAITS),
    ],
)
def test_it_waits_as_it_is_asked_but_no_longer_than_a_minute(told, waited):
    found, sent, slept = called(busy(told))
    assert (found.status, sent, slept) == (429, 1 + len(waited), waited)


def test_it_sends_again_after_the_wait_until_it_is_served():
    def busy_once(call: Call):
        call.memory["calls"] = call.memory.get("calls", 0) + 1
        return busy("7")(call) if call.memory["calls"] == 1 else answer(200, b"{}", "application/json")

    found, sent, slept = called(busy_once)
    assert (found.status, sent, slept) == (200, 2, [7.0])


def test_it_does_not_wait_where_it_wants_to_see_the_refusal():
    found, sent, slept = called(busy("1"), patient=False)
    assert (found.status, sent, slept) == (429, 1, [])


def refusing(*statuses: int) -> Fault:
    """Answer the operations with these statuses, one after the other."""

    def refuse(call: Call):
        number = call.memory["calls"] = call.memory.get("calls", -1) + 1
        return answer(statuses[number % len(statuses)])

    return refuse


def cannot_judge(fault: Fault, absent: Iterable = ()) -> str:
    with front(NOWHERE, fault) as server, pytest.raises(CannotJudge) as told:
        certify_server(Options(server.url, "loyalty_x", absent=tuple(absent)), Specification())
    return str(told.value)


@pytest.mark.parametrize("statuses", [(401,), (403,), (401, 403), (403, 401, 401)], ids=str)
def test_a_token_that_is_refused_everywhere_cannot_be_judged_by(statuses):
    assert "refuses the token for every operation" in cannot_judge(refusing(*statuses))


@pytest.mark.parametrize("statuses", [(400,), (405,), (422,), (500,), (401, 400), (403, 200)], ids=str)
def test_another_refusal_says_nothing_of_the_token(statuses):
    name = "authentication-missing-token-is-401"
    scenarios = [one for one in SCENARIOS if name in one.judges]
    with front(NOWHERE, refusing(*statuses)) as server:
        report = certify_server(Options(server.url, "loyalty_x"), Specification(), scenarios=scenarios)
    assert report.exit_code == 1
    assert name in {row.requirement.name for row in report.rows if row.record.missed}


def test_a_redirect_is_told_without_the_query_that_names_somebody():
    redirect = answer(307).with_header("Location", "https://www.example.com/members?email=b.quillfeather@hotel.test")
    found, _, _ = called(lambda _: redirect)
    assert (found.status, found.exchange.headers) == (307, {"location": "https://www.example.com/members"})
