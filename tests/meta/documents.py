"""Documents whose commands are run: fenced blocks marked `sh`, one after the other, as a reader would paste them.

The place differs, and so do four things: the port, the Postgres, one worker process where nothing is said, and that
`make` of anything but `run` is a dry run. A last line with `loyalty serve`, or `make run`, stays in the background
until the next server, or the end.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.support import free_port

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
ADDRESS = "127.0.0.1:8080"
POSTGRES = "postgresql://loyalty:secret@127.0.0.1:5432/loyalty"
SECONDS = 180


@dataclass(frozen=True)
class Block:
    """A fenced block; `follows` is the text between it and the block before it."""

    language: str
    text: str
    follows: str


def blocks(document: str) -> list[Block]:
    """Return the fenced blocks of a document in the repository."""
    text, end, found = (ROOT / document).read_text(), 0, []
    for match in FENCE.finditer(text):
        lines = [line.removeprefix(match["indent"]) for line in match["text"].splitlines()]
        found.append(Block(match["language"], "\n".join(lines), text[end : match.start()].strip()))
        end = match.end()
    return found


class Reader:
    """Someone who pastes blocks into one shell, in a copy of the repository."""

    def __init__(self, folder: Path, postgres_url: str, postgres_programs: Path) -> None:
        self.folder, self.postgres_url, self.port = folder, postgres_url, free_port()
        self.temporary = Path(tempfile.mkdtemp(dir=folder))
        self.server: subprocess.Popen | None = None
        for path in ROOT.iterdir():
            if path.name == ".venv" or not path.name.startswith("."):
                (folder / path.name).symlink_to(path)
        self.keep_installation()
        self.environment = {
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "LOYALTY_PORT": str(self.port),
            "LOYALTY_WORKERS": "1",
            "PATH": f"{postgres_programs}:{os.environ['PATH']}",
            "TMPDIR": str(self.temporary),
        }

    def keep_installation(self) -> None:
        """Let `make` take what is in .venv for up to date, whatever has been edited since."""
        assert (ROOT / ".venv" / ".installed").exists(), "run `make install` first"
        for name in ("requirements.lock", "setup.cfg", "pyproject.toml"):
            (self.folder / name).unlink()
            shutil.copy(ROOT / name, self.folder)
            os.utime(self.folder / name, (0, 0))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def paste(self, block: Block) -> str:
        """Run one block and return what it printed; of `make run`, its first line."""
        lines = block.text.replace(ADDRESS, self.address).replace(POSTGRES, self.postgres_url).splitlines()
        if lines == ["make run"]:
            return self.start("make run").stdout.readline()
        if all(line.startswith("make ") for line in lines):
            return self.run("\n".join(lines), MAKEFLAGS="nB")
        if any("db restore" in line for line in lines):
            self.stop()
        if not lines[-1].endswith("loyalty serve"):
            return self.run("\n".join(lines))
        printed = self.run("\n".join(lines[:-1]))
        server = self.start(lines[-1], stdout=subprocess.DEVNULL)
        self.await_server(server)
        return printed

    def run(self, text: str, **variables: str) -> str:
        """Run commands to their end, each of which must succeed, and keep the variables that they export."""
        kept = self.folder / ".environment"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{text}\nenv -u MAKEFLAGS -0 > {kept}"],
            cwd=self.folder,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        pairs = (pair.partition("=") for pair in kept.read_text().split("\0") if pair)
        self.environment = {name: value for name, _, value in pairs}
        return done.stdout

    def start(self, text: str, stdout: int = subprocess.PIPE) -> subprocess.Popen:
        """Run one command in the background, in place of the one before it."""
        self.stop()
        with (self.folder / ".log").open("ab") as log:
            self.server = subprocess.Popen(
                ["bash", "-c", text],
                cwd=self.folder,
                env=self.environment,
                stdout=stdout,
                stderr=log,
                text=True,
                process_group=0,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        return self.server

    def stop(self) -> None:
        """Press Ctrl+C."""
        if self.server is not None and self.server.poll() is None:
            os.killpg(self.server.pid, signal.SIGINT)
            self.server.wait(timeout=SECONDS)
        if self.server is not None and self.server.stdout:
            self.server.stdout.close()

    def await_server(self, server: subprocess.Popen) -> None:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and server.poll() is None:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"http://{self.address}/readyz", timeout=2).close()
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / ".log").read_text())
