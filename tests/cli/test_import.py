"""`loyalty member import`: every good row once, every other one told, however the run ends."""

import contextlib
import csv
import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from models import database
from models.tables import IDENTIFIER_LENGTH, Event, Member, Membership
from tests import support
from tests.cli.commands import SECONDS, TRACEBACK, Loyalty, environment, heed_interrupts

ROOT = Path(__file__).parents[2]
HEADER = "membershipNumber,firstName,lastName,email"
ADA, ALAN = "A-1,Ada,Lovelace,ada@example.com", "A-2,Alan,Turing,alan@example.com"
INTERRUPTIONS = pytest.mark.parametrize("interruption", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl+C", "SIGTERM"])
# More than what an import reads before it writes.
MANY = 1000 * (2 * len(os.sched_getaffinity(0)) + 3)


@pytest.fixture
def loyalty(tmp_path: Path, database_url: str) -> Loyalty:
    support.prepare(database_url)
    return Loyalty(tmp_path, LOYALTY_DATABASE_URL=database_url, PYTHONPATH=str(ROOT))


@pytest.fixture
def sqlite(tmp_path: Path) -> Loyalty:
    url = f"sqlite:///{tmp_path}/x.db"
    support.prepare(url)
    return Loyalty(tmp_path, LOYALTY_DATABASE_URL=url, PYTHONPATH=str(ROOT))


def save(loyalty: Loyalty, *lines: str, name: str = "m.csv", end: str = "\n", encoding: str = "utf-8") -> str:
    (loyalty.folder / name).write_bytes("".join(line + end for line in lines).encode(encoding))
    return name


def many(loyalty: Loyalty, count: int = MANY) -> str:
    return save(loyalty, HEADER, *(f"N-{index},First {index},Last,{index}@example.com" for index in range(count)))


def counts_of(loyalty: Loyalty, *words: str, code: int = 0) -> tuple[int, int, int]:
    done = loyalty("member", "import", *words, "--json")
    assert done.code == code, done.stderr
    counts = json.loads(done.stdout)
    return counts["added"], counts["present"], counts["refused"]


def reasons(loyalty: Loyalty, *words: str) -> list[str]:
    done = loyalty("member", "import", *words)
    assert done.code == 3
    return done.stderr.splitlines()


def refused(loyalty: Loyalty, *words: str) -> str:
    return loyalty.refused("member", "import", *words)


def show(loyalty: Loyalty, identifier: str) -> dict:
    [member] = loyalty("member", "show", identifier, "--json").json["members"]
    return member


def rows_of(loyalty: Loyalty) -> tuple[int, int, int]:
    support.use_database(loyalty.settings["LOYALTY_DATABASE_URL"])
    return support.count(Member), support.count(Membership), support.count(Event)


def begin(loyalty: Loyalty, *words: str, **options: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", loyalty.module, "member", "import", *words],
        cwd=loyalty.folder,
        env=environment(**loyalty.settings),
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
    )


def test_all_columns_are_shown_as_they_were_given(loyalty):
    given = {
        "providerMembershipId": "crm-17",
        "membershipNumber": "OLD-17",
        "tier": "Gold",
        "points": 5000,
        "status": "canceled",
        "expiresAt": "2030-12-31T23:59:59+01:00",
        "deeplinkUrl": "https://example.com/17",
        "firstName": "Zoë",
        "lastName": 'O’Brien, "Zo"',
        "email": "zoe@example.com",
        "birthday": "1984-02-29",
        "phoneNumber": "+1 212 736 5000",
        "line1": "350 Fifth Avenue",
        "line2": "Floor\n21",
        "city": "New York",
        "postalCode": "10118",
        "countryCode": "US",
        "countrySubdivisionCode": "NY",
    }
    save(loyalty, json.dumps(given), name="m.jsonl")
    assert counts_of(loyalty, "m.jsonl") == (1, 0, 0)
    with (loyalty.folder / "m.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, given)
        table.writeheader()
        table.writerow(given)
    assert counts_of(loyalty, "m.csv") == (0, 1, 0)
    member = show(loyalty, "OLD-17")
    [event] = member.pop("history")
    assert (event["kind"], event["actor"]) == ("imported", "operator")
    assert member.pop("membership") | member.pop("address") | member == given


def test_good_rows_are_in_and_the_others_can_be_mended_and_imported_alone(loyalty):
    save(
        loyalty, HEADER, ADA, "A-3,Grace,Hopper,nonsense", ",No,Number,", "A-4,,,four@example.com", "A-5,x", "", ALAN,
        "a1,Other,Person,other@example.com",
    )  # fmt: skip
    assert counts_of(loyalty, "m.csv", "--errors", "e.csv", code=3) == (2, 0, 5)
    with (loyalty.folder / "e.csv").open(newline="") as file:
        header, *wrong = list(csv.reader(file))
    assert header == ["errorLine", "errorReason", *HEADER.split(",")]
    assert [(row[0], row[1]) for row in wrong] == [
        ("3", "email: This is no e-mail address."),
        (
            "4",
            "providerMembershipId or membershipNumber: One of them is needed, to know the member when it is imported "
            "again.",
        ),
        ("5", "lastName: This field is required."),
        ("6", "The row has 2 cells, and the header 4."),
        ("9", "The membership is there with other personal data, and is left as it is."),
    ]
    mended = (loyalty.folder / "e.csv").read_text().replace("nonsense", "grace@example.com").replace("A-4,,", "A-4,,D")
    (loyalty.folder / "e.csv").write_text(mended)
    assert counts_of(loyalty, "e.csv", "--errors", "again.csv", code=3) == (2, 0, 3)
    assert (loyalty.folder / "again.csv").read_text().startswith(f"errorLine,errorReason,{HEADER}")
    assert counts_of(loyalty, "m.csv", code=3) == (0, 2, 5)
    assert rows_of(loyalty) == (4, 4, 4)


def test_rows_of_json_are_refused_in_json(sqlite):
    save(
        sqlite,
        '{"membershipNumber": "1", "lastName": "A"}', "not json", "[1]", '{"membershipNumber": 2, "lastName": "A"}',
        '{"membershipNumber": "3", "lastName": "A", "lastName": "B"}', '{"membershipNumber": "4", "name": "A"}',
        '{"membershipNumber": "5", "lastName": "A\\u0000"}', "", '{"membershipNumber": "6", "lastName": null}',
        '{"membershipNumber": "7", "lastName": "A", "points": "5"}',
        name="m.jsonl",
    )  # fmt: skip
    assert counts_of(sqlite, "m.jsonl", "--errors", "e.jsonl", code=3) == (1, 0, 8)
    wrong = [json.loads(line) for line in (sqlite.folder / "e.jsonl").read_text().splitlines()]
    assert [(row["errorLine"], row["errorReason"]) for row in wrong] == [
        (2, "This is no JSON object."),
        (3, "This is no JSON object."),
        (4, "membershipNumber: The value must be of type string."),
        (5, "An object of the body holds a name twice."),
        (6, "A name in it is no column (did you mean lastName?)."),
        (7, "The character U+0000 is not allowed."),
        (9, "lastName: This field is required."),
        (10, "points: The value must be of type integer."),
    ]
    assert wrong[3]["errorText"] == '{"membershipNumber": "3", "lastName": "A", "lastName": "B"}'
    mended = [json.dumps(row | {"points": 5}) for row in wrong if row["errorLine"] == 10]
    save(sqlite, *mended, name="mended.jsonl")
    assert counts_of(sqlite, "mended.jsonl") == (1, 0, 0)


def test_without_a_file_for_them_a_few_reasons_are_told(sqlite):
    save(sqlite, HEADER, ADA, *("B,Secret,,secret" for _ in range(12)))
    told = reasons(sqlite, "m.csv")
    assert told[0] == "Line 3: lastName: This field is required. email: This is no e-mail address."
    assert (len(told), told[-1]) == (11, "2 more were refused; --errors FILE keeps them all.")
    assert "ecret" not in "".join(told)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
def test_files_as_spreadsheets_write_them(sqlite, delimiter):
    lines = [line.replace(",", delimiter) for line in (HEADER, ADA, 'A-2,"A""l""an",Turing,')]
    save(sqlite, *lines, end="\r\n", encoding="utf-8-sig")
    assert counts_of(sqlite, "m.csv") == (2, 0, 0)
    member = show(sqlite, "A-2")
    assert (member["firstName"], "email" in member) == ('A"l"an', False)


def test_columns_with_other_names_are_mapped_or_left_out(sqlite):
    words = ("--map", "Card=membershipNumber", "--map", "Family name=lastName", "--map", "Shoe size=")
    save(sqlite, "Card,Family name,Shoe size", "1,Lovelace,38", ",Hopper,39")
    assert counts_of(sqlite, "m.csv", *words, "--errors", "e.csv", code=3) == (1, 0, 1)
    assert show(sqlite, "1")["lastName"] == "Lovelace"
    assert counts_of(sqlite, "e.csv", *words, code=3) == (0, 0, 1)
    save(sqlite, '{"Card": "2", "Family name": "Hopper", "Shoe size": 39}', name="m.jsonl")
    assert counts_of(sqlite, "m.jsonl", *words) == (1, 0, 0)
    done = sqlite("member", "import", "m.jsonl", *words, "--map", "Crad=tier")
    assert done.code == 0
    assert done.stderr == "--map gives a name that is in no row.\n"


def test_refused_rows_of_json_are_imported_alone_with_the_same_mapping_though_none_of_them_has_its_name(sqlite):
    save(
        sqlite, '{"membershipNumber": "1", "lastName": "A", "Notes": "n"}', '{"membershipNumber": "2"}', name="m.jsonl"
    )
    words = ("--map", "Notes=", "--errors")
    assert counts_of(sqlite, "m.jsonl", *words, "e.jsonl", code=3) == (1, 0, 1)
    kept = (sqlite.folder / "e.jsonl").read_text()
    (sqlite.folder / "e.jsonl").write_text(kept.replace('{"', '{"lastName": "B", "', 1))
    assert counts_of(sqlite, "e.jsonl", *words, "again.jsonl") == (1, 0, 0)
    assert counts_of(sqlite, "again.jsonl", *words, "third.jsonl") == (0, 0, 0)


def test_a_row_of_json_with_two_names_for_the_same_is_refused(sqlite):
    rows = [{"membershipNumber": "1", "Fam": "Right", "lastName": "Lost"}, {"lastName": "B", "Fam": None}]
    save(sqlite, *map(json.dumps, rows), '{"membershipNumber": "2", "Fam": "C"}', name="m.jsonl")
    assert reasons(sqlite, "m.jsonl", "--map", "Fam=lastName") == [
        "Line 1: lastName: Two names in it stand for this.",
        "Line 2: lastName: Two names in it stand for this.",
    ]
    assert show(sqlite, "2")["lastName"] == "C"


@pytest.mark.parametrize(
    ("lines", "words", "sentence"),
    [
        (["membershipNumber,frstName"], (), "Column 2 of the header is no column of members (did you mean firstName?)"),
        (["membershipNumber,First Name"], (), "did you mean firstName?"),
        (["Ada,Lovelace"], (), "Column 1 of the header is no column of members; name it as the contract does"),
        (["membershipNumber,tier,tier"], (), "Two columns of the header stand for the same."),
        (["membershipNumber,Card"], ("--map", "Card=membershipNumber"), "Two columns of the header stand for the same"),
        (["firstName,lastName"], (), "The file needs a column providerMembershipId or membershipNumber."),
        ([HEADER], ("--map", "Card=number"), "give it as NAME=COLUMN with one of the columns providerMembershipId,"),
        ([HEADER], ("--map", "Card=tier"), "--map gives a name that is not in the header."),
        ([HEADER], ("--map", "Card=tier", "--map", "Card=email"), "--map: One name cannot stand for two columns."),
        ([f"{HEADER}\r{ADA}\r{ALAN}"], (), "The lines end with a carriage return alone; save the file"),
        (['{"lastName": "A"}\r{"lastName": "B"}'], (), "The lines end with a carriage return alone"),
        (['[{"membershipNumber": "1"}]'], (), "The file is a JSON array; make it JSON Lines, with one object on each"),
        (["", "[", "{"], (), "The file is a JSON array; make it JSON Lines, with one object on each line."),
        ([HEADER], ("--errors", "m.csv"), "--errors: It must be another file than the one that is imported."),
        ([HEADER], ("--errors", "no/folder"), "The file of --errors cannot be written: No such file or directory."),
        ([HEADER], ("--errors", "x" * 300), "The file of --errors cannot be written: File name too long."),
        ([HEADER], ("--program", "gold"), "Name one of the programs: default."),
    ],
    ids=[
        "misspelt", "spaced", "no header", "twice", "mapped twice", "no identifier", "unknown target", "unknown name",
        "two targets", "CSV of one line", "JSON of one line", "JSON array", "JSON array of lines",
        "errors in the file", "no folder", "long name", "no program",
    ],
)  # fmt: skip
def test_files_and_options_that_cannot_be_used(sqlite, lines, words, sentence):
    save(sqlite, *lines)
    told = refused(sqlite, "m.csv", *words)
    assert sentence in told
    assert "Ada" not in told


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (b'N-9,"open,B,\n' + b"x\n" * 9, "The CSV is broken in the row that begins at line 1203: "),
        (b'N-9,"A"x,B,\n', "The CSV is broken in the row that begins at line 1203: "),
        ("N-9,Zoë,B,\n".encode("latin-1"), "Line 1203 is not in UTF-8; convert the file to UTF-8."),
        (b"N-9," + b"x" * 2**22 + b",B,\n", "Line 1203 is longer than 4,194,304 bytes."),
    ],
    ids=["open quote", "text after a quote", "latin-1", "long line"],
)
def test_a_file_that_breaks_off_is_imported_up_to_there(sqlite, broken, sentence):
    many(sqlite, 1199)
    whole = (sqlite.folder / "m.csv").read_bytes() + f"{ADA}\nR-1,,,\n".encode()
    (sqlite.folder / "m.csv").write_bytes(whole + broken + ALAN.encode())
    done = sqlite("member", "import", "m.csv", "--dry-run")
    *_, told = done.stderr.splitlines()
    assert told.startswith(f"Error: {sentence}")
    assert told.endswith(" Nothing was written.")
    done = sqlite("member", "import", "m.csv", "--json")
    assert (done.code, json.loads(done.stdout)) == (1, {"added": 1200, "present": 0, "refused": 1})
    reason, told = done.stderr.splitlines()
    assert reason == "Line 1202: lastName: This field is required."
    assert told.startswith(f"Error: {sentence}")
    assert told.endswith(" Members added before that, which stay: 1,200.")
    done = sqlite("member", "import", "m.csv", "--errors", "e.csv")
    assert done.stdout.split() == ["added", "0", "present", "1200", "refused", "1"]
    assert len(done.stderr.splitlines()) == 1
    assert (sqlite.folder / "e.csv").read_text().endswith("\n1202,lastName: This field is required.,R-1,,,\n")
    (sqlite.folder / "m.csv").write_bytes(whole + ALAN.encode())
    assert counts_of(sqlite, "m.csv", code=3) == (1, 1200, 1)


