"""`loyalty member export`: what it writes, imported elsewhere and exported again, is the same to the byte."""

import datetime
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.programs import Status
from tests import support
from tests.cli.commands import SECONDS, TRACEBACK, Loyalty, environment

ROOT = Path(__file__).parents[2]
OTHER = {"sqlite": "postgres", "postgres": "sqlite"}
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
NAME = TEXT.filter(str.strip) | st.sampled_from(
    ["=1+1", '"', "'", "a,b;c\td", "a\rb", "a\r\nb", "\ufeff", "NULL", " x "]
)
BLANK_OR_TEXT = st.sampled_from(["", " ", "\n"]) | TEXT
MEMBERS = st.lists(
    st.fixed_dictionaries(
        {"firstName": NAME, "lastName": NAME},
        optional={
            "birthday": st.dates(min_value=datetime.date(1, 1, 1)).map(str),
            "phoneNumber": BLANK_OR_TEXT,
            "address": st.fixed_dictionaries(
                {}, optional=dict.fromkeys(support.GUEST["address"], BLANK_OR_TEXT)
            ),
        },
    ),
    min_size=20,
    max_size=40,
)  # fmt: skip


def at(url: str, folder: Path) -> Loyalty:
    return Loyalty(folder, LOYALTY_DATABASE_URL=url, PYTHONPATH=str(ROOT))


@pytest.fixture
def loyalty(tmp_path: Path, database_url: str) -> Loyalty:
    support.prepare(database_url)
    return at(database_url, tmp_path)


@pytest.fixture
def sqlite(tmp_path: Path) -> Loyalty:
    url = f"sqlite:///{tmp_path}/x.db"
    support.prepare(url)
    return at(url, tmp_path)


def exported(loyalty: Loyalty, file_format: str) -> bytes:
    file = loyalty.folder / f"exported.{file_format}"
    done = loyalty("member", "export", file.name, "--format", file_format)
    assert (done.code, done.stdout) == (0, ""), done.stderr
    return file.read_bytes()


def imported(loyalty: Loyalty, content: bytes) -> None:
    (loyalty.folder / "imported").write_bytes(content)
    done = loyalty("member", "import", "imported")
    assert done.code == 0, done.stderr


def every_kind() -> list[dict]:
    memberships = [
        {"status": status, "points": index, "tier": "Gold", "deeplinkUrl": f"https://example.com/{index}"}
        for index, status in enumerate(Status)
    ]
    memberships += [
        {"points": 2**63 - 1, "expiresAt": "2001-01-01T00:00:00Z"},
        {"expiresAt": "2030-12-31T23:59:59.123456-09:30"},
        {"expiresAt": "2030-12-31T23:59:59+00:00", "providerMembershipId": ' spaced, and "quoted" '},
    ]
    return [
        {"membershipNumber": f"№ {index}", "lastName": f"Person {index}"} | membership
        for index, membership in enumerate(memberships)
    ]


def assert_round_trip(here: Loyalty, engine: str, make_database: Callable[[str], str], folder: Path) -> None:
    """Carry members to the other engine as CSV, and from there to a third database as JSON Lines."""
    (folder / "there").mkdir()
    there, back = (at(make_database(kind), folder / "there") for kind in (OTHER[engine], engine))
    table, lines = exported(here, "csv"), exported(here, "jsonl")
    imported(there, table)
    assert exported(there, "jsonl") == lines
    imported(back, lines)
    assert exported(back, "csv") == table


def test_every_kind_of_membership_makes_the_round_trip(loyalty, make_database, engine, tmp_path):
    imported(loyalty, b"".join(json.dumps(member).encode() + b"\n" for member in every_kind()))
    shown = [json.loads(line) for line in exported(loyalty, "jsonl").splitlines()]
    for given_member, found in zip(every_kind(), shown, strict=True):
        expiry = {"expiresAt": "2001-01-01T00:00:00+00:00"} if found["points"] == 2**63 - 1 else {}
        assert found == found | given_member | expiry
    assert_round_trip(loyalty, engine, make_database, tmp_path)


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(members=MEMBERS)
def test_whatever_was_enrolled_over_http_makes_the_round_trip(server, make_database, engine, tmp_path_factory, members):
    support.clear(server.database_url)
    for index, member in enumerate(members):
        assert server.enroll(member | {"email": f"guest{index}@example.com"}).status_code == 200
    folder = tmp_path_factory.mktemp("here")
    assert_round_trip(at(server.database_url, folder), engine, make_database, folder)


