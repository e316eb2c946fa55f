"""What a request costs in statements and in memory, which noise does not change; `make bench` measures its time."""

import collections
import contextlib
import gc
import pathlib
import subprocess
import sys
import tracemalloc
import uuid
from collections.abc import Iterator
from unittest import mock

import memray
import peewee
import pytest

from app import security
from models import greenlets
from models.clock import system_clock
from models.connection import Connection
from models.sqlite_pool import SqlitePool
from tests import support
from tests.support import GUEST

LIST = 100
FIRST_THREAD = 1  # as memray numbers them
LONG = 60.0  # seconds: longer than a test
CUSTOMER = str(uuid.UUID(int=7, version=4))
# Statements beside the beginning and end of a transaction. Where the hotel and its program are asked for, they are the
# first: what only reads believes them for a moment.
STATEMENTS = {
    "search by e-mail": ["SELECT", "SELECT"],
    "search by name": ["SELECT"],
    "enroll": ["SELECT", "SELECT", "INSERT", "INSERT", "INSERT"],
    "enroll again": ["SELECT", "SELECT"],
    "list": ["SELECT"],
    "link": ["SELECT", "SELECT", "INSERT", "INSERT"],
    "link again": ["SELECT", "SELECT", "INSERT"],
    "unlink": ["SELECT", "SELECT", "DELETE", "INSERT"],
}
# KiB that are held at once, in this process, with the client that asks: twice what was measured.
MOST_KIB = {"search by e-mail": 200, "search by name": 300, "enroll": 200, "link": 200, "list": 320}
LEAST_KIB = 20
# Blocks of memory that the server asks for in all: a quarter more than was measured.
MOST_ALLOCATIONS = {
    "search by e-mail": 3200,
    "search by name": 7500,
    "enroll": 3500,
    "enroll again": 3500,
    "list": 5700,
    "link": 2900,
    "link again": 2800,
    "unlink": 2900,
}
LEAST_ALLOCATIONS = 1000
# Serves each operation, and prints the modules that this has loaded.
LATE_IMPORTS = """
import sys
from app import telemetry
from models.clock import system_clock
from tests import support
from tests.http.test_costs import calls
telemetry.configure_logging("info")
token = support.prepare(sys.argv[1])
with support.threaded(sys.argv[1], token, system_clock) as server:
    server.client.get(f"{server.url}/livez")
    before = set(sys.modules)
    for call in calls(server).values():
        assert call().status_code == 200
    print(*(set(sys.modules) - before))
"""


@pytest.fixture
def server(database_url, monkeypatch) -> Iterator[support.Server]:
    token = support.prepare(database_url)
    monkeypatch.setattr(security, "BELIEF_SECONDS", LONG)
    chosen = {"validate_responses": False, "program_belief": LONG}
    with support.threaded(database_url, token, system_clock, **chosen) as running:
        yield running


def calls(server: support.Server) -> dict:
    """What is measured, by its name; each is to be called in this order."""
    known = [
        server.enroll(GUEST | {"email": f"{number}@example.com"}).json()["membership"]["providerMembershipId"]
        for number in range(LIST)
    ]
    new = GUEST | {"email": "new@example.com"}
    return {
        "search by e-mail": lambda: server.search({"email": "7@example.com"}),
        "search by name": lambda: server.search({name: GUEST[name] for name in ("firstName", "lastName")}),
        "enroll": lambda: server.enroll(new),
        "enroll again": lambda: server.enroll(new),
        "list": lambda: server.list(known),
        "link": lambda: server.link(known[0], True, CUSTOMER),
        "link again": lambda: server.link(known[0], True, CUSTOMER),
        "unlink": lambda: server.link(known[0], False, CUSTOMER),
    }


@contextlib.contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the first words of what requests ask of the database, without transactions' own."""
    seen: list[str] = []

    def noting(owner: type, name: str) -> object:
        ask = getattr(owner, name)

        def note(self: object, text: str, *arguments: object, **options: object) -> object:
            word = text.split()[0]
            if greenlets.is_job() and word not in ("BEGIN", "COMMIT"):
                seen.append(word)
            return ask(self, text, *arguments, **options)

        return mock.patch.object(owner, name, note)

    doors = ((SqlitePool, "ask"), (peewee.Database, "execute_sql"), (Connection, "ask"), (Connection, "command"))
    with contextlib.ExitStack() as stack:
        for owner, name in doors:
            stack.enter_context(noting(owner, name))
        yield seen


def test_statements_of_each_operation(server):
    asked = calls(server)
    told = {}
    for name, call in asked.items():
        with statements() as seen:
            assert call().status_code == 200
        told[name] = list(seen)
    assert told == STATEMENTS


def test_memory_of_each_operation(server):
    asked = calls(server)
    held = collections.Counter()
    for call in asked.values():  # whatever is kept from the first time on
        call()
    tracemalloc.start()
    try:
        for name in MOST_KIB:
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            assert asked[name]().status_code == 200
            held[name] = (tracemalloc.get_traced_memory()[1] - before) // 1024
    finally:
        tracemalloc.stop()
    assert {name: kib for name, kib in held.items() if kib > MOST_KIB[name]} == {}
    assert min(held.values()) > LEAST_KIB  # else nothing was measured


def allocations(path: pathlib.Path) -> int:
    """How many there were in all threads and greenlets but the first to ask for memory, which is the client's."""
    with memray.FileReader(path) as reader:
        records = [record for record in reader.get_allocation_records() if record.tid != FIRST_THREAD]
    freed = {memray.AllocatorType.FREE, memray.AllocatorType.MUNMAP, memray.AllocatorType.PYMALLOC_FREE}
    return sum(record.n_allocations for record in records if record.allocator not in freed)


# Memray has a profile function installed in each thread that it meets. Python refuses that, and says so, while it
# installs one in another thread; what is allocated there is counted all the same, without the lines of code.
@pytest.mark.filterwarnings("ignore:Exception ignored in PyEval_SetProfile:pytest.PytestUnraisableExceptionWarning")
def test_allocations_of_each_operation(server, tmp_path):
    asked, found = calls(server), {}
    for call in asked.values():  # whatever is kept from the first time on
        call()
    for name, call in asked.items():
        path = tmp_path / name
        with memray.Tracker(path, trace_python_allocators=True):
            assert call().status_code == 200
        found[name] = allocations(path)
    assert {name: count for name, count in found.items() if count > MOST_ALLOCATIONS[name]} == {}
    assert min(found.values()) > LEAST_ALLOCATIONS  # else nothing was counted


def test_requests_load_nothing_but_the_data_of_a_country_or_a_script(database_url):
    """Else the first ones would wait for it, and each worker process would have it in memory of its own."""
    command = [sys.executable, "-c", LATE_IMPORTS, database_url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=pathlib.Path(__file__).parents[2])
    late = [name for name in done.stdout.split() if not name.startswith("phonenumbers.data.region_")]
    assert late == ["anyascii._data"]