@pytest.mark.parametrize(
    ("line", "encoding", "end"),
    [
        (HEADER, "utf-16", "\r\n"),
        (HEADER, "utf-16-le", "\r\n"),
        (HEADER, "utf-16-be", "\n"),
        ('{"membershipNumber": "1", "lastName": "A"}', "utf-16-le", "\n"),
        ('{"membershipNumber": "1", "lastName": "A"}', "utf-32", "\n"),
    ],
    ids=["with a mark", "CSV without a mark", "big endian", "JSON Lines", "UTF-32"],
)
def test_utf_16_is_refused_at_once(sqlite, line, encoding, end):
    sentence = "Line 1 holds bytes of 0, as UTF-16 does; convert the file to UTF-8."
    assert refused(sqlite, save(sqlite, line, ADA, encoding=encoding, end=end)) == sentence


def test_utf_16_is_refused_below_a_blank_line_too(sqlite):
    save(sqlite, "", HEADER, encoding="utf-16-le")
    assert refused(sqlite, "m.csv") == "Line 2 holds bytes of 0, as UTF-16 does; convert the file to UTF-8."


@pytest.mark.parametrize("header", ['membershipNumber;"a, b, c"', "membershipNumber;a, b, c"], ids=["quoted", "plain"])
def test_the_names_in_the_header_tell_what_divides_them(sqlite, header):
    save(sqlite, header, "1;Lovelace", ";Turing")
    words = ("--map", "a, b, c=lastName", "--errors")
    assert counts_of(sqlite, "m.csv", *words, "e.csv", code=3) == (1, 0, 1)
    assert show(sqlite, "1")["lastName"] == "Lovelace"
    assert counts_of(sqlite, "e.csv", *words, "again.csv", code=3) == (0, 0, 1)


