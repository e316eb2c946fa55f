"""`loyalty certify` from outside: our own server passes, and the exit code says what became of others."""

import copy
import json
import re
import signal
import subprocess
import uuid
from pathlib import Path

import pytest
import yaml

from app import contract
from certify.requirements import Flow
from models import database, programs, tokens
from models.clock import system_clock
from tests import support
from tests.certify.front import Answer, Call, answer, front
from tests.certify.test_certify_run import certified, judged, with_result
from tests.cli.commands import Loyalty

ROOT = Path(__file__).parents[2]
OTHER_HOTEL = "8d2cf1d1-2b5c-4f0e-9a4b-0f7c3d9a6e55"
QUICK = ("--time-budget", "0")
on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def loyalty(tmp_path: Path) -> Loyalty:
    return Loyalty(tmp_path, seconds=300, PYTHONPATH=str(ROOT))


def certify(loyalty: Loyalty, server: support.Server, *words: str, **settings: str):
    settings = {"LOYALTY_TOKEN": server.token} | settings
    return loyalty("certify", "--base-url", f"{server.url}{server.base_path}", *words, **settings)


def rows(stdout: str) -> dict[str, dict]:
    """The requirements of a report in JSON by name."""
    return {row["name"]: row for row in json.loads(stdout)["requirements"]}


def results(stdout: str, *wanted: str) -> set[str]:
    return {name for name, row in rows(stdout).items() if row["result"] in wanted}


def second_program() -> str:
    """Put the hotel into the default program, another one into a second, and return a second token for both."""
    with database.session():
        programs.add_enterprise(programs.find_program(None), uuid.UUID(support.HOTEL), system_clock())
        token, _ = tokens.create(f"second-{uuid.uuid4()}", system_clock())
    support.add_program("gold", OTHER_HOTEL)
    return token


def test_our_own_server_passes_strictly(loyalty, server):
    second = second_program()
    languages = [word for tag in ("cs", "de", "en", "es", "fr") for word in ("--language", tag)]
    words = ("--strict", "--time-budget", "6", "--other-enterprise", OTHER_HOTEL, "--without", "checkout", *languages)
    done = certify(loyalty, server, *words, "--json", LOYALTY_SECOND_TOKEN=second)
    assert results(done.stdout, "failed", "advice", "not judged") == set(), done.stdout
    assert done.code == 0
    skipped = {name for name in results(done.stdout, "skipped") if not name.startswith("generated-")}
    assert skipped == {"absent-feature-is-not-served"}  # the contract has no operation for checkout events yet
    generated = {row["why"] for name, row in rows(done.stdout).items() if name.startswith("generated-")}
    assert not any("--time-budget" in (why or "") for why in generated)
    assert server.token not in done.stdout + done.stderr
    assert second not in done.stdout + done.stderr
    assert not (loyalty.folder / ".hypothesis").exists()


@on_sqlite
def test_people_get_tables_and_a_sentence(loyalty, server):
    done = certify(loyalty, server, *QUICK)
    assert done.code == 0
    for told in ("Member search", "List & refresh", "Link & unlink", "Passed: ", "are left behind"):
        assert told in done.stdout
    assert done.stderr == ""


def unwrapped(call: Call) -> Answer:
    found = call.forward()
    return found.with_body({"data": found.body}) if found.is_ok else found


def no_link(call: Call) -> Answer:
    return answer(404) if call.is_for(support.LINK) else call.forward()


