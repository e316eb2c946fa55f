"""Processor time and memory of processes, as Linux counts them."""

import contextlib
import pathlib

PROC = pathlib.Path("/proc")
MEMORY_FIELDS = ("Rss", "Pss")


def cpu_seconds(process: int) -> float:
    """Return the processor time, user and system, of a process's threads so far.

    From the scheduler's own count, which is in nanoseconds; the one in `/proc/<pid>/stat` is the same, rounded to
    the clock tick of ten milliseconds.
    """
    total = 0
    for path in (PROC / str(process) / "task").glob("*/schedstat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            total += int(path.read_text().split()[0])
    return total / 1e9


def memory(process: int) -> dict[str, int]:
    """Return the resident and the proportional set size of a process in bytes, by `Rss` and `Pss`."""
    lines = (PROC / str(process) / "smaps_rollup").read_text().splitlines()
    values = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
    return {name: int(values[name][0]) * 1024 for name in MEMORY_FIELDS}


def children(process: int) -> list[int]:
    """Return the ids of the processes that a process has started."""
    return [int(child) for child in (PROC / f"{process}/task/{process}/children").read_text().split()]


def title(process: int) -> str:
    """Return the command line of a process; a Postgres backend tells there which database it serves."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return (PROC / f"{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""
