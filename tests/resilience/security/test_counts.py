"""The counts that worker processes share: none is lost, they end in time, and many take no more memory than few."""

import os
import signal
import subprocess
import sys
import time

import pytest

from app.counts import PLACES, ROWS, SharedCounts
from tests.resilience.soak import rounds

COUNTING = """
import pathlib, sys
from app.counts import SharedCounts
counts = SharedCounts(pathlib.Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    counts.incr("shared", 3600)
"""
HOLDING = """
import pathlib, sys, time
from app.counts import SharedCounts
counts = SharedCounts(pathlib.Path(sys.argv[1]))
with counts._locked():
    print("locked", flush=True)
    time.sleep(3600)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.counts"


def run(program: str, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def test_processes_count_together_and_lose_nothing(path, tell):
    counts, each = SharedCounts(path), rounds(5_000, 200_000)
    running = [run(COUNTING, path, each) for _ in range(4)]
    assert [process.communicate()[0] for process in running] == [""] * 4
    tell(processes=4, counted=4 * each, lost=4 * each - counts.get("shared"))
    assert counts.get("shared") == 4 * each
    assert counts.incr("shared", 3600) == 4 * each + 1


def test_a_process_that_is_killed_holds_up_nobody(path):
    counts = SharedCounts(path)
    holder = run(HOLDING, path)
    assert holder.stdout.readline() == "locked\n"
    os.kill(holder.pid, signal.SIGKILL)
    assert counts.incr("x", 60) == 1
    holder.communicate()


def test_a_count_ends_and_starts_anew(path):
    counts = SharedCounts(path)
    assert [counts.incr("short", 0.2), counts.incr("short", 0.2), counts.incr("long", 60)] == [1, 2, 1]
    assert 0 < counts.get_expiry("short") - time.monotonic() <= 0.2
    time.sleep(0.25)
    assert [counts.get("short"), counts.get("long")] == [0, 1]
    assert counts.get_expiry("short") <= time.monotonic()
    assert [counts.incr("short", 60), counts.incr("long", 60)] == [1, 2]


def test_any_number_of_keys_takes_the_same_memory(path):
    """What an attacker with many addresses brings about: the newest counts are kept, and the rest is forgotten."""
    counts, many = SharedCounts(path), 2 * ROWS * PLACES
    size = path.stat().st_size
    for number in range(many):
        assert counts.incr(f"address {number}", 60 + number) == 1
    assert path.stat().st_size == size
    kept = [number for number in range(many) if counts.get(f"address {number}")]
    assert ROWS * PLACES * 0.99 < len(kept) <= ROWS * PLACES
    assert set(range(many - 100, many)) <= set(kept)


def test_one_count_can_be_forgotten_or_all(path):
    counts = SharedCounts(path)
    for key in ("one", "two"):
        counts.incr(key, 60)
    counts.clear("one")
    assert [counts.get("one"), counts.get("two")] == [0, 1]
    counts.reset()
    assert counts.get("two") == 0


def test_without_a_file_the_counts_are_a_processes_own():
    one, other = SharedCounts(), SharedCounts()
    assert [one.incr("x", 60), one.incr("x", 60), other.incr("x", 60)] == [1, 2, 1]
    assert one.check()
