"""Files of members: CSV (RFC 4180) or JSON Lines in UTF-8, and the file of rows that were refused."""

import csv
import difflib
import io
import itertools
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

from app import problems, wire
from app.cli.member_lines import LONGEST_LINE, BrokenFile, Lines
from app.cli.member_record import COLUMNS, IDENTIFIERS, Refused, from_text
from app.languages import DEFAULT, translate

LONGEST_NAME = 80  # more of a name makes no column of it
DELIMITERS = ",;\t"
# What the file of refused rows has beside the columns of the file that was imported. An import ignores them.
ERROR_COLUMNS = ("errorLine", "errorReason")
# Where a file of refused rows keeps what has not one reading as a JSON object.
ERROR_TEXT = "errorText"
_ARRAY = re.compile(r"\s*\[\s*(?:[{\]]|$)")  # and not a header such as [Card],[Name]
_NO_OBJECT = "This is no JSON object."


@dataclass(frozen=True)
class Row:
    """One row as it stands in the file: the cells of CSV, or a line of JSON."""

    line: int
    content: Any


class JsonLines:
    """One JSON object on each line.

    Args:
        names: what each name in the file stands for: a column, or the empty text where it is left out.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def rows(self, lines: Iterable[str]) -> Iterator[Row]:
        """Return the lines that are not blank."""
        return (Row(number, line) for number, line in enumerate(lines, start=1) if line.strip())

    def record(self, content: str) -> dict[str, Any]:
        """Return a line by the contract's names.

        Raises:
            Refused: it is no object, or it has a name that is no column, or two that stand for the same.
        """
        try:
            given = wire.parse(content.encode())
        except problems.Problem as problem:
            told = [translate(field.detail, DEFAULT) for field in problem.fields]
            raise Refused(" ".join(told) or _NO_OBJECT) from None
        except RecursionError:
            raise Refused(_NO_OBJECT) from None
        if not isinstance(given, dict):
            raise Refused(_NO_OBJECT)
        if ERROR_TEXT in given and ERROR_TEXT not in self._names:
            raise Refused(f"{ERROR_TEXT} is the row as it was: mend it, and put it in place of this line.")
        for name in given.keys() - self._names.keys():
            raise Refused(f"A name in it is no column{_nearest(name)}.")
        record: dict[str, Any] = {}
        for name, value in given.items():
            column = self._names[name]
            if column in record:
                raise Refused(f"{column}: Two names in it stand for this.")
            if column:
                record[column] = value
        return record

    def heading(self) -> bytes:
        """Return what a file of refused rows begins with: nothing."""
        return b""

    def refused(self, row: Row, reason: str) -> bytes:
        """Return a refused row with where it stood and why.

        What has not one reading as an object is kept as a text, lest one of two values for a name is lost.
        """
        try:
            given = wire.parse(row.content.encode())
        except (problems.Problem, RecursionError):
            given = None
        told = dict(zip(ERROR_COLUMNS, (row.line, reason), strict=True))
        kept = given if isinstance(given, dict) else {ERROR_TEXT: row.content.strip()}
        return orjson.dumps(told | kept | told) + b"\n"


class Csv:
    """Comma-separated values below a header.

    Args:
        header: the names as they stand in the file.
        delimiter: what stands between them.
        names: see `JsonLines`.

    Raises:
        BrokenFile: the header has a name twice or one that is no column, or it lacks both identifiers.
    """

    def __init__(self, header: Sequence[str], delimiter: str, names: Mapping[str, str]) -> None:
        self._header, self._delimiter = header, delimiter
        for index, name in enumerate(header, start=1):
            if name not in names:
                told = f"Column {index} of the header is no column of members{_nearest(name)}"
                raise BrokenFile(f"{told}; name it as the contract does, or use --map.")
        self._columns = [names[name] for name in header]
        named = [column for column in self._columns if column]
        if len(set(named)) < len(named) or len(set(header)) < len(header):
            raise BrokenFile("Two columns of the header stand for the same.")
        if not set(named) & set(IDENTIFIERS):
            raise BrokenFile(f"The file needs a column {' or '.join(IDENTIFIERS)}.")

    def rows(self, reader: Any) -> Iterator[Row]:
        """Return the rows of a `csv.reader` that has read the header.

        Raises:
            BrokenFile: quotes are not as they should be, so that no one can tell where a row ends.
        """
        line = reader.line_num + 1
        try:
            for cells in reader:
                if cells:
                    yield Row(line, cells)
                line = reader.line_num + 1
        except csv.Error:
            raise _broken_csv(line) from None

    def record(self, content: list[str]) -> dict[str, Any]:
        """Return a row by the contract's names.

        Raises:
            Refused: it has too many cells, or too few.
        """
        if len(content) != len(self._columns):
            raise Refused(f"The row has {len(content)} cells, and the header {len(self._columns)}.")
        return from_text({column: cell for column, cell in zip(self._columns, content, strict=True) if column})

    def heading(self) -> bytes:
        """Return the header of a file of refused rows."""
        return self._line([*ERROR_COLUMNS, *self._without_error_columns(self._header)])

    def refused(self, row: Row, reason: str) -> bytes:
        """Return a refused row, in front of it where it stood and why."""
        return self._line([row.line, reason, *self._without_error_columns(row.content)])

    def _without_error_columns(self, cells: Sequence[str]) -> list[str]:
        pairs = itertools.zip_longest(cells, self._header)
        return [cell for cell, name in pairs if cell is not None and name not in ERROR_COLUMNS]

    def _line(self, cells: Sequence[Any]) -> bytes:
        text = io.StringIO()
        csv.writer(text, delimiter=self._delimiter).writerow(cells)
        return text.getvalue().encode()


def _broken_csv(line: int) -> BrokenFile:
    return BrokenFile(
        f"The CSV is broken in the row that begins at line {line}: a quote is not closed, or not doubled, "
        "or a carriage return stands alone."
    )


def _nearest(name: str) -> str:
    """Return a hint. The name itself is not repeated: without a header, it is a guest's data."""
    spelled = {column.lower(): column for column in COLUMNS}
    plain = "".join(sign for sign in name[:LONGEST_NAME].lower() if sign.isalnum())
    near = difflib.get_close_matches(plain, spelled, n=1)
    return f" (did you mean {spelled[near[0]]}?)" if near else ""


