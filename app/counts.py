"""Counts that the worker processes of one server share, in memory of a fixed size."""

import contextlib
import fcntl
import hashlib
import mmap
import os
import pathlib
import struct
import time
import weakref
from collections.abc import Iterator

from limits.storage import Storage

# A place holds whose count it is (a hash), when it ends (by the machine's monotonic clock), and the count.
_PLACE = struct.Struct("<16sdQ")
ROWS, PLACES = 4096, 8
_SIZE = ROWS * PLACES * _PLACE.size


class SharedCounts(Storage):
    """What `limits` counts in: a table in a file, which every worker process maps into its memory.

    A key belongs to one row, by its hash, and takes any place there. In a full row, the count that ends first is
    forgotten: so an attacker with a million addresses needs no more memory than one with ten. `limits` has a storage
    in memory too, but each process would have its own, it grows with the keys, and it starts a thread every 10 ms.
    """

    STORAGE_SCHEME = None  # it is made here, not found by a URL
    base_exceptions = OSError

    def __init__(self, path: pathlib.Path | None = None) -> None:
        """Open the table.

        Args:
            path: the file that the processes share; by default, one that no other process sees.

        Raises:
            OSError: there is no room for it.
        """
        super().__init__()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600) if path else os.memfd_create("counts")
        weakref.finalize(self, os.close, self._file)
        os.posix_fallocate(self._file, 0, _SIZE)  # a file with holes would end the process when the disk is full
        self._table = mmap.mmap(self._file, _SIZE)

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add to a count and return it; the first one in `expiry` seconds starts at 0."""
        now = time.monotonic()
        with self._locked():
            digest, offset, ends, count = self._find(key)
            if ends <= now:
                ends, count = now + expiry, 0
            _PLACE.pack_into(self._table, offset, digest, ends, count + amount)
        return count + amount

    def get(self, key: str) -> int:
        """Return a count."""
        with self._locked():
            _, _, ends, count = self._find(key)
        return count if ends > time.monotonic() else 0

    def get_expiry(self, key: str) -> float:
        """Return when a count ends, by `time.monotonic`, which is the same in all processes."""
        with self._locked():
            return max(self._find(key)[2], time.monotonic())

    def check(self) -> bool:
        """Tell that the storage can be used."""
        return True

    def clear(self, key: str) -> None:
        """Forget one count."""
        with self._locked():
            _PLACE.pack_into(self._table, self._find(key)[1], b"", 0.0, 0)

    def reset(self) -> None:
        """Forget all counts."""
        with self._locked():
            self._table[:] = bytes(_SIZE)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes out for microseconds; the lock of a process that dies is freed."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _find(self, key: str) -> tuple[bytes, int, float, int]:
        """Return a key's hash, the place of its count, when that ends, and the count; 0 and 0 if there is none."""
        digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
        row = int.from_bytes(digest[:4], "big") % ROWS * PLACES * _PLACE.size
        places = []
        for offset in range(row, row + PLACES * _PLACE.size, _PLACE.size):
            owner, ends, count = _PLACE.unpack_from(self._table, offset)
            if owner == digest:
                return digest, offset, ends, count
            places.append((ends, offset))
        return digest, min(places)[1], 0.0, 0
