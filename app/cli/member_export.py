"""`loyalty member export`: all members of a program, for another system or another database."""

import contextlib
import csv
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click
import orjson
from rich.console import Console
from rich.progress import Progress

from app.cli.common import examples, opened, program_option, write_all
from app.cli.member_record import COLUMNS, written
from models import bulk, programs

CSV, JSONL = "csv", "jsonl"


@click.command(
    "export",
    epilog=examples(
        "loyalty member export members.csv",
        "loyalty member export --format jsonl | gzip > members.jsonl.gz",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), default="-")
@click.option("--format", "file_format", type=click.Choice([CSV, JSONL]), default=CSV, show_default=True)
@program_option
def command(*, file: Path, file_format: str, program: str | None) -> None:
    """Write all members to FILE, or to standard output: CSV with a header, or JSON Lines, in UTF-8.

    `loyalty member import` takes the file, in this database or another. Deleted members, links and the history are not
    in it. Values stand in it as they were given, even such as a spreadsheet would take for a formula.
    """
    with opened():
        target = programs.find_program(program)
        try:
            with _output(file) as output, _shown() as progress:
                task = progress.add_task("Export", total=1)
                write_all(output, _heading(file_format))
                for share, page in bulk.pages(target):
                    write_all(output, b"".join(_line(written(row), file_format) for row in page))
                    progress.update(task, completed=share)
        except BrokenPipeError:
            raise  # such as that of `head`, who has read enough
        except OSError as error:
            raise click.ClickException(f"The file cannot be written: {error.strerror}.") from None


@contextlib.contextmanager
def _output(file: Path) -> Iterator[IO[bytes]]:
    """Give what to write to; a file is put in place when it is whole, and only its owner may read it."""
    if str(file) == "-":
        with open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as output:
            yield output
        return
    if file.exists() and not file.is_file():
        raise click.UsageError("FILE: It must be a file, or - for standard output.")
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}-", buffering=0, delete=False) as output:
        temporary = Path(output.name)
        try:
            yield output
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)


class _Echo:
    """What `csv.writer` writes to, to have the line as its result."""

    def write(self, text: str) -> str:
        return text


_table = csv.writer(_Echo())


def _heading(file_format: str) -> bytes:
    return _table.writerow(COLUMNS).encode() if file_format == CSV else b""


def _line(record: dict[str, Any], file_format: str) -> bytes:
    if file_format == JSONL:
        return orjson.dumps(record) + b"\n"
    return _table.writerow(record.get(column, "") for column in COLUMNS).encode()


@contextlib.contextmanager
def _shown() -> Iterator[Progress]:
    is_shown = sys.stderr.isatty() and not sys.stdout.isatty()
    with Progress(console=Console(stderr=True), disable=not is_shown) as progress:
        yield progress
