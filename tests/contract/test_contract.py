"""Schemathesis, with every check that it has, over the running server on both databases."""

import os

import pytest
from schemathesis.checks import CHECKS

from tests import support
from tests.contract import hooks

EXAMPLES = "CONTRACT_EXAMPLES"
DEFAULT_EXAMPLES = 100


@pytest.fixture(scope="module")
def verdict(running_server: support.Server) -> hooks.Verdict:
    """What the suite finds when the program leaves all that the contract does not require to the guest."""
    support.clear(running_server.database_url)
    support.set_policy(required_fields=[])
    chosen = os.environ.get(EXAMPLES)
    return hooks.judge(running_server, examples=int(chosen or DEFAULT_EXAMPLES), seed=None if chosen else 1)


def test_server_keeps_the_contract(verdict):
    assert not verdict.failures, "\n".join(verdict.failures.values())


def test_every_phase_and_every_check_had_its_turn(verdict):
    assert verdict.phases == {"examples", "coverage", "fuzzing", "stateful"}
    assert verdict.checks.keys() == {*CHECKS.get_all_names(), "max_response_time"}


@pytest.mark.parametrize("operation", support.OPERATIONS.values(), ids=support.OPERATIONS)
@pytest.mark.parametrize("status", [200, 400, 401, 405])
def test_every_operation_was_seen_to_serve_and_to_refuse(verdict, operation, status):
    assert verdict.statuses[f"{operation.method} {operation.path}", status] > 0