def test_a_file_of_refused_rows_that_may_have_been_mended_is_not_lost(sqlite):
    save(sqlite, HEADER, ADA, "A-2,,,")
    assert counts_of(sqlite, "m.csv", "--errors", "e.csv", code=3) == (1, 0, 1)
    mended = (sqlite.folder / "e.csv").read_text().replace("A-2,,", "A-2,,Turing")
    (sqlite.folder / "e.csv").write_text(mended)
    told = sqlite("member", "import", "m.csv", "--errors", "e.csv")
    assert (told.code, told.refusal) == (
        2, "--errors: The file is not empty: name another, or replace it with --overwrite.",
    )  # fmt: skip
    assert (sqlite.folder / "e.csv").read_text() == mended
    assert counts_of(sqlite, "m.csv", "--errors", "e.csv", "--overwrite", code=3) == (0, 1, 1)
    assert (sqlite.folder / "e.csv").read_text() == mended.replace("Turing", "")


def test_a_file_in_which_no_row_was_put_is_in_the_way_of_no_other_import(sqlite):
    save(sqlite, HEADER, ADA)
    assert counts_of(sqlite, "m.csv", "--errors", "e.csv") == (1, 0, 0)
    assert (sqlite.folder / "e.csv").read_bytes() == b""
    assert counts_of(sqlite, "m.csv", "--errors", "e.csv") == (0, 1, 0)


