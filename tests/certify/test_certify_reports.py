"""What the kit writes: HTML, JUnit XML and JSON that carry what was tested, and nobody's data but the kit's guests'."""

import hashlib
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from app import __version__, contract
from certify import bounds, client, generated, requirements
from tests import support
from tests.certify.faults import FAULTS
from tests.certify.front import Answer, Call, answer, front, problem
from tests.cli.commands import Loyalty

ROOT = Path(__file__).parents[2]
# Somebody who was a member before the kit came.
SOMEBODY = {
    "firstName": "Bartholomew",
    "lastName": "Quillfeather",
    "email": "b.quillfeather@hotel.test",
    "phoneNumber": "+44 7700 900123",
    "birthday": "1961-11-23",
    "address": {"line1": "7 Nonpareil Row", "city": "Wetwang", "postalCode": "YO25 9XZ", "countryCode": "GB"},
}
MEMBERSHIP = {"providerMembershipId": "private-77", "membershipNumber": "9988776655", "points": 1, "status": "enrolled"}
PRIVATE = [
    "Bartholomew", "Quillfeather", "b.quillfeather", "900123", "1961-11-23", "Nonpareil", "Wetwang", "YO25",
    "private-77", "9988776655",
]  # fmt: skip


def indiscreet(call: Call) -> Answer:
    """Show somebody to every search, say too much in errors, and answer with the wrong statuses, so that it is told."""
    found = call.forward()
    if found.is_ok and call.is_for(support.SEARCH):
        told = {"membership": MEMBERSHIP | {"tier": "Quillfeather"}, "note": "Bartholomew's wife: Ann"}
        members = [*found.body["members"], SOMEBODY | told]
        return found.with_status(201).with_body({"members": members, "Quillfeather, Bartholomew": 7})
    if found.is_ok and call.is_for(support.LIST):
        entries = [*found.body["memberships"], MEMBERSHIP | {"deeplinkUrl": "https://hotel.test/?who=Quillfeather"}]
        stub = {"providerMembershipId": "private-77", "status": "not Quillfeather", "of Wetwang": True}
        return found.with_status(201).with_body({"memberships": [*entries, stub]})
    if found.status == 401:
        token = call.headers.get("Authorization", "").replace("Bearer x", "").replace("Basic ", "")
        return problem(403, "core/unauthorized", f"No: {token}").with_header("X-Request-Id", token)
    if found.status == 400:
        who = " ".join(str(value) for value in (call.part("customer") | call.part("memberFilter")).values())
        told = f"Ask Bartholomew, b.quillfeather@hotel.test, +44 7700 900123 or number 9988776655, about {who}"
        spoilt = problem(409, "core/bad-request", told)
        body = spoilt.body | {"instance": f"/people/Quillfeather/{quote(who)}?born=1961-11-23"}
        return spoilt.with_body(body).with_header("X-Request-Id", f"Quillfeather {quote(who)}")
    if found.status == 404:
        return answer(302).with_header("Location", "https://hotel.test/Wetwang?who=Quillfeather")
    return found


@dataclass
class Reports:
    code: int
    printed: str
    json: dict
    html: str
    junit: str
    server: support.Server

    @property
    def texts(self) -> dict[str, str]:
        return {"printed": self.printed, "json": json.dumps(self.json), "html": self.html, "junit": self.junit}


@pytest.fixture(scope="module")
def reports(make_database, tmp_path_factory) -> Reports:
    folder, url = tmp_path_factory.mktemp("reports"), make_database("sqlite")
    token = support.prepare(url)
    loyalty = Loyalty(folder, seconds=300, PYTHONPATH=str(ROOT), LOYALTY_TOKEN=token)
    files = ("--html", "x.html", "--junit", "x.xml")
    with support.gunicorn(url, token, folder / "log") as server, front(server, indiscreet) as spoilt:
        people = loyalty("certify", "--base-url", spoilt.url, "--time-budget", "0")
        programs = loyalty("certify", "--base-url", spoilt.url, "--time-budget", "3", "--seed", "1", "--json", *files)
        yield Reports(
            people.code,
            people.stdout + people.stderr + programs.stderr,
            json.loads(programs.stdout),
            (folder / "x.html").read_text(encoding="utf-8"),
            (folder / "x.xml").read_text(encoding="utf-8"),
            spoilt,
        )


def test_nobody_is_shown_but_the_guests_of_the_kit(reports):
    assert [(name, private) for name, text in reports.texts.items() for private in PRIVATE if private in text] == []


def test_no_token_is_shown(reports):
    assert [name for name, text in reports.texts.items() if reports.server.token in text] == []


def test_the_guests_of_the_kit_are_told_by_the_names_of_fields(reports):
    findings = json.dumps(reports.json["requirements"], ensure_ascii=False)
    enrolled = [member for one in reports.json["leftBehind"][:20] for member in named(reports.server, one["email"])]
    assert enrolled
    for member in enrolled:
        private = {name: member[name] for name in ("lastName", "email", "phoneNumber", "birthday")} | member["address"]
        # A shorter value, such as a postal code of four digits, stands in other numbers by chance.
        shown = [name for name, value in private.items() if len(value) > 4 and value in findings + reports.junit]
        assert shown == []
        assert not [
            name for name, value in private.items() if len(value) > 4 and value in reports.html and name != "email"
        ]
    for name in ("firstName", "lastName", "email", "phoneNumber", "city", "birthday"):
        assert f"‹{name}›" in reports.html
        assert f"‹{name}›" in findings
    assert "•••" in reports.html


