"""`loyalty db backup` and `loyalty db restore`: the whole database, to a file and back."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from app.cli.common import examples, opened
from models import backup, schema

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(
    "backup",
    epilog=examples(
        "LOYALTY_DATABASE_URL=sqlite:///loyalty.db loyalty db backup loyalty-monday.db",
        "LOYALTY_DATABASE_URL=postgresql://loyalty@/loyalty loyalty db backup loyalty.dump --overwrite",
    ),
)
@click.argument("file", type=_FILE)
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
def backup_command(*, file: Path, overwrite: bool) -> None:
    """Write all of the database to FILE, as it is at one moment, while servers go on.

    Of SQLite FILE is a SQLite file; of Postgres it holds our tables in pg_dump's custom format, and needs pg_dump on
    PATH. It appears when it is whole, and only its owner may read it. Exits with 0 once it is there, else with 1.
    """
    if file.exists() and not overwrite:
        raise click.ClickException("FILE exists: name another, or replace it with --overwrite.")
    with opened(check=False) as database:
        if schema.is_empty(database):
            raise click.ClickException("The database is empty: check LOYALTY_DATABASE_URL.")
        with _shown("Backup") as told:
            backup.back_up(database, file, told)
    click.echo(f"The backup is written: {file.stat().st_size:,} bytes.", err=True)


@click.command(
    "restore",
    epilog=examples(
        "LOYALTY_DATABASE_URL=sqlite:///new.db loyalty db restore loyalty-monday.db",
        "LOYALTY_DATABASE_URL=postgresql://loyalty@/loyalty loyalty db restore loyalty.dump --replace",
    ),
)
@click.argument("file", type=_FILE)
@click.option("--replace", is_flag=True, help="Go on although the database holds members; they are lost.")
def restore_command(*, file: Path, replace: bool) -> None:
    """Put the backup in FILE in place of all that the database holds: all of it, or on any failure nothing.

    FILE is what `loyalty db backup` has written, of the same engine. Postgres needs pg_restore on PATH. What was
    written after the backup is gone, so stop the servers first. Exits with 0 once it is restored, else with 1.
    """
    with opened(check=False) as database:
        if backup.holds_members(database) and not replace:
            raise click.ClickException("The database holds members: add --replace to lose them for those in FILE.")
        with _shown("Restore") as told:
            backup.restore(database, file, told)
        pending = schema.pending(database)
    further = "; it is of an earlier release: run `loyalty db upgrade`." if pending else "."
    click.echo(f"The backup is restored{further}", err=True)


@contextlib.contextmanager
def _shown(title: str) -> Iterator[Callable[[float], None]]:
    """Show a bar to people; it only moves to and fro until the first share is told."""
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(title, total=None)
        yield lambda share: progress.update(task, total=1, completed=share)
