"""`loyalty member search`: every candidate with the evidence, and which of them the server's answer shows."""

from pathlib import Path

import inflection
import pytest

from models import matching
from tests import support
from tests.cli.commands import Loyalty

ROOT = Path(__file__).parents[2]
FILTER = support.CONTRACT.document["components"]["schemas"]["memberFilter"]
ADA = {
    "firstName": "Ada",
    "lastName": "Lovelace",
    "email": "ada@example.com",
    "address": {"city": "London", "postalCode": "W1J 7NT"},
}
NEIGHBOUR = {"firstName": "Mary", "lastName": "Somerville", "email": "mary@example.com", "address": ADA["address"]}
SWAPPED = {"firstName": "Lovelace", "lastName": "Ada", "city": "London"}


@pytest.fixture
def loyalty(server, tmp_path: Path) -> Loyalty:
    return Loyalty(tmp_path, LOYALTY_DATABASE_URL=server.database_url, PYTHONPATH=str(ROOT))


def options(member_filter: dict) -> list[str]:
    return [word for name, value in member_filter.items() for word in (option(name), value)]


def option(name: str) -> str:
    return "--" + inflection.dasherize(inflection.underscore(name))


def explained(loyalty: Loyalty, member_filter: dict, *words: str) -> list[dict]:
    return loyalty("member", "search", *options(member_filter), *words, "--json").json["candidates"]


def enroll(server, **customer) -> dict:
    return server.enroll(customer).json()["membership"]


def agreement(*fields: str) -> dict:
    return {
        field: {"similarity": 1.0, "weight": matching.WEIGHTS[inflection.underscore(field)].agreement}
        for field in fields
    }


@pytest.mark.parametrize(
    "asked",
    [
        {"email": "ada@example.com"},
        {"firstName": "Ada", "lastName": "Lovelac", "postalCode": "W1J 7NT"},
        {"firstName": "Wilhelmina", "lastName": "Quistgaard", "postalCode": "W1J 7NT"},
        {"firstName": "Ann", "lastName": "Lee"},
        {"firstName": "Nobody", "lastName": "Atall"},
        {"firstName": "", "lastName": " "},
        SWAPPED,
    ],
    ids=["e-mail", "misspelt", "neighbours", "namesakes", "nobody", "blank", "swapped"],
)
def test_those_shown_are_the_servers_answer(server, loyalty, asked):
    enroll(server, **ADA)
    enroll(server, **NEIGHBOUR)
    for index in range(3):
        enroll(server, firstName="Ann", lastName="Lee", email=f"{index}@example.com")
    answer = [member["membership"]["providerMembershipId"] for member in server.search(asked).json()["members"]]
    found = explained(loyalty, asked)
    assert [entry["member"]["providerMembershipId"] for entry in found if entry["shown"]] == answer
    assert [entry["shown"] for entry in found] == sorted((entry["shown"] for entry in found), reverse=True)


def test_the_evidence_adds_up_to_the_score(server, loyalty):
    membership = enroll(server, **ADA)
    address = ADA["address"]
    member = {name: membership[name] for name in ("providerMembershipId", "membershipNumber")}
    evidence = agreement("firstName", "lastName", "city")
    weights = [finding["weight"] for finding in evidence.values()]
    assert explained(loyalty, SWAPPED) == [
        {
            "shown": True,
            "standing": "match",
            "score": pytest.approx(sum(weights) + matching.SWAPPED_NAMES),
            "swappedNames": matching.SWAPPED_NAMES,
            "identifiers": [],
            "evidence": evidence,
            "member": member | {name: ADA[name] for name in ("firstName", "lastName", "email")} | address,
        }
    ]


def test_a_stranger_is_told_and_not_shown(server, loyalty):
    enroll(server, **ADA)
    asked = {"firstName": "Wilhelmina", "lastName": "Lovelace"}
    assert server.search(asked).json() == {"members": []}
    [stranger] = explained(loyalty, asked)
    assert (stranger["standing"], stranger["shown"]) == ("stranger", False)
    assert stranger["evidence"]["firstName"]["weight"] == matching.WEIGHTS["first_name"].disagreement


