"""Several files are written whole or not at all, wherever a run ends."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from codegen import upgrade_files

CONTENTS = {
    Path("kept/a.py"): b"new",
    Path("made/deep/b.py"): b"made",
    Path("kept/empty.py"): b"",
    Path("c.md"): b"c\r\n",
}
WRITES = [(os, "replace"), (Path, "write_bytes"), (Path, "unlink"), (Path, "mkdir"), (shutil, "copy2"), (os, "fsync")]
THIRD_FILE = 23  # the first of the writes that concern it
KILLED = """
import os
from pathlib import Path
from tests.codegen.test_upgrade_files import CONTENTS, patched
from codegen import upgrade_files
with patched({number}, lambda: os._exit(9)):
    upgrade_files.write_all(CONTENTS, Path({root!r}))
"""


class patched:  # noqa: N801 (read as a context)
    """Has something happen before one of the writes; `count` says how many there were."""

    def __init__(self, number: int, happen: Callable[[], object]) -> None:
        self.number, self.happen, self.count = number, happen, 0
        self.originals = [getattr(owner, name) for owner, name in WRITES]

    def __enter__(self) -> "patched":
        for (owner, name), original in zip(WRITES, self.originals, strict=True):
            setattr(owner, name, self.wrapped(original))
        return self

    def __exit__(self, *_: object) -> None:
        for (owner, name), original in zip(WRITES, self.originals, strict=True):
            setattr(owner, name, original)

    def wrapped(self, original: Callable) -> Callable:
        def write(*arguments: object, **options: object) -> object:
            self.count += 1
            if self.count == self.number:
                self.happen()
            return original(*arguments, **options)

        return write


def tree(root: Path) -> dict[str, object]:
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mode) if path.is_file() else None
        for path in root.rglob("*")
    }


def make(root: Path) -> Path:
    (root / "kept").mkdir(parents=True)
    (root / "kept" / "a.py").write_bytes(b"old")
    (root / "kept" / "a.py").chmod(0o755)
    (root / "kept" / "empty.py").write_bytes(b"full")
    (root / "untouched").write_bytes(b"x")
    return root


def number_of_writes(root: Path) -> int:
    make(root)
    with patched(0, lambda: None) as counted:
        upgrade_files.write_all(CONTENTS, root)
    return counted.count - 1  # the last concerns a journal that does not count any more


def test_all_is_written_and_the_journal_goes(tmp_path):
    upgrade_files.write_all(CONTENTS, make(tmp_path))
    after = tree(tmp_path)
    assert {name: after[str(name)][0] for name in CONTENTS} == CONTENTS
    assert after.keys() == {"kept", "made", "made/deep", "untouched", *map(str, CONTENTS)}
    assert (tmp_path / "kept" / "a.py").stat().st_mode & 0o777 == 0o755


def fail() -> None:
    raise OSError("the disk is full")


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def press() -> None:
    raise KeyboardInterrupt


ENDINGS = {
    "an error": (fail, OSError),
    "Ctrl+C": (press, KeyboardInterrupt),
    "SIGTERM": (terminate, SystemExit),
}


@pytest.mark.parametrize(("happen", "raised"), ENDINGS.values(), ids=ENDINGS.keys())
def test_whatever_ends_it_between_two_writes_the_tree_is_as_before(happen, raised, tmp_path):
    writes = number_of_writes(tmp_path / "counted")
    assert writes > 3 * len(CONTENTS)
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    for number in range(1, writes + 1):
        root = make(tmp_path / str(number))
        before = tree(root)
        with pytest.raises(raised), patched(number, happen):
            upgrade_files.write_all(CONTENTS, root)
        assert tree(root) == before, number
        assert not upgrade_files.is_interrupted(root)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)] == handlers


def killed(number: int, root: Path) -> Path:
    program = KILLED.format(number=number, root=str(root))
    assert subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2]).returncode == 9
    return root


def test_what_a_kill_leaves_is_put_back_by_the_next_run(tmp_path):
    writes = number_of_writes(tmp_path / "counted")
    for number in range(1, writes + 1):
        root = make(tmp_path / str(number))
        before = tree(root)
        killed(number, root)
        left = {name: kept for name, kept in tree(root).items() if not name.startswith(upgrade_files.JOURNAL)}
        assert upgrade_files.is_interrupted(root) or left == before
        upgrade_files.restore(root)
        assert tree(root) == before, number


def test_a_signal_does_not_end_the_putting_back(tmp_path):
    for number in range(1, number_of_writes(tmp_path / "counted") + 1):
        root = make(tmp_path / str(number))
        before = tree(root)
        with pytest.raises(OSError, match="the disk is full"), patched(number, fail), patched(number + 1, terminate):
            upgrade_files.write_all(CONTENTS, root)
        assert tree(root) == before, number


def test_a_signal_after_the_last_file_changes_nothing(tmp_path):
    writes = number_of_writes(tmp_path / "counted")
    root = make(tmp_path / "terminated")
    with patched(writes + 1, terminate):
        upgrade_files.write_all(CONTENTS, root)
    assert tree(root) == tree(tmp_path / "counted")


def test_a_kill_after_the_last_file_is_no_interruption(tmp_path):
    number = number_of_writes(tmp_path / "counted") + 1
    root = killed(number, make(tmp_path / "killed"))
    assert (root / upgrade_files.JOURNAL).exists()
    assert not upgrade_files.is_interrupted(root)
    upgrade_files.restore(root)
    assert tree(root) == tree(tmp_path / "counted")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("kept/a.py", "copy .spec-upgrade/0, which stood there before, over it"),
        ("made/deep/b.py", "move it away"),
        ("kept/empty.py", "copy .spec-upgrade/2, which stood there before, over it"),  # which was not yet written
    ],
)
def test_what_was_changed_after_a_kill_is_not_overwritten(name, remedy, tmp_path):
    root = make(tmp_path)
    before = tree(root)
    killed(THIRD_FILE, root)
    standing = [(root / path).read_bytes() if (root / path).exists() else None for path in CONTENTS]
    assert standing == [b"new", b"made", b"full", None]
    (root / name).write_bytes(b"edited")
    edited = tree(root)
    with pytest.raises(ValueError, match=f"^{name} has changed since .* save your changes elsewhere, {remedy}, and"):
        upgrade_files.restore(root)
    assert tree(root) == edited
    backup = {"kept/a.py": "0", "kept/empty.py": "2"}.get(name)
    if backup:
        shutil.copy2(root / upgrade_files.JOURNAL / backup, root / name)
    else:
        (root / name).unlink()
    upgrade_files.restore(root)
    assert tree(root) == before


def inode(path: Path) -> int:
    return path.stat().st_ino


def test_each_step_is_on_the_disk_before_the_next(tmp_path, monkeypatch):
    """A power cut leaves what a kill leaves: what gets its name is whole, and so is all that would put it back."""
    journal, synced, named = make(tmp_path) / upgrade_files.JOURNAL, [], []
    sync, replace = os.fsync, os.replace

    def noted_sync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    def noted_replace(old: Path, new: Path) -> None:
        assert synced[-1] == inode(old)
        assert {inode(path) for path in (journal.parent, *journal.iterdir())} <= set(synced)
        named.append((len(synced), inode(new.parent)))
        replace(old, new)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    upgrade_files.write_all(CONTENTS, tmp_path)
    assert [synced[position] for position, _ in named] == [folder for _, folder in named]
    assert len(named) == 1 + len(CONTENTS)
    assert inode(tmp_path / "made") in synced
