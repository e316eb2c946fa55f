"""The targets that take files pass on their names as they are."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PREREQUISITES = ("requirements.lock", "setup.cfg", "pyproject.toml", ".venv/.installed")  # the last is the newest
LOYALTY = '#!/bin/sh\nprintf "%s\\n" "$@"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The Makefile in a folder where `loyalty` prints what it is given, a line each."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in PREREQUISITES:
        (tmp_path / name).touch()
    (tmp_path / ".venv/bin/loyalty").write_text(LOYALTY)
    (tmp_path / ".venv/bin/loyalty").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["spec-diff", "OLD=old.yaml", "NEW=/a/my spec.yaml"], ["spec", "diff", "old.yaml", "/a/my spec.yaml"]),
        (["spec-upgrade", "FILE=/a/my spec.yaml"], ["spec", "upgrade", "/a/my spec.yaml"]),
        (["spec-upgrade"], ["spec", "upgrade"]),
    ],
    ids=["two files", "one file", "no file"],
)
def test_a_file_whose_name_has_a_space_is_one_file(words, given, folder):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()) == (0, given), done.stderr
