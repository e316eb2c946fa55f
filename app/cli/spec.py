"""`loyalty spec`: what the next version of the contract means for this server. For developers."""

import contextlib
import pathlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from app.cli.common import examples, json_option, show, show_json

if TYPE_CHECKING:
    from codegen.compare import Comparison
    from codegen.upgrade import Plan

FILE = click.Path(path_type=pathlib.Path)


class _Refused(click.ClickException):
    exit_code = 3  # 1 and 2 say something of the comparison, and 2 is click's own for words that it cannot use


@contextlib.contextmanager
def _one_sentence() -> Iterator[None]:
    try:
        from codegen.comparison.documents import NotOpenAPI

        try:
            yield
        except NotOpenAPI as error:
            raise _Refused(str(error)) from None
    except ModuleNotFoundError as error:
        raise _Refused(f"This command needs the development tools, and {error.name} is not installed.") from None


@click.group("spec")
def command() -> None:
    """Compare versions of the contract, and put the next one in place."""


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
    with _one_sentence():
        from codegen.compare import compare_files

        comparison = compare_files(old, new)
    if as_json:
        show_json({"differences": _differences(comparison), "inferred": _inferred(comparison)})
    else:
        _show(comparison)
    sys.exit(comparison.exit_code)


@command.command(
    epilog=examples("loyalty spec upgrade next.yaml --dry-run", "loyalty spec upgrade next.yaml"),
)
@click.argument("file", type=FILE)
@click.option("--dry-run", is_flag=True, help="Show all of it and write nothing.")
def upgrade(*, file: pathlib.Path, dry_run: bool) -> None:
    """Put FILE in place of the contract, write the code that follows from it, and list the work that is left.

    Exits with 0 once that is done, 1 if it cannot be or another upgrade is at work, 3 if FILE is no OpenAPI 3.1
    document. In the last two cases nothing has changed.
    """
    with _one_sentence():
        from codegen import upgrade, upgrade_files

        try:
            with contextlib.nullcontext() if dry_run else upgrade_files.alone(upgrade.ROOT):
                _recover(dry_run)
                planned = upgrade.plan(file)
                if planned.comparison.differences:
                    _show(planned.comparison)
                if not dry_run:
                    upgrade.make(planned)
        except OSError as error:
            raise click.ClickException(f"The upgrade failed, and nothing has changed: {error}.") from None
        except ValueError as error:
            raise click.ClickException(str(error)) from None
    _show_plan(planned, dry_run)


def _recover(dry_run: bool) -> None:
    from codegen import upgrade, upgrade_files

    interrupted = upgrade_files.is_interrupted(upgrade.ROOT)
    if interrupted and dry_run:
        raise ValueError("An upgrade was interrupted here, or is at work; without --dry-run this puts back what was.")
    if not dry_run:
        upgrade_files.restore(upgrade.ROOT)  # which also clears away what a run left that had changed nothing, or all
    if interrupted:
        click.echo("An upgrade was interrupted here; what it had changed is put back.", err=True)


def _show_plan(planned: "Plan", dry_run: bool) -> None:
    files = [{"file": path.as_posix(), "change": told} for path, told in planned.edits.items()]
    work = [{"operation": left.operation, "place": left.place, "what": left.what} for left in planned.work]
    if files:
        show(files, as_json=False, title="Files, if it is not a dry run" if dry_run else "Files", key="files to change")
    else:
        click.echo("This contract is in place already; nothing changed.")
    show(work, as_json=False, title="Work left", key="things left to do")


def _show(comparison: "Comparison") -> None:
    show(_differences(comparison), as_json=False, title="Differences", key="differences")
    show(_inferred(comparison), as_json=False, title="What was inferred", key="inferred parts")


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
