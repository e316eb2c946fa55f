"""The servers that `make bench` compares: how each is started, and what it has used of the machine."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import httpx

from bench import processes, servers
from bench.databases import Databases
from bench.peers.scoring import SEARCH_LIMIT

OURS, FLOOR = "loyalty", "floor"
PEERS = {
    "fastapi-async": "bench.peers.fastapi_async:app",
    "fastapi-sync": "bench.peers.fastapi_sync:app",
    FLOOR: "bench.peers.floor:app",
}
NAMES = (OURS, *PEERS)
POLL_SECONDS = 0.01
LAYERED = "layered"  # ours, with a count of its layers: see `bench.layered_server`


@dataclass(frozen=True)
class Contender:
    """A running server.

    Attributes:
        name: one of `NAMES`, or `LAYERED`.
        port: of 127.0.0.1.
        token: a valid bearer token.
        arbiter: the process that starts the others.
        workers: its worker processes.
        database: the URL of its own database.
        postmaster: the process that starts Postgres' backends; None with SQLite.
        seen: seconds of processor time of each backend so far, of which some may have ended.
    """

    name: str
    port: int
    token: str
    arbiter: int
    workers: list[int]
    database: str
    postmaster: int | None
    seen: dict[int, float] = field(default_factory=dict)

    def used(self) -> tuple[float, float]:
        """Return the seconds of processor time of its worker processes, and of its backends of Postgres, so far."""
        for backend in self._backends():
            self.seen[backend] = processes.cpu_seconds(backend)
        return sum(map(processes.cpu_seconds, self.workers)), sum(self.seen.values())

    def memory(self) -> int:
        """Return the proportional set size of a worker process in bytes: the largest of them."""
        return max(processes.memory(worker)["Pss"] for worker in self.workers)

    def _backends(self) -> list[int]:
        if self.postmaster is None:
            return []
        name = urllib.parse.urlsplit(self.database).path.lstrip("/")
        return [backend for backend in processes.children(self.postmaster) if f" {name} " in processes.title(backend)]


@contextlib.contextmanager
def running(
    name: str, url: str, token: str, *, workers: int, postmaster: int | None, log: pathlib.Path
) -> Iterator[Contender]:
    """Run a server on a database of its own until the block ends.

    Args:
        name: one of `NAMES`, or `LAYERED`.
        url: of the database.
        token: a valid bearer token.
        workers: how many worker processes it has.
        postmaster: see `Contender`.
        log: the file that gets what the server logs.
    """
    port = servers.free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOYALTY_")}
    settings = {"LOYALTY_DATABASE_URL": url, "LOYALTY_PORT": str(port), "LOYALTY_WORKERS": str(workers)}
    settings["LOYALTY_SEARCH_LIMIT"] = str(SEARCH_LIMIT)
    with log.open("ab") as output:
        command = _command(name, port, workers)
        process = subprocess.Popen(command, env=kept | settings, stdout=output, stderr=output)  # noqa: S603 (our own)
    try:
        _await_answer(port, process, log)
        yield Contender(name, port, token, process.pid, processes.children(process.pid), url, postmaster)
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def running_all(
    databases: Databases, engine: str, names: Sequence[str], token: str, *, members: int, workers: int
) -> Iterator[list[Contender]]:
    """Run servers until the block ends, each on a copy of a database that is there.

    Args:
        databases: where it is.
        engine: `sqlite` or `postgres`.
        names: of the servers.
        token: a valid bearer token.
        members: how many the database has.
        workers: how many worker processes each server has.
    """
    postmaster = databases.postgres.get_pid() if engine == "postgres" else None
    options: dict = {"workers": workers, "postmaster": postmaster}
    with contextlib.ExitStack() as stack:
        servers = []
        for name in names:
            url = stack.enter_context(databases.copy(engine, members, name.replace("-", "_")))
            log = databases.folder / f"{engine}-{name}.log"
            servers.append(stack.enter_context(running(name, url, token, log=log, **options)))
        yield servers


def _command(name: str, port: int, workers: int) -> list[str]:
    if name == OURS:
        return [sys.executable, "-m", "app", "serve"]
    if name == LAYERED:
        return [sys.executable, "-m", "bench.layered_server"]
    # Uvicorn's worker takes uvloop and httptools by itself; a log of requests, which ours writes, nobody asked for.
    worker = ("--workers", str(workers), "--worker-class", "uvicorn_worker.UvicornWorker")
    return [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", *worker, PEERS[name]]


def _await_answer(port: int, server: subprocess.Popen, log: pathlib.Path) -> None:
    """Wait for any answer: nothing is at the address, but who says so is ready."""
    give_up = time.monotonic() + servers.BOOT_SECONDS
    while time.monotonic() < give_up and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            httpx.get(f"http://127.0.0.1:{port}/", timeout=servers.BOOT_SECONDS)
            return
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"The server did not start; see {log}.")
