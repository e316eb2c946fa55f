"""`loyalty db check`: whether the database is sound."""

import sys

import click
from rich.console import Console
from rich.progress import Progress

from app.cli.common import examples, json_option, opened, show
from models import integrity


@click.command("check", epilog=examples("loyalty db check", "loyalty db check --json"))
@json_option
def command(*, as_json: bool) -> None:
    """Look for damage, constraints that are missing, orphans, contradictions and old keys; it only reads.

    It reads every row while servers go on. It ends at damage, or at a schema that is not as it should be,
    since that comes first. Exits with 0 if
    nothing was found, else with 1.
    """
    rows = []
    with opened(check=False) as database, _bar() as progress:
        task = progress.add_task("Check", total=len(integrity.CHECKS))
        for check, found in integrity.run(database):
            rows.append({"check": check.name, "found": found, "remedy": check.remedy if found else None})
            progress.advance(task)
    show(rows, as_json=as_json, title="Checks", key="checks")
    if any(row["found"] for row in rows):
        raise click.ClickException("The database is not sound; the table says what to do.")


def _bar() -> Progress:
    return Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)
