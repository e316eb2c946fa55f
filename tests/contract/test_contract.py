"""Schemathesis, with every check that it has, over the running server on both databases."""

import pytest
from schemathesis.checks import CHECKS

from tests import support
from tests.contract import hooks

DEFAULT_EXAMPLES = 100


@pytest.fixture(scope="module")
def verdict(running_server: support.Server) -> hooks.Verdict:
    """What the suite finds when the program leaves all that the contract does not require to the guest."""
    support.clear(running_server.database_url)
    support.set_policy(required_fields=[])
    chosen = hooks.chosen_examples()
    return hooks.judge(running_server, examples=chosen or DEFAULT_EXAMPLES, seed=None if chosen else 1)


@hooks.every_operation
def test_server_keeps_the_contract(verdict, operation):
    verdict.assert_kept(operation)


def test_every_phase_and_every_check_had_its_turn(verdict):
    assert not verdict.failures[""]
    assert verdict.phases == {"examples", "coverage", "fuzzing", "stateful"}
    assert verdict.checks.keys() == {*CHECKS.get_all_names(), "max_response_time"}


@hooks.every_operation
@pytest.mark.parametrize("status", [200, 400, 401, 405])
def test_every_operation_was_seen_to_serve_and_to_refuse(verdict, operation, status):
    assert verdict.statuses[hooks.label(operation), status] > 0
