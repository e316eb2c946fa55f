"""`loyalty spec`: what the next version of the contract means for this server. For developers."""

import pathlib
import sys
from typing import TYPE_CHECKING

import click

from app.cli.common import examples, json_option, show, show_json

if TYPE_CHECKING:
    from codegen.compare import Comparison

FILE = click.Path(path_type=pathlib.Path)


class _CannotCompare(click.ClickException):
    exit_code = 3  # 1 and 2 say something of the comparison, and 2 is click's own for words that it cannot use


@click.group("spec")
def command() -> None:
    """Compare versions of the contract."""


@command.command(
    epilog=examples(
        "loyalty spec diff spec/mews-loyalty-partner.yaml next.yaml",
        "loyalty spec diff spec/mews-loyalty-partner.yaml next.yaml --json",
    )
)
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@json_option
def diff(*, old: pathlib.Path, new: pathlib.Path, as_json: bool) -> None:
    """Show every difference between OLD and NEW, and what it means for the server built for OLD.

    Exits with 0 if texts alone differ, 1 if there is something to do, 2 if something breaks, 3 if a file is no
    OpenAPI 3.1 document.
    """
    from codegen.compare import compare_files
    from codegen.comparison.documents import NotOpenAPI

    try:
        comparison = compare_files(old, new)
    except ModuleNotFoundError as error:
        raise _CannotCompare(f"This command needs the development tools, and {error.name} is not installed.") from None
    except NotOpenAPI as error:
        raise _CannotCompare(str(error)) from None
    if as_json:
        show_json({"differences": _differences(comparison), "inferred": _inferred(comparison)})
    else:
        show(_differences(comparison), as_json=False, title="Differences", key="differences")
        show(_inferred(comparison), as_json=False, title="What was inferred", key="inferred parts")
    sys.exit(comparison.exit_code)


def _differences(comparison: "Comparison") -> list[dict]:
    return [
        {
            "class": str(difference.verdict),
            "pointer": difference.pointer,
            "change": difference.change,
            "operations": difference.operations,
        }
        for difference in comparison.differences
    ]


def _inferred(comparison: "Comparison") -> list[dict]:
    return [
        {
            "pointer": mark.pointer,
            "line": mark.line,
            "verdict": "confirmed" if mark.confirmed else "refuted",
            "reason": mark.reason or None,
        }
        for mark in comparison.marks
    ]
