"""`loyalty demo`: everything at once, to try it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import click

from app import contract, settings
from app.cli.common import examples
from app.cli.frontdesk import HOTEL
from app.cli.serve import check_port
from app.population import loading
from models import database, enrollment, programs, schema, tokens
from models.clock import system_clock

BOOT_SECONDS = 30
MOST_MEMBERS = 10_000_000
STREETS = ("Spring Street", "Mercer Street", "Bleecker Street", "Prince Street")
# Twelve guests of one name, as front desks know them; the numbers are of the range that is kept for fiction.
JOHN_SMITHS = tuple(
    ("John", "Smith", f"john.smith{index}@example.com", f"+1 212 555 01{index:02}", "New York", "US", "10012")
    for index in range(1, 13)
)
OTHERS = (
    ("Ada", "Lovelace", "ada@example.com", "+44 20 7946 0001", "London", "GB", "W1J 7NT"),
    ("Alan", "Turing", "alan@example.com", "+44 161 496 0002", "Manchester", "GB", "M1 1AE"),
    ("Anne-Marie", "O’Neil", "annemarie@example.com", "+353 1 555 0003", "Dublin", "IE", "D02 AF30"),
    ("Łukasz", "Żółkiewski", "lukasz@example.com", "+48 22 555 00 04", "Warszawa", "PL", "00-001"),
    ("Jürgen", "Weiß", "juergen@example.com", "+49 30 23125 005", "Berlin", "DE", "10115"),
    ("Zoë", "Müller", "zoe@example.com", "+49 89 99998 006", "München", "DE", "80331"),
    ("François", "Lefèvre", "francois@example.com", "+33 1 99 00 00 07", "Paris", "FR", "75001"),
    ("Chloé", "Dubois", "chloe@example.com", "+33 4 65 71 00 08", "Lyon", "FR", "69001"),
    ("José", "García", "jose@example.com", "+34 91 055 50 09", "Madrid", "ES", "28001"),
    ("María", "Núñez", "maria@example.com", "+34 93 055 50 10", "Barcelona", "ES", "08001"),
    ("Jiří", "Dvořák", "jiri@example.com", "+420 222 555 011", "Praha", "CZ", "110 00"),
    ("Tereza", "Nováková", "tereza@example.com", "+420 542 555 012", "Brno", "CZ", "602 00"),
    ("Søren", "Ørsted", "soren@example.com", "+45 55 55 50 13", "København", "DK", "1050"),
    ("Νίκος", "Παπαδόπουλος", "nikos@example.com", "+30 210 555 0014", "Αθήνα", "GR", "105 57"),
    ("Олена", "Шевченко", "olena@example.com", "+380 44 555 0015", "Київ", "UA", "01001"),
    ("伟", "王", "wang.wei@example.com", "+86 10 5555 0016", "北京", "CN", "100000"),
    ("Yuki", "Tanaka", "yuki@example.com", "+81 3 5555 0017", "Tokyo", "JP", "100-0001"),
    ("Grace", "Hopper", "grace@example.com", "+1 202 555 0118", "Washington", "US", "20001"),
)


@click.command(
    "demo",
    epilog=examples("loyalty demo", "loyalty demo --port 9000", "loyalty demo --members 100000"),
)
@click.option("--host", help="LOYALTY_HOST")
@click.option("--port", type=int, help="LOYALTY_PORT")
@click.option(
    "--members", metavar="N", type=click.IntRange(0, MOST_MEMBERS), default=0, help="Add N made-up members as well."
)
def command(*, host: str | None, port: int | None, members: int) -> None:
    """Serve a throwaway database with fictional guests, and print a curl command that finds some of them.

    Beside it, `loyalty frontdesk` is served, and prints its address.

    With --members, N more with names and places as frequent as in life, always the same ones. Among them one in 500
    is a John Smith of New York.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="loyalty-demo-") as directory:
            url = f"sqlite:///{directory}/demo.db"
            chosen = settings.load({**os.environ, "LOYALTY_DATABASE_URL": url}, host=host, port=port)
            check_port(chosen)
            token = _fill(url)
            if members:
                loading.load(url, members, title="Made-up members")
            _run(chosen, token)
    except loading.NotLoaded as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo("The demo has ended; its database is gone.", err=True)


