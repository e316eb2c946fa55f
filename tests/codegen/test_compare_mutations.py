"""Every single change of the contract has the class and the place that a person would give it."""

import pytest

from codegen.compare import BREAKS_NOW, NOTHING_TO_DO, SOMETHING_TO_DO, compare
from codegen.comparison import documents
from codegen.comparison.findings import Class
from tests.codegen.compare_mutations import MUTATIONS, OLD, Mutation

EXIT_CODES = {
    Class.BREAKS: BREAKS_NOW,
    Class.WORK: SOMETHING_TO_DO,
    Class.WIDEN: SOMETHING_TO_DO,
    Class.TEXT: NOTHING_TO_DO,
}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_change_has_its_class_and_place(mutation: Mutation):
    new = mutation.applied()
    documents.check(new, mutation.name)
    comparison = compare(OLD, new)
    found = [(str(difference.verdict), difference.pointer) for difference in comparison.differences]
    assert comparison.exit_code == EXIT_CODES[mutation.verdict], found
    worst = {pointer for verdict, pointer in found if verdict == mutation.verdict}
    assert worst >= ({mutation.pointer} if mutation.pointer else set()), found
    if not mutation.pointer:
        assert found == []
    assert {verdict for verdict, _ in found[:1]} <= {mutation.verdict}, found


def test_the_table_is_large_and_has_every_class():
    assert len(MUTATIONS) >= 60
    assert {mutation.verdict for mutation in MUTATIONS} == set(Class)
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)
