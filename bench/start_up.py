"""How long a server takes from its start to the first answer, and how much memory its processes then have."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench import contenders, load, processes, verification, workload
from bench.databases import Databases
from bench.workload import Call

STARTS, WORKERS = 5, 2
FIRST = "list"  # the operation that is asked for first


@dataclass
class StartUp:
    """The starts of one server, each with so many worker processes that are new.

    Attributes:
        seconds: until the first answer of an operation was there, for each start.
        cpu: seconds of processor time of all its processes until then.
        arbiter: proportional set size in bytes of the process that starts the others, at the last start.
        worker: the same of the largest worker process.
        worker_alone: what that would have if it shared nothing: its resident set size.
    """

    engine: str
    server: str
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    arbiter: int = 0
    worker: int = 0
    worker_alone: int = 0


def measure(
    databases: Databases, engine: str, names: Sequence[str], token: str, calls: dict[str, list[Call]], *, members: int
) -> list[StartUp]:
    """Return the starts of each server, which take turns.

    Args:
        databases: where the database is.
        engine: `sqlite` or `postgres`.
        names: of the servers.
        token: a valid bearer token.
        calls: of each operation.
        members: how many the database has.

    Raises:
        WrongAnswer: the first answer was not right.
    """
    found = {name: StartUp(engine, name) for name in names}
    for number in range(STARTS):
        for name in names:
            _start(databases, found[name], token, calls[FIRST][number], members)
    return list(found.values())


def _start(databases: Databases, starts: StartUp, token: str, call: Call, members: int) -> None:
    postmaster = databases.postgres.get_pid() if starts.engine == "postgres" else None
    log = databases.folder / f"{starts.engine}-{starts.server}-start.log"
    begun = time.perf_counter()
    url, options = databases.url(starts.engine, members), {"workers": WORKERS, "postmaster": postmaster, "log": log}
    with contenders.running(starts.server, url, token, **options) as server:
        done = load.run_some(server, workload.operation(FIRST), [call], 0, requests=1)
        starts.seconds.append(time.perf_counter() - begun)
        verification.check_load(server, FIRST, [call], done.answers)
        everyone = [server.arbiter, *server.workers]
        starts.cpu.append(sum(map(processes.cpu_seconds, everyone)))
        memory = list(map(processes.memory, everyone))
        starts.arbiter = memory[0]["Pss"]
        largest = max(memory[1:], key=lambda sizes: sizes["Pss"])
        starts.worker, starts.worker_alone = largest["Pss"], largest["Rss"]
