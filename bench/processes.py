"""Processor time and memory of processes, as Linux counts them."""

import contextlib
import pathlib
import time

PROC = pathlib.Path("/proc")
MEMORY_FIELDS = ("Rss", "Pss")
SCHEDULER_CLOCK = 2  # CPUCLOCK_SCHED of include/linux/posix-timers.h


def cpu_seconds(process: int) -> float:
    """Return the processor time, user and system, of a process so far, with that of threads that have ended.

    From the scheduler's own count, which is in nanoseconds: the clock of clock_getcpuclockid(3), whose number Linux
    makes of the process's. The time in `/proc/<pid>/stat` is the same, rounded to the clock tick of ten milliseconds.
    Of a process that has ended it is 0.
    """
    with contextlib.suppress(OSError):
        return time.clock_gettime(~process << 3 | SCHEDULER_CLOCK)
    return 0.0


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
