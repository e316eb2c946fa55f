"""`loyalty member import`: members of an older system, by the hundred thousand."""

import contextlib
import datetime
import functools
import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from app.cli import interruptions, member_record
from app.cli.common import CannotPrint, examples, json_option, opened, program_option, show_one
from app.cli.member_file import Csv, JsonLines, Row, Source
from app.cli.member_lines import BrokenFile
from app.cli.member_record import COLUMNS, Refused
from app.cli.member_refused import CannotWrite, RefusedRows
from app.cli.processes import ProcessEnded, spread
from models import bulk, programs
from models.bulk import Outcome
from models.clock import system_clock
from models.database import analyze
from models.errors import LoyaltyError
from models.tables import Member, Membership, Program

SOME_REFUSED = 3  # the exit code; 1 says that the import ended early, and 2 is click's own for wrong options
REFUSED = "refused"
# A batch of long rows ends earlier, so that memory does not depend on what is in the file.
BATCH_BYTES = 2**22
_REASONS = {
    Outcome.TAKEN: f"{' or '.join(member_record.IDENTIFIERS)}: It is another membership's.",
    Outcome.CHANGED: "The membership is there with other personal data, and is left as it is.",
}


@dataclass(frozen=True)
class Batch:
    """Rows that are written in one transaction; `end` is the place in the file after them, in bytes."""

    rows: list[Row]
    end: int


class _Mapping(click.ParamType):
    name = "name=column"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, column = value.rpartition("=")
        if not equals or column not in ("", *COLUMNS):
            self.fail(f"give it as NAME=COLUMN with one of the columns {', '.join(COLUMNS)}.", param, ctx)
        return name, column


@click.command(
    "import",
    epilog=examples(
        "loyalty member import members.csv --dry-run",
        "loyalty member import members.csv --errors refused.csv",
        'loyalty member import guests.csv --map "Given name=firstName" --map "Family name=lastName" --map "Notes="',
        "zcat members.jsonl.gz | loyalty member import -",
    ),
)
@click.argument("file", type=click.File("rb"))
@click.option("--map", "mapping", type=_Mapping(), multiple=True, help="Which column a name in the file stands for.")
@click.option("--dry-run", is_flag=True, help="Check and count everything, and write nothing.")
@click.option("--errors", type=click.Path(path_type=Path, dir_okay=False), help="Where rows go that are refused.")
@click.option("--overwrite", is_flag=True, help="Replace the file of --errors if it is not empty.")
@program_option
@json_option
def command(
    *,
    file: BinaryIO,
    mapping: tuple[tuple[str, str], ...],
    dry_run: bool,
    errors: Path | None,
    overwrite: bool,
    program: str | None,
    as_json: bool,
) -> None:
    """Add the members in FILE (- is standard input): CSV with a header, or JSON Lines, in UTF-8.

    Names are the contract's. Each row needs a membershipNumber or a providerMembershipId, by which it is known again:
    those that are there already are left as they are, so that an import can be repeated, and goes on where it was
    interrupted. Rows that are refused go to the file of --errors, which can be mended and imported alone.

    Exits with 0 if every row is in, 3 if some were refused, 1 if the import ended early, be it by Ctrl+C or SIGTERM;
    then what it has added stays.
    """
    interruptions.heed()
    names = _names(mapping)
    if errors:
        _check_errors_file(errors, file, overwrite=overwrite)
    counts: Counter[str] = Counter()
    source = Source(file, names)
    if not source.size and file is sys.stdin.buffer:
        raise BrokenFile("Standard input is empty; nothing was written.")
    refused = RefusedRows(errors, source.format)
    with _told(counts, refused, dry_run=dry_run, as_json=as_json), opened():
        target = programs.find_program(program)
        with refused, _shown(file) as show_progress:
            for end in _add(source, target, counts, refused, dry_run=dry_run):
                show_progress(end, counts.total())
        if counts[Outcome.ADDED] and not dry_run:
            analyze(Member, Membership)
        if source.broken:
            raise source.broken
        if source.unseen:
            click.echo("--map gives a name that is in no row.", err=True)


