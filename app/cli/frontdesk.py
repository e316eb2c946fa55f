"""`loyalty frontdesk`: web pages that play the hotel's screen, to try a partner server at."""

import contextlib
import ipaddress
import pathlib
import re
import signal
import socket
import sys
import tempfile
import urllib.parse
import uuid
from collections.abc import Iterator

import click
from click.core import ParameterSource

from app.cli.common import examples

PORT = 8081
# Mews' own example of a hotel. With one program, any hotel will do.
HOTEL = uuid.UUID("3fa85f64-5717-4562-b3fc-2c963f66afa6")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_TOKEN = re.compile(r"[\x21-\x7e]+")


class BaseUrl(click.ParamType):
    """An address that paths are put behind."""

    name = "url"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address without a slash at its end, or fail."""
        try:
            parts = urllib.parse.urlsplit(value.strip())
            is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            is_usable = False
        if not is_usable or parts.query or parts.fragment or "@" in parts.netloc:
            self.fail("it must be an address such as https://loyalty.example.com/loyalty.", param, ctx)
        return urllib.parse.urlunsplit(parts).rstrip("/")


class Token(click.ParamType):
    """A bearer token as it stands in a header field; it is not repeated when it cannot be used."""

    name = "token"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the token without blanks around it, or fail."""
        token = value.strip()
        if not _TOKEN.fullmatch(token):
            self.fail("a token has no blanks and no letters beyond ASCII.", param, ctx)
        return token


@click.command(
    "frontdesk",
    epilog=examples(
        "LOYALTY_TOKEN=loyalty_... loyalty frontdesk --base-url http://127.0.0.1:8080",
        "loyalty frontdesk --base-url https://loyalty.example.com/loyalty --token loyalty_... --store desk.db",
    ),
)
@click.option("--base-url", type=BaseUrl(), required=True, help="Address of the partner server, as Mews is given it.")
@click.option(
    "--token",
    type=Token(),
    required=True,
    envvar="LOYALTY_TOKEN",
    show_envvar=True,
    help="Bearer token that the partner server knows. Others on this machine can see options, but not variables.",
)
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(1, 65535),
    default=PORT,
    help=f"Port to listen at.  [default: {PORT}, or a free one]",
)
@click.option("--allowed-host", metavar="NAME", multiple=True, help="A further name that browsers may call it by.")
@click.option(
    "--store",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    help="Keep the customers in FILE. Without, they are gone at the end.",
)
@click.option(
    "--mews-enterprise-id", type=click.UUID, default=HOTEL, show_default=True, help="The hotel, as Mews identifies it."
)
@click.option("--provider-enterprise-id", metavar="ID", help="The hotel, as the loyalty provider identifies it.")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    base_url: str,
    token: str,
    host: str,
    port: int,
    allowed_host: tuple[str, ...],
    store: pathlib.Path | None,
    mews_enterprise_id: uuid.UUID,
    provider_enterprise_id: str | None,
) -> None:
    """Serve web pages that play the hotel's screen, and call a partner server as Mews does.

    Whoever reaches the pages acts with the token, so they are for this machine alone unless --host says otherwise.
    """
    from app import contract
    from frontdesk import application, server
    from frontdesk.flows import Desk
    from frontdesk.partner import Partner

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    hotel = {"mewsEnterpriseId": str(mews_enterprise_id)}
    hotel |= {"providerEnterpriseId": provider_enterprise_id} if provider_enterprise_id else {}
    desk = Desk(Partner(base_url, token, contract.load()), hotel)
    is_default = ctx.get_parameter_source("port") == ParameterSource.DEFAULT
    with contextlib.suppress(KeyboardInterrupt), _stored(store), _listening(host, port, is_default) as listening:
        hosts = {*LOOPBACK_NAMES, host, *allowed_host}
        app = application.create_app(desk, hosts=hosts, port=listening.getsockname()[1])
        click.echo(f"The front desk is at {server.address(listening)}", err=True)
        if not _is_loopback(host):
            click.echo("Whoever reaches this address acts with the token.", err=True)
        server.serve(app, listening)


@contextlib.contextmanager
def _stored(file: pathlib.Path | None) -> Iterator[None]:
    import peewee

    from frontdesk import store

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="loyalty-frontdesk-"))
        try:
            store.use(file or pathlib.Path(folder) / "desk.db")
        except (OSError, peewee.DatabaseError):
            raise click.ClickException(f"{file} cannot be used as a store: name another file with --store.") from None
        yield


def _listening(host: str, port: int, or_another: bool) -> socket.socket:
    from frontdesk import server

    try:
        return server.listen(host, port, or_another=or_another)
    except OSError as error:
        told = f"Cannot listen at {host} port {port} ({error.strerror}): choose another with --host and --port."
        raise click.ClickException(told) from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
