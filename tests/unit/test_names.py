"""Names of one person and of two, and what holds for any names; the many cases are in tests/golden/pairs.csv."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models import names
from models.folding import fold
from models.spellings import spelling
from models.tables import KEY_LENGTH

# Letters that the rules for spellings know, and any others, so that two names are alike often enough.
NAMES = st.text("aeiouybcdhjkmnstvwxz ", min_size=1, max_size=KEY_LENGTH) | st.text(min_size=1)
SIMILARITIES = [names.first_name_similarity, names.last_name_similarity]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("John", "Smith"), ("john", "SMITH")),
        (("John", "Smith"), ("Smith", "John")),
        (("Bill", "Smith"), ("William", "Smith")),
        (("J", "Smith"), ("John", "Smith")),
        (("J.", "Smith"), ("John", "Smith")),
        ((None, "Smith"), ("John", "Smith")),
        (("Jonathan", "Smith"), ("Jonathon", "Smith")),
        (("Anna", "Smith"), ("Anna Maria", "Smith")),
        (("José", "García"), ("Jose", "Garcia")),
        (("John", "Smyth"), ("John", "Smyth")),
        (("Jürgen", "Müller"), ("Juergen", "Mueller")),
        ((None, "John Smith"), ("John", "Smith")),
    ],
)
def test_names_of_one_person_are_compatible(one, other):
    assert names.names_compatible(one, other)
    assert names.names_compatible(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("John", "Smith"), ("Mary", "Smith")),
        (("John", "Smith"), ("John", "Brown")),
        (("J", "Smith"), ("Mary", "Smith")),
        ((None, "Smith"), ("John", "Brown")),
        (("Anna Maria", "Smith"), ("Anna Katharina", "Smith")),
    ],
)
def test_names_of_two_people_are_not(one, other):
    assert not names.names_compatible(one, other)
    assert not names.names_compatible(other, one)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_similarity_is_the_same_in_both_directions_and_from_0_to_1(similarity):
    @settings(deadline=None)
    @given(NAMES.map(fold).filter(bool), NAMES.map(fold).filter(bool))
    @example("garcia garcia", "garcia lopez")
    @example("***", "*** ***")
    def holds(one, other):
        assert 0 <= similarity(one, other) == similarity(other, one) <= 1
        assert similarity(one, one) == 1

    holds()


@settings(deadline=None)
@given(*[st.tuples(st.none() | NAMES, st.none() | NAMES)] * 2)
def test_compatibility_is_the_same_in_both_directions(one, other):
    assert names.names_compatible(one, one)
    assert names.names_equal(one, one)
    assert names.names_compatible(one, other) == names.names_compatible(other, one)
    assert names.names_compatible(one, other) or not names.names_equal(one, other)


def test_the_nearer_spelling_is_more_alike():
    ranked = ["yuliya", "julia", "julian", "mary"]
    similarities = [names.first_name_similarity("yuliya", name) for name in ranked]
    assert similarities == sorted(similarities, reverse=True)
    assert similarities[0] == 1 > similarities[1] >= names.SIMILAR > similarities[2]


def test_names_share_a_spelling_across_transliterations():
    assert spelling("yuliya") == spelling("iuliia") == spelling("julia")
    assert spelling("mueller") == spelling("muller")
    assert spelling("chen") != spelling("cheng")


def test_names_are_equal_in_any_order_and_in_one_field():
    assert names.names_equal(("John", "Smith"), ("SMITH", "john"))
    assert names.names_equal(("伟", "王"), (None, "王伟"))
    assert not names.names_equal(("Maria", "Smith"), ("Marie", "Smith"))


def test_names_longer_than_a_key_are_compatible_only_if_they_are_equal():
    long = "abcdefgh" * 9
    assert names.names_compatible(("John", long), ("John", long.upper()))
    assert not names.names_compatible(("John", long), ("John", f"{long}x"))