def _names(mapping: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return the column for each name that --map gives one."""
    names = dict(mapping)
    if len(names) < len(set(mapping)):
        raise click.UsageError("--map: One name cannot stand for two columns.")
    return names


def _check_errors_file(errors: Path, imported: BinaryIO, *, overwrite: bool) -> None:
    """Refuse a file of --errors that holds what would be lost."""
    try:
        there = errors.stat()
    except OSError:  # it is not there, or opening it tells why it cannot be used
        return
    if os.path.samestat(there, os.fstat(imported.fileno())):
        raise click.UsageError("--errors: It must be another file than the one that is imported.")
    if there.st_size and not overwrite:
        raise click.UsageError("--errors: The file is not empty: name another, or replace it with --overwrite.")


@contextlib.contextmanager
def _told(counts: Counter[str], refused: RefusedRows, *, dry_run: bool, as_json: bool) -> Iterator[None]:
    """Tell what has become of the rows, and what has ended the import early, if anything has.

    When it is told, Ctrl+C and SIGTERM do nothing any more.
    """
    sentence = ""
    try:
        yield
        interruptions.ignore()
    except (LoyaltyError, BrokenFile, CannotWrite) as error:
        sentence = str(error)
    except ProcessEnded:
        sentence = "A process of the import has ended; memory may be short."
    except KeyboardInterrupt:
        sentence = "The import was interrupted."
    interruptions.ignore()
    if counts or not sentence:
        refused.tell()
        try:
            show_one({name: counts[name] for name in (Outcome.ADDED, Outcome.PRESENT, REFUSED)}, as_json=as_json)
        except CannotPrint as error:
            sentence = f"{sentence} {error}".lstrip()
    if sentence:
        added = 0 if dry_run else counts[Outcome.ADDED]
        kept = f"Members added before that, which stay: {added:,}." if added else "Nothing was written."
        raise click.ClickException(f"{sentence} {kept}")
    if dry_run:
        click.echo("This was a dry run: nothing was written.", err=True)
    if counts[REFUSED]:
        sys.exit(SOME_REFUSED)


def _add(
    source: Source, program: Program, counts: Counter[str], refused: RefusedRows, *, dry_run: bool
) -> Iterator[int]:
    """Add members batch by batch, count what becomes of the rows, and yield after each where in the file it ends."""
    now = system_clock()
    for batch, prepared in _prepared_batches(source, program):
        with interruptions.put_off():
            outcomes = _write(program, prepared, now, dry_run=dry_run)
            counts.update(_counted(outcome) for outcome in outcomes)
            reasons = zip(batch.rows, map(_reason, outcomes), strict=True)
            refused.add((row, reason) for row, reason in reasons if reason)
        yield batch.end


def _prepared_batches(source: Source, program: Program) -> Iterator[tuple[Batch, list[bulk.Record | Refused]]]:
    """Prepare batches in other processes, and return each with what is to be written for its rows."""
    return spread(functools.partial(_prepare, source.format, tuple(program.required_fields)), _batches(source))


def _write(
    program: Program, prepared: Sequence[bulk.Record | Refused], now: datetime.datetime, *, dry_run: bool
) -> list[Outcome | Refused]:
    """Write the records of a batch, and return what became of each of its rows."""
    records = [record for record in prepared if isinstance(record, bulk.Record)]
    written = iter(bulk.write(program, records, now, dry_run=dry_run))
    return [record if isinstance(record, Refused) else next(written) for record in prepared]


def _batches(source: Source) -> Iterator[Batch]:
    rows, begin = [], source.size
    for row in source.rows():
        rows.append(row)
        if len(rows) == bulk.BATCH_SIZE or source.size - begin > BATCH_BYTES:
            yield Batch(rows, source.size)
            rows, begin = [], source.size
    if rows:
        yield Batch(rows, source.size)


def _prepare(file: Csv | JsonLines, required_fields: tuple[str, ...], batch: Batch) -> list[bulk.Record | Refused]:
    return [_prepared(file, _reader(required_fields), row) for row in batch.rows]


_reader = functools.cache(member_record.Reader)


def _prepared(file: Csv | JsonLines, reader: member_record.Reader, row: Row) -> bulk.Record | Refused:
    try:
        return bulk.prepare(*reader.read(file.record(row.content)))
    except Refused as refused:
        return refused


def _reason(outcome: Outcome | Refused) -> str | None:
    """Return why a row is refused, or None if it is not."""
    return str(outcome) if isinstance(outcome, Refused) else _REASONS.get(outcome)


def _counted(outcome: Outcome | Refused) -> str:
    return REFUSED if _reason(outcome) else str(outcome)


class _Members(ProgressColumn):
    def render(self, task: Task) -> Text:
        rate = task.fields["members"] / (task.elapsed or 1)
        return Text(f"{task.fields['members']:,} members, {rate:,.0f} a second")


@contextlib.contextmanager
def _shown(file: BinaryIO) -> Iterator[Callable[[int, int], None]]:
    """Show progress where standard error is a terminal, and give a function that takes bytes read and members done."""
    status = os.fstat(file.fileno())
    total = status.st_size if stat.S_ISREG(status.st_mode) else None
    columns = (TextColumn("Import"), BarColumn(), _Members(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("", total=total, members=0)
        yield lambda size, members: progress.update(task, completed=size, members=members)
