"""What `make bench` asks for: requests that vary over the members of a database, and what is right to answer."""

import datetime
import itertools
import random
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import peewee

from app import contract, lanes, population
from bench import queries
from models import database
from models.clock import system_clock
from models.programs import Status
from models.tables import Member, Membership

SEED = 1
SERIAL = "@@"  # stands in a body for a number that no other request has
# What the request of each operation carries, by which the contract is asked for it.
OPERATIONS = {
    "search": "memberFilter",
    "enroll": "customer",
    "list": "providerMembershipIds",
    "link": "providerMembershipId",
}
# The share of searches; the names of the rest are misspelt.
BY_EMAIL, BY_NAME_AND_PLACE = 0.5, 0.3
NAME_AND_PLACE = ("firstName", "lastName", "city", "postalCode")
NEW_GUESTS = 2 / 3
LISTED, UNKNOWN_LISTED = 98, 2
LINKED_IN_A_ROW = 200  # before the first of them is unlinked, so that requests on their way do not overtake each other
PERSON, ADDRESS = (
    ("firstName", "lastName", "email", "birthday", "phoneNumber"),
    ("line1", "line2", "city", "postalCode", "countryCode", "countrySubdivisionCode"),
)


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        body: as JSON.
        is_right: tells whether an answer is right.
        changes: how many rows it adds to the history.
    """

    body: bytes
    is_right: Callable[[Any], bool]
    changes: int = 0

    def numbered(self, serial: int) -> bytes:
        """Return the body with a serial number."""
        return self.body.replace(SERIAL.encode(), str(serial).encode())


@dataclass(frozen=True)
class Known:
    """A member in the contract's values, and the membership as it is answered."""

    person: dict
    address: dict
    membership: dict
    stored_status: str

    @property
    def customer(self) -> dict:
        """As Mews would send them."""
        return self.person | ({"address": self.address} if self.address else {})

    @property
    def member(self) -> dict:
        """As a search answers them."""
        return self.customer | {"membership": self.membership}


def operation(name: str) -> contract.Operation:
    """Return an operation of the contract by its name here."""
    return contract.load().operation_with(OPERATIONS[name])


def await_turn(name: str) -> None:
    """Wait, before the operation that comes in bulk, until no server thinks that staff are at work.

    Else its requests would be served with rests between them, and cost what a processor costs that wakes up each time.
    """
    if OPERATIONS[name] == lanes.BULK:
        time.sleep(lanes.IN_USE_SECONDS)


def make(url: str, people: int) -> dict[str, list[Call]]:
    """Return the requests of each operation, in the order in which they are sent, again and again.

    Args:
        url: of a database with a population.
        people: how many of its members they speak of, at most.
    """
    chance = random.Random(SEED)  # noqa: S311 (not for secrets)
    opened = database.connect(url)
    with database.session():
        known = list(_known(people, chance))
    opened.close_all()
    return {
        "search": list(_searches(known, chance)),
        "enroll": list(_enrollments(known, chance)),
        "list": list(_lists(known, chance)),
        "link": list(_links(known, chance)),
    }


def _known(people: int, chance: random.Random) -> Iterator[Known]:
    last = Member.select(peewee.fn.MAX(Member.id)).scalar()
    drawn = chance.sample(range(1, last + 1), min(people, last))
    now = system_clock()
    found = Membership.select(Membership, Member).join(Member).where(Member.id.in_(drawn)).order_by(Member.id)
    members = [_read(row, now) for row in found]
    chance.shuffle(members)
    yield from members


def _read(row: Membership, now: datetime.datetime) -> Known:
    def told(names: tuple[str, ...]) -> dict:
        values = {name: getattr(row.member, queries.inflection.underscore(name)) for name in names}
        return {name: str(value) for name, value in values.items() if value is not None}

    membership = {"providerMembershipId": row.provider_membership_id, "status": row.status}
    if row.status != Status.PENDING:
        membership |= {"membershipNumber": row.membership_number, "tier": row.tier, "points": row.points}
        if row.expires_at:
            membership["expiresAt"] = row.expires_at.isoformat()
            if row.status == Status.ENROLLED and row.expires_at <= now:
                membership["status"] = Status.CANCELED
    return Known(told(PERSON), told(ADDRESS), membership, row.status)