def test_what_is_written(sqlite):
    imported(sqlite, b'membershipNumber,providerMembershipId,lastName,city,points\n1,P1,=1+1,"New, York",5\n2,P2,B,,\n')
    assert exported(sqlite, "csv").decode() == (
        "providerMembershipId,membershipNumber,tier,points,status,expiresAt,deeplinkUrl,firstName,lastName,email,"
        "birthday,phoneNumber,line1,line2,city,postalCode,countryCode,countrySubdivisionCode\r\n"
        'P1,1,,5,enrolled,,,,=1+1,,,,,,"New, York",,,\r\n'
        "P2,2,,0,enrolled,,,,B,,,,,,,,,\r\n"
    )
    assert [json.loads(line) for line in exported(sqlite, "jsonl").splitlines()] == [
        {
            "providerMembershipId": "P1",
            "membershipNumber": "1",
            "points": 5,
            "status": "enrolled",
            "lastName": "=1+1",
            "city": "New, York",
        },
        {"providerMembershipId": "P2", "membershipNumber": "2", "points": 0, "status": "enrolled", "lastName": "B"},
    ]


def test_standard_output_has_the_same(sqlite):
    imported(sqlite, b"membershipNumber,lastName\n1,A\n")
    assert sqlite("member", "export").stdout.encode() == exported(sqlite, "csv").replace(b"\r\n", b"\n")
    assert sqlite("member", "export", "-", "--format", "jsonl").stdout.encode() == exported(sqlite, "jsonl")


def test_deleted_members_and_those_of_other_programs_are_left_out(loyalty):
    assert loyalty("program", "add", "gold").code == 0
    for program in ("default", "gold"):
        (loyalty.folder / "m.csv").write_text(f"providerMembershipId,lastName\n1,{program}\n2,deleted\n")
        assert loyalty("member", "import", "m.csv", "--program", program).code == 0
        assert loyalty("member", "delete", "2", "--yes", "--program", program).code == 0
    lines = loyalty("member", "export", "--format", "jsonl", "--program", "gold").stdout.splitlines()
    assert [json.loads(line)["lastName"] for line in lines] == ["gold"]


def test_nobody_is_exported_as_a_header_alone(sqlite):
    assert exported(sqlite, "csv").count(b"\r\n") == 1
    assert exported(sqlite, "jsonl") == b""


def test_the_file_is_its_owners_and_replaced_only_by_a_whole_one(sqlite):
    exported(sqlite, "csv")
    file = sqlite.folder / "exported.csv"
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("the old one")
    assert sqlite.refused("member", "export", "exported.csv", "--program", "x").startswith("Name one of the programs")
    assert file.read_text() == "the old one"
    assert [path.name for path in sqlite.folder.glob(".exported*")] == []


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("no/folder/m.csv", "The file cannot be written: No such file or directory."),
        ("/dev/full", "FILE: It must be a file, or - for standard output."),
    ],
)
def test_a_file_that_cannot_be_written(sqlite, file, sentence):
    assert sqlite.refused("member", "export", file) == sentence


def test_a_full_disk_behind_standard_output(sqlite):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "app", "member", "export"],
            cwd=sqlite.folder, env=environment(**sqlite.settings), stdout=full, stderr=subprocess.PIPE, timeout=SECONDS,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, b"Error: The file cannot be written: No space left on device.\n")


def test_a_reader_that_has_read_enough(sqlite):
    imported(sqlite, b"membershipNumber,lastName\n" + b"".join(b"%d,A\n" % index for index in range(3000)))
    running = subprocess.Popen(
        [sys.executable, "-m", "app", "member", "export"],
        cwd=sqlite.folder, env=environment(**sqlite.settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    running.stdout.read(1)
    running.stdout.close()
    told = running.stderr.read().decode()
    running.stderr.close()
    assert (running.wait(timeout=SECONDS), told.strip()) == (1, "")
    assert TRACEBACK not in told
