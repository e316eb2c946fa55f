"""Running `loyalty` as a process of its own, as an operator does."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

SECONDS = 60
TRACEBACK = "Traceback (most recent call last)"


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without its settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOYALTY_")}
    return kept | variables


def heed_interrupts() -> None:
    """Let a child end at Ctrl+C, which a shell in the background has its children ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class Result:
    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        assert (self.code, self.stdout.count("\n")) == (0, 1), self.stderr
        return json.loads(self.stdout)

    @property
    def refusal(self) -> str:
        """The one sentence that a command says that must fail."""
        assert self.code != 0
        assert self.stdout == ""
        lines = self.stderr.strip().splitlines()
        usage = [line for line in lines if line.startswith(("Usage: ", "Try '"))]
        told = [line for line in lines if line and line not in usage]
        assert len(told) == 1, self.stderr
        assert told[0].startswith("Error: "), self.stderr
        assert told[0].endswith("."), self.stderr
        return told[0].removeprefix("Error: ")


class Loyalty:
    """The command line with settings; `folder` is where it runs, `module` what is run as it, `seconds` for how long."""

    def __init__(self, folder: Path, *, module: str = "app", seconds: float = SECONDS, **settings: str) -> None:
        self.folder, self.module, self.seconds, self.settings = folder, module, seconds, settings

    def __call__(self, *words: str, stdout: int | IO[bytes] = subprocess.PIPE, **settings: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", self.module, *words],
            cwd=self.folder,
            env=environment(**self.settings | settings),
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=self.seconds,
            stdin=subprocess.DEVNULL,
        )
        assert TRACEBACK not in done.stderr, done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, **settings: str) -> subprocess.Popen[str]:
        """Start a command that can be interrupted."""
        return subprocess.Popen(
            [sys.executable, "-m", self.module, *words],
            cwd=self.folder,
            env=environment(**self.settings | settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
            preexec_fn=heed_interrupts,
        )

    def refused(self, *words: str, **settings: str) -> str:
        """Run a command that must fail, and return the one sentence that it says."""
        return self(*words, **settings).refusal
