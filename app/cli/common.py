"""What the commands share: opening the database, and results as a table for people or as JSON for programs."""

import contextlib
import datetime
import json
from collections.abc import Iterator, Sequence
from typing import Any

import click
import inflection
from playhouse.pool import PooledDatabase
from rich.console import Console
from rich.table import Table

from app import settings
from models import database, schema
from models.clock import system_clock

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
program_option = click.option("--program", metavar="NAME", help="Which program; needed where there are several.")


def examples(*lines: str) -> str:
    """Return an epilog that shows the lines one below the other."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@contextlib.contextmanager
def opened(*, check: bool = True) -> Iterator[PooledDatabase]:
    """Hold a connection to the configured database; an empty one is given its tables first.

    Args:
        check: refuse to go on with a database of an older schema.

    Raises:
        SchemaOutdated: it has one.
        DatabaseUnavailable: it cannot be reached.
    """
    connected = database.connect(settings.load().database_url, create=True)
    with database.session():
        if check and schema.is_empty(connected):
            schema.upgrade(connected, system_clock())
            click.echo("The database was empty; its tables were created.", err=True)
        if check:
            schema.check(connected)
        yield connected


def show(rows: Sequence[dict], *, as_json: bool, title: str, key: str) -> None:
    """Print rows to standard output: a table, or an object whose member `key` is the list of them."""
    if as_json:
        show_json({key: list(rows)})
        return
    if not rows:
        click.echo(f"There are no {key}.", err=True)
        return
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    _print(table)


def show_one(values: dict, *, as_json: bool) -> None:
    """Print one object to standard output: a line for each value, or JSON."""
    if as_json:
        show_json(values)
        return
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in values.items():
        table.add_row(name.replace("_", " "), _cell(value))
    _print(table)


def show_json(value: Any) -> None:
    """Print a value to standard output as JSON, with names spelled in the contract's way."""
    click.echo(json.dumps(_wire(value), default=_plain, ensure_ascii=False))


def _wire(value: Any) -> Any:
    if isinstance(value, dict):
        return {inflection.camelize(name, uppercase_first_letter=False): _wire(item) for name, item in value.items()}
    return [_wire(item) for item in value] if isinstance(value, list) else value


def _print(table: Table) -> None:
    console = Console(highlight=False, markup=False)
    console.print(table, width=None if console.is_terminal else 200)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime.date) else str(value)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(item)}" for name, item in value.items() if item is not None)
    return ", ".join(map(_cell, value)) if isinstance(value, list) else str(value)
