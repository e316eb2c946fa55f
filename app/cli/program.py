"""`loyalty program`: loyalty programs and their policies."""

import click

from app import contract
from app.cli.common import Name, examples, json_option, opened, show, show_one
from models import numbers, programs
from models.clock import system_clock
from models.tables import Program


@click.group("program")
def command() -> None:
    """Add and list loyalty programs. Each has members, numbers and a policy of its own."""


def _row(program: Program) -> dict:
    return {
        "name": program.name,
        "requires_confirmation": program.requires_confirmation,
        "required_fields": list(program.required_fields),
        "number_pattern": program.number_pattern,
        "visible_statuses": list(program.visible_statuses),
    }


def _enrollable_fields() -> list[str]:
    """Return the fields that an enrollment's customer may have, as the contract spells them."""
    api = contract.load()
    enrollment = api.operation_with("customer").body_schema
    customer = api.resolve(api.resolve(enrollment)["properties"]["customer"])
    return list(_leaves(api, customer, ""))


def _leaves(api: contract.Contract, schema: dict, prefix: str) -> list[str]:
    names: list[str] = []
    for name, unresolved in schema["properties"].items():
        inner = api.resolve(unresolved)
        names += _leaves(api, inner, f"{prefix}{name}/") if "properties" in inner else [prefix + name]
    return names


@command.command(
    epilog=examples(
        "loyalty program add gold --number-pattern 'GOLD-######?'",
        "loyalty program add club --requires-confirmation --required-field lastName --required-field email",
    )
)
@click.argument("name", type=Name())
@click.option("--requires-confirmation", is_flag=True, help="New memberships are pending until confirmed.")
@click.option(
    "--required-field",
    "required_fields",
    multiple=True,
    metavar="FIELD",
    help="Field that an enrollment must give, as the contract spells it (firstName, address/city); may be repeated. "
    "firstName and lastName by default.",
)
@click.option("--no-required-fields", is_flag=True, help="Take an enrollment with whatever the contract allows.")
@click.option(
    "--number-pattern",
    default=numbers.DEFAULT_PATTERN,
    show_default=True,
    help="# is a random digit, ? the check digit, all else itself.",
)
@click.option(
    "--visible-status",
    "visible_statuses",
    multiple=True,
    type=click.Choice([status.value for status in programs.Status]),
    default=[status.value for status in programs.DEFAULT_VISIBLE_STATUSES],
    show_default=True,
    help="Status of memberships that a search finds; may be repeated.",
)
@json_option
def add(  # one parameter for each option
    *,
    name: str,
    requires_confirmation: bool,
    required_fields: tuple[str, ...],
    no_required_fields: bool,
    number_pattern: str,
    visible_statuses: tuple[str, ...],
    as_json: bool,
) -> None:
    """Add the program NAME. With more than one program every hotel must be registered (`loyalty enterprise add`)."""
    unknown = sorted(set(required_fields) - set(_enrollable_fields()))
    if unknown:
        raise click.UsageError(f"{unknown[0]} is no field of an enrollment: {', '.join(_enrollable_fields())}.")
    numbers.check_pattern(number_pattern)
    required = () if no_required_fields else required_fields or programs.DEFAULT_REQUIRED_FIELDS
    with opened():
        program = programs.add_program(
            name,
            system_clock(),
            requires_confirmation=requires_confirmation,
            required_fields=required,
            number_pattern=number_pattern,
            visible_statuses=visible_statuses,
        )
    show_one(_row(program), as_json=as_json)


@command.command("list", epilog=examples("loyalty program list"))
@json_option
def list_(*, as_json: bool) -> None:
    """List all programs with their policies."""
    with opened():
        rows = [_row(program) for program in programs.list_programs()]
    show(rows, as_json=as_json, title="Programs", key="programs")
