"""`loyalty enterprise`: the hotels, as Mews identifies them, and their programs."""

import uuid

import click

from app.cli.common import examples, json_option, opened, program_option, show, show_one
from models import programs
from models.clock import system_clock
from models.tables import Enterprise


@click.group("enterprise")
def command() -> None:
    """Register hotels with programs. With one program it is not needed: any hotel is taken and recorded."""


def _row(enterprise: Enterprise) -> dict:
    return {
        "mews_enterprise_id": enterprise.mews_enterprise_id,
        "program": enterprise.program.name,
        "provider_enterprise_id": enterprise.provider_enterprise_id,
        "created_at": enterprise.created_at,
    }


@command.command(epilog=examples("loyalty enterprise add 3fa85f64-5717-4562-b3fc-2c963f66afa6 --program gold"))
@click.argument("mews_enterprise_id", type=click.UUID)
@program_option
@json_option
def add(*, mews_enterprise_id: uuid.UUID, program: str | None, as_json: bool) -> None:
    """Register the hotel MEWS_ENTERPRISE_ID with a program."""
    with opened():
        row = programs.add_enterprise(programs.find_program(program), mews_enterprise_id, system_clock())
        shown = _row(row)
    show_one(shown, as_json=as_json)


@command.command("list", epilog=examples("loyalty enterprise list"))
@json_option
def list_(*, as_json: bool) -> None:
    """List all hotels that are registered or have called."""
    with opened():
        rows = [_row(enterprise) for enterprise in programs.list_enterprises()]
    show(rows, as_json=as_json, title="Enterprises", key="enterprises")
