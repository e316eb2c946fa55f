"""One field of a full query lost or wrong: the member is found all the same.

A full query holds all fields that the contract has for a guest, or all but e-mail and phone number, which say so much
that hardly another field could be missed. Exact identifiers are in neither: they win outright. Who is equal in all that
the query holds stands before nobody: nothing tells the two apart.
"""

import dataclasses
import math
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from nicknames import NickNamer

from app import population
from app.population import loading
from app.settings import Settings
from models.programs import Status
from tests import support
from tests.resilience.soak import rounds

MEMBERS = rounds(4000, 100_000)
QUERIES = 200
CALLERS = 4  # at once
SEARCH_LIMIT = {field.name: field.default for field in dataclasses.fields(Settings)}["search_limit"]
SEED = 4
MOST_LOST = QUERIES // 100  # by one field
FILTER = support.CONTRACT.document["components"]["schemas"]["memberFilter"]["properties"]
FIELDS = [name for name in FILTER if name not in ("providerMembershipId", "membershipNumber")]
KNOWN = {"everything": FIELDS, "no contacts": [name for name in FIELDS if name not in ("email", "phoneNumber")]}
NAMES = {"firstName", "lastName"}
CODES = {"countryCode"}  # of two letters, where a typing error is another code
NICKNAMES = NickNamer()

Loss = Callable[[dict, random.Random], dict]


def dropped(name: str) -> Loss:
    return lambda query, _: {field: value for field, value in query.items() if field != name}


def replaced(name: str, people: list[dict]) -> Loss:
    """Put another member's value in place, as an old phone number may be somebody else's by now."""
    return lambda query, chance: (
        query | {name: chance.choice([other[name] for other in people if other[name] != query[name]])}
    )


def misspelt(name: str) -> Loss:
    return lambda query, chance: query | {name: with_typing_error(query[name], chance)}


def with_typing_error(text: str, chance: random.Random) -> str:
    """One sign replaced, inserted, left out or swapped with the next; of an e-mail, before the @."""
    place = chance.randrange(max(len(text.partition("@")[0]) - 1, 1))
    before, sign, after = text[:place], text[place], text[place + 1 :]
    other = chance.choice("0123456789" if sign.isdecimal() else "abcdefghijklmnopqrstuvwxyz")
    errors = [before + other + after, before + other + sign + after, before + after]
    errors += [before + after[:1] + sign + after[1:]]
    return chance.choice([error for error in errors if error != text])


def nicknamed(query: dict, chance: random.Random) -> dict:
    """Replace the first name by a nickname, or by its initial where English has none."""
    name = query["firstName"]
    return query | {"firstName": chance.choice(sorted(NICKNAMES.nicknames_of(name.lower())) or [name[0]])}


def swapped(query: dict, _: random.Random) -> dict:
    return query | {"firstName": query["lastName"], "lastName": query["firstName"]}


def losses(fields: list[str], people: list[dict]) -> dict[str, Loss]:
    return {
        **{f"{name} dropped": dropped(name) for name in fields},
        **{f"{name} replaced": replaced(name, people) for name in fields if name not in NAMES},
        **{f"{name} misspelt": misspelt(name) for name in fields if name not in CODES},
        "a nickname": nicknamed,
        "names swapped": swapped,
    }


@pytest.fixture(scope="module")
def people() -> list[dict]:
    """Members of the population of whom everything is known, and whom search shows."""
    shown = (member for member in population.members(MEMBERS) if member["status"] != Status.DECLINED)
    return random.Random(SEED).sample([member for member in shown if member.keys() >= set(FIELDS)], QUERIES)


@pytest.fixture(scope="module")
def populated(
    engine: str, make_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[support.Server]:
    url = make_database(engine)
    token = support.prepare(url)
    loading.load(url, MEMBERS, title="Members")
    with support.gunicorn(url, token, tmp_path_factory.mktemp("log") / "server.log") as server:
        yield server


def damaged(queries: list[dict], loss: Loss) -> list[dict]:
    chance = random.Random(SEED)
    return [loss(query, chance) for query in queries]


def can_be_sent(query: dict) -> bool:
    """Tell whether the contract takes the query; one that it refuses is no miss."""
    body = support.OPERATIONS["searchMembers"].body
    return body is not None and body.is_valid({"mewsEnterpriseId": support.HOTEL, "memberFilter": query})


def recall(server: support.Server, people: list[dict], queries: list[dict], fields: set[str]) -> tuple[int, int]:
    """Return how many of the people are first in the answer to their query, and how many among the first ten.

    `fields` are those that speak of the person.
    """
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = [answer.json()["members"] for answer in pool.map(server.search, queries)]
    places = [
        place(person, query.keys() & fields, members)
        for person, query, members in zip(people, queries, answers, strict=True)
    ]
    return sum(number < 1 for number in places), sum(number < 10 for number in places)


def place(person: dict, fields: set[str], members: list[dict]) -> float:
    """Return how many members stand before the person that these fields tell apart; infinity if the person is missing.

    An answer that is full of people whom nothing tells apart may lack any of them.
    """
    ids = [member["membership"]["providerMembershipId"] for member in members]
    is_listed = person["providerMembershipId"] in ids
    before = members[: ids.index(person["providerMembershipId"])] if is_listed else members
    others = sum(any(told.get(name) != person[name] for name in fields) for told in map(flat, before))
    return others if is_listed or (len(members) == SEARCH_LIMIT and not others) else math.inf


def flat(member: dict) -> dict:
    return member | member.get("address", {})


@pytest.mark.parametrize("fields", KNOWN.values(), ids=KNOWN)
def test_one_field_lost_costs_at_most_one_member_in_a_hundred(populated, people, fields):
    full = [{name: person[name] for name in fields} for person in people]
    at_first, among_ten = recall(populated, people, full, set(fields))
    assert at_first >= QUERIES - MOST_LOST
    damages = {name: damaged(full, loss) for name, loss in losses(fields, people).items()}
    sent = {name: queries for name, queries in damages.items() if all(map(can_be_sent, queries))}
    # Without a last name, the contract takes an e-mail or an identifier only.
    assert damages.keys() - sent.keys() <= {"lastName dropped"}
    falls = {}
    for name, queries in sent.items():
        told = set(fields) - {name.removesuffix(" replaced")}  # another's value says nothing
        at_first_now, among_ten_now = recall(populated, people, queries, told)
        falls[name] = max(at_first - at_first_now, among_ten - among_ten_now)
    assert {name: fall for name, fall in falls.items() if fall > MOST_LOST} == {}
