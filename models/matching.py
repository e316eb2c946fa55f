"""Whether a member is the one that a filter describes: agreement weights, as Fellegi and Sunter (1969) have them.

A better scorer replaces this module and nothing else. The weights and their origin are in `weights.json` and
docs/matching.md.
"""

import enum
import json
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from rapidfuzz.distance import OSA, JaroWinkler

from models import blocking, folding, names

NAMES = ("first_name", "last_name")
CLOSE = 0.9  # the similarity that stands for one typing error in a code
SHORTEST_WITH_ERRORS = 4  # a code with fewer signs is another one if a sign differs


@dataclass(frozen=True)
class Weights:
    """What a field adds to the score, in bits: the logarithm of how much likelier the finding is for one person than
    for two.

    `levels` are (least similarity, weight), the highest first; below all of them `disagreement` holds.
    """

    levels: tuple[tuple[float, float], ...]
    disagreement: float

    def weigh(self, similarity: float) -> float:
        """Return the weight of a similarity from 0 to 1."""
        for least, weight in self.levels:
            if similarity >= least:
                return weight
        return self.disagreement

    @property
    def agreement(self) -> float:
        """The weight of equal values."""
        return self.levels[0][1]


def _load() -> tuple[dict[str, Weights], float]:
    document = json.loads(pathlib.Path(__file__).with_name("weights.json").read_text())
    weights = {
        field: Weights(tuple(map(tuple, given["levels"])), given["disagreement"])
        for field, given in document["fields"].items()
    }
    return weights, document["swapped_names"]


WEIGHTS, SWAPPED_NAMES = _load()


class Standing(enum.Enum):
    """What a candidate is to the person sought: shown, shown only where nobody fits well, or not shown."""

    MATCH = "match"
    POSSIBLE = "possible"
    STRANGER = "stranger"


# A candidate at or below it, in bits, is likelier a stranger than the person sought.
CUT_OFF = 1.0


Weighed: TypeAlias = tuple[float, float]  # how much alike two values are, and what that is worth in bits


class Comparison(NamedTuple):
    """How a member compares with a filter.

    `identifiers` are those that are equal; `evidence` is (similarity, weight in bits) of each field that both have;
    `score` is the sum of the weights.
    """

    identifiers: tuple[str, ...]
    evidence: dict[str, Weighed]
    swapped: bool
    score: float

    def similarity(self, field: str) -> float | None:
        """How much alike the values of a field are, or None if one is missing."""
        found = self.evidence.get(field)
        return None if found is None else found[0]

    @property
    def is_known_by_contact(self) -> bool:
        """Whether both names agree, and the e-mail or phone number is equal: this is the person, wherever they live."""
        return self._has_equal_contact and self.agrees(*NAMES)

    @property
    def _has_equal_contact(self) -> bool:
        return self.similarity("email") == 1 or self.similarity("phone_number") == 1

    def agrees(self, *name_fields: str) -> bool:
        """Tell whether these names are there and count as one with the filter's."""
        return all((self.similarity(field) or 0) >= names.SIMILAR for field in name_fields)

    @property
    def standing(self) -> Standing:
        """How much the evidence is worth.

        One field alone, which many share, is none: it takes two, or an equal e-mail or phone number.
        """
        if self.identifiers:
            return Standing.MATCH
        if self.score <= CUT_OFF:
            return Standing.STRANGER
        agreeing = {field for field, (_, weight) in self.evidence.items() if weight > 0}
        if len(agreeing - {"country_code"}) >= 2 or self._has_equal_contact:
            return Standing.MATCH
        is_of_the_place = "postal_code" in self.evidence and agreeing & {"city", "postal_code"}
        return Standing.POSSIBLE if is_of_the_place else Standing.STRANGER


def filter_keys(member_filter: dict) -> dict:
    """Return what the filter gives to compare by, normalised; blank fields are None or empty.

    Args:
        member_filter: the contract's member filter in plain values.
    """
    return blocking.member_keys({**member_filter, "address": member_filter}) | {
        "provider_membership_id": (member_filter.get("provider_membership_id") or "").strip() or None,
        "number_key": folding.number_key(member_filter.get("membership_number")),
        "phone_keys": folding.phone_keys(member_filter.get("phone_number"), member_filter.get("country_code")),
        "country_code": folding.country_key(member_filter.get("country_code")),
    }


def highest_score(wanted: dict) -> float:
    """Return the score in bits of a member that agrees in all that the filter gives."""
    columns = {field: f"{field}_key" for field in ("email", "first_name", "last_name", "city", "postal_code")}
    columns |= {"phone_number": "phone_keys", "country_code": "country_code"}
    return sum(WEIGHTS[field].agreement for field, column in columns.items() if wanted[column])


