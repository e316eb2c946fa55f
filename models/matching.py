"""Whether two records speak of one person: name compatibility, blocking keys and agreement weights.

Search reads only `filter_keys`, `blocking_keys`, `score` and `CUT_OFF`, so a better scorer replaces this module
and nothing else.
"""

from dataclasses import dataclass

from models import folding, names


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
        "phone_number": folding.phones_agree(
            wanted["phone_keys"], folding.phone_keys(candidate["phone_number"], candidate["country_code"])
        ),
        "postal_code": _equal(wanted["postal_code_key"], candidate["postal_code_key"]),
        "city": _equal(wanted["city_key"], candidate["city_key"]),
        "country_code": _equal(wanted["country_code"], folding.country_key(candidate["country_code"])),
    }


def _compare_names(wanted: dict, candidate: dict) -> tuple[bool | None, bool | None]:
    first, last = wanted["first_name_key"], wanted["last_name_key"]
    other_first, other_last = candidate["first_name_key"], candidate["last_name_key"]
    if first and last and (first, last) == (other_last, other_first):
        return True, True
    return (
        names.first_name_similarity(first, other_first) >= names.SIMILAR if first and other_first else None,
        names.last_name_similarity(last, other_last) >= names.SIMILAR if last and other_last else None,
    )


def _equal(one: str | None, other: str | None) -> bool | None:
    return one == other if one and other else None
