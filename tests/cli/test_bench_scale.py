"""`make bench-scale`, small: it measures each combination of the contract, and keeps the databases that it has made."""

import contextlib
import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import report
from bench.cells import Cell
from bench.servers import Costs
from models import blocking
from tests.cli.commands import TRACEBACK, environment
from tests.support import CONTRACT

ROOT = Path(__file__).parents[2]
SECONDS = 300
KINDS = ["as known", "misspelt", "nobody", "crowd"]
SMALL = ("--members", "10000", "--rounds", "1", "--requests", "2")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that Postgres' own user can enter."""
    with tempfile.TemporaryDirectory(prefix="loyalty-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def bench(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bench.scale", *words],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert TRACEBACK not in done.stderr
    return done.stdout


def test_it_measures_each_combination_of_the_contract_on_both_engines(folder):
    result = json.loads(bench(*SMALL, "--keep", str(folder), "--markdown", str(folder / "table.md"), "--json"))
    found = {(row["engine"], row["fields"], row["query"]): row for row in result["measurements"]}
    combinations = CONTRACT.document["components"]["schemas"]["memberFilter"]["anyOf"]
    for engine in ("sqlite", "postgres"):
        for combination in combinations:
            for kind in KINDS:
                assert found[engine, ", ".join(combination["required"]), kind]["members"] == 10_000
    assert all(row["cpuWorker"] > 0 and row["latencyP99"] >= row["latencyP50"] > 0 for row in found.values())
    assert all((row["cpuBackends"] > 0) == (row["engine"] == "postgres") for row in found.values())
    assert [(row["engine"], row["Rss"] > row["Pss"] > 0) for row in result["memory"]] == [
        ("sqlite", True),
        ("postgres", True),
    ]
    assert (folder / "table.md").read_text().count("\n| ") == len(found) + len(result["memory"]) + 2 * 3


def test_the_crowd_is_read_and_never_more_than_the_bound(folder):
    rows = json.loads(bench(*SMALL, "--keep", str(folder), "--engine", "sqlite", "--json"))["measurements"]
    candidates = {(row["fields"], row["query"]): row["candidatesMost"] for row in rows}
    assert candidates["firstName, lastName", "crowd"] > 10
    assert candidates["email", "as known"] == 1
    assert candidates["email", "nobody"] == 0
    assert max(candidates.values()) <= blocking.MOST_CANDIDATES


def test_growth_is_unknown_where_no_time_was_counted(capsys):
    costs = Costs(worker=[0.0], backends=[0.0], latencies=[0.001, 0.001])
    result = report.summarize([Cell("sqlite", 10_000, ("email",), "as known", [], [1], costs)], [])
    assert result["measurements"][0]["growth"] is None
    report.show(result)
    assert "unknown" in capsys.readouterr().out


def test_databases_are_kept_until_they_are_to_be_loaded_again(folder):
    def runs() -> int:
        """How many have used the database: each makes a token of its own."""
        with contextlib.closing(sqlite3.connect(folder / "10000.db")) as opened:
            return opened.execute("SELECT count(*) FROM token").fetchone()[0]

    words = ("--members", "10000", "--engine", "sqlite", "--keep", str(folder), "--load-only")
    assert bench(*words) == ""
    before = runs()
    bench(*words)
    assert runs() == before + 1
    bench(*words, "--reload")
    assert runs() == 1