def test_files_without_rows(sqlite):
    assert counts_of(sqlite, save(sqlite, HEADER)) == (0, 0, 0)
    assert counts_of(sqlite, save(sqlite, name="empty.jsonl")) == (0, 0, 0)


@pytest.mark.parametrize("lines", [[HEADER, "A-3,,,"], ['{"membershipNumber": "A-3"}']], ids=["CSV", "JSON Lines"])
def test_blank_lines_before_the_first_are_counted_and_passed_over(sqlite, lines):
    save(sqlite, "", " ", *lines)
    assert reasons(sqlite, "m.csv") == [f"Line {2 + len(lines)}: lastName: This field is required."]


def test_a_text_that_was_kept_is_refused_with_what_to_do(sqlite):
    save(sqlite, '{"membershipNumber": "1", "lastName": "A"', name="m.jsonl")
    assert counts_of(sqlite, "m.jsonl", "--errors", "e.jsonl", code=3) == (0, 0, 1)
    assert counts_of(sqlite, "e.jsonl", "--errors", "again.jsonl", code=3) == (0, 0, 1)
    kept = json.loads((sqlite.folder / "again.jsonl").read_text())
    assert kept["errorReason"] == "errorText is the row as it was: mend it, and put it in place of this line."
    save(sqlite, kept["errorText"] + "}", name="mended.jsonl")
    assert counts_of(sqlite, "mended.jsonl") == (1, 0, 0)


