"""Real servers for tests: gunicorn in processes of its own, or uvicorn in a thread where a test moves the clock."""

import contextlib
import dataclasses
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator

import httpx
import peewee
import uvicorn

from app import contract, settings
from app.application import create_app
from app.protocol import BoundedProtocol
from models import bulk, database, memberships, programs, schema, tokens
from models.caller import Caller
from models.clock import system_clock
from models.tables import TABLES, Membership, Program, Token

CONTRACT = contract.load()
OPERATIONS = {operation.operation_id: operation for operation in CONTRACT.operations.values()}
# Our names for the operations: what the request of each carries, since the contract may call them otherwise some day.
SEARCH, ENROLL, LIST, LINK = "memberFilter", "customer", "providerMembershipIds", "providerMembershipId"
HOTEL = str(uuid.UUID("3fa85f64-5717-4562-b3fc-2c963f66afa6"))
PROBLEM = "https://purl.mews.com/problem/"
BOOT_SECONDS = 30
PROBLEMS = {
    "core/bad-request": (400, "Bad request"),
    "loyalty/invalid-member-search-criteria": (400, "Invalid member search criteria"),
    "core/unauthorized": (401, "Unauthorized"),
    "core/not-found": (404, "Not found"),
    "core/request-timeout": (408, "Request timeout"),
    "core/unprocessable-entity": (422, "Unprocessable entity"),
    "core/too-many-requests": (429, "Too many requests"),
    "core/internal-server-error": (500, "Internal server error"),
}
FIELDS = "One or more fields are missing or invalid."
REQUIRED = "This field is required."
UNEXPECTED = "The contract has no such field here."
GUEST = {
    "firstName": "Zoë",
    "lastName": "O’Brien-Łukasz",
    "email": "zoe@example.com",
    "birthday": "1984-02-29",
    "phoneNumber": "+1 212 736 5000",
    "address": {
        "line1": "350 Fifth Avenue",
        "line2": "Floor 21",
        "city": "New York",
        "postalCode": "10118",
        "countryCode": "US",
        "countrySubdivisionCode": "NY",
    },
}


def operation(name: str) -> contract.Operation:
    """Return an operation by what its request carries (SEARCH and so on), or by its operationId.

    Raises LookupError, with the name, if the contract has it no more.
    """
    return OPERATIONS.get(name) or CONTRACT.operation_with(name)


@dataclasses.dataclass
class Server:
    """A server under test, and how to call it as Mews does."""

    host: str
    port: int
    token: str
    database_url: str
    log: pathlib.Path | None = None
    base_path: str = ""
    process: subprocess.Popen | None = None
    client: httpx.Client = dataclasses.field(default_factory=lambda: httpx.Client(timeout=20))

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def call(self, name: str, body: object = None, **options: object) -> httpx.Response:
        """Call an operation of the contract; `options` are httpx's (headers, content), `token` replaces the token."""
        found = operation(name)
        token = options.pop("token", self.token)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})  # type: ignore[arg-type]
        content = {} if "content" in options else {"json": body}
        address = f"{self.url}{self.base_path}{found.path}"
        return self.client.request(found.method, address, headers=headers, **content, **options)  # type: ignore[arg-type]

    def search(self, member_filter: dict, **options: object) -> httpx.Response:
        return self.call(SEARCH, {"mewsEnterpriseId": HOTEL, "memberFilter": member_filter}, **options)

    def enroll(self, customer: dict, **options: object) -> httpx.Response:
        return self.call(ENROLL, {"mewsEnterpriseId": HOTEL, "customer": customer}, **options)

    def list(self, identifiers: list, **options: object) -> httpx.Response:
        return self.call(LIST, {"mewsEnterpriseId": HOTEL, "providerMembershipIds": identifiers}, **options)

    def link(self, identifier: str, is_linked: bool, customer: str | None = None, **options: object) -> httpx.Response:
        body = {"mewsEnterpriseId": HOTEL, "providerMembershipId": identifier, "isLinked": is_linked}
        return self.call(LINK, body | ({"mewsCustomerId": customer} if customer else {}), **options)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


_opened: dict[str, peewee.Database] = {}


def use_database(database_url: str) -> peewee.Database:
    """Make the models of this process use a database; its pool is kept until `close_databases`."""
    if database_url not in _opened:
        for other in _opened.values():  # Postgres has a hundred connections for all
            other.close_idle()
        _opened[database_url] = database.connect(database_url, create=True)
    database.database.initialize(_opened[database_url])
    return _opened[database_url]


def close_databases() -> None:
    for opened in _opened.values():
        opened.close_all()


def prepare(database_url: str) -> str:
    """Create the schema with the default program in an empty database, and return a token for it."""
    opened = use_database(database_url)
    with database.session():
        schema.upgrade(opened, system_clock())
        token, _ = tokens.create(f"tests-{uuid.uuid4()}", system_clock())
    return token


def clear(database_url: str) -> None:
    """Remove everything but the tokens, leave the default program as it is at first, and use the database."""
    use_database(database_url)
    for attempt in range(20):
        try:
            with database.session(), database.database.atomic():
                return _remove_all()
        except peewee.IntegrityError:  # the server still records a hotel of the last test
            time.sleep(0.01 * attempt)
    raise AssertionError("the server never stops to write")


