"""`loyalty db`: the database's schema and the keys by which members are found; backups and checks are beside it."""

import contextlib
import datetime
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from app.cli import db_backup, db_check
from app.cli.common import examples, json_option, opened, show, show_json
from models import rekeying, schema
from models.clock import system_clock

TWINS_SHOWN = 10


@dataclass
class Renewal:
    """How many members have new keys, and the provider membership ids of those that keep an old one."""

    renewed: int = 0
    twins: list[str] = field(default_factory=list)


@click.group("db")
def command() -> None:
    """Create, upgrade, back up and check the database that LOYALTY_DATABASE_URL names."""


command.add_command(db_backup.backup_command)
command.add_command(db_backup.restore_command)
command.add_command(db_check.command)


@command.command(
    epilog=examples(
        "LOYALTY_DATABASE_URL=sqlite:///loyalty.db loyalty db upgrade",
        "LOYALTY_DATABASE_URL=postgresql://loyalty@/loyalty loyalty db upgrade",
        "loyalty db upgrade --schema-only",
    )
)
@json_option
@click.option("--schema-only", is_flag=True, help="Leave the keys, while servers of the release before still run.")
def upgrade(*, as_json: bool, schema_only: bool) -> None:
    """Bring the database to this release's schema and keys; a new one gets a program named "default".

    Keys are what members are found by. They are renewed in small steps, and if that is interrupted, run the command
    again: it goes on. Exits with 0 once all is done, else with 1.
    """
    renewal = Renewal()
    with opened(check=False) as database, _told(renewal):
        applied = [{"name": name} for name in schema.upgrade(database, system_clock())]
        if not schema_only:
            _renew_keys(renewal)
    if as_json:
        show_json({"migrations": applied, "keys": {"renewed": renewal.renewed, "twins": renewal.twins}})
    elif applied:
        show(applied, as_json=False, title="Applied", key="migrations")
    elif not renewal.renewed:
        click.echo("The schema is up to date.", err=True)


@contextlib.contextmanager
def _told(renewal: Renewal) -> Iterator[None]:
    """Say in the end what was renewed, also if it was interrupted: another run does not meet the same twins again."""
    try:
        yield
    except KeyboardInterrupt:
        raise click.ClickException("The upgrade was interrupted; run `loyalty db upgrade` again to go on.") from None
    finally:
        _tell(renewal)


def _renew_keys(renewal: Renewal) -> None:
    columns = (TextColumn("Keys"), BarColumn(), _Renewed(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("", total=1, renewed=0)
        for step in rekeying.renew():
            renewal.renewed += step.renewed
            renewal.twins += step.twins
            progress.update(task, completed=step.share, renewed=renewal.renewed)


class _Renewed(ProgressColumn):
    def render(self, task: Task) -> Text:
        rate = task.fields["renewed"] / (task.elapsed or 1)
        return Text(f"{task.fields['renewed']:,} members, {rate:,.0f} a second")


def _tell(renewal: Renewal) -> None:
    if renewal.renewed:
        click.echo(f"The keys of {renewal.renewed:,} members were renewed.", err=True)
    if renewal.twins:
        shown = ", ".join(renewal.twins[:TWINS_SHOWN]) + (", ..." if len(renewal.twins) > TWINS_SHOWN else "")
        click.echo(
            f"{len(renewal.twins):,} of them have the identity or number of another member by the new rules, and keep "
            f"the old key: {shown}. Look whether they are the same person.",
            err=True,
        )


@command.command(epilog=examples("loyalty db status", "loyalty db status --json"))
@json_option
def status(*, as_json: bool) -> None:
    """List the migrations, with when each was applied. Exit code 1 while some are pending, or keys are old."""
    with opened(check=False) as database:
        migrations = schema.status(database)
        is_pending = any(migration.applied is None for migration in migrations)
        outdated = None if is_pending else rekeying.count_outdated()
    rows = [
        {"name": migration.name, "applied": migration.applied and migration.applied.astimezone(datetime.UTC)}
        for migration in migrations
    ]
    if as_json:
        show_json({"migrations": rows, "outdatedKeys": outdated})
    else:
        show(rows, as_json=False, title="Migrations", key="migrations")
    if is_pending:
        raise click.ClickException("Some migrations are pending: run `loyalty db upgrade`.")
    if outdated:
        raise click.ClickException(
            f"{outdated:,} members have keys of an earlier release or setting: run `loyalty db upgrade`."
        )