def test_an_empty_standard_input_is_no_success(sqlite):
    assert refused(sqlite, "-") == "Standard input is empty; nothing was written."


def test_standard_input(sqlite):
    piped = begin(sqlite, "-", "--json", stdin=subprocess.PIPE)
    told, _ = piped.communicate(f"{HEADER}\n{ADA}\n".encode(), timeout=SECONDS)
    assert json.loads(told) == {"added": 1, "present": 0, "refused": 0}


def test_a_dry_run_counts_and_writes_nothing(loyalty):
    save(loyalty, HEADER, ADA, "A-3,,,", ALAN, ALAN)
    done = loyalty("member", "import", "m.csv", "--dry-run", "--json")
    assert json.loads(done.stdout) == {"added": 2, "present": 1, "refused": 1}
    assert (done.code, done.stderr.splitlines()[0]) == (3, "Line 3: lastName: This field is required.")
    assert "nothing was written" in done.stderr
    assert rows_of(loyalty) == (0, 0, 0)


def test_what_the_program_alone_requires_is_not_asked(sqlite):
    assert counts_of(sqlite, save(sqlite, HEADER, "1,,Lovelace,")) == (1, 0, 0)
    assert sqlite("program", "add", "open", "--no-required-fields").code == 0
    assert counts_of(sqlite, save(sqlite, HEADER, "1,Ada,,"), "--program", "open") == (1, 0, 0)
    assert counts_of(sqlite, save(sqlite, HEADER, "2,Ada,,"), "--program", "default", code=3) == (0, 0, 1)