def _remove_all() -> None:
    Token.update(program=None).execute()
    for table in reversed(TABLES):
        if table is not Token:
            table.delete().execute()
    programs.ensure_default_program(system_clock())


def alter(identifier: str, **columns: object) -> None:
    """Change columns of a membership."""
    with database.session():
        Membership.update(**columns).where(Membership.provider_membership_id == identifier).execute()


def delete(identifier: str) -> None:
    """Delete a membership as an operator does."""
    with database.session():
        memberships.delete(programs.find_program(None), identifier, system_clock())


def add_program(name: str, *hotels: str) -> None:
    """Add a program with its hotels beside the default one."""
    with database.session():
        program = programs.add_program(name, system_clock())
        for hotel in hotels:
            programs.add_enterprise(program, uuid.UUID(hotel), system_clock())


def load(records: Iterable[tuple[dict, dict]]) -> None:
    """Add members in bulk; the records are the arguments of `models.bulk.prepare`."""
    with database.session():
        bulk.load(programs.find_program(None), records, system_clock())


def count(table: type[peewee.Model], *conditions: object) -> int:
    """Return the number of rows of a table, within a session of its own."""
    with database.session():
        return table.select().where(peewee.SQL("1 = 1"), *conditions).count()


def assert_problem(answer: httpx.Response, name: str, detail: str, *errors: tuple[str, str, str]) -> None:
    """Compare the whole problem document; `errors` are (type, pointer, detail) in any order."""
    status, title = PROBLEMS[name]
    expected = {
        "type": PROBLEM + name,
        "status": status,
        "title": title,
        "detail": detail,
        "instance": f"urn:uuid:{answer.headers['X-Request-Id']}",
    }
    if errors:
        expected["errors"] = sorted([PROBLEM + kind, pointer, told] for kind, pointer, told in errors)
    found = answer.json()
    if "errors" in found:
        found["errors"] = sorted([error["type"], error["pointer"], error["detail"]] for error in found["errors"])
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json"), found
    assert found == expected


def set_policy(**policy: object) -> None:
    """Change the columns of every program."""
    with database.session():
        Program.update(**policy).execute()


# Starts a command without root's right to write what is read-only (prctl(2), PR_CAPBSET_DROP of CAP_DAC_OVERRIDE); who
# is not root has no such right, and nothing changes.
WITHOUT_OVERRIDE = (
    sys.executable,
    "-c",
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(24, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])",
)


@contextlib.contextmanager
def gunicorn(
    database_url: str,
    token: str,
    log: pathlib.Path,
    *,
    module: str = "app",
    port: int = 0,
    prefix: tuple[str, ...] = (),
    **variables: str,
) -> Iterator[Server]:
    """Run `loyalty serve` on a free port until the block ends; its log goes to a file.

    Another `module` than `app` must serve as that does. `prefix` is a command that starts it.
    """
    port = port or free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOYALTY_")}
    environment |= {
        "LOYALTY_DATABASE_URL": database_url,
        "LOYALTY_PORT": str(port),
        "LOYALTY_WORKERS": "2",
        "LOYALTY_VALIDATE_RESPONSES": "true",
        "LOYALTY_PROGRAM_BELIEF": "0",  # tests put another program in its place
        "LOYALTY_FAILED_AUTHENTICATION_LIMIT": "",  # tests send more wrong tokens from one address than anybody
    } | variables
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", module, "serve"], env=environment, stdout=output, stderr=output
        )
    base_path = environment.get("LOYALTY_BASE_PATH", "").rstrip("/")
    server = Server("127.0.0.1", port, token, database_url, log, base_path, process)
    try:
        _await(lambda: process.poll() is None and httpx.get(f"{server.url}/livez").status_code == 200)
        yield server
    finally:
        server.client.close()
        process.terminate()
        process.wait(timeout=60)


@contextlib.contextmanager
def threaded(database_url: str, token: str, clock: Callable, **chosen: object) -> Iterator[Server]:
    """Run the application in a thread of this process, with a clock that the test holds."""
    port = free_port()
    values = {"database_url": database_url, "port": port, "validate_responses": True, "program_belief": 0.0} | chosen
    app = create_app(settings.load({}, **values), clock)
    running = uvicorn.Server(
        uvicorn.Config(app, port=port, http=BoundedProtocol, lifespan="on", log_config=None, ws="none")
    )
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    server = Server("127.0.0.1", port, token, database_url)
    try:
        _await(lambda: running.started)
        yield server
    finally:
        server.client.close()
        running.should_exit = True
        thread.join(timeout=30)
        use_database(database_url)


def _await(ready: Callable[[], bool]) -> None:
    for _ in range(BOOT_SECONDS * 20):
        with contextlib.suppress(httpx.TransportError):
            if ready():
                return
        time.sleep(0.05)
    raise AssertionError("the server did not start; see its log")


def caller(hotel: str = HOTEL) -> Caller:
    """Who asks, where a test calls a use-case itself."""
    return Caller(mews_enterprise_id=uuid.UUID(hotel), token_name="tests")
