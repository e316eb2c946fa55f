"""`make bench`: what each operation costs on this server, on what a user would pick instead, and at the least."""

import contextlib
import json
import pathlib
import shlex
import sys
from collections.abc import Sequence

import click
from rich.console import Console

from app.cli.common import examples
from bench import load, speed_report, start_up, verification, workload
from bench.contenders import NAMES, running_all
from bench.databases import ENGINES, Databases, folder_for, in_memory
from bench.rounds import Measurement, Plan, measure
from bench.start_up import StartUp

PEOPLE = 4_000  # members that requests speak of
WHOLE = {"members": 100_000, "rounds": 5, "seconds": 3.0}
QUICK = {"members": 10_000, "rounds": 1, "seconds": 1.0}
console = Console(stderr=True)


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=examples(
        "make bench",
        "make bench ARGS=--quick",
        "python -m bench.speed --engine postgres --operation list --server loyalty --server floor",
        "python -m bench.speed --keep /dev/shm/bench --markdown docs/performance.md --json > performance.json",
    ),
)
@click.option("--engine", "engines", type=click.Choice(ENGINES), multiple=True, help="Only this one; repeatable.")
@click.option("--server", "servers", type=click.Choice(NAMES), multiple=True, help="Only this one; repeatable.")
@click.option(
    "--operation",
    "operations",
    type=click.Choice(list(workload.OPERATIONS)),
    multiple=True,
    help="Only this one; repeatable.",
)
@click.option("--members", type=click.IntRange(500), help="Of the population.  [default: 100000]")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes of each server.")
@click.option("--rounds", type=click.IntRange(1), help="After one that warms up.  [default: 5]")
@click.option("--seconds", type=click.FloatRange(0.1), help="Of each visit.  [default: 3]")
@click.option("--connections", type=click.IntRange(1), default=8, show_default=True, help="At once, at full load.")
@click.option("--driver", type=click.Choice(load.DRIVERS), default="wrk", show_default=True, help="Of full load.")
@click.option("--quick", is_flag=True, help="A look of a minute or two: 10,000 members, 1 round of 1 second.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=pathlib.Path), help="Keep the databases here.")
@click.option(
    "--markdown",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    help="Write the tables here, below `## Measured` if it is there, and the plot beside it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def main(
    *,
    engines: tuple[str, ...],
    servers: tuple[str, ...],
    operations: tuple[str, ...],
    quick: bool,
    keep: pathlib.Path | None,
    markdown: pathlib.Path | None,
    as_json: bool,
    **options: object,
) -> None:
    """Measure what requests cost: processor time, requests a second, latency at equal load and memory.

    Each server is started some times. Then it gets a copy of a database with a made-up population, and its answers are
    checked for being right; so are all that follow. They take turns: in each round every server gets each operation,
    as much as it takes, and afterwards at the rate that is half of what the slowest of them can do. Databases are in
    memory where there is /dev/shm, so that it is not the disk that is measured; --keep says otherwise.
    """
    given: dict = (QUICK if quick else WHOLE) | {name: value for name, value in options.items() if value is not None}
    plan = Plan(operations=operations or tuple(workload.OPERATIONS), **given)
    if plan.driver == "wrk" and plan.seconds % 1:
        raise click.BadParameter("wrk takes whole seconds; or choose --driver builtin.", param_hint="--seconds")
    try:
        if plan.driver == "wrk":
            load.check_wrk()
        with (
            folder_for(keep, in_memory()) as folder,
            contextlib.closing(Databases(folder)) as databases,
        ):
            found = [_measure(databases, engine, servers or NAMES, plan) for engine in engines or ENGINES]
    except (load.LoadFailed, verification.WrongAnswer) as error:
        raise click.ClickException(str(error)) from None
    result = speed_report.summarize(found, plan, shlex.join(_measuring(sys.argv[1:])))
    if markdown:
        speed_report.write(result, markdown)
    print(json.dumps(result)) if as_json else speed_report.show(result)  # noqa: T201


def _measuring(words: Sequence[str]) -> list[str]:
    """Return the words of a command without those that say where files are and how the result is printed."""
    left, kept = iter(words), []
    for word in left:
        if word in ("--keep", "--markdown"):
            next(left)
        elif word != "--json":
            kept.append(word)
    return kept


def _measure(
    databases: Databases, engine: str, names: Sequence[str], plan: Plan
) -> tuple[list[Measurement], list[StartUp]]:
    """Return what the operations of each server have cost on an engine, and what its starts took."""
    url, token = databases.ensure(engine, plan.members, is_new=False)
    calls = workload.make(url, PEOPLE)
    console.print(f"Starting the servers on {engine}, {start_up.STARTS} times each.")
    starts = start_up.measure(databases, engine, names, token, calls, members=plan.members)
    with running_all(databases, engine, names, token, members=plan.members, workers=plan.workers) as servers:
        console.print(f"Checking the answers on {engine}.")
        checked = verification.check(servers, calls)
        return measure(engine, servers, calls, plan, checked, databases.folder), starts


if __name__ == "__main__":
    main()
