"""pg_dump and pg_restore, run so that no password stands where other users of the machine see it."""

import os
import pathlib
import re
import shutil
import subprocess
from typing import Any

import psycopg

from models.errors import BackupFailed
from models.tables import TABLES

HISTORY_TABLE = "schema_migration"


def dump(info: Any, file: pathlib.Path) -> None:
    """Write our tables to a file in pg_dump's custom format.

    Args:
        info: `psycopg.ConnectionInfo` of a connection to the database.
        file: where to.

    Raises:
        BackupFailed: pg_dump is missing, too old or fails.
    """
    tables = [f"--table={table._meta.table_name}" for table in TABLES]
    options = ["--format=custom", "--no-owner", "--no-privileges", f"--file={file}"]
    _run("pg_dump", info, *options, *tables, f"--table={HISTORY_TABLE}")


def restore(info: Any, file: pathlib.Path) -> None:
    """Replace our tables by those of a dump, in one transaction.

    Args:
        info: `psycopg.ConnectionInfo` of a connection to the database.
        file: what `dump` has written.

    Raises:
        BackupFailed: pg_restore is missing, too old or fails; nothing is changed then.
    """
    options = ["--clean", "--if-exists", "--single-transaction", "--no-owner", "--no-privileges"]
    _run("pg_restore", info, *options, f"--dbname={info.dbname}", str(file))


def _run(name: str, info: Any, *arguments: str) -> None:
    program = _find(name, info.server_version // 10_000)
    done = subprocess.run(  # noqa: S603 (no shell; the arguments are ours, and the file that the operator names)
        [program, "--no-password", *arguments],
        env=os.environ | _environment(info),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise BackupFailed(f"{name} failed: {_reason(done.stderr)}.")


def _environment(info: Any) -> dict[str, str]:
    """Return the variables by which libpq connects as the connection did (Postgres manual, environment variables)."""
    given = info.get_parameters() | {"password": info.password}
    options = [(option.keyword.decode(), option.envvar) for option in psycopg.pq.Conninfo.get_defaults()]
    return {variable.decode(): given[name] for name, variable in options if variable and given.get(name)}


def _find(name: str, server_major: int) -> str:
    """Return the first such program on PATH that is not older than the server, whose dumps it could not make."""
    found = []
    for folder in os.get_exec_path():
        if program := shutil.which(name, path=folder):
            if (major := _major(program)) >= server_major:
                return program
            found.append(major)
    what = f"{name} on PATH is of Postgres {max(found)}" if found else f"There is no {name} on PATH"
    raise BackupFailed(
        f"{what}: install the client programs of Postgres {server_major}, the server's release "
        f"(on Debian the package postgresql-client-{server_major}), and put their folder on PATH."
    )


def _major(program: str) -> int:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    version = re.search(r"\d+", told)
    return int(version[0]) if version else 0


def _reason(told: str) -> str:
    """Return what a program says that is wrong, without what it quotes: that may be a guest's data."""
    lines = [line.partition("error: ")[2] for line in told.splitlines() if "error: " in line]
    return re.sub(r'"[^"]*"?', "(...)", lines[0]).rstrip(".") if lines else "it does not say why"
