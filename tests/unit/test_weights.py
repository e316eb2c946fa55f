"""The agreement weights are well-formed and say where they come from; what measures them needs an extra to run."""

import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from models import blocking, matching, names, search
from tests.cli.commands import TRACEBACK, environment

ROOT = Path(__file__).parents[2]
DOCUMENT = json.loads((ROOT / "models" / "weights.json").read_text())
SCRIPTS = ("bench.matching_quality", "bench.weights")
EVERYTHING = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.com",
    "phone_number": "+442079460018",
    "city": "London",
    "postal_code": "SW1Y",
    "country_code": "GB",
}


@pytest.mark.parametrize("field", DOCUMENT["fields"])
def test_what_is_less_alike_never_weighs_more(field):
    given = DOCUMENT["fields"][field]
    similarities, weights = zip(*given["levels"], strict=True)
    assert similarities[0] == 1
    assert all(higher > lower > 0 for higher, lower in pairwise(similarities))
    assert all(higher >= lower for higher, lower in pairwise([*weights, given["disagreement"]]))
    assert weights[0] > 0 > given["disagreement"]
    assert all(map(math.isfinite, weights))


@pytest.mark.parametrize("field", DOCUMENT["fields"])
def test_the_document_has_every_weight(field):
    given = DOCUMENT["fields"][field]
    weights = [str(weight) for _, weight in given["levels"]]
    cells = [field.replace("_", " "), *weights, *[""] * (3 - len(weights)), str(given["disagreement"])]
    origin = "FEBRL 3" if given["origin"].startswith("FEBRL 3") else "judgement"
    assert f"| {' | '.join([*cells, origin])} |\n" in (ROOT / "docs" / "matching.md").read_text()


def test_the_document_has_every_limit():
    text = " ".join((ROOT / "docs" / "matching.md").read_text().split())
    for told in (
        f"at most {blocking.MOST_CANDIDATES},",
        f"than the best ({search.FAR_BEHIND:.0f} bits)",
        f"the best {search.POSSIBLE_ONES}, only where",
        f"the cut-off of {matching.CUT_OFF:.0f} bit or below",
        f"Two names count as one ({names.SIMILAR} and more)",
        f"cost {-matching.SWAPPED_NAMES:.0f} bits",
    ):
        assert told in text


@pytest.mark.parametrize("field", DOCUMENT["fields"])
def test_every_weight_has_an_origin(field):
    assert DOCUMENT["fields"][field]["origin"].startswith(("FEBRL 3, ", "judgement: "))


def test_swapped_names_cost_something_and_have_an_origin():
    assert DOCUMENT["swapped_names"] < 0
    assert DOCUMENT["swapped_names_origin"].startswith("judgement: ")


def test_all_that_is_compared_has_a_weight():
    wanted = matching.filter_keys(EVERYTHING)
    candidate = wanted | {"phone_key": wanted["phone_keys"][0], "phone_digits_key": None}
    compared = matching.compare(wanted, candidate)
    assert compared.evidence.keys() == DOCUMENT["fields"].keys()
    agreement = sum(given["levels"][0][1] for given in DOCUMENT["fields"].values())
    assert compared.score == pytest.approx(agreement)


def run(program: str, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, env=environment(), capture_output=True, text=True
    )


# As if the extra were not installed.
WITHOUT_EXTRA = "import sys; sys.modules |= {{'pandas': None, 'recordlinkage': None}}; from {0} import main; main()"


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_needs_no_extra(script):
    done = run(WITHOUT_EXTRA.format(script), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Examples:" in done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_the_extra_it_says_how_to_get_it(script):
    done = run(WITHOUT_EXTRA.format(script))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert "run `make bench-matching`" in done.stderr
    assert done.stderr.count("\n") == 1
    assert TRACEBACK not in done.stderr