def named(server: support.Server, email: str) -> list[dict]:
    """Members of this address as the server has them; nobody without one."""
    found = server.search({"email": email}).json()["members"] if email else []
    return [member for member in found if member.get("email") == email]


def test_the_limits_in_the_document_are_those_of_the_kit():
    text = " ".join((ROOT / "docs/certify.md").read_text().split())
    assert f"not complete after {client.LONGEST_EXCHANGE_SECONDS} seconds" in text
    assert f"longer than {client.LARGEST_ANSWER_BYTES // 1024**2} MiB" in text
    assert f"given up after {bounds.TIMEOUT_SECONDS} seconds" in text
    assert f"all of them {generated.GRACE_SECONDS} seconds after" in text
    assert (client.LONGEST_WAIT_SECONDS, client.MOST_WAITS) == (60, 3)  # a minute, three times


def test_the_report_says_what_was_tested(reports):
    digest = hashlib.sha256(contract.SPECIFICATION.read_bytes()).hexdigest()
    assert (reports.code, reports.json["exitCode"], reports.json["seed"]) == (1, 1, 1)
    assert reports.json["spec"]["sha256"] == digest
    assert reports.json["kit"] == {"name": "loyalty certify", "version": __version__}
    for told in (digest, __version__, reports.server.url, "Not passed: "):
        assert told in reports.html
    assert digest in reports.junit


def test_html_stands_in_one_file_in_the_order_of_mews(reports):
    headings = [flow.heading.replace("&", "&amp;") for flow in requirements.Flow]
    places = [reports.html.index(f'<th scope="row">{heading}</th>') for heading in headings]
    assert places == sorted(places)
    assert re.findall(r"<(?:script|link|img|iframe)\b|@import|url\(", reports.html) == []
    failed = [row["name"] for row in reports.json["requirements"] if row["result"] == "failed"]
    assert re.findall(r'<section class="finding failed" id="([^"]+)"', reports.html) == failed
    assert all(f"<strong>{name}</strong>" in reports.html for name in requirements.load())


def test_every_finding_shows_the_exchange_the_spec_and_the_place(reports):
    found = [row for row in reports.json["requirements"] if row["result"] in ("failed", "advice")]
    assert found
    for row in found:
        assert bool(row["published"]) != bool(row["reading"])
        for finding in row["findings"]:
            assert finding["told"].endswith(".")
            assert finding["exchanges"], row["name"]
            assert contract.load().node(contract._steps(finding["spec"])) is not None, row["name"]


def test_the_curl_line_sends_the_request_again(reports):
    by_name = {row["name"]: row for row in reports.json["requirements"]}
    for name in ("search-answers-200", "list-refuses-none", "authentication-missing-token-is-401"):
        exchange = by_name[name]["findings"][0]["exchanges"][-1]
        environment = os.environ | {"LOYALTY_TOKEN": reports.server.token}
        again = subprocess.run(["bash", "-c", exchange["curl"]], env=environment, capture_output=True, text=True)
        assert again.stdout.split()[1] == str(exchange["status"]), again.stdout + again.stderr


def test_junit_has_a_case_for_each_requirement(reports):
    suites = ElementTree.fromstring(reports.junit)
    cases = {case.get("name"): case for case in suites.iter("testcase")}
    assert list(cases) == list(requirements.load())
    assert [suite.get("name") for suite in suites] == [flow.heading for flow in requirements.Flow]
    by_result = {"failed": "failure", "not judged": "error", "skipped": "skipped", "advice": "system-out"}
    for name, case in cases.items():
        expected = {by_result[result]} if (result := result_in(suites, name)) != "passed" else set()
        assert {child.tag for child in case} == expected
    assert suites.get("failures") == str(len(list(suites.iter("failure"))))
    assert int(suites.get("failures")) > 0


def result_in(suites: ElementTree.Element, name: str) -> str:
    """What a case says became of a requirement."""
    [case] = [case for case in suites.iter("testcase") if case.get("name") == name]
    told = {"failure": "failed", "error": "not judged", "skipped": "skipped", "system-out": "advice"}
    return next((told[child.tag] for child in case), "passed")


def test_the_document_counts_the_faulty_servers():
    text = " ".join((ROOT / "docs/certify.md").read_text().split())
    assert f"would: {len(FAULTS)} mistakes" in text


def test_whoever_is_left_behind_is_listed(reports):
    left = reports.json["leftBehind"]
    assert len({one["providerMembershipId"] for one in left}) > 20
    asked = [one["providerMembershipId"] for one in left][:50]
    listed = reports.server.list(asked).json()["memberships"]
    assert {one["status"] for one in listed if one["providerMembershipId"] in asked} == {"enrolled"}
