"""`loyalty db`: the database's schema."""

import datetime

import click

from app.cli.common import examples, json_option, opened, show
from models import schema
from models.clock import system_clock


@click.group("db")
def command() -> None:
    """Create and upgrade the database that LOYALTY_DATABASE_URL names."""


@command.command(
    epilog=examples(
        "LOYALTY_DATABASE_URL=sqlite:///loyalty.db loyalty db upgrade",
        "LOYALTY_DATABASE_URL=postgresql://loyalty@/loyalty loyalty db upgrade",
    )
)
@json_option
def upgrade(*, as_json: bool) -> None:
    """Bring the database to this release's schema; a new one gets a program named "default"."""
    with opened(check=False) as database:
        applied = schema.upgrade(database, system_clock())
    if not applied and not as_json:
        click.echo("The schema is up to date.", err=True)
        return
    show([{"name": name} for name in applied], as_json=as_json, title="Applied", key="migrations")


@command.command(epilog=examples("loyalty db status", "loyalty db status --json"))
@json_option
def status(*, as_json: bool) -> None:
    """List the migrations, with when each was applied. Exit code 1 while some are pending."""
    with opened(check=False) as database:
        migrations = schema.status(database)
    rows = [
        {"name": migration.name, "applied": migration.applied and migration.applied.astimezone(datetime.UTC)}
        for migration in migrations
    ]
    show(rows, as_json=as_json, title="Migrations", key="migrations")
    if any(migration.applied is None for migration in migrations):
        raise click.ClickException("Some migrations are pending: run `loyalty db upgrade`.")