def test_a_family_may_share_an_email(loyalty):
    assert counts_of(loyalty, save(loyalty, HEADER, ADA, "A-3,Byron,King,ada@example.com")) == (2, 0, 0)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ignore_interrupts() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def halfway(loyalty: Loyalty, *words: str, more: str = "", **options: object) -> Iterator[subprocess.Popen]:
    """An import that has written some members and waits for more; `more` is in front of those of `many`."""
    options = {"stdin": subprocess.PIPE, "preexec_fn": heed_interrupts} | options
    with begin(loyalty, "-", *words, **options) as running:
        try:
            header, rows = (loyalty.folder / many(loyalty)).read_bytes().split(b"\n", 1)
            running.stdin.write(header + b"\n" + more.encode() + rows)
            running.stdin.flush()
            wait_for(lambda: rows_of(loyalty)[0] > 0)
            yield running
            running.stdin.close()
            running.wait(timeout=SECONDS)
        finally:
            running.kill()


def test_a_killed_import_leaves_whole_members_and_no_process_and_goes_on(loyalty):
    with halfway(loyalty) as running:
        helpers = psutil.Process(running.pid).children(recursive=True)
        assert helpers
        running.kill()
        running.wait(timeout=SECONDS)
        wait_for(lambda: not any(process.is_running() for process in helpers))
    members, memberships, events = rows_of(loyalty)
    assert 0 < members < MANY
    assert members == memberships == events
    assert counts_of(loyalty, "m.csv") == (MANY - members, members, 0)
    assert rows_of(loyalty) == (MANY,) * 3


@INTERRUPTIONS
def test_an_interrupted_import_says_how_far_it_has_come(sqlite, interruption):
    with halfway(sqlite) as running:
        running.send_signal(interruption)
        assert running.wait(timeout=SECONDS) == 1
        kept = f"Members added before that, which stay: {rows_of(sqlite)[0]:,}."
        assert running.stderr.read().decode() == f"Error: The import was interrupted. {kept}\n"


def test_all_processes_of_an_import_may_be_told_at_once_and_again_as_by_timeout(sqlite):
    with halfway(sqlite, start_new_session=True) as running:
        running.send_signal(signal.SIGTERM)
        os.killpg(running.pid, signal.SIGTERM)
        assert running.wait(timeout=SECONDS) == 1
        kept = f"Members added before that, which stay: {rows_of(sqlite)[0]:,}."
        assert running.stderr.read().decode() == f"Error: The import was interrupted. {kept}\n"


def test_an_import_whose_processes_are_ended_while_they_return_something_says_so(sqlite):
    with begin(sqlite, many(sqlite, 20 * MANY)) as running, contextlib.ExitStack() as stack:
        stack.callback(running.kill)
        wait_for(lambda: rows_of(sqlite)[0] > 0)
        running.send_signal(signal.SIGSTOP)
        helpers = psutil.Process(running.pid).children()
        wait_for(lambda: all(process.status() == psutil.STATUS_SLEEPING for process in helpers))
        for process in helpers:
            process.kill()
        running.send_signal(signal.SIGCONT)
        assert running.wait(timeout=SECONDS) == 1
        kept = f"Members added before that, which stay: {rows_of(sqlite)[0]:,}."
        cause = "A process of the import has ended; memory may be short."
        assert running.stderr.read().decode() == f"Error: {cause} {kept}\n"


def test_an_import_that_is_told_to_ignore_interruptions_goes_on(sqlite):
    with halfway(sqlite, "--json", preexec_fn=ignore_interrupts) as running:
        for number in (signal.SIGINT, signal.SIGTERM):
            running.send_signal(number)
        running.stdin.close()
        assert running.wait(timeout=SECONDS) == 0
        assert json.loads(running.stdout.read())["added"] == MANY


