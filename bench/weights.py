"""`make weights`: what agreement in names, cities and postal codes is worth, estimated from FEBRL 3.

For each field and level of similarity: how much likelier it is in two records of one person (m) than in those of two
people (u), as the binary logarithm of m / u (Fellegi and Sunter, 1969). Two people are two records drawn at random.
"""

import itertools
import json
import math
import pathlib
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import click

from app.cli.common import examples
from models import blocking, matching

FILE = pathlib.Path(matching.__file__).with_name("weights.json")
FIELDS = ("first_name", "last_name", "city", "postal_code")
DRAWN = 400_000
SEED = 1
# A finding that was never made counts as half a one, so that no weight is infinite.
UNSEEN = 0.5
KeyPairs = Iterable[tuple[dict, dict]]


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=examples("make weights", "python -m bench.weights"),
)
@click.option("--write", is_flag=True, help="Put them into models/weights.json.")
def main(*, write: bool) -> None:
    """Estimate the agreement weights of names, cities and postal codes from FEBRL 3, and print them.

    models/weights.json holds them, and those of other fields, for which there is no such data.
    """
    estimated = _estimate()
    click.echo(_pretty(estimated), nl=False)
    if write:
        document = json.loads(FILE.read_text())
        for field, weights in estimated.items():
            document["fields"][field] |= weights
        FILE.write_text(_pretty(document))


def _estimate() -> dict[str, dict]:
    """Return the weights of each field, as the file has them."""
    from bench import febrl  # needs the extra `bench`

    table, pairs = febrl.records_and_pairs()
    keys = {identifier: _keys(person) for identifier, person in table.to_dict("index").items()}
    same = _count_levels((keys[one], keys[other]) for one, other in pairs)
    different = _count_levels(itertools.islice(_strangers(keys, {frozenset(pair) for pair in pairs}), DRAWN))
    return {field: _weights(field, same[field], different[field]) for field in FIELDS}


def _keys(person: dict) -> dict:
    return blocking.member_keys({**person, "address": person})


def _strangers(keys: dict[str, dict], pairs: set[frozenset]) -> Iterator[tuple[dict, dict]]:
    """Draw pairs of records that are not one person's, without end."""
    chance, identifiers = random.Random(SEED), list(keys)  # noqa: S311 (not for secrets)
    while True:
        drawn = one, other = chance.choice(identifiers), chance.choice(identifiers)
        if one != other and frozenset(drawn) not in pairs:
            yield keys[one], keys[other]


def _count_levels(pairs: KeyPairs) -> dict[str, Counter[int]]:
    """Count for each field how often each level of similarity was found; the last level is disagreement."""
    found: dict[str, Counter[int]] = {field: Counter() for field in FIELDS}
    for one, other in pairs:
        for field, levels in found.items():
            similarity = matching.similarity(field, one[f"{field}_key"], other[f"{field}_key"])
            if similarity is not None:
                levels[_level(similarity, _bounds(field))] += 1
    return found


def _bounds(field: str) -> list[float]:
    return [least for least, _ in matching.WEIGHTS[field].levels]


def _level(similarity: float, bounds: Sequence[float]) -> int:
    return next((level for level, least in enumerate(bounds) if similarity >= least), len(bounds))


def _weights(field: str, same: Counter[int], different: Counter[int]) -> dict:
    bounds = _bounds(field)
    found = [_weight(_share(same, level), _share(different, level)) for level in range(len(bounds) + 1)]
    # A similar value is never worth more than an equal one, though few pairs may make it look so.
    *weights, disagreement = itertools.accumulate(found, min)
    return {"levels": [list(level) for level in zip(bounds, weights, strict=True)], "disagreement": disagreement}


def _share(levels: Counter[int], level: int) -> float:
    return (levels[level] + UNSEEN) / levels.total()


def _weight(m: float, u: float) -> float:
    return round(math.log2(m / u), 1)


def _pretty(document: dict) -> str:
    """Return JSON with each pair of a level on one line."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return re.sub(r"\[\s+(\S+),\s+(\S+)\s+\]", r"[\1, \2]", text) + "\n"


if __name__ == "__main__":
    main()