def _run(chosen: settings.Settings, token: str) -> None:
    with _serving(chosen) as server:
        click.echo(_curl(chosen, token))
        click.echo("Paste the command above into another terminal. Ctrl+C ends the demo.", err=True)
        with _frontdesk(chosen, token):
            server.wait()


def _fill(url: str) -> str:
    """Create the database with its guests, and return a token for it."""
    now = system_clock()
    opened = database.connect(url, create=True)
    with database.session():
        schema.upgrade(opened, now)
        program = programs.find_program(None)
        for index, guest in enumerate((*JOHN_SMITHS, *OTHERS)):
            enrollment.add_member(program, _customer(index, guest), now, tier=("Silver", "Gold")[index % 2])
        token, _ = tokens.create("demo", now)
    opened.close_all()
    return token


def _customer(index: int, guest: tuple[str, ...]) -> dict:
    first_name, last_name, email, phone_number, city, country_code, postal_code = guest
    return {
        "first_name": first_name,
        "last_name": last_name,
        "email": email,
        "phone_number": phone_number,
        "address": {
            "line1": f"{index + 1} {STREETS[index % len(STREETS)]}",
            "city": city,
            "country_code": country_code,
            "postal_code": postal_code,
        },
    }


@contextlib.contextmanager
def _serving(chosen: settings.Settings) -> Iterator[subprocess.Popen]:
    environment = {
        **os.environ,
        "LOYALTY_DATABASE_URL": chosen.database_url,
        "LOYALTY_HOST": chosen.host,
        "LOYALTY_PORT": str(chosen.port),
    }
    server = subprocess.Popen([sys.executable, "-m", "app", "serve"], env=environment)
    try:
        _await_answer(f"http://{_address(chosen)}/readyz", server)
        yield server
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def _frontdesk(chosen: settings.Settings, token: str) -> Iterator[None]:
    """Serve the front desk, which prints its address itself; the token is no option, which others could see."""
    words = [
        "frontdesk",
        "--base-url",
        f"http://{_address(chosen)}{chosen.base_path}",
        "--mews-enterprise-id",
        str(HOTEL),
    ]
    environment = {**os.environ, "LOYALTY_TOKEN": token}
    # In a process group of its own, since Ctrl+C is for this process, which ends it then.
    process = subprocess.Popen([sys.executable, "-m", "app", *words], env=environment, process_group=0)  # noqa: S603
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _address(chosen: settings.Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(chosen.host, chosen.host)  # noqa: S104 (compared, not bound)
    return f"[{host}]:{chosen.port}" if ":" in host else f"{host}:{chosen.port}"


def _await_answer(url: str, server: subprocess.Popen) -> None:
    for _ in range(BOOT_SECONDS * 10):
        if server.poll() is not None:
            raise click.ClickException("The server did not start; its log above says why.")
        with contextlib.suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(url, timeout=1):  # noqa: S310
            return
        time.sleep(0.1)
    raise click.ClickException(f"The server did not answer within {BOOT_SECONDS} seconds.")


def _curl(chosen: settings.Settings, token: str) -> str:
    operation = contract.load().operation_with("memberFilter")
    member_filter = {"firstName": "John", "lastName": "Smith", "city": "New York", "countryCode": "US"}
    body = json.dumps({"mewsEnterpriseId": str(HOTEL), "memberFilter": member_filter})
    return (
        f"curl -sS -X {operation.method} http://{_address(chosen)}{chosen.base_path}{operation.path}"
        f" -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d '{body}'"
    )