@on_sqlite
def test_what_the_spec_of_mews_settles_binds_with_it(loyalty, server, tmp_path):
    document = contract.load().document | {"info": {"title": "The file that Mews gave", "version": "2027.01.01"}}
    (tmp_path / "mews.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    wrapped = {f"{flow}-answer-follows-spec" for flow in ("search", "enroll", "list", "link")}
    with front(server, unwrapped) as spoilt:
        without = judged(spoilt)
        with_file = certify(loyalty, spoilt, *QUICK, "--json", "--spec", "mews.yaml")
    assert (without.exit_code, with_result(without, "advice")) == (0, wrapped)
    assert (with_file.code, results(with_file.stdout, "failed")) == (1, wrapped), with_file.stdout
    assert json.loads(with_file.stdout)["spec"]["title"] == "The file that Mews gave 2027.01.01"


@on_sqlite
def test_what_could_not_be_judged_has_an_exit_code_of_its_own(loyalty, server, tmp_path):
    document = copy.deepcopy(contract.load().document)
    listed = document["components"]["schemas"]["listMembershipsRequest"]["properties"]["providerMembershipIds"]
    listed["items"] = {"type": "string", "pattern": "^member-"}  # which is the shape of nobody's here
    (tmp_path / "narrow.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    done = certify(loyalty, server, *QUICK, "--json", "--spec", "narrow.yaml")
    assert results(done.stdout, "failed", "advice") == set(), done.stdout
    unseen = rows(done.stdout)["list-returns-membership"]
    assert (unseen["result"], done.code) == ("not judged", 2)
    assert unseen["why"] == "The request that the kit has for list is not allowed by this spec."


@on_sqlite
def test_what_was_declared_absent_must_be_absent(loyalty, server):
    with front(server, no_link) as lean:
        absent = certify(loyalty, lean, *QUICK, "--strict", "--without", "link", "--json")
        missed = certified(lean)
    assert (absent.code, results(absent.stdout, "failed", "advice", "not judged")) == (0, set())
    assert rows(absent.stdout)["absent-feature-is-not-served"]["result"] == "passed"
    assert rows(absent.stdout)["link-links-membership"]["result"] == "skipped"
    assert missed["link-links-membership"]["result"] == "failed"
    present = judged(server, absent=(Flow.LINK,), strict=True)
    assert (present.exit_code, with_result(present, "failed")) == (1, {"absent-feature-is-not-served"})


@on_sqlite
def test_a_spec_may_lack_what_was_declared_absent(loyalty, server, tmp_path):
    document = json.loads(json.dumps(contract.load().document))
    del document["paths"][support.operation(support.LINK).path]
    (tmp_path / "lean.json").write_text(json.dumps(document), encoding="utf-8")
    words = (*QUICK, "--spec", "lean.json")
    assert certify(loyalty, server, *words, "--without", "link", "--json").code == 0
    told = loyalty.refused("certify", "--base-url", server.url, *words, LOYALTY_TOKEN=server.token)
    assert told == "lean.json has no operation that takes providerMembershipId: if that is right, add --without link."


BODIES = {"no properties": {"allOf": [{"type": "object"}]}, "a list": {"type": "array", "items": {}}, "none": None}


@pytest.mark.parametrize("schema", BODIES.values(), ids=BODIES)
def test_a_spec_whose_bodies_have_no_properties_is_told_in_one_sentence(schema, loyalty, tmp_path):
    document = copy.deepcopy(contract.load().document)
    search = support.operation(support.SEARCH)
    described = document["paths"][search.path][search.method.lower()]
    if schema:
        described["requestBody"]["content"][contract.JSON]["schema"] = schema
    else:
        del described["requestBody"]
    (tmp_path / "other.json").write_text(json.dumps(document), encoding="utf-8")
    told = loyalty("certify", "--base-url", "http://127.0.0.1:9", "--spec", "other.json", LOYALTY_TOKEN="loyalty_x")
    assert told.code == 2
    assert told.refusal.startswith("other.json has no operation that takes memberFilter")


CANNOT_JUDGE = {
    "no server": (("--base-url", "http://127.0.0.1:9"), "cannot be reached"),
    "no address": (("--base-url", "loyalty.example.com"), "give an address such as"),
    "no port": (("--base-url", "http://127.0.0.1:eighty"), "give an address such as"),
    "a password in the address": (("--base-url", "http://me:secret@127.0.0.1:9"), "give an address such as"),
    "a token of other letters": (("--base-url", "http://127.0.0.1:9", "--token", "žluť"), "signs of ASCII"),
    "a token of two lines": (("--base-url", "http://127.0.0.1:9", "--token", "one\ntwo"), "signs of ASCII"),
    "an empty token": (("--base-url", "http://127.0.0.1:9", "--token", ""), "it is empty"),
    "one token twice": (("--base-url", "http://127.0.0.1:9", "--second-token", "loyalty_x"), "give another one"),
    "no spec": (("--base-url", "http://127.0.0.1:9", "--spec", "none.yaml"), "none.yaml cannot be read"),
    "a spec that is none": (("--base-url", "http://127.0.0.1:9", "--spec", "x.yaml"), "is no OpenAPI 3.1 document"),
    "no folder for the report": (("--base-url", "http://127.0.0.1:9", "--html", "none/x.html"), "cannot be written"),
    "nothing left": (
        ("--base-url", "http://127.0.0.1:9", *(f"--without={name}" for name in ("search", "enroll", "list", "link"))),
        "nothing is left to judge",
    ),
}


@pytest.mark.parametrize(("words", "told"), CANNOT_JUDGE.values(), ids=CANNOT_JUDGE)
def test_what_cannot_be_judged_is_told_in_one_sentence(words, told, loyalty, tmp_path):
    (tmp_path / "x.yaml").write_text("openapi: 2.0\n", encoding="utf-8")
    done = loyalty("certify", *words, LOYALTY_TOKEN="loyalty_x")
    assert done.code == 2
    assert told in done.refusal


@on_sqlite
def test_a_token_that_is_refused_everywhere_is_nothing_to_judge_by(loyalty, server):
    done = certify(loyalty, server, *QUICK, LOYALTY_TOKEN="loyalty_wrong")
    assert (done.code, done.stdout) == (2, "")
    assert "refuses the token for every operation" in done.stderr
    assert "loyalty_wrong" not in done.stderr


@on_sqlite
def test_a_server_that_goes_away_is_not_judged(loyalty, server):
    def away(call: Call) -> Answer:
        call.memory["count"] = call.memory.get("count", 0) + 1
        return call.forward() if call.memory["count"] < 30 else answer(0)

    with front(server, away) as dying:
        done = certify(loyalty, dying, *QUICK)
    with front(server, away) as dying:
        told = certify(loyalty, dying, *QUICK, "--json", "--html", "x.html")
    assert (done.code, done.stdout) == (2, "")
    assert "does not answer any more" in done.stderr
    left = re.findall(r"^Left behind: (\S+) guest-\d+\.[a-z]+@certify\.example$", done.stderr, re.MULTILINE)
    assert left
    assert {one["status"] for one in server.list(left).json()["memberships"]} == {"enrolled"}
    assert told.code == json.loads(told.stdout)["exitCode"] == 2
    assert "Not judged to the end: " in (loyalty.folder / "x.html").read_text(encoding="utf-8")


@on_sqlite
def test_a_wrong_base_path_is_nothing_to_judge_by(loyalty, server):
    words = ("certify", "--base-url", f"{server.url}/elsewhere", *QUICK)
    done = loyalty(*words, LOYALTY_TOKEN=server.token)
    assert done.code == 2
    assert done.refusal.startswith("The server answers 404 to every operation below")
    assert done.refusal.endswith("correct --base-url.")


@on_sqlite
def test_a_link_that_is_404_alone_says_nothing_of_the_base_path(loyalty, server):
    absent = [word for name in ("search", "enroll", "list") for word in ("--without", name)]
    assert "--base-url" not in certify(loyalty, server, *QUICK, *absent).stderr


@pytest.mark.parametrize("package", ["httpx", "jinja2", "openapi_spec_validator", "schemathesis"])
def test_a_package_that_is_not_installed_is_named(package, loyalty, tmp_path):
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError(name={package!r})\n", encoding="utf-8")
    words = ("certify", "--base-url", "http://127.0.0.1:9", "--token", "x")
    told = loyalty.refused(*words, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert told == f"This command needs the packages of the extra certify, and {package} is not installed."


@on_sqlite
def test_a_run_that_is_interrupted_tells_whom_it_leaves_behind(loyalty, server):
    running: list[subprocess.Popen] = []

    def interrupt(call: Call) -> Answer:
        call.memory["count"] = call.memory.get("count", 0) + 1
        if call.memory["count"] == 30:
            running[0].send_signal(signal.SIGINT)
        return call.forward()

    with front(server, interrupt) as slow:
        words = ("certify", "--base-url", f"{slow.url}{slow.base_path}", *QUICK, "--html", "x.html")
        running.append(loyalty.start(*words, LOYALTY_TOKEN=slow.token))
        stdout, stderr = running[0].communicate(timeout=loyalty.seconds)
    assert (running[0].returncode, stdout) == (2, "")
    assert stderr.endswith("Error: It was interrupted.\n")
    assert re.findall(r"^Left behind: (\S+) guest-\d+\.[a-z]+@certify\.example$", stderr, re.MULTILINE)
    assert "Not judged to the end: It was interrupted." in (loyalty.folder / "x.html").read_text(encoding="utf-8")


@on_sqlite
@pytest.mark.parametrize("words", [(), ("--json",)], ids=["table", "JSON"])
def test_a_report_that_cannot_be_shown_is_no_finding(words, loyalty, server):
    absent = (f"--without={name}" for name in ("search", "enroll", "link"))
    with Path("/dev/full").open("wb") as full:
        done = loyalty(
            *("certify", "--base-url", server.url + server.base_path, *QUICK, *absent, *words),
            stdout=full,
            LOYALTY_TOKEN=server.token,
        )
    assert done.code == 2
    assert done.stderr.startswith("Error: Standard output cannot be written: ")


@on_sqlite
def test_a_report_says_that_no_scenario_plays_checkout_events(loyalty, server, tmp_path):
    document = copy.deepcopy(contract.load().document)
    link = support.operation(support.LINK)
    document["paths"]["/checkouts"] = copy.deepcopy(document["paths"][link.path])
    document["paths"]["/checkouts"][link.method.lower()]["operationId"] = "recordCheckout"
    (tmp_path / "more.json").write_text(json.dumps(document), encoding="utf-8")
    done = certify(loyalty, server, *QUICK, "--json", "--spec", "more.json")
    assert "no scenario plays them" in rows(done.stdout)["absent-feature-is-not-served"]["why"]