@INTERRUPTIONS
def test_what_is_committed_when_the_import_is_interrupted_is_told_and_its_refused_rows_are_kept(sqlite, interruption):
    sqlite.module = "tests.cli.slow_import"
    with halfway(sqlite, "--json", "--errors", "e.csv", more="R-1,,,\n") as running:
        running.send_signal(interruption)  # while it rests after the first batch
        assert running.wait(timeout=SECONDS) == 1
        members = rows_of(sqlite)[0]
        assert json.loads(running.stdout.read()) == {"added": members, "present": 0, "refused": 1}
        kept = f"Members added before that, which stay: {members:,}."
        assert running.stderr.read().decode() == f"Error: The import was interrupted. {kept}\n"
    assert (sqlite.folder / "e.csv").read_text().splitlines()[1] == "2,lastName: This field is required.,R-1,,,"


@INTERRUPTIONS
def test_an_interruption_after_the_end_changes_nothing(sqlite, interruption):
    sqlite.module = "tests.cli.slow_import"
    running = begin(sqlite, many(sqlite, 1200), "--json", preexec_fn=heed_interrupts)
    assert json.loads(running.stdout.readline()) == {"added": 1200, "present": 0, "refused": 0}
    running.send_signal(interruption)
    assert running.communicate(timeout=SECONDS) == (b"", b"")
    assert running.returncode == 0


def test_long_rows_are_written_before_there_are_as_many_as_of_others(sqlite):
    rows = 400
    text = "".join(f"N-{index},Last,{'x' * 60_000}\n" for index in range(rows))
    with begin(sqlite, "-", "--map", "Notes=", stdin=subprocess.PIPE) as running:
        running.stdin.write(f"membershipNumber,lastName,Notes\n{text}".encode())
        running.stdin.flush()
        wait_for(lambda: 0 < rows_of(sqlite)[0] < rows)
        running.communicate(timeout=SECONDS)
    assert rows_of(sqlite) == (rows,) * 3


def test_two_imports_at_once_add_each_member_once(loyalty):
    name = many(loyalty)
    running = [begin(loyalty, name, "--json") for _ in range(2)]
    counts = [json.loads(process.communicate(timeout=SECONDS)[0]) for process in running]
    assert sum(each["added"] for each in counts) == sum(each["present"] for each in counts) == MANY
    assert rows_of(loyalty) == (MANY,) * 3


def test_the_server_answers_while_members_are_imported(start, tmp_path):
    server = start()
    loyalty = Loyalty(tmp_path, LOYALTY_DATABASE_URL=server.database_url, PYTHONPATH=str(ROOT))
    running = begin(loyalty, many(loyalty))
    answers = []
    while running.poll() is None:
        guest = support.GUEST | {"email": f"guest{len(answers)}@example.com", "lastName": f"Guest {len(answers)}"}
        answers.append(server.enroll(guest).status_code)
        answers.append(server.search({"email": guest["email"]}).status_code)
    _, told = running.communicate(timeout=SECONDS)
    assert (running.returncode, TRACEBACK in told.decode()) == (0, False)
    assert set(answers) == {200}
    assert rows_of(loyalty)[0] == MANY + len(answers) // 2


def limit_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**22, 2**22))


def ended(loyalty: Loyalty, *words: str, **options: object) -> str:
    running = begin(loyalty, *words, **options)
    _, told = running.communicate(timeout=SECONDS)
    assert running.returncode == 1
    return told.decode()


def test_a_full_disk_under_the_database(sqlite):
    told = ended(sqlite, many(sqlite), preexec_fn=limit_file_size)
    assert told.startswith("Error: The database cannot be written: its disk is full, or fails. ")
    members = rows_of(sqlite)[0]
    assert told.endswith(f" Members added before that, which stay: {members:,}.\n")
    assert rows_of(sqlite) == (members,) * 3
    assert counts_of(sqlite, "m.csv") == (MANY - members, members, 0)


def test_a_full_disk_under_the_refused_rows_leaves_whole_ones(sqlite):
    save(sqlite, HEADER, ADA, *(f"N-{index},{'x' * 2000},," for index in range(3000)))
    told = ended(sqlite, "m.csv", "--errors", "e.csv", preexec_fn=limit_file_size)
    assert told.startswith("Error: The file of --errors cannot be written: File too large. ")
    kept = (sqlite.folder / "e.csv").read_bytes()
    assert kept.endswith(b"\n")
    with (sqlite.folder / "e.csv").open(newline="") as file:
        assert {len(row) for row in csv.reader(file)} == {6}


