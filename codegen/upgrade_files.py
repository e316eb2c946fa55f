"""Writing several files so that all of them are written, or none: a journal in the tree holds what stood there before.

Whatever ends a run while it writes, the tree is put back as it was: an error or a signal at once; what no program can
catch (a kill, a crash, a power cut) when the next run starts. For the last, each step is on the disk before the next.
"""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

LOCK = ".spec-upgrade.lock"
JOURNAL = ".spec-upgrade"
MANIFEST = "manifest.json"
SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Keep other upgrades away from the tree at `root`. Raises ValueError if one is at work, in a sentence."""
    lock = FileLock(root / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError("Another upgrade is at work here; try again when it has ended.") from None
    try:
        yield
    finally:
        (root / LOCK).unlink(missing_ok=True)  # while it is held: whoever opened it by now finds that it is gone
        lock.release()


def is_interrupted(root: Path) -> bool:
    """Tell whether a run ended while it wrote below `root`, and nothing has put that right."""
    return (root / JOURNAL / MANIFEST).exists()


def write_all(contents: dict[Path, bytes], root: Path) -> None:
    """Write files, by path relative to `root`: all of them, or none and the exception goes on.

    Raises OSError, what a signal raises (KeyboardInterrupt, SystemExit), or ValueError as `restore` does.
    """
    with _raising_signals():
        try:
            _keep(contents, root)
            for path, content in contents.items():
                _replace(root / path, content)
            (root / JOURNAL / MANIFEST).unlink()
        except BaseException:
            _ignore_signals()
            restore(root)
            raise
        _ignore_signals()
        _remove(root / JOURNAL)


def restore(root: Path) -> None:
    """Put back what a journal holds; without a manifest it is of a run that had not begun to write, or had ended.

    Raises ValueError, in a sentence for the developer, if someone else has changed one of the files since; then it
    puts none back.
    """
    journal = root / JOURNAL
    if is_interrupted(root):
        manifest = json.loads((journal / MANIFEST).read_text(encoding="utf-8"))
        for name, backup, written in manifest["files"]:
            _refuse_if_changed(name, backup, written, root)
        for name, backup, _ in manifest["files"]:
            _restore(root / name, journal / backup if backup else None)
        for name in manifest["folders"]:
            with contextlib.suppress(OSError):  # something else is in it by now
                (root / name).rmdir()
        (journal / MANIFEST).unlink()
    _remove(journal)


def _refuse_if_changed(name: str, backup: str | None, written: str, root: Path) -> None:
    """Do nothing if a file is as it was before the run or as the run wrote it; else raise ValueError."""
    if _digest(root / name) in (_digest(root / JOURNAL / backup) if backup else None, written):
        return
    remedy = f"copy {JOURNAL}/{backup}, which stood there before, over it" if backup else "move it away"
    raise ValueError(
        f"{name} has changed since an upgrade was interrupted here, so nothing was put back: "
        f"save your changes elsewhere, {remedy}, and run this again."
    )


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a file in hexadecimal digits; None if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def _keep(contents: dict[Path, bytes], root: Path) -> None:
    """Copy what stands at these paths; the manifest, written last, makes the journal count.

    It has, for each file, the name of its copy (None if there was no file) and the SHA-256 of what is to be written.
    """
    journal = root / JOURNAL
    journal.mkdir()
    _sync(root)
    files: list[tuple[str, str | None, str]] = []
    for number, (path, content) in enumerate(contents.items()):
        exists = (root / path).exists()
        if exists:
            shutil.copy2(root / path, journal / str(number))
            _sync(journal / str(number))
        written = hashlib.sha256(content).hexdigest()
        files.append((path.as_posix(), str(number) if exists else None, written))
    parents = {parent for path in contents for parent in path.parents if not (root / parent).exists()}
    folders = sorted((parent.as_posix() for parent in parents), key=len, reverse=True)
    _replace(journal / MANIFEST, json.dumps({"files": files, "folders": folders}).encode())


def _replace(path: Path, content: bytes) -> None:
    _make_folder(path.parent)
    sibling = _sibling(path)
    sibling.write_bytes(content)
    if path.exists():
        shutil.copymode(path, sibling)
    _put_in_place(sibling, path)


def _restore(path: Path, backup: Path | None) -> None:
    sibling = _sibling(path)
    if backup:
        shutil.copy2(backup, sibling)
        _put_in_place(sibling, path)
    elif path.parent.exists():
        path.unlink(missing_ok=True)
        sibling.unlink(missing_ok=True)
        _sync(path.parent)


def _remove(journal: Path) -> None:
    with contextlib.suppress(OSError):  # without its manifest it counts for nothing, whatever becomes of it
        _sync(journal)
    shutil.rmtree(journal, ignore_errors=True)


def _put_in_place(sibling: Path, path: Path) -> None:
    _sync(sibling)
    os.replace(sibling, path)  # noqa: PTH105 (tests let it fail)
    _sync(path.parent)


def _make_folder(path: Path) -> None:
    if not path.exists():
        _make_folder(path.parent)
        path.mkdir()
        _sync(path.parent)


def _sync(path: Path) -> None:
    """Return when the disk holds what a file contains, or which names a folder has."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sibling(path: Path) -> Path:
    return path.with_name(f".{path.name}.upgrade")


@contextlib.contextmanager
def _raising_signals() -> Iterator[None]:
    """Let the signals that end a process raise SystemExit; outside the main thread they cannot be caught."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, _exit) for number in SIGNALS}
    previous[signal.SIGINT] = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _ignore_signals() -> None:
    if threading.current_thread() is threading.main_thread():
        for number in (*SIGNALS, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
