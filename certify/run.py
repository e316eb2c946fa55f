"""One run of the kit: asks whether there is anything to judge, plays the scenarios, and returns the report."""

import datetime
import importlib
import random
from collections.abc import Callable, Collection

import httpx

import certify.scenarios  # noqa: F401 (puts the scenarios into the list)
from certify import requirements
from certify.client import Client, ServerAway, Silence
from certify.guests import Guests
from certify.judge import Judge
from certify.masking import Masker
from certify.observers import Observer
from certify.play import BrokenOff, Options, Play
from certify.report import Report
from certify.requirements import Flow
from certify.scenario import SCENARIOS, Scenario
from certify.scenarios.every import harmless
from certify.specification import Specification

REFUSED = (401, 403)


class CannotJudge(Exception):
    """There is nothing to judge; the text is one sentence that says why, and what to do."""


# Is told which flow is being played, and which step of how many that is.
Progress = Callable[[str, int, int], None]


def certify_server(
    options: Options,
    spec: Specification,
    *,
    time_budget: float = 0,
    strict: bool = False,
    seed: int | None = None,
    progress: Progress = lambda _flow, _step, _steps: None,
    scenarios: Collection[Scenario] = SCENARIOS,
) -> Report:
    """Play every scenario against a server and return what was found.

    Args:
        options: where the server is, and what its provider says of it.
        spec: the contract to judge by.
        time_budget: seconds for generated requests; 0 leaves them out.
        strict: a miss of what is our reading is a failure too.
        seed: of the generated requests; None makes new ones.
        progress: is told what is being played.
        scenarios: what to play; all of them unless some are chosen.

    A server that goes away midway, or Ctrl+C, cuts the report short, which has then what was found so far.

    Raises:
        CannotJudge: the server cannot be reached, refuses the token everywhere, or knows none of the operations.
    """
    if time_budget:
        importlib.import_module("certify.generated")  # it may lack a package, which is better known before the rest
    began = datetime.datetime.now(datetime.UTC)
    seed = random.randrange(2**32) if seed is None else seed  # noqa: S311 (it makes people up)
    play = _new_play(options, spec, random.Random(f"{seed} {began}"))  # noqa: S311 (and no run meets another's)
    cut_short = _play_to_the_end(play, lambda: _play_all(play, scenarios, time_budget, seed, progress))
    return Report(play, began=began, strict=strict, seed=seed, cut_short=cut_short)


def _play_to_the_end(play: Play, play_all: Callable[[], None]) -> str:
    """Play, and return why it came to no end; empty if it did."""
    try:
        _ask(play)
        play_all()
    except (ServerAway, KeyboardInterrupt) as error:
        cut_short = str(error) or "It was interrupted."
        play.judge.break_off(play.judge.records, cut_short)
        return cut_short
    finally:
        play.client.close()
    return ""


def _new_play(options: Options, spec: Specification, randomness: random.Random) -> Play:
    judge = Judge(requirements.load().values())
    # The scenarios send the token also with its case swapped and with a letter more, which bash spells so.
    spelled = {options.token: "$LOYALTY_TOKEN", f"{options.token}x": "${LOYALTY_TOKEN}x"}
    swapped = {options.token.swapcase(): "${LOYALTY_TOKEN~~}"}
    tokens = swapped | {options.second_token: "$LOYALTY_SECOND_TOKEN"} | spelled
    masker = Masker(tokens, spec.names, spec.personal, spec.vocabulary)
    client = Client(options.base_url, options.token, masker, Observer(spec, judge, masker).look)
    return Play(options, spec, judge, client, Guests(randomness), masker)


def _play_all(play: Play, chosen: Collection[Scenario], time_budget: float, seed: int, progress: Progress) -> None:
    scenarios = sorted(chosen, key=lambda scenario: list(Flow).index(scenario.flow))
    steps = len(scenarios) + 1
    for step, scenario in enumerate(scenarios):
        progress(scenario.flow.heading, step, steps)
        _play(play, scenario)
    _generate(play, time_budget, seed, lambda title: progress(title, len(scenarios), steps))


def _ask(play: Play) -> None:
    """Find out whether the server answers, and takes the token anywhere."""
    statuses, silences = {}, []
    requests = harmless(play)
    if not requests:
        raise CannotJudge("Every feature was declared absent, so nothing is left to judge.")
    others = {flow: body for flow, body in requests.items() if flow is not Flow.ENROLL}  # which leaves a guest behind
    for flow, body in (others or requests).items():
        operation = play.spec.operation(flow)
        try:
            statuses[flow] = play.client.call(operation.method, operation.path, body, observed=False).status
        except Silence as silence:
            silences.append(silence)
        except httpx.InvalidURL:
            raise CannotJudge(f"{play.options.base_url} is no address: give one with http:// or https://.") from None
    if not statuses:
        raise CannotJudge(
            f"The server at {play.options.base_url} cannot be reached; see whether it runs there. {silences[0]}"
        )
    # A link to an unknown membership is 404 where all is well.
    if {404} == {status for flow, status in statuses.items() if flow is not Flow.LINK} == set(statuses.values()):
        raise CannotJudge(
            f"The server answers 404 to every operation below {play.options.base_url}: "
            "see whether that is the whole address that you give to Mews, and correct --base-url."
        )
    if all(status in REFUSED for status in statuses.values()):
        raise CannotJudge(
            f"The server at {play.options.base_url} refuses the token for every operation: "
            "give the one that Mews would send, with --token or in LOYALTY_TOKEN."
        )


def _play(play: Play, scenario: Scenario) -> None:
    absent = [flow for flow in scenario.needs if flow in play.options.absent]
    if absent:
        for name in scenario.judges:
            play.judge.skip(name, f"The feature {', '.join(absent)} was declared absent.")
        return
    try:
        scenario.play(play)
    except BrokenOff as error:
        play.judge.break_off(scenario.judges, str(error))


def _generate(play: Play, time_budget: float, seed: int, progress: Callable[[str], None]) -> None:
    names = [found.name for found in requirements.load().values() if found.flow is Flow.GENERATED]
    if time_budget <= 0:
        for name in names:
            play.judge.skip(name, "There was no time for generated requests (--time-budget 0).")
        return
    if play.client.met_endless:  # Schemathesis limits each read alone, and would wait for ever
        play.judge.break_off(names, "An answer did not come to its end, and one like it would hold up the rest.")
        return
    progress("Generated requests")
    from certify.generated import judge_generated  # which takes a second to import

    judge_generated(play, time_budget, seed, progress)
