"""Servers that take turns, so that what else the machine does weighs on all of them alike."""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bench import load, verification, workload
from bench.contenders import Contender
from bench.load import Load
from bench.workload import Call

SHARE_OF_CAPACITY = 0.5
console = Console(stderr=True)


@dataclass(frozen=True)
class Plan:
    """How much is measured: see the options of `make bench`."""

    operations: Sequence[str]
    members: int
    workers: int
    rounds: int
    seconds: float
    connections: int
    driver: str


@dataclass
class Measurement:
    """What one operation has cost on one server.

    Attributes:
        worker: seconds of processor time per request in the worker processes, for each round.
        backends: the same in Postgres' backends.
        rates: requests a second at full load, for each round.
        even: the loads of the rate that is equal for all servers, for each round.
        even_rate: requests a second that they were to have.
        memory: proportional set size of a worker process in bytes, at the end.
    """

    engine: str
    operation: str
    server: str
    worker: list[float] = field(default_factory=list)
    backends: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    even: list[Load] = field(default_factory=list)
    even_rate: float = 0.0
    memory: int = 0


class Visits:
    """The visits to the servers of one engine, and how far each has come in the calls."""

    def __init__(
        self,
        engine: str,
        servers: Sequence[Contender],
        calls: dict[str, list[Call]],
        plan: Plan,
        position: int,
        folder: Path,
    ) -> None:
        self._servers, self._calls, self._plan, self._folder = servers, calls, plan, folder
        pairs = itertools.product(plan.operations, servers)
        self.measurements = {(name, server.name): Measurement(engine, name, server.name) for name, server in pairs}
        self._positions = dict.fromkeys(self.measurements, position)
        for name in plan.operations:
            lines = b"\n".join(call.body for call in calls[name])
            self._bodies(name).write_bytes(lines + b"\n")

    def _bodies(self, operation: str) -> Path:
        return self._folder / f"{operation}.bodies"

    def at_full_load(self, name: str, server: Contender, *, counts: bool) -> None:
        """Visit a server with as much as it takes, and keep what it cost if it counts."""
        before = server.used()
        done = self._full_load(name, server)
        after = server.used()
        verification.check_load(server, name, self._calls[name], done.answers)
        self._positions[name, server.name] = done.position
        if counts:
            measurement = self.measurements[name, server.name]
            measurement.worker.append((after[0] - before[0]) / done.requests)
            measurement.backends.append((after[1] - before[1]) / done.requests)
            measurement.rates.append(done.requests / done.seconds)

    def _full_load(self, name: str, server: Contender) -> Load:
        position, operation = self._positions[name, server.name], workload.operation(name)
        options = {"seconds": self._plan.seconds, "connections": self._plan.connections}
        if self._plan.driver == "wrk":
            return load.run_wrk(server, operation, self._bodies(name), position, **options)
        return load.run_closed(server, operation, self._calls[name], position, **options)

    def at_even_load(self, name: str, server: Contender) -> None:
        """Visit a server with half of what the slowest could do in its slowest round."""
        capacity = min(min(self.measurements[name, one.name].rates) for one in self._servers)
        measurement = self.measurements[name, server.name]
        measurement.even_rate = capacity * SHARE_OF_CAPACITY
        done = load.run_open(
            server,
            workload.operation(name),
            self._calls[name],
            self._positions[name, server.name],
            seconds=self._plan.seconds,
            rate=measurement.even_rate,
        )
        verification.check_load(server, name, self._calls[name], done.answers)
        self._positions[name, server.name] = done.position
        measurement.even.append(dataclasses.replace(done, answers=[]))


def measure(
    engine: str,
    servers: Sequence[Contender],
    calls: dict[str, list[Call]],
    plan: Plan,
    position: int,
    folder: Path,
) -> list[Measurement]:
    """Return what the operations have cost on each server.

    Args:
        engine: of the databases.
        servers: all running.
        calls: of each operation.
        plan: how much to measure.
        position: of the first call, in each operation, that was not sent before.
        folder: for files.

    Raises:
        LoadFailed: an answer was no 2xx.
        WrongAnswer: one was not right.
    """
    visits = Visits(engine, servers, calls, plan, position, folder)
    with Progress(*Progress.get_default_columns(), console=console, disable=not console.is_terminal) as bar:
        for number, name, server in bar.track(_turns(plan, servers), description=f"{engine}, full load"):
            visits.at_full_load(name, server, counts=number > 0)
        rounds = [turn for turn in _turns(plan, servers) if turn[0]]  # all are warm by now
        for _, name, server in bar.track(rounds, description=f"{engine}, equal load"):
            visits.at_even_load(name, server)
    for name, server in itertools.product(plan.operations, servers):
        visits.measurements[name, server.name].memory = server.memory()
    return list(visits.measurements.values())


def _turns(plan: Plan, servers: Sequence[Contender]) -> list[tuple[int, str, Contender]]:
    """Return all visits with the round of each: in each another server is the first, and round 0 warms up."""
    turns = []
    for number, name in itertools.product(range(plan.rounds + 1), plan.operations):
        first = number % len(servers)
        turns += [(number, name, server) for server in (*servers[first:], *servers[:first])]
    return turns
