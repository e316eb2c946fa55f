"""The folder in which the processes of one server share their metrics, and their counts for rate limits."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from app import settings

PREFIX = "loyalty-shared-"


@contextlib.contextmanager
def shared_folder() -> Iterator[None]:
    """Make the folder, name it in the environment, and remove it when this process ends.

    The folders of servers that were killed are removed first: a folder is locked while any process of its server lives.
    """
    owner = os.getpid()
    _remove_left()
    folder = os.environ[settings.METRICS_DIRECTORY] = _make_locked()
    try:
        yield
    finally:
        if os.getpid() == owner:  # a worker process that exits passes here as well
            shutil.rmtree(folder, ignore_errors=True)


def _make_locked() -> str:
    while True:
        path = tempfile.mkdtemp(prefix=PREFIX)
        folder = os.open(path, os.O_RDONLY)  # stays open, in the worker processes as well, which hold the lock by it
        with contextlib.suppress(OSError):  # where folders cannot be locked, those that were left stay
            fcntl.flock(folder, fcntl.LOCK_EX)
        if pathlib.Path(path).exists():
            return path
        os.close(folder)  # another server took it for one that was left, before it was locked


def _remove_left() -> None:
    for path in pathlib.Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # such as that of a server that runs, or of another user
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(folder).st_uid == os.getuid():
                    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path)
            finally:
                os.close(folder)