def _body(**fields: object) -> bytes:
    return orjson.dumps({"mewsEnterpriseId": queries.HOTEL} | fields)


def _searches(known: list[Known], chance: random.Random) -> Iterator[Call]:
    for one in known:
        told, draw = one.customer | one.address, chance.random()
        if one.stored_status == Status.DECLINED or not {*NAME_AND_PLACE, "email"} <= told.keys():
            continue
        if draw < BY_EMAIL:
            yield Call(_body(memberFilter={"email": told["email"]}), _holds_only(one))
            continue
        wanted = {name: told[name] for name in NAME_AND_PLACE}
        if draw < BY_EMAIL + BY_NAME_AND_PLACE:
            yield Call(_body(memberFilter=wanted), _holds(one))
            continue
        name = chance.choice(NAME_AND_PLACE[:2])
        yield Call(_body(memberFilter=wanted | {name: queries.misspelt(wanted[name], chance)}), _has_members)


def _holds_only(one: Known) -> Callable[[Any], bool]:
    return lambda answer: answer == {"members": [one.member]}


def _holds(one: Known) -> Callable[[Any], bool]:
    """Of a crowd of namesakes in one city, not everyone can be in an answer."""
    crowd = {one.person[name] for name in ("firstName", "lastName")} <= {*population.CROWD.values()}
    return lambda answer: one.member in answer["members"] or crowd


def _has_members(answer: Any) -> bool:
    """Who is found by a misspelt name is for docs/matching.md; here, all servers must find the same."""
    return isinstance(answer["members"], list)


def _enrollments(known: list[Known], chance: random.Random) -> Iterator[Call]:
    strangers = population.members(len(known), seed=queries.ABSENT_SEED)
    for one, stranger in zip(known, strangers, strict=True):
        if chance.random() >= NEW_GUESTS:
            if {"firstName", "email"} <= one.person.keys():
                yield Call(_body(customer=one.customer), _is(one.membership))
        elif "firstName" in stranger:
            person = {name: stranger[name] for name in PERSON if name in stranger}
            address = {name: stranger[name] for name in ADDRESS if name in stranger}
            customer = person | {"email": f"guest.{SERIAL}@example.com"} | ({"address": address} if address else {})
            yield Call(_body(customer=customer), _is_new, changes=1)


def _is_new(answer: Any) -> bool:
    membership = answer["membership"]
    return (
        membership.keys() == {"providerMembershipId", "membershipNumber", "points", "status"}
        and (membership["status"], membership["points"]) == (Status.ENROLLED, 0)
        and uuid.UUID(membership["providerMembershipId"]).version == 7
    )


def _is(membership: dict) -> Callable[[Any], bool]:
    return lambda answer: answer == {"membership": membership}


def _lists(known: list[Known], chance: random.Random) -> Iterator[Call]:
    for _ in known:
        asked = [one.membership for one in chance.choices(known, k=LISTED)]
        asked += [
            {"providerMembershipId": str(uuid.UUID(int=chance.getrandbits(128))), "status": "notFound"}
            for _ in range(UNKNOWN_LISTED)
        ]
        chance.shuffle(asked)
        distinct = list({membership["providerMembershipId"]: membership for membership in asked}.values())
        identifiers = [membership["providerMembershipId"] for membership in asked]
        yield Call(_body(providerMembershipIds=identifiers), _lists_all(distinct))


def _lists_all(memberships: list[dict]) -> Callable[[Any], bool]:
    return lambda answer: answer == {"memberships": memberships}


def _links(known: list[Known], chance: random.Random) -> Iterator[Call]:
    """Yield links of some memberships, then what ends them, and so on."""
    linkable = iter([one for one in known if one.membership["status"] in (Status.ENROLLED, Status.PENDING)])
    while row := list(itertools.islice(linkable, LINKED_IN_A_ROW)):
        customers = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in row]
        for is_linked in (True, False):
            for one, customer in zip(row, customers, strict=True):
                fields = {
                    "providerMembershipId": one.membership["providerMembershipId"],
                    "isLinked": is_linked,
                    "mewsCustomerId": customer,
                }
                yield Call(_body(**fields), _is(one.membership), changes=1)
