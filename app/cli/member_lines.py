"""The lines of a file of members: text in UTF-8, none so long that memory would depend on it."""

from collections.abc import Iterator
from typing import BinaryIO

import click

# A longer one is none that a person has written; memory must not depend on the file.
LONGEST_LINE = 2**22
BYTE_ORDER_MARK = "\ufeff"


class BrokenFile(click.ClickException):
    """The file cannot be read, or not beyond some line."""


class Lines:
    """The lines of a file as text, counted. `size` is the number of bytes read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.size, self.number = file, 0, 0

    def __iter__(self) -> Iterator[str]:
        is_first = True  # of those that are not blank
        while line := self._read():
            self.size += len(line)
            self.number += 1
            if is_first:
                self._check_first(line)
            if len(line) > LONGEST_LINE:
                raise BrokenFile(f"Line {self.number} is longer than {LONGEST_LINE:,} bytes.")
            try:
                text = line.decode()
            except UnicodeDecodeError:
                raise BrokenFile(f"Line {self.number} is not in UTF-8; convert the file to UTF-8.") from None
            if self.number == 1:
                text = text.removeprefix(BYTE_ORDER_MARK)
            is_first = is_first and not text.strip()
            yield text

    def _check_first(self, line: bytes) -> None:
        if b"\0" in line:
            raise BrokenFile(f"Line {self.number} holds bytes of 0, as UTF-16 does; convert the file to UTF-8.")
        if b"\r" in line.rstrip(b"\r\n"):
            raise BrokenFile("The lines end with a carriage return alone; save the file with line feeds.")

    def _read(self) -> bytes:
        try:
            return self._file.readline(LONGEST_LINE + 1)
        except OSError as error:
            raise BrokenFile(f"The file cannot be read: {error.strerror}.") from None
