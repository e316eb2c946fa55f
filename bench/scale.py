"""`make bench-scale`: what a member search costs, by fields, kind of query, number of members and engine."""

import contextlib
import json
import pathlib
import random

import click
from rich.console import Console
from rich.progress import Progress

from app.cli.common import examples
from bench import processes, report
from bench.cells import Cell, make
from bench.databases import ENGINES, Databases, folder_for
from bench.servers import Costs, Server, running

LEAST_MEMBERS = 10_000  # of fewer, nobody in the crowd of namesakes may have told everything
PEOPLE = 60  # different queries of each cell
console = Console(stderr=True)


class Sizes(click.ParamType):
    """Numbers of members, joined by commas."""

    name = "numbers"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """Return the numbers, ascending, or fail."""
        if not all(part.isdecimal() and int(part) >= LEAST_MEMBERS for part in value.split(",")):
            self.fail(f"give numbers of {LEAST_MEMBERS} and more, such as 10000,100000.", param, ctx)
        return sorted({int(part) for part in value.split(",")})


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=examples(
        "make bench-scale",
        "python -m bench.scale --members 10000,100000 --engine sqlite",
        "python -m bench.scale --keep ~/scale --markdown scale.md --json > scale.json",
        "python -m bench.scale --keep ~/scale --load-only   (make the databases, for later)",
        "python -m bench.scale --keep ~/scale --engine postgres --members 10000,1000000,10000000",
    ),
)
@click.option("--members", type=Sizes(), default="10000,100000,1000000", show_default=True, help="Joined by commas.")
@click.option("--engine", "engines", type=click.Choice(ENGINES), multiple=True, help="Only this one; repeatable.")
@click.option("--rounds", type=click.IntRange(1), default=25, show_default=True, help="Visits to each cell.")
@click.option("--requests", type=click.IntRange(1), default=10, show_default=True, help="In each visit.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=pathlib.Path), help="Keep the databases here.")
@click.option("--reload", is_flag=True, help="Load the databases even if they are there.")
@click.option("--load-only", is_flag=True, help="End when the databases are there.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=pathlib.Path), help="Write the tables here too.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def main(
    *,
    members: list[int],
    engines: tuple[str, ...],
    rounds: int,
    requests: int,
    keep: pathlib.Path | None,
    reload: bool,
    load_only: bool,
    markdown: pathlib.Path | None,
    as_json: bool,
) -> None:
    """Measure member search at several sizes: processor time, latency, candidates read and memory.

    The databases are filled with a made-up population, then each has a server with one worker process, and requests
    go to it one after the other. The sizes take turns in each round, so that what else the machine does slows all of
    them alike. Databases in the folder of --keep are used again until the population, the tables or the version of the
    key rules changes.
    """
    with folder_for(keep) as folder, contextlib.closing(Databases(folder)) as databases:
        cells, memory = [], []
        for engine in engines or ENGINES:
            places = {size: databases.ensure(engine, size, is_new=reload) for size in members}
            if load_only:
                continue
            found, used = _measure(databases, engine, places, rounds, requests)
            cells += found
            memory += used
    if load_only:
        return
    result = report.summarize(cells, memory)
    if markdown:
        markdown.write_text(report.markdown(result))
    print(json.dumps(result)) if as_json else report.show(result)  # noqa: T201


def _measure(
    databases: Databases, engine: str, places: dict[int, tuple[str, str]], rounds: int, requests: int
) -> tuple[list[Cell], list[dict]]:
    """Return the cells of an engine, and what memory the worker processes of each size took."""
    cells = [cell for members, (url, _) in places.items() for cell in make(engine, members, url, PEOPLE)]
    postmaster = databases.postgres.get_pid() if engine == "postgres" else None
    with contextlib.ExitStack() as stack:
        servers = {
            members: stack.enter_context(running(url, token, postmaster, databases.folder / f"{engine}-{members}.log"))
            for members, (url, token) in places.items()
        }
        _visit_all(cells, servers, rounds, requests)
        memory = [
            {"engine": engine, "members": members, **processes.memory(server.worker)}
            for members, server in servers.items()
        ]
    return cells, memory


def _visit_all(cells: list[Cell], servers: dict[int, Server], rounds: int, requests: int) -> None:
    """Visit each cell to warm up, and then once a round; cells that differ in size alone follow each other."""
    order = sorted(cells, key=lambda cell: (cell.combination, cell.kind, cell.members))
    with Progress(*Progress.get_default_columns(), console=console, disable=not console.is_terminal) as bar:
        work = [(number, cell) for number in range(rounds + 1) for cell in order]
        for number, cell in bar.track(work, description=f"Measuring {cells[0].engine}"):
            drawn = random.Random(number).choices(cell.asked, k=requests)  # noqa: S311 (not for secrets)
            servers[cell.members].visit([query.body for query in drawn], cell.costs if number else Costs())


if __name__ == "__main__":
    main()
