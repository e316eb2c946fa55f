"""What is searched for: each combination of fields, as known, misspelt, of nobody, and in the largest crowd."""

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import inflection
import peewee

from app import contract, population
from models.programs import Status
from models.tables import Member, Membership

HOTEL = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
KINDS = {
    "as known": "a member drawn at random, with the fields as they are stored",
    "misspelt": "the same with one typing error in one field",
    "nobody": "a person who is no member, whose last name nobody has",
    "crowd": "one of the {firstName} {lastName}s of {city}, the largest crowd of namesakes".format(**population.CROWD),
}
NAME = ("firstName", "lastName")
# What Mews sends beyond the combinations that the contract demands.
FURTHER = ((*NAME, "city"), (*NAME, "city", "postalCode"), (*NAME, "phoneNumber"))
IDENTIFIERS = {"email", "membershipNumber", "providerMembershipId"}
# A typing error in these would not be one of typing.
UNTOUCHED = {"countryCode"}
ABSENT_SEED = population.SEED + 1


@dataclass(frozen=True)
class Query:
    """One member filter, and the request's body that carries it."""

    member_filter: dict

    @property
    def body(self) -> bytes:
        """The request's body."""
        return json.dumps({"mewsEnterpriseId": HOTEL, "memberFilter": self.member_filter}).encode()

    @property
    def plain_values(self) -> dict:
        """The filter as `models.search` takes it."""
        return {inflection.underscore(name): value for name, value in self.member_filter.items()}


def combinations() -> list[tuple[str, ...]]:
    """Return those that the contract names, some that hold more, all that a person tells, and all fields."""
    member_filter = _filter_schema()
    named = [tuple(alternative["required"]) for alternative in member_filter["anyOf"]]
    everything = tuple(member_filter["properties"])
    told = tuple(name for name in everything if name not in IDENTIFIERS - {"email"})
    return list(dict.fromkeys([*named, *FURTHER, told, everything]))


def label(combination: Sequence[str]) -> str:
    """Return how tables call a combination."""
    everything = _filter_schema()["properties"].keys()
    missing = [name for name in everything if name not in combination]
    if not missing:
        return "all fields"
    return f"all but {' and '.join(missing)}" if len(missing) < len(everything) / 2 else ", ".join(combination)


def _filter_schema() -> dict:
    api = contract.load()
    body = api.resolve(api.operation_with("memberFilter").body_schema)
    return api.resolve(body["properties"]["memberFilter"])


def make(people: int, seed: int) -> dict[tuple[tuple[str, ...], str], list[Query]]:
    """Return the queries for the database in use and its session, by combination and kind.

    Args:
        people: how many members, strangers and so on are drawn.
        seed: of the draw.
    """
    chance = random.Random(seed)  # noqa: S311 (not for secrets)
    known = _members(people, chance)
    drawn = {
        "as known": known,
        "misspelt": known,
        "nobody": _strangers(people),
        "crowd": _crowd(people),
    }
    return {
        (combination, kind): [_query(person, combination, kind, chance) for person in drawn[kind]]
        for combination, kind in itertools.product(combinations(), KINDS)
    }


def _query(person: dict, combination: Sequence[str], kind: str, chance: random.Random) -> Query:
    member_filter = {name: person[name] for name in combination}
    if kind == "misspelt":
        name = chance.choice([name for name in combination if name not in UNTOUCHED])
        member_filter[name] = misspelt(member_filter[name], chance)
    return Query(member_filter)


def misspelt(text: str, chance: random.Random) -> str:
    """Return the text with one sign replaced, doubled, left out or swapped with the next; of e-mail, before the @."""
    place = chance.randrange(len(text.partition("@")[0]))
    before, sign, after = text[:place], text[place], text[place + 1 :]
    signs = "0123456789" if sign.isdecimal() else "abcdefghijklmnopqrstuvwxyz"
    other = chance.choice(signs.replace(sign, ""))
    errors = [before + other + after, before + sign + text[place:]]
    if place + 1 < len(text.partition("@")[0]):
        errors += [before + after, before + after[0] + sign + after[1:]]
    return chance.choice([error for error in errors if error != text and _may_be_sent(error)])


def _may_be_sent(text: str) -> bool:
    """Tell whether an e-mail address with an error still has the format of one, or the server refuses it."""
    local, at, _ = text.partition("@")
    return not at or (".." not in local and local == local.strip("."))


def _members(people: int, chance: random.Random) -> list[dict]:
    """Return members who told everything, drawn from all of them."""
    last = Member.select(peewee.fn.MAX(Member.id)).scalar()
    drawn = chance.sample(range(1, last + 1), people * 10)
    complete = list(_read([Member.id.in_(drawn)]))
    return chance.sample(complete, people)


def _crowd(people: int) -> list[dict]:
    named = [getattr(Member, inflection.underscore(name)) == value for name, value in population.CROWD.items()]
    return list(itertools.islice(_read(named), people))


def _read(conditions: list[peewee.Expression]) -> Iterator[dict]:
    """Return members with all fields of the filter, under the contract's names."""
    names = list(_filter_schema()["properties"])
    columns = {name: inflection.underscore(name) for name in names}
    tables = {name: Membership if column in Membership._meta.fields else Member for name, column in columns.items()}
    selected = [tables[name]._meta.fields[column].alias(name) for name, column in columns.items()]
    told = [tables[name]._meta.fields[column].is_null(False) for name, column in columns.items()]
    query = Member.select(*selected).join(Membership).where(*conditions, *told, Membership.status == Status.ENROLLED)
    return iter(query.dicts())


def _strangers(people: int) -> list[dict]:
    names = _filter_schema()["properties"].keys()
    others = (member for member in population.members(people * 10, seed=ABSENT_SEED) if names <= member.keys())
    return [
        member
        | {
            "lastName": member["lastName"][::-1].capitalize(),
            "email": f"nobody.{member['email']}",
            "membershipNumber": member["membershipNumber"][::-1],
        }
        for member in itertools.islice(others, people)
    ]
