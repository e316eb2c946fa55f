"""The contract suite against servers with one fault each: what it lets pass, it does not test."""

from collections.abc import Callable

import pytest

from tests import support
from tests.contract import faulty_server, hooks

# The check that must notice, by the fault.
NOTICED_BY = {
    faulty_server.created_instead_of_ok: "status_code_conformance",
    faulty_server.required_field_left_out: "response_schema_conformance",
    faulty_server.property_too_many: "response_schema_conformance",
    faulty_server.status_outside_the_enum: "response_schema_conformance",
    faulty_server.errors_as_html: "content_type_conformance",
    faulty_server.crash_on_some_input: "not_a_server_error",
    faulty_server.authentication_ignored: "ignored_auth",
    faulty_server.no_allow_beside_405: "unsupported_method",
    faulty_server.validation_skipped: "negative_data_rejection",
    faulty_server.valid_input_refused: "positive_data_acceptance",
    faulty_server.no_challenge_beside_401: "problem_json",
    faulty_server.instance_of_another_request: "problem_json",
}
FEW = 3


@pytest.fixture(scope="module")
def database(make_database: Callable[[str], str]) -> tuple[str, str]:
    """A SQLite database and a token for it."""
    url = make_database("sqlite")
    token = support.prepare(url)
    support.set_policy(required_fields=[])
    return url, token


@pytest.fixture(scope="module")
def faultless(database: tuple[str, str]) -> hooks.Verdict:
    with faulty_server.faulty_server(*database, faulty_server.no_fault) as server:
        return hooks.judge(server, examples=FEW)


@hooks.every_operation
def test_server_without_a_fault_passes(faultless, operation):
    faultless.assert_kept(operation)


@pytest.mark.parametrize(("fault", "check"), NOTICED_BY.items(), ids=[fault.__name__ for fault in NOTICED_BY])
def test_fault_is_noticed(database, faultless, fault, check):
    failing_anyway = [operation for operation, found in faultless.failures.items() if found]
    with faulty_server.faulty_server(*database, fault) as server:
        verdict = hooks.judge(server, examples=FEW, most_failures=1, without=failing_anyway)
    assert check in {kind.split()[0] for found in verdict.failures.values() for kind in found}
