"""`loyalty settings`: every setting with its default, and what it is now."""

import dataclasses
import os

import click

from app.cli.common import examples, json_option, show
from app.settings import Settings, variable


@click.command("settings", epilog=examples("loyalty settings", "loyalty settings --json"))
@json_option
def command(*, as_json: bool) -> None:
    """List all settings: the variable, its default, its value now (secrets are hidden) and its meaning."""
    show([_row(field) for field in dataclasses.fields(Settings)], as_json=as_json, title="Settings", key="settings")


def _row(field: dataclasses.Field) -> dict:
    name = variable(field)
    given = os.environ.get(name)
    return {
        "variable": name,
        "type": getattr(field.type, "__name__", str(field.type)),
        "default": None if field.default is dataclasses.MISSING else field.default,
        "value": "(hidden)" if given and field.metadata["secret"] else given,
        "meaning": field.metadata["help"],
    }
