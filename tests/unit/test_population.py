"""The made-up population: the same each time, valid to the contract, and skewed as in life."""

import collections
import datetime
import itertools
import uuid

import pytest

from app import population
from app.population import frequencies
from models.programs import Status
from tests.support import CONTRACT

MANY = 50_000
PERSON, ADDRESS = (CONTRACT.document["components"]["schemas"][name]["properties"] for name in ("customer", "address"))


@pytest.fixture(scope="module")
def members() -> list[dict]:
    return list(population.members(MANY))


def share(members: list[dict], **values: str) -> float:
    return sum(values.items() <= member.items() for member in members) / len(members)


def test_the_same_members_come_each_time_and_fewer_are_the_first_of_more(members):
    assert list(population.members(1000)) == members[:1000]
    assert list(population.members(1000, seed=1)) != members[:1000]


def test_members_come_one_by_one():
    assert len(list(itertools.islice(population.members(10**12), 10))) == 10


def test_every_member_can_be_enrolled_and_shown(members):
    operation = CONTRACT.operation_with("customer")
    assert operation.body is not None
    assert operation.answer is not None
    for member in members[:5000]:
        address = {name: member[name] for name in ADDRESS if name in member}
        person = {name: member[name] for name in PERSON if name in member}
        request = {"mewsEnterpriseId": str(uuid.UUID(int=0)), "customer": person | {"address": address}}
        assert list(operation.body.iter_errors(request)) == []
        membership = {name: value for name, value in member.items() if name not in person | address}
        assert list(operation.answer.iter_errors({"membership": membership})) == []


def test_numbers_and_identifiers_are_unique(members):
    assert len({member["membershipNumber"] for member in members}) == MANY
    assert {uuid.UUID(member["providerMembershipId"]).version for member in members} == {7}
    identifiers = [member["providerMembershipId"] for member in members]
    assert sorted(set(identifiers)) == identifiers
    emails = [member["email"] for member in members if "email" in member]
    assert len(set(emails)) == len(emails)


def test_addresses_of_mail_are_of_domains_kept_for_examples(members):
    domains = {member["email"].partition("@")[2] for member in members if "email" in member}
    assert domains == {"example.com", "example.org", "example.net"}  # RFC 2606


def test_one_member_in_five_hundred_is_of_the_crowd(members):
    assert {"firstName": "John", "lastName": "Smith", "city": "New York"}.items() <= population.CROWD.items()
    everywhere, there = share(members, firstName="John", lastName="Smith"), share(members, **population.CROWD)
    assert 0.8 / 500 < there < everywhere < 1.5 / 500


def test_names_are_skewed_and_have_a_long_tail(members):
    americans = [member for member in members if member.get("countryCode") == "US"]
    counts = collections.Counter(member["lastName"] for member in americans)
    # By the census, 1.006 % are Smiths and 0.810 % Johnsons; and the Smiths of the crowd come to them.
    assert [name for name, _ in counts.most_common(2)] == ["Smith", "Johnson"]
    assert 0.006 < counts["Johnson"] / len(americans) < 0.010
    assert sum(count == 1 for count in counts.values()) > len(counts) / 2


def test_every_country_has_its_cities_and_scripts(members):
    codes = {member["countryCode"] for member in members if "countryCode" in member}
    assert codes == {country.code for country in frequencies.countries().values}
    assert share(members, city="Praha", countryCode="CZ") > share(members, city="Zlín", countryCode="CZ") > 0
    assert share(members, city="Praha", countryCode="US") == 0
    names = "".join(member["lastName"] for member in members)
    assert {"ř", "ß", "Π", "Ш", "藤", "王"} <= set(names)


def test_some_fields_are_missing_and_the_last_name_never(members):
    for name in ("firstName", "email", "birthday", "phoneNumber", "city", "line1", "expiresAt"):
        assert 0 < sum(name in member for member in members) < MANY, name
    assert all(member["lastName"] for member in members)
    assert {member["status"] for member in members} == set(Status)
    birthdays = [datetime.date.fromisoformat(member["birthday"]) for member in members if "birthday" in member]
    assert max(birthdays) < datetime.date(2008, 1, 1)
