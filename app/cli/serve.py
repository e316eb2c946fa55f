"""`loyalty serve`: the server."""

import os
import shutil
import tempfile

import click

from app import settings
from app.cli.common import examples, opened

# See app.telemetry, which must not be imported before this is set.
METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


@click.command(
    "serve",
    epilog=examples(
        "LOYALTY_DATABASE_URL=sqlite:///loyalty.db loyalty serve",
        "loyalty serve --host 0.0.0.0 --port 8080 --workers 4 --base-path /loyalty",
    ),
)
@click.option("--host", help="LOYALTY_HOST")
@click.option("--port", type=int, help="LOYALTY_PORT")
@click.option("--workers", type=int, help="LOYALTY_WORKERS")
@click.option("--base-path", help="LOYALTY_BASE_PATH")
def command(*, host: str | None, port: int | None, workers: int | None, base_path: str | None) -> None:
    """Serve the contract until the process is told to stop (SIGTERM lets running requests finish)."""
    chosen = settings.load(host=host, port=port, workers=workers, base_path=base_path)
    with opened() as database:
        pass
    database.close_all()  # before worker processes are forked
    directory = tempfile.mkdtemp(prefix="loyalty-metrics-")
    os.environ[METRICS_DIRECTORY] = directory
    from app import server

    try:
        server.run(chosen)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
