"""What the commands share: opening the database, and results as a table for people or as JSON for programs."""

import contextlib
import datetime
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import IO, Any

import click
import inflection

from app import settings
from models import database, folding, schema
from models.clock import system_clock
from models.tables import IDENTIFIER_LENGTH

WIDTH_OF_FILES = 200

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
program_option = click.option("--program", metavar="NAME", help="Which program; needed where there are several.")


class Name(click.ParamType):
    """A name that an operator gives: not blank, and no longer than its column."""

    name = "name"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name without blanks around it, or fail."""
        name = value.strip()
        if not name or len(name) > IDENTIFIER_LENGTH:
            self.fail(f"a name has 1 to {IDENTIFIER_LENGTH} characters.", param, ctx)
        return name


class CannotPrint(click.ClickException):
    """Standard output cannot be written."""


def option_of(name: str) -> str:
    """Return the option for a field by the contract's name or an attribute's: `--first-name`."""
    return "--" + inflection.dasherize(inflection.underscore(name))


def examples(*lines: str) -> str:
    """Return an epilog that shows the lines one below the other."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@contextlib.contextmanager
def opened(*, check: bool = True) -> Iterator[database.Pool]:
    """Hold a connection to the configured database; an empty one is given its tables first.

    Args:
        check: refuse to go on with a database of an older schema.

    Raises:
        SchemaOutdated: it has one.
        DatabaseUnavailable: it cannot be reached.
    """
    chosen = settings.load()
    folding.ignore_subaddresses(chosen.email_subaddresses == "ignore")
    connected = database.connect(chosen.database_url, create=True)
    with database.session():
        database.use_write_ahead_log(connected)
        if check and schema.is_empty(connected):
            schema.upgrade(connected, system_clock())
            click.echo("The database was empty; its tables were created.", err=True)
        if check:
            schema.check(connected)
        yield connected


@contextlib.contextmanager
def _printing() -> Iterator[None]:
    """Raise CannotPrint where standard output cannot be written, as on a full disk."""
    try:
        yield
    except BrokenPipeError:
        raise  # such as that of `head`, who has read enough
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else what is in the buffer fails again
        raise CannotPrint(f"Standard output cannot be written: {error.strerror}.") from None


@_printing()
def show(rows: Sequence[dict], *, as_json: bool, title: str, key: str) -> None:
    """Print rows to standard output: a table, or an object whose member `key` is the list of them."""
    if as_json:
        show_json({key: list(rows)})
        return
    if not rows:
        click.echo(f"There are no {key}.", err=True)
        return
    from rich.console import Console  # here, since `loyalty serve` would wait for it
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    wide = None if sys.stdout.isatty() else WIDTH_OF_FILES
    Console(highlight=False, markup=False, width=wide).print(table)


@_printing()
def show_one(values: dict, *, as_json: bool) -> None:
    """Print one object to standard output: a line for each value, or JSON."""
    if as_json:
        show_json(values)
        return
    width = max(map(len, values))
    for name, value in values.items():
        click.echo(f"{name.replace('_', ' '):{width}}  {_cell(value)}".rstrip())


@_printing()
def show_json(value: Any) -> None:
    """Print a value to standard output as JSON, with names spelled in the contract's way."""
    click.echo(json.dumps(_wire(value), default=_plain, ensure_ascii=False))


def _wire(value: Any) -> Any:
    if isinstance(value, dict):
        return {inflection.camelize(name, uppercase_first_letter=False): _wire(item) for name, item in value.items()}
    return [_wire(item) for item in value] if isinstance(value, list) else value


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


def write_all(file: IO[bytes], text: bytes) -> None:
    """Write to an unbuffered file until nothing is left: unlike a buffer, it leaves nothing to fail at the end.

    Raises:
        OSError: it cannot be written, as on a full disk.
    """
    while text:
        text = text[file.write(text) or 0 :]
