"""Front desks as processes, someone who uses them without JavaScript, and a partner server that does as it is told."""

import contextlib
import dataclasses
import html
import http.server
import json
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from tests.cli.commands import SECONDS, environment

ROOT = Path(__file__).parents[2]
ADDRESS = re.compile(r"The front desk is at (http://\S+)/\n")
TOKEN = "loyalty_" + "7f" * 36


def new_name() -> str:
    """Return a last name that resembles no other."""
    return "".join(chr(ord("a") + int(digit, 16)) for digit in uuid.uuid4().hex[:10]).title()


@dataclasses.dataclass
class Desk:
    """A running front desk; `log` has what it printed."""

    url: str
    process: subprocess.Popen
    log: Path
    readers: list["Reader"] = dataclasses.field(default_factory=list)

    def reader(self) -> "Reader":
        """Somebody who has just opened it."""
        self.readers.append(Reader(self.url))
        return self.readers[-1]


@contextlib.contextmanager
def frontdesk(folder: Path, base_url: str, *words: str, token: str = TOKEN, **variables: str) -> Iterator[Desk]:
    """Run `loyalty frontdesk` on a port that is free, until the block ends."""
    folder.mkdir(exist_ok=True)
    log = folder / "frontdesk.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "frontdesk", "--base-url", base_url, *words],
            cwd=folder,
            env=environment(LOYALTY_TOKEN=token, PYTHONPATH=str(ROOT), TMPDIR=str(folder), **variables),
            stdout=output,
            stderr=output,
        )
    readers: list[Reader] = []
    try:
        yield Desk(address_in(log, process), process, log, readers)
    finally:
        for reader in readers:
            reader.client.close()
        process.terminate()
        process.wait(timeout=SECONDS)


def address_in(log: Path, process: subprocess.Popen) -> str:
    """Return the address that a front desk prints, as soon as it does."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := ADDRESS.search(log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text())


class Reader:
    """Someone at a front desk whose browser has no JavaScript: reads a page, fills in a form of it, sends it."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, follow_redirects=True, timeout=30)
        self.page = self.client.get("/")

    @property
    def text(self) -> str:
        """What the page says, without its tags and with single blanks."""
        body = re.sub(r"<(script|style).*?</\1>", "", self.page.text, flags=re.DOTALL)
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())

    @property
    def alert(self) -> str:
        """What the page's alert says; empty without one."""
        found = re.search(r'role="alert" tabindex.*?</div>', self.page.text, re.DOTALL)
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", found[0].partition(">")[2])).split()) if found else ""

    def open(self, path: str) -> "Reader":
        self.page = self.client.get(path)
        assert self.page.status_code == 200, self.page.text
        return self

    def send(self, action: str, **values: str) -> "Reader":
        """Send the form whose address ends so, which the page must have."""
        forms = re.findall(r"<form[^>]*action=\"([^\"]+)\".*?</form>", self.page.text, re.DOTALL)
        [address] = {address for address in forms if address.endswith(action)}
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.page.text)
        self.page = self.client.post(address, data={"csrf_token": token[1], **values})
        assert self.page.status_code == 200, self.page.text
        return self

    def create(self, choice: str = "", **details: str) -> "Reader":
        """Create a customer; `choice` is the provider membership id to link."""
        return self.open("/customers/new").send("/customers", **details).send("/link", choice=choice)


@dataclasses.dataclass
class Partner:
    """A partner server under test's control.

    Attributes:
        url: its address.
        answer: from a request (path, body) to status, header fields and body.
        requests: what it was sent, as (path, header fields, body).
    """

    url: str
    answer: Callable[[str, dict], tuple[int, dict, bytes]]
    requests: list[tuple[str, dict, dict]] = dataclasses.field(default_factory=list)

    def always(self, status: int, body: object, **headers: str) -> None:
        """Answer every request so: bytes as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/json" if status == 200 else "application/problem+json"
        told = {"Content-Type": kind} | {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda *_: (status, told, content)


@contextlib.contextmanager
def partner() -> Iterator[Partner]:
    """Run a partner server in a thread until the block ends; at first it answers 500."""
    served = Partner("", lambda *_: (500, {}, b""))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            served.requests.append((self.path, dict(self.headers), body))
            status, headers, content = served.answer(self.path, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(OSError):  # who asked may be gone
                self.wfile.write(content)

        do_PUT = do_POST  # noqa: N815 (as http.server calls it)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
