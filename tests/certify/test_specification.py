"""What the kit reads of the spec: where a body breaks it, and what the report shows of it."""

import pytest

from certify import requirements
from certify.requirements import Flow
from certify.specification import Specification

ENTRIES, LOOKED_AT = 100_000, 1000


@pytest.fixture(scope="module")
def spec() -> Specification:
    return Specification()


@pytest.mark.parametrize("name", requirements.load())
def test_the_excerpt_shows_what_stands_there_and_not_where_else_it_stands(spec, name):
    pointer = spec.pointer_to(requirements.load()[name])
    shown = spec.excerpt(pointer)
    assert shown
    assert not shown.startswith("$ref")


def test_of_a_long_list_of_wrong_entries_only_the_first_are_looked_at(spec):
    wrong = {"memberships": [{"providerMembershipId": 7}] * ENTRIES}
    faults = spec.faults(spec.operation(Flow.LIST), wrong)
    places = {fault.place[:2] for fault in faults}
    assert {("memberships", 0), ("memberships", 1)} <= places
    assert len(places) <= LOOKED_AT


def test_a_fault_after_the_first_entries_is_told_though_not_where(spec):
    right = {"providerMembershipId": "m-1", "status": "notFound"}
    assert spec.faults(spec.operation(Flow.LIST), {"memberships": [right] * ENTRIES}) == []
    (fault,) = spec.faults(spec.operation(Flow.LIST), {"memberships": [right] * ENTRIES + [{}]})
    assert f"after the first {LOOKED_AT}" in fault.told
