"""`loyalty token`: the bearer tokens that Mews sends."""

import datetime

import click

from app.cli.common import Name, examples, json_option, opened, show, show_one
from models import programs, tokens
from models.clock import system_clock
from models.tables import Token


@click.group("token")
def command() -> None:
    """Issue and revoke the bearer tokens that Mews sends. Several may be live at once, as rotation needs it."""


def _row(token: Token) -> dict:
    return {
        "name": token.name,
        "program": token.program.name if token.program else None,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "last_used_at": token.last_used_at,
    }


@command.command(epilog=examples("loyalty token create mews-2027", "loyalty token create mews-2027 --json"))
@click.argument("name", type=Name())
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=tokens.DEFAULT_LIFETIME.days,
    show_default=True,
    help="Days until it expires.",
)
@click.option("--program", metavar="NAME", help="Make it valid for this program alone; without, for all.")
@json_option
def create(*, name: str, days: int, program: str | None, as_json: bool) -> None:
    """Issue a token under NAME and print it. It is shown this once and cannot be had again."""
    with opened():
        scope = programs.find_program(program) if program else None
        lifetime = datetime.timedelta(days=days)
        text, row = tokens.create(name, system_clock(), lifetime=lifetime, program=scope)
    show_one({"token": text, "name": row.name, "program": program, "expires_at": row.expires_at}, as_json=as_json)


@command.command("list", epilog=examples("loyalty token list"))
@json_option
def list_(*, as_json: bool) -> None:
    """List all tokens by name: when each expires, was revoked and last used."""
    with opened():
        rows = [_row(token) for token in tokens.list_tokens()]
    show(rows, as_json=as_json, title="Tokens", key="tokens")


@command.command(epilog=examples("loyalty token revoke mews-2026"))
@click.argument("name")
@json_option
def revoke(*, name: str, as_json: bool) -> None:
    """End the token NAME: within a second no server process takes it any more."""
    with opened():
        row = tokens.revoke(name, system_clock())
        shown = {"name": row.name, "revoked_at": row.revoked_at}
    show_one(shown, as_json=as_json)
