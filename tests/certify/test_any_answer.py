"""Whatever a server answers, the kit comes to a judgement, and can write it down."""

import json
import pathlib
import random
import xml.etree.ElementTree
from typing import Any

import pytest

from certify.rendering import write_html, write_junit
from certify.report import Report
from tests.certify.front import JSON, Answer, Call, answer, front
from tests.certify.test_certify_run import judged
from tests.resilience.soak import rounds

ANSWERS = (
    b"<!doctype html><title>It works</title>",
    b"",
    b"null",
    b'[[null], {"providerMembershipId": {}}]',
    b'{"members": {}, "memberships": [null, 1, []], "membership": "A-1"}',
    b'{"membership": {"providerMembershipId": []}, "members": [{"membership": {"providerMembershipId": 7}}]}',
    b'{"type": {}, "title": [], "status": "400", "errors": [1, {"type": [], "pointer": {}}]}',
)
STRANGE = (None, True, -1, 1.5, "x", "é" * 300, [], [None], {}, {"a": {}})

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def assert_can_be_written(report: Report, folder: pathlib.Path) -> None:
    json.dumps(report.as_dict())
    write_html(report, folder / "report.html")
    write_junit(report, folder / "report.xml")
    assert xml.etree.ElementTree.parse(folder / "report.xml").getroot().tag == "testsuites"


@pytest.mark.parametrize("content", ANSWERS, ids=range(len(ANSWERS)))
def test_a_server_that_answers_all_alike_is_judged(content, server, tmp_path):
    with front(server, lambda _: answer(200, content, JSON)) as spoilt:
        report = judged(spoilt)
    assert report.exit_code == 1
    assert_can_be_written(report, tmp_path)


def spoil(value: Any, chance: random.Random) -> Any:
    """Return a JSON value with some of the values in it replaced, some names changed, and some left out."""
    if chance.random() < 0.05:
        return chance.choice(STRANGE)
    if isinstance(value, dict):
        kept = [name for name in value if chance.random() > 0.01]
        return {name if chance.random() > 0.01 else name.upper(): spoil(value[name], chance) for name in kept}
    return [spoil(entry, chance) for entry in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(rounds(6, 100)))
def test_a_server_that_answers_at_random_is_judged(seed, server, tmp_path):
    chance = random.Random(seed)
    often = chance.choice((0.2, 1))

    def at_random(call: Call) -> Answer:
        found = call.forward()
        if not found.content or chance.random() > often:
            return found
        status = chance.choice((200, 204, 302, 400, 401, 404, 500)) if chance.random() < 0.1 else found.status
        return found.with_body(spoil(found.body, chance)).with_status(status)

    with front(server, at_random) as spoilt:
        report = judged(spoilt)
    assert report.exit_code == 1
    assert_can_be_written(report, tmp_path)
