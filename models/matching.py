"""Whether two records speak of one person: name compatibility, blocking keys and agreement weights.

Search reads only `filter_keys`, `blocking_keys`, `score` and `CUT_OFF`, so a better scorer replaces this module
and nothing else.
"""

import functools
from dataclasses import dataclass

from nicknames import NickNamer
from rapidfuzz.distance import JaroWinkler

from models import folding

SIMILAR = 0.9  # Jaro-Winkler similarity from which two names count as one with a typing error


@dataclass(frozen=True)
class Weight:
    """What a field adds to the score where it agrees, and where both sides have it and it does not."""

    agreement: float
    disagreement: float


# In the manner of Fellegi and Sunter (1969): rarer coincidences weigh more. Set by hand for now. The exact identifiers
# outweigh all other fields together, so that they rank first.
WEIGHTS = {
    "provider_membership_id": Weight(200, 0),
    "membership_number": Weight(100, 0),
    "email": Weight(12, -2),
    "last_name": Weight(8, -4),
    "first_name": Weight(6, -3),
    "phone_number": Weight(6, -1),
    "postal_code": Weight(5, -1),
    "city": Weight(4, -1),
    "country_code": Weight(1, -1),
}
CUT_OFF = 0.0  # a candidate at or below it is a stranger


@functools.cache
def _nicknames() -> NickNamer:
    return NickNamer()


def _is_nickname(one: str, other: str) -> bool:
    names = _nicknames()
    return other in names.nicknames_of(one) or one in names.nicknames_of(other)


def _similar(one: str, other: str) -> bool:
    return one == other or JaroWinkler.similarity(one, other) >= SIMILAR


def first_names_compatible(one: str | None, other: str | None) -> bool:
    """Tell whether two folded first names may be one person's: missing, similar, an initial, a nickname, or one
    without the other's further names (`anna`, `anna maria`).
    """
    if not one or not other:
        return True
    if min(len(one), len(other)) == 1:
        return one[0] == other[0]
    shorter, longer = sorted((one.split(), other.split()), key=len)
    return _similar(one, other) or _is_nickname(one, other) or longer[: len(shorter)] == shorter


def names_equal(one: tuple[str | None, str | None], other: tuple[str | None, str | None]) -> bool:
    """Tell whether two (first name, last name) pairs, as given, are the same after folding, in either order."""
    names, other_names = [tuple(map(folding.fold, pair)) for pair in (one, other)]
    return names in (other_names, other_names[::-1])


def names_compatible(one: tuple[str | None, str | None], other: tuple[str | None, str | None]) -> bool:
    """Tell whether two (first name, last name) pairs, as given, may be one person's, in either order."""
    (first, last), (other_first, other_last) = [tuple(map(folding.fold, pair)) for pair in (one, other)]
    straight = _similar(last or "", other_last or "") and first_names_compatible(first, other_first)
    swapped = first == other_last and last == other_first
    return straight or swapped


def filter_keys(member_filter: dict) -> dict:
    """Return what the filter gives to compare by, normalised; blank fields are None or empty.

    Args:
        member_filter: the contract's member filter in plain values.
    """
    return folding.member_keys({**member_filter, "address": member_filter}) | {
        "provider_membership_id": (member_filter.get("provider_membership_id") or "").strip() or None,
        "number_key": folding.number_key(member_filter.get("membership_number")),
        "phone_keys": folding.phone_keys(member_filter.get("phone_number"), member_filter.get("country_code")),
        "country_code": folding.country_key(member_filter.get("country_code")),
    }


def blocking_keys(wanted: dict) -> list[dict]:
    """Return, for each index that can find the person, its columns with the wanted values.

    Args:
        wanted: what `filter_keys` returned.
    """
    last, first, city = wanted["last_name_key"], wanted["first_name_key"], wanted["city_key"]
    blocks = [
        {"provider_membership_id": wanted["provider_membership_id"]},
        {"number_key": wanted["number_key"]},
        {"email_key": wanted["email_key"]},
        {"last_name_key": last, "first_name_key": first},
        {"last_name_key": first, "first_name_key": last},
        {"last_name_key": last, "city_key": city},
        {"last_name_key": last, "postal_code_key": wanted["postal_code_key"]},
        *({"phone_key" if key.startswith("+") else "phone_digits_key": key} for key in wanted["phone_keys"]),
    ]
    return [block for block in blocks if all(block.values())]


def score(wanted: dict, candidate: dict) -> float:
    """Return the sum of the weights of all fields that both the filter and the candidate have.

    Args:
        wanted: what `filter_keys` returned.
        candidate: a row of the member joined with its membership, by column name.
    """
    total = 0.0
    for field, agrees in _comparison(wanted, candidate).items():
        if agrees is not None:
            total += WEIGHTS[field].agreement if agrees else WEIGHTS[field].disagreement
    return total


def _comparison(wanted: dict, candidate: dict) -> dict[str, bool | None]:
    first, last = _compare_names(wanted, candidate)
    return {
        "provider_membership_id": _equal(wanted["provider_membership_id"], candidate["provider_membership_id"]),
        "membership_number": _equal(wanted["number_key"], candidate["number_key"]),
        "email": _equal(wanted["email_key"], candidate["email_key"]),
        "first_name": first,
        "last_name": last,
        "phone_number": _compare_phones(wanted["phone_keys"], candidate),
        "postal_code": _equal(wanted["postal_code_key"], candidate["postal_code_key"]),
        "city": _equal(wanted["city_key"], candidate["city_key"]),
        "country_code": _equal(wanted["country_code"], folding.country_key(candidate["country_code"])),
    }


def _compare_phones(wanted: list[str], candidate: dict) -> bool | None:
    """By E.164 where both parse, otherwise by any digits that they have in common."""
    known = folding.phone_keys(candidate["phone_number"], candidate["country_code"])
    if not wanted or not known:
        return None
    if wanted[0].startswith("+") and known[0].startswith("+"):
        return wanted[0] == known[0]
    return not set(wanted).isdisjoint(known)


def _compare_names(wanted: dict, candidate: dict) -> tuple[bool | None, bool | None]:
    first, last = wanted["first_name_key"], wanted["last_name_key"]
    other_first, other_last = candidate["first_name_key"], candidate["last_name_key"]
    if first and last and (first, last) == (other_last, other_first):
        return True, True
    return (
        first_names_compatible(first, other_first) if first and other_first else None,
        _similar(last, other_last) if last and other_last else None,
    )


def _equal(one: str | None, other: str | None) -> bool | None:
    return one == other if one and other else None