class Source:
    """A file of members that is being read.

    `size` is the number of bytes read, `broken` what is wrong with it, `unseen` the names of the mapping that no row of
    JSON has had so far.

    Args:
        file: at its beginning.
        mapping: names in the file that stand for columns, or, with the empty text, for nothing.

    Raises:
        BrokenFile: nothing of the file can be read.
    """

    def __init__(self, file: BinaryIO, mapping: Mapping[str, str]) -> None:
        self._lines = Lines(file)
        self.broken: BrokenFile | None = None
        self.unseen: set[str] = set()
        names = {column: column for column in COLUMNS} | dict.fromkeys(ERROR_COLUMNS, "") | dict(mapping)
        lines = iter(self._lines)
        first = next((line for line in lines if line.strip()), "")
        blank_lines = itertools.repeat("\n", max(self._lines.number - 1, 0))
        whole = itertools.chain(blank_lines, [first], lines)
        if _ARRAY.match(first):
            raise BrokenFile("The file is a JSON array; make it JSON Lines, with one object on each line.")
        if first.lstrip().startswith("{") or not first:
            self.format: JsonLines | Csv = JsonLines(names)
            self.unseen = set(mapping) if first else set()
            self._rows = self.format.rows(whole)
        else:
            self.format, self._rows = _opened_csv(whole, first, names, mapping)

    @property
    def size(self) -> int:
        """How many bytes have been read."""
        return self._lines.size

    def rows(self) -> Iterator[Row]:
        """Return the rows up to the end, or to where the file is broken."""
        try:
            for row in self._rows:
                self.unseen = {name for name in self.unseen if not _has_name(row.content, name)}
                yield row
        except BrokenFile as error:
            self.broken = error


def _opened_csv(
    lines: Iterable[str], first: str, names: Mapping[str, str], mapping: Mapping[str, str]
) -> tuple[Csv, Iterator[Row]]:
    csv.field_size_limit(LONGEST_LINE)
    delimiter = _delimiter(first, names)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = next(cells for cells in reader if cells)
    except csv.Error:
        raise _broken_csv(reader.line_num or 1) from None
    if mapping.keys() - set(header):
        raise BrokenFile("--map gives a name that is not in the header.")
    opened = Csv(header, delimiter, names)
    return opened, opened.rows(reader)


def _delimiter(first: str, names: Collection[str]) -> str:
    """Return what divides the first line into the most names that are known, or else into the most cells."""

    def names_and_cells(delimiter: str) -> tuple[int, int]:
        cells = next(csv.reader([first], delimiter=delimiter))
        return sum(cell in names for cell in cells), len(cells)

    return max(DELIMITERS, key=names_and_cells)


def _has_name(line: str, name: str) -> bool:
    return any(json.dumps(name, ensure_ascii=is_ascii) in line for is_ascii in (False, True))
