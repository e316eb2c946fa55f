"""Estimate the agreement weights of names, cities and postal codes from FEBRL 3, and print them as models/weights.json has them.

For each field and level of similarity: how much likelier it is in two records of one person (m) than in those of two
people (u), as the binary logarithm of m / u (Fellegi and Sunter, 1969). Records of two people are drawn at random.
"""

import itertools
import json
import math
import random
from collections import Counter
from collections.abc import Iterator

from bench import febrl
from models import blocking, matching

DRAWN = 400_000
# A finding that was never made counts as half a one, so that no weight is infinite.
UNSEEN = 0.5


def main() -> None:
    """Print the weights of the fields that FEBRL has."""
    people, pairs = febrl.pairs_of_duplicates("febrl3")
    same = [(_keys(one), _keys(other)) for one, other in pairs]
    drawn = random.Random(1)
    keys = [_keys(person) for person in people]
    known = {(id(one), id(other)) for one, other in pairs}
    numbers = range(len(people))
    others = ((drawn.choice(numbers), drawn.choice(numbers)) for _ in itertools.count())
    different = (
        (keys[one], keys[other])
        for one, other in others
        if one != other and not {(id(people[one]), id(people[other])), (id(people[other]), id(people[one]))} & known
    )
    m, u = _levels(iter(same)), _levels(itertools.islice(different, DRAWN))
    print(json.dumps({field: _weights(field, m[field], u[field]) for field in febrl.COLUMNS}, indent=2))


def _keys(person: dict) -> dict:
    return blocking.member_keys({**person, "address": person})


def _levels(pairs: Iterator[tuple[dict, dict]]) -> dict[str, Counter]:
    """Count for each field how often each level was found; the last one is disagreement."""
    found: dict[str, Counter] = {field: Counter() for field in febrl.COLUMNS}
    for one, other in pairs:
        for field, levels in found.items():
            similarity = matching.similarity(field, one[f"{field}_key"], other[f"{field}_key"])
            if similarity is not None:
                levels[_level(field, similarity)] += 1
    return found


def _level(field: str, similarity: float) -> int:
    bounds = [least for least, _ in matching.WEIGHTS[field].levels]
    return next((number for number, least in enumerate(bounds) if similarity >= least), len(bounds))


def _weights(field: str, m: Counter, u: Counter) -> dict:
    bounds = [least for least, _ in matching.WEIGHTS[field].levels]
    weights = [
        round(math.log2((m[level] + UNSEEN) / m.total() / ((u[level] + UNSEEN) / u.total())), 1)
        for level in range(len(bounds) + 1)
    ]
    return {"levels": [list(pair) for pair in zip(bounds, weights, strict=False)], "disagreement": weights[-1]}


if __name__ == "__main__":
    main()
