"""`make bench-layers`: which part of a request's processor time belongs to which layer of the server."""

import collections
import contextlib
import itertools
import json
import os
import pathlib
import statistics
from collections.abc import Sequence

import click
from rich.console import Console
from rich.progress import Progress

from app.cli.common import examples
from bench import layered_server, load, report, verification, workload
from bench.contenders import FLOOR, LAYERED, OURS, Contender, running_all
from bench.databases import ENGINES, Databases, folder_for, in_memory
from bench.workload import Call

MEMBERS, PEOPLE = 10_000, 4_000
ROUNDS, REQUESTS = 7, 300  # of each operation on each server, after one round that warms up
REST = "event loop and HTTP"  # what is in no layer
console = Console(stderr=True)
# Microseconds by operation, and by layer or server.
Costs = dict[str, dict[str, float]]


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=examples("make bench-layers", "make bench-layers ARGS='--engine postgres --json'"),
)
@click.option("--engine", "engines", type=click.Choice(ENGINES), multiple=True, help="Only this one; repeatable.")
@click.option("--members", type=click.IntRange(500), default=MEMBERS, show_default=True, help="Of the population.")
@click.option("--rounds", type=click.IntRange(1), default=ROUNDS, show_default=True, help="After one that warms up.")
@click.option("--requests", type=click.IntRange(1), default=REQUESTS, show_default=True, help="In each visit.")
@click.option("--json", "as_json", is_flag=True, help="Print microseconds as JSON.")
def main(*, engines: tuple[str, ...], members: int, rounds: int, requests: int, as_json: bool) -> None:
    """Measure what each layer of the server takes of a request, and what a whole one costs on the floor.

    The server takes turns with one that does not count its layers, so that it shows what counting costs, and with the
    floor: bare ASGI with the raw driver. Requests come one after the other on one connection.
    """
    try:
        with folder_for(None, in_memory()) as folder, contextlib.closing(Databases(folder)) as databases:
            found = {engine: _measure(databases, engine, members, rounds, requests) for engine in engines or ENGINES}
    except (load.LoadFailed, verification.WrongAnswer) as error:
        raise click.ClickException(str(error)) from None
    print(json.dumps(found)) if as_json else report.show_tables(map(_table, found.items()))  # noqa: T201


def _measure(databases: Databases, engine: str, members: int, rounds: int, requests: int) -> Costs:
    url, token = databases.ensure(engine, members, is_new=False)
    calls = workload.make(url, PEOPLE)
    path = databases.folder / f"{engine}.layers"
    layered_server.make_file(path)
    os.environ[layered_server.PATH_VARIABLE] = str(path)
    with running_all(databases, engine, (LAYERED, OURS, FLOOR), token, members=members, workers=1) as servers:
        position, visits = verification.check(servers, calls), Visits(servers, calls, path)
        with Progress(*Progress.get_default_columns(), console=console, disable=not console.is_terminal) as bar:
            for number in bar.track(range(rounds + 1), description=f"Measuring {engine}"):
                visits.visit_all(position + number * requests, requests)
    return visits.medians()


class Visits:
    """What the operations have cost, for each round.

    Args:
        servers: that take turns; one of them counts its layers.
        calls: of each operation.
        path: the file of the counts.
    """

    def __init__(self, servers: Sequence[Contender], calls: dict[str, list[Call]], path: pathlib.Path) -> None:
        self._servers, self._calls, self._path = servers, calls, path
        self._costs: dict[tuple[str, str], list[float]] = collections.defaultdict(list)

    def visit_all(self, position: int, requests: int) -> None:
        """Send to each server the requests of each operation that begin at a position."""
        for name, server in itertools.product(workload.OPERATIONS, self._servers):
            workload.await_turn(name)
            layers, before = layered_server.seconds(self._path), server.used()[0]
            done = load.run_some(server, workload.operation(name), self._calls[name], position, requests=requests)
            whole = server.used()[0] - before
            self._costs[name, server.name].append(whole / requests)
            if server.name == LAYERED:
                after = layered_server.seconds(self._path)
                spent = {layer: after[layer] - layers[layer] for layer in after}
                for layer, seconds in {REST: whole - sum(spent.values()), **spent}.items():
                    self._costs[name, layer].append(seconds / requests)
            verification.check_load(server, name, self._calls[name], done.answers)

    def medians(self) -> Costs:
        """Return the medians of all rounds but the first, in microseconds."""
        found: Costs = collections.defaultdict(dict)
        for (name, what), seconds in self._costs.items():
            found[name][what] = round(statistics.median(seconds[1:]) * 1e6, 1)
        return found


def _table(costs: tuple[str, Costs]) -> tuple[str, list[str], list[list[str]]]:
    engine, found = costs
    rows = [REST, *layered_server.LAYERS, LAYERED, OURS, FLOOR]
    return engine, ["CPU µs", *found], [[row, *(f"{one[row]:,.0f}" for one in found.values())] for row in rows]


if __name__ == "__main__":
    main()
