"""`loyalty certify`: play Mews against a partner server, in any language, and judge it by the contract."""

import contextlib
import os
import pathlib
import sys
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app import contract
from app.cli.common import CannotPrint, examples, json_option, show, show_json
from certify.requirements import FEATURES, Flow
from certify.wording import counted

if TYPE_CHECKING:
    from certify.report import Report, Row

DEFAULT_SECONDS = 60


class _CannotJudge(click.ClickException):
    exit_code = 2


def _base_url(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    with contextlib.suppress(ValueError):  # as of a port that is none
        parts = urllib.parse.urlsplit(value)
        further = (parts.username, parts.query, parts.fragment)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not any(further):
            return value.rstrip("/")
    raise click.BadParameter("give an address such as https://loyalty.example.com/loyalty, and no more.")


def _new_file(_context: click.Context, _parameter: click.Parameter, value: pathlib.Path | None) -> pathlib.Path | None:
    if value and (value.is_dir() or not os.access(value.parent, os.W_OK)):
        raise click.BadParameter(f"{value} cannot be written: its folder is not there, or is closed to you.")
    return value


def _token(_context: click.Context, parameter: click.Parameter, value: str) -> str:
    """RFC 6750, section 2.1: a bearer token is of visible signs of ASCII; others no header can carry."""
    if parameter.required and not value:
        raise click.BadParameter("it is empty.")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise click.BadParameter("a token has letters, digits and signs of ASCII, and no spaces.")
    return value


_file = click.Path(path_type=pathlib.Path)


@click.command(
    "certify",
    epilog=examples(
        "LOYALTY_TOKEN=... loyalty certify --base-url https://loyalty.example.com/loyalty --html report.html",
        "loyalty certify --base-url http://127.0.0.1:8080 --spec mews.yaml --strict --junit report.xml",
        "loyalty certify --base-url http://127.0.0.1:8080 --without link --time-budget 0 --json",
    ),
)
@click.option("--base-url", required=True, metavar="URL", callback=_base_url, help="That you give to Mews.")
@click.option(
    "--token",
    required=True,
    envvar="LOYALTY_TOKEN",
    callback=_token,
    help="That Mews would send; better in LOYALTY_TOKEN.",
)
@click.option(
    "--second-token",
    default="",
    envvar="LOYALTY_SECOND_TOKEN",
    callback=_token,
    help="That is valid too, as in rotation; better in LOYALTY_SECOND_TOKEN.",
)
@click.option("--spec", type=_file, default=contract.SPECIFICATION, help="The contract; without, the kit's own.")
@click.option("--enterprise", type=click.UUID, metavar="UUID", help="mewsEnterpriseId of the hotel that calls.")
@click.option("--other-enterprise", type=click.UUID, metavar="UUID", help="That of a hotel of another program.")
@click.option("--language", "languages", multiple=True, metavar="TAG", help="That problems are told in; repeat it.")
@click.option(
    "--without",
    multiple=True,
    type=click.Choice([flow.value for flow in FEATURES]),
    help="What the server does not serve; repeat it.",
)
@click.option(
    "--time-budget",
    type=click.IntRange(min=0),
    default=DEFAULT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="For generated requests; 0 leaves them out.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Of the generated requests, as a report tells it.")
@click.option("--strict", is_flag=True, help="Count our readings of silent points as failures too.")
@click.option("--html", type=_file, callback=_new_file, help="Write a report for people, on screen or paper.")
@click.option("--junit", type=_file, callback=_new_file, help="Write JUnit XML for CI.")
@json_option
def command(*, html: pathlib.Path | None, junit: pathlib.Path | None, as_json: bool, **given: Any) -> None:
    """Play Mews against the server at URL, and say which requirements it keeps.

    It enrolls guests that it makes up, in the domain certify.example, and lists them, since the API cannot delete:
    use it on a test system. What it shows holds no token, and nobody's data but these guests'.

    Exits with 0 if the server passed, 1 if it did not, 2 if the kit could not judge.
    """
    if given["token"] == given["second_token"]:
        raise _CannotJudge("--second-token is the same as --token: give another one that is valid.")
    with _one_sentence():
        from certify.rendering import write_html, write_junit

        report = _judge(**given)
        if html:
            write_html(report, html)
        if junit:
            write_junit(report, junit)
        if as_json:
            show_json(report.as_dict())
        elif not report.cut_short:
            _show(report)
    if report.cut_short:
        _show_left(report)
        raise _CannotJudge(report.cut_short)
    sys.exit(report.exit_code)


def _judge(
    *,
    spec: pathlib.Path,
    enterprise: uuid.UUID | None,
    other_enterprise: uuid.UUID | None,
    without: tuple[str, ...],
    time_budget: int,
    seed: int | None,
    strict: bool,
    **said: Any,
) -> "Report":
    from certify.play import HOTEL, Options
    from certify.run import certify_server
    from certify.specification import Specification

    absent = tuple(Flow(name) for name in without)
    hotel, other = str(enterprise or HOTEL), str(other_enterprise or "")
    options = Options(enterprise=hotel, other_enterprise=other, absent=absent, **said)
    judged_by = Specification(spec, absent)
    with _shown() as progress:
        return certify_server(options, judged_by, time_budget=time_budget, strict=strict, seed=seed, progress=progress)


@contextlib.contextmanager
def _one_sentence() -> Iterator[None]:
    try:
        from certify.run import CannotJudge
        from certify.specification import UnusableSpec

        try:
            yield
        except (CannotJudge, CannotPrint, UnusableSpec) as error:
            raise _CannotJudge(str(error)) from None
        except OSError as error:
            raise _CannotJudge(f"The report cannot be written: {error}.") from None
    except ModuleNotFoundError as error:
        raise _CannotJudge(
            f"This command needs the packages of the extra certify, and {error.name} is not installed."
        ) from None


@contextlib.contextmanager
def _shown() -> Iterator[Callable[[str, int, int], None]]:
    """Show progress where standard error is a terminal, and give a function that takes what is played, and where."""
    columns = (BarColumn(16), TimeElapsedColumn(), TextColumn("{task.description}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty(), transient=True) as shown:
        task = shown.add_task("Reach the server", total=None)

        def tell(title: str, step: int, steps: int) -> None:
            shown.update(task, description=title, completed=step, total=steps)

        yield tell


def _show(report: "Report") -> None:
    flows = [
        {"flow": flow.heading}
        | {str(result): count or None for result, count in report.counts(report.of(flow)).items()}
        for flow in Flow
    ]
    show(flows, as_json=False, title=f"{report.options.base_url}, by {report.spec.title}", key="flows")
    findings = [found for row in report.to_look_at() for found in _findings(row)]
    if findings:
        show(findings, as_json=False, title="Findings", key="findings")
    click.echo(report.verdict)
    if report.left:
        left = counted(len(report.left), "membership of a made-up guest is", "memberships of made-up guests are")
        click.echo(f"{left} left behind; --html or --json has the list.")


def _show_left(report: "Report") -> None:
    """Tell on standard error whom a run that was cut short leaves behind."""
    for email, identifier in report.left:
        shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in identifier)
        click.echo(f"Left behind: {shown} {email}".rstrip(), err=True)


def _findings(row: "Row") -> Iterator[dict]:
    source = row.requirement.published or "our reading"
    for told in [finding.told for finding in row.findings] or [row.why]:
        yield {"result": str(row.result), "requirement": row.requirement.name, "found": told, "published": source}
