"""`loyalty serve`: the server."""

import signal
import socket
import sys

import click
from gunicorn import systemd

from app import settings
from app.cli.common import examples, opened
from app.cli.shared_folder import shared_folder


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
    if not systemd.listen_fds(unset_environment=False):  # else systemd has opened the port already
        check_port(chosen)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until Gunicorn takes over
    with shared_folder():  # before anything imports prometheus_client
        from app import application, openapi31, server

        try:
            application.check(chosen)
        except openapi31.MissingHandlers as error:
            raise click.ClickException(str(error)) from None
        with opened() as database:
            pass
        database.close_all()  # before worker processes are forked
        server.run(chosen)


def check_port(chosen: settings.Settings) -> None:
    """Do nothing if the address to listen at is free.

    Raises:
        click.ClickException: it is taken, or not of this machine.
    """
    family = socket.AF_INET6 if ":" in chosen.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((chosen.host, chosen.port))
        except OSError as error:
            raise click.ClickException(
                f"Cannot listen at {chosen.host} port {chosen.port} ({error.strerror}): "
                "choose another with LOYALTY_HOST and LOYALTY_PORT."
            ) from None