def compare(wanted: dict, candidate: dict) -> Comparison:
    """Compare all fields that both the filter and the candidate have; names in the order that fits better.

    Args:
        wanted: what `filter_keys` returned.
        candidate: the key columns of a member and its membership, by name, and its `country_code`.
    """
    identifiers = tuple(
        name for name, column in _IDENTIFIERS.items() if wanted[column] and wanted[column] == candidate[column]
    )
    evidence, swapped = _compare_names(wanted, candidate)
    for field, column in _COLUMNS.items():
        if wanted[column] and candidate[column]:
            evidence[field] = _weighed(field, wanted[column], candidate[column])
    if wanted["country_code"] and (country := folding.country_key(candidate["country_code"])):
        evidence["country_code"] = _weighed("country_code", wanted["country_code"], country)
    if wanted["phone_keys"] and (known := [candidate[column] for column in _PHONES if candidate[column]]):
        evidence["phone_number"] = _weighed("phone_number", wanted["phone_keys"], known)
    return Comparison(identifiers, evidence, swapped, _sum(evidence) + (SWAPPED_NAMES if swapped else 0))


def _compare_names(wanted: dict, candidate: dict) -> tuple[dict[str, Weighed], bool]:
    """Return the evidence of the names, and whether it is that of first and last name swapped."""
    straight = _weigh_names(wanted["first_name_key"], wanted["last_name_key"], candidate)
    if len(straight) == 2 and straight["first_name"][1] > 0 < straight["last_name"][1]:
        return straight, False
    if not _may_be_swapped(wanted, candidate):
        return straight, False
    swapped = _weigh_names(wanted["last_name_key"], wanted["first_name_key"], candidate)
    if _sum(swapped) + SWAPPED_NAMES > _sum(straight):
        return swapped, True
    return straight, False


def _may_be_swapped(wanted: dict, candidate: dict) -> bool:
    """Tell whether a name begins as the other one does, by its letters or its sounds.

    Comparing all the others twice would be most of the work.
    """
    for first, last in (("first_name_key", "last_name_key"), ("first_name_code", "last_name_code")):
        if (wanted[first] or "")[:1] == (candidate[last] or "")[:1]:
            return True
        if (wanted[last] or "")[:1] == (candidate[first] or "")[:1]:
            return True
    return False


def _weigh_names(first: str | None, last: str | None, candidate: dict) -> dict[str, Weighed]:
    evidence: dict[str, Weighed] = {}
    if first and candidate["first_name_key"]:
        evidence["first_name"] = _weighed("first_name", first, candidate["first_name_key"])
    if last and candidate["last_name_key"]:
        evidence["last_name"] = _weighed("last_name", last, candidate["last_name_key"])
    return evidence


def _weighed(field: str, wanted: Any, known: Any) -> Weighed:
    similarity = _SIMILARITIES[field](wanted, known)
    return similarity, WEIGHTS[field].weigh(similarity)


def _sum(evidence: dict[str, Weighed]) -> float:
    total = 0.0
    for _, weight in evidence.values():
        total += weight
    return total


def _equality(one: str, other: str) -> float:
    return float(one == other)


def _code_similarity(one: str, other: str) -> float:
    """Tell codes apart by their typing errors: 1 for none, `CLOSE` for one, 0 for more."""
    if one == other:
        return 1.0
    is_close = len(one) >= SHORTEST_WITH_ERRORS and OSA.distance(one, other, score_cutoff=1) <= 1
    return CLOSE if is_close else 0.0


def _email_similarity(one: str, other: str) -> float:
    """One typing error, or the same name at another provider, is close."""
    if one == other:
        return 1.0
    local, _, domain = one.rpartition("@")
    other_local, _, other_domain = other.rpartition("@")
    if domain == other_domain:
        return _code_similarity(local, other_local)
    return CLOSE if local == other_local and len(local) >= SHORTEST_WITH_ERRORS else 0.0


def _phone_similarity(wanted: list[str], known: list[str]) -> float:
    if folding.phones_agree(wanted, known):
        return 1.0
    return _code_similarity(wanted[-1].lstrip("+"), known[-1].lstrip("+"))


_SIMILARITIES: dict[str, Callable[[Any, Any], float]] = {
    "first_name": names.first_name_similarity,
    "last_name": names.last_name_similarity,
    "email": _email_similarity,
    "phone_number": _phone_similarity,
    "city": JaroWinkler.similarity,
    "postal_code": _code_similarity,
    "country_code": _equality,
}
_IDENTIFIERS = {"provider_membership_id": "provider_membership_id", "membership_number": "number_key"}
_PHONES = ("phone_key", "phone_digits_key")
_COLUMNS = {"city": "city_key", "postal_code": "postal_code_key", "email": "email_key"}


def similarity(field: str, one: str | None, other: str | None) -> float | None:
    """Return how much alike two normalised values of a field are, from 0 to 1, or None if one is missing."""
    return _SIMILARITIES[field](one, other) if one and other else None
