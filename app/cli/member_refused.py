"""The rows of an import that were refused: a file that can be mended and imported alone, or a few lines to read."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import click

from app.cli.common import write_all
from app.cli.member_file import Csv, JsonLines, Row

TOLD = 10


class CannotWrite(click.ClickException):
    """The file of refused rows cannot be written."""


class RefusedRows:
    """Where refused rows go. The file holds whole rows, whatever happens.

    Args:
        path: of the file; without one, the first few reasons are kept, to be told.
        file_format: of the file that is imported.

    Raises:
        CannotWrite: the file cannot be written.
    """

    def __init__(self, path: Path | None, file_format: Csv | JsonLines) -> None:
        self._path, self._format = path, file_format
        self._reasons: list[str] = []
        self._count = 0

    def __enter__(self) -> Self:
        if self._path:
            try:
                self._file = self._path.open("wb", buffering=0)
            except OSError as error:
                raise _cannot(error) from None
            self._write(self._format.heading())
        return self

    def __exit__(self, *_: object) -> None:
        if self._path:
            if not self._count:  # what holds no row need not be kept from the next import
                with contextlib.suppress(OSError):
                    os.truncate(self._file.fileno(), 0)
            self._file.close()

    def add(self, rows: Iterable[tuple[Row, str]]) -> None:
        """Keep rows with why they were refused.

        Raises:
            CannotWrite: the file cannot be written; it ends with the last row that was written whole.
        """
        refused = list(rows)
        self._count += len(refused)
        if self._path:
            self._write(b"".join(self._format.refused(row, reason) for row, reason in refused))
        else:
            self._reasons += [f"Line {row.line}: {reason}" for row, reason in refused[: TOLD - len(self._reasons)]]

    def _write(self, text: bytes) -> None:
        end = self._file.tell() if self._file.seekable() else 0
        try:
            write_all(self._file, text)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(self._file.fileno(), end)
            raise _cannot(error) from None

    def tell(self) -> None:
        """Print the reasons that are not in a file to standard error."""
        for reason in self._reasons:
            click.echo(reason, err=True)
        if self._reasons and self._count > len(self._reasons):
            click.echo(
                f"{self._count - len(self._reasons):,} more were refused; --errors FILE keeps them all.", err=True
            )


def _cannot(error: OSError) -> CannotWrite:
    return CannotWrite(f"The file of --errors cannot be written: {error.strerror}.")
