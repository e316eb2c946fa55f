"""Pairs of names, numbers and addresses, over many scripts, of which it is known whether they are the same."""

import collections
import csv
from pathlib import Path

import pytest

from models import folding, names

PAIRS = list(csv.DictReader((Path(__file__).parent / "pairs.csv").read_text(encoding="utf-8").split("\n")))
FEWEST_PAIRS = 300


def same_first_names(one: str, other: str) -> bool:
    return names.first_name_similarity(folding.fold(one), folding.fold(other)) >= names.SIMILAR


def same_last_names(one: str, other: str) -> bool:
    return names.last_name_similarity(folding.fold(one), folding.fold(other)) >= names.SIMILAR


def same_names(one: str, other: str) -> bool:
    return names.names_compatible(tuple(one.split("|")), tuple(other.split("|")))


def same_phones(one: str, other: str) -> bool:
    """Each with the address's country after a bar, where one is known."""
    numbers = [text.partition("|") for text in (one, other)]
    return folding.phones_agree(*(folding.phone_keys(number, country or None) for number, _, country in numbers))


COMPARISONS = {
    "first_name": same_first_names,
    "last_name": same_last_names,
    "name": same_names,
    "phone": same_phones,
    "email": lambda one, other: folding.email_key(one) == folding.email_key(other),
    "postal_code": lambda one, other: folding.postal_code_key(one) == folding.postal_code_key(other),
    "country": lambda one, other: folding.country_key(one) == folding.country_key(other),
}


@pytest.mark.parametrize("kind", COMPARISONS)
def test_every_pair_is_right_in_both_directions(kind):
    wrong = [
        f"{one} / {other}: expected {pair['expected']} ({pair['why']})"
        for pair in PAIRS
        for one, other in ((pair["one"], pair["other"]), (pair["other"], pair["one"]))
        if pair["kind"] == kind and COMPARISONS[kind](one, other) != (pair["expected"] == "same")
    ]
    assert wrong == [], "\n" + "\n".join(wrong)


def test_the_pairs_are_many_and_judged_both_ways():
    expected = collections.Counter(pair["expected"] for pair in PAIRS)
    assert set(expected) == {"same", "different"}
    assert expected.total() >= FEWEST_PAIRS
    assert expected["different"] >= expected.total() / 3
    assert {pair["kind"] for pair in PAIRS} == set(COMPARISONS)
    assert len({(pair["kind"], pair["one"], pair["other"]) for pair in PAIRS}) == len(PAIRS)
