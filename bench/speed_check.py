"""`make bench-check`: whether an operation has become dearer, by its cost as a share of the floor's in the same run."""

import collections
import contextlib
import itertools
import json
import pathlib
import statistics
from collections.abc import Iterator, Sequence

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from app.cli.common import examples
from bench import load, verification, workload
from bench.contenders import FLOOR, OURS, Contender, running_all
from bench.databases import ENGINES, Databases, folder_for, in_memory
from bench.workload import Call

RATIOS = pathlib.Path(__file__).with_name("ratios.json")
MEMBERS, PEOPLE = 2_000, 1_000
ROUNDS, REQUESTS = 15, 60  # of each operation on each server, after one round that warms up
# On two cores with a load of 15, the medians of two times 8 rounds of 50 requests differed by 5 to 30 percent.
TOLERANCE = 0.4
console = Console(stderr=True)
Ratios = dict[str, dict[str, float]]


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=examples("make bench-check", "make bench-check ARGS=--write   (after a change that is worth its cost)"),
)
@click.option("--engine", "engines", type=click.Choice(ENGINES), multiple=True, help="Only this one; repeatable.")
@click.option("--rounds", type=click.IntRange(1), default=ROUNDS, show_default=True, help="After one that warms up.")
@click.option("--requests", type=click.IntRange(1), default=REQUESTS, show_default=True, help="In each visit.")
@click.option(
    "--ratios",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    default=RATIOS,
    help="The file of the ratios before.  [default: bench/ratios.json]",
)
@click.option("--write", is_flag=True, help="Keep the ratios there, for all checks to come.")
@click.option("--json", "as_json", is_flag=True, help="Print the ratios as JSON.")
def main(
    *, engines: tuple[str, ...], rounds: int, requests: int, ratios: pathlib.Path, write: bool, as_json: bool
) -> None:
    """Compare what each operation costs, as a share of the floor's cost in the same run, with what it did.

    The floor is bare ASGI with the raw driver. Both servers take turns on one connection, so that a slow or busy
    machine weighs on both alike, and the median of the rounds counts. It fails if a ratio has grown by more than the
    tolerance.
    """
    chosen = engines or ENGINES
    try:
        with folder_for(None, in_memory()) as folder, contextlib.closing(Databases(folder)) as databases:
            found = {engine: _measure(databases, engine, rounds, requests) for engine in chosen}
    except (load.LoadFailed, verification.WrongAnswer) as error:
        raise click.ClickException(str(error)) from None
    known: Ratios = json.loads(ratios.read_text()) if ratios.exists() else {}
    if write:
        ratios.write_text(json.dumps(known | found, indent=2) + "\n")
    print(json.dumps(found)) if as_json else _show(found, known)  # noqa: T201
    grown = [] if write else list(_grown(found, known))
    if grown:
        raise click.ClickException(f"Dearer than before by more than {TOLERANCE:.0%}: {', '.join(grown)}.")


def _measure(databases: Databases, engine: str, rounds: int, requests: int) -> dict[str, float]:
    """Return the ratio of each operation."""
    url, token = databases.ensure(engine, MEMBERS, is_new=False)
    calls = workload.make(url, PEOPLE)
    with running_all(databases, engine, (OURS, FLOOR), token, members=MEMBERS, workers=1) as servers:
        position, costs = verification.check(servers, calls), Costs(servers, calls, requests)
        with Progress(*Progress.get_default_columns(), console=console, disable=not console.is_terminal) as bar:
            for number in bar.track(range(rounds + 1), description=f"Measuring {engine}"):
                costs.visit_all(position + number * requests)
    return {name: round(statistics.median(costs.ratios(name)[1:]), 2) for name in workload.OPERATIONS}


class Costs:
    """What the operations have cost on our server and on the floor, for each round.

    Args:
        servers: both.
        calls: of each operation.
        requests: in each visit.
    """

    def __init__(self, servers: Sequence[Contender], calls: dict[str, list[Call]], requests: int) -> None:
        self._servers, self._calls, self._requests = servers, calls, requests
        self._costs: dict[tuple[str, str], list[float]] = collections.defaultdict(list)

    def visit_all(self, position: int) -> None:
        """Send to each server the requests of each operation that begin at a position."""
        for name, server in itertools.product(workload.OPERATIONS, self._servers):
            workload.await_turn(name)
            calls, before = self._calls[name], sum(server.used())
            done = load.run_some(server, workload.operation(name), calls, position, requests=self._requests)
            self._costs[name, server.name].append(sum(server.used()) - before)
            verification.check_load(server, name, calls, done.answers)

    def ratios(self, name: str) -> list[float]:
        """Return our share of the floor's cost for each round."""
        pairs = zip(self._costs[name, OURS], self._costs[name, FLOOR], strict=True)
        return [ours / floor for ours, floor in pairs]


def _grown(found: Ratios, known: Ratios) -> Iterator[str]:
    for engine, ratios in found.items():
        for name, ratio in ratios.items():
            before = known.get(engine, {}).get(name, 0.0)
            if ratio > before * (1 + TOLERANCE):
                yield f"{name} on {engine}, {ratio:.2f} in place of {before:.2f} times the floor"


def _show(found: Ratios, known: Ratios) -> None:
    table = Table("engine", "operation", "times the floor", "before", title="CPU per request", title_justify="left")
    for engine, ratios in found.items():
        for name, ratio in ratios.items():
            table.add_row(engine, name, f"{ratio:.2f}", f"{known.get(engine, {}).get(name, 0):.2f}")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