def test_a_device_that_is_full(sqlite):
    save(sqlite, HEADER, ADA)
    assert ended(sqlite, "m.csv", "--errors", "/dev/full").endswith(": No space left on device. Nothing was written.\n")
    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize("words", [(), ("--json",)], ids=["text", "JSON"])
def test_a_full_disk_under_the_counts(sqlite, words):
    save(sqlite, HEADER, ADA, "A-2,,,")
    with Path("/dev/full").open("wb") as full:
        reason, told = ended(sqlite, "m.csv", *words, stdout=full).splitlines()
    assert reason == "Line 3: lastName: This field is required."
    assert told == (
        "Error: Standard output cannot be written: No space left on device. Members added before that, which stay: 1."
    )


def test_progress_is_shown_on_a_terminal(sqlite):
    name = many(sqlite, 3000)
    master, slave = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        try:
            while piece := os.read(master, 4096):
                shown.append(piece)
        except OSError:  # the other end is closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    running = begin(sqlite, name, stderr=slave)
    os.close(slave)
    running.communicate(timeout=SECONDS)
    reader.join()
    os.close(master)
    text = b"".join(shown).decode()
    assert "3,000 members, " in text
    assert " a second" in text


def test_the_bench_prints_a_table():
    words = ("--members", "500", "--members", "1500", "--engine", "sqlite")
    done = subprocess.run(
        [sys.executable, "-m", "bench.import_speed", *words],
        cwd=ROOT, env=environment(PYTHONPATH=str(ROOT), COLUMNS="200"),
        capture_output=True, text=True, timeout=2 * SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for count in ("500", "1,500"):
        assert re.search(rf"sqlite +. {count} +.( +[\d,]+ a second +.){{2}} +[\d,]+ µs +. +[\d,]+ MiB", done.stdout)


def test_the_planner_of_postgres_knows_of_what_was_imported(loyalty, engine, database_url):
    assert counts_of(loyalty, many(loyalty, 300)) == (300, 0, 0)
    if engine == "postgres":
        opened = support.use_database(database_url)
        with database.session():
            (known,) = opened.execute_sql("SELECT reltuples FROM pg_class WHERE relname = 'member'").fetchone()
        assert known == 300


def test_a_status_that_is_no_text_is_a_bad_row_like_any_other(loyalty):
    rows = [{"membershipNumber": f"S-{number}", "lastName": "Lee"} for number in range(3)]
    rows[0]["status"], rows[1]["status"] = ["enrolled"], {"is": "enrolled"}
    name = save(loyalty, *map(json.dumps, rows), name="m.jsonl")
    assert counts_of(loyalty, name, code=3) == (1, 0, 2)


def test_values_that_no_column_holds_are_refused(loyalty):
    longest, header = "x" * IDENTIFIER_LENGTH, "providerMembershipId,lastName,expiresAt"
    save(loyalty, header, f"{longest},Lee,", f"{longest}x,Lee,", "P-1,Lee,9999-12-31T23:59:59-14:00", "P-2,Lee,")
    assert reasons(loyalty, "m.csv") == [
        f"Line 3: providerMembershipId: It may have {IDENTIFIER_LENGTH} characters at most.",
        "Line 4: expiresAt: This date or time is out of range.",
    ]
    assert rows_of(loyalty) == (2, 2, 2)


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_imports_take_turns_lest_two_with_the_same_numbers_in_another_order_are_a_deadlock(loyalty, database_url):
    opened = support.use_database(database_url)
    with database.session(), database.transaction():
        opened.execute_sql("SELECT id FROM program FOR NO KEY UPDATE")  # as an import does for each batch
        running = begin(loyalty, save(loyalty, HEADER, ADA), "--json")
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        wait_for(lambda: running.poll() is not None or opened.execute_sql(waiting).fetchone()[0] > 0)
        assert running.poll() is None
    told, _ = running.communicate(timeout=SECONDS)
    assert json.loads(told) == {"added": 1, "present": 0, "refused": 0}