def test_an_identifier_outdoes_all_weights(server, loyalty):
    enroll(server, **ADA)
    other = enroll(server, **NEIGHBOUR)
    asked = {"email": ADA["email"], "membershipNumber": other["membershipNumber"]}
    first, second = explained(loyalty, asked)
    assert (first["identifiers"], second["identifiers"]) == (["membershipNumber"], [])
    assert first["member"]["email"] == NEIGHBOUR["email"]
    assert first["score"] < second["score"]


def test_a_table_tells_the_same_to_people(server, loyalty):
    membership = enroll(server, **ADA)
    words = options(SWAPPED | {"membershipNumber": membership["membershipNumber"]})
    shown = loyalty("member", "search", *words)
    assert (shown.code, shown.stderr) == (0, "")
    head, values, evidence = [
        [cell.strip() for cell in line.replace("┃", "│").strip("│").split("│")]
        for line in shown.stdout.splitlines()
        if line.startswith(("┃", "│"))
    ]
    names = ["membership number", "first name", "last name", "city"]
    assert head == ["shown", "standing", "score", "swapped names", *names]
    agreeing = [f"1.00 {finding['weight']:+.1f}" for finding in agreement("firstName", "lastName", "city").values()]
    assert values[:2] == ["yes", "match"]
    assert values[3:] == [f"{matching.SWAPPED_NAMES:+.1f}", membership["membershipNumber"], "Ada", "Lovelace", "London"]
    assert evidence == ["", "", "", "", "=", *agreeing]


def test_the_limit_is_the_servers_or_the_one_given(server, loyalty):
    enrolled = [enroll(server, firstName="Ann", lastName="Lee", email=f"{sign}@example.com") for sign in "abc"]
    asked = {"firstName": "Ann", "lastName": "Lee"}
    for words, setting, expected in (((), "20", 3), ((), "2", 2), (("--limit", "1"), "2", 1)):
        done = loyalty("member", "search", *options(asked), *words, "--json", LOYALTY_SEARCH_LIMIT=setting)
        shown = [entry["member"]["providerMembershipId"] for entry in done.json["candidates"] if entry["shown"]]
        assert shown == [membership["providerMembershipId"] for membership in enrolled[:expected]]


def test_only_the_program_that_is_named_is_searched(server, loyalty):
    enroll(server, **ADA)
    support.add_program("gold")
    assert explained(loyalty, {"email": ADA["email"]}, "--program", "gold") == []
    assert len(explained(loyalty, {"email": ADA["email"]}, "--program", "default")) == 1
    assert "Name one of the programs: default, gold." in loyalty.refused(
        "member", "search", *options({"email": ADA["email"]})
    )


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({}, "The contract accepts no such combination of fields; add --email."),
        (
            {"lastName": "Lee", "city": "London"},
            "The contract accepts no such combination of fields; add --country-code.",
        ),
        ({"email": "ada"}, "--email: This is no e-mail address."),
        (
            {"email": "ada", "city": "x" * (FILTER["properties"]["city"]["maxLength"] + 1)},
            f"--email: This is no e-mail address. "
            f"--city: At most {FILTER['properties']['city']['maxLength']} characters are allowed.",
        ),
    ],
    ids=["nothing", "no combination", "no e-mail", "two faults"],
)
def test_a_filter_that_the_server_refuses_is_refused(loyalty, asked, sentence):
    assert loyalty.refused("member", "search", *options(asked)) == sentence
    assert loyalty("member", "search", *options(asked)).code == 2


def test_there_is_an_option_for_each_field_of_the_filter(loyalty):
    help_text = loyalty("member", "search", "--help").stdout
    assert [name for name in FILTER["properties"] if f"  {option(name)} " not in help_text] == []


def test_nobody_found_is_said_beside_the_results(server, loyalty):
    nobody = loyalty("member", "search", "--email", "nobody@example.com")
    assert (nobody.code, nobody.stdout, nobody.stderr) == (0, "", "There are no candidates.\n")
