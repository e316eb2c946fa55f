"""Nothing of a program is ever visible, changed or found under another program's hotel."""

import itertools
import time
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import database, enrollment, programs, tokens
from models.clock import system_clock
from models.tables import Enterprise, Link, Member, Membership
from tests import support

NAMES = ("blue", "gold", "red")
HOTELS = {name: str(uuid.uuid5(uuid.NAMESPACE_DNS, name)) for name in NAMES}
STRANGER = str(uuid.uuid5(uuid.NAMESPACE_DNS, "stranger"))
PEOPLE = [
    {"firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com", "phoneNumber": "+44 20 7946 0958"},
    {"firstName": "Grace", "lastName": "Hopper", "email": "grace@example.com", "address": {"city": "New York"}},
    {"firstName": "Ada", "lastName": "Lovelace", "birthday": "1815-12-10"},
]
# The same number, given by hand, to one member of every program.
SHARED_NUMBER = "FAMILY-1"
OPERATIONS = (support.SEARCH, support.ENROLL, support.LIST, support.LINK)


class Chain:
    """Three programs on one server, each with a hotel, and the tokens of Mews by the program that they are for."""

    def __init__(self, server: support.Server, chosen: tuple[str, ...]) -> None:
        self.server, self.names = server, chosen
        now = system_clock()
        self.tokens: dict[str | None, str] = {None: server.token}
        with database.session():
            for name in chosen:
                program = programs.add_program(name, now)
                programs.add_enterprise(program, uuid.UUID(HOTELS[name]), now)
                token, _ = tokens.create(f"{name} {uuid.uuid4()}", now, program=program)
                self.tokens[name] = token
                enrollment.add_member(program, {"last_name": "Shared"}, now, membership_number=SHARED_NUMBER)

    def call(self, operation: str, hotel: str, **body: object) -> tuple[int, dict]:
        body.setdefault("mewsEnterpriseId", hotel)
        token = self.tokens[body.pop("restricted_to", None)]
        answer = self.server.call(operation, body, token=token)
        return answer.status_code, answer.json()


@pytest.fixture(scope="session")
def running(engine: str, make_database) -> Iterator[support.Server]:
    """A server of this file's own, since its tokens are bound to programs."""
    url = make_database(engine)
    token = support.prepare(url)
    with support.threaded(url, token, system_clock) as server:
        yield server


def rows_of(name: str) -> list[tuple]:
    """Everything that is stored of a program."""
    with database.session():
        program = programs.find_program(name)
        queries = [
            Member.select().where(Member.program == program.id).order_by(Member.id),
            Membership.select().where(Membership.program == program.id).order_by(Membership.id),
            Link.select(Link).join(Membership).where(Membership.program == program.id).order_by(Link.id),
            Enterprise.select().where(Enterprise.program == program.id).order_by(Enterprise.id),
        ]
        return [row for query in queries for row in query.tuples()]


def filters(person: dict, number: str) -> list[dict]:
    name = {"firstName": person["firstName"], "lastName": person["lastName"]}
    by_email = [{"email": person["email"]}] if "email" in person else []
    by_phone = [name | {"phoneNumber": person["phoneNumber"]}] if "phoneNumber" in person else []
    return [name, {"membershipNumber": number}, {"membershipNumber": SHARED_NUMBER}, *by_email, *by_phone]


enrollments = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(PEOPLE)), min_size=2, max_size=8)


@given(chosen=st.sampled_from([NAMES[:2], NAMES]), wanted=enrollments, is_restricted=st.booleans())
@settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_no_operation_crosses_programs(running, chosen, wanted, is_restricted):
    support.clear(running.database_url)
    with database.session():
        programs.Program.delete().execute()
    chain = Chain(running, chosen)
    owned: dict[str, set[str]] = {name: set() for name in chosen}
    numbers: dict[str, str] = {}
    for name, person in wanted:
        if name in chosen:
            enroll_without_touching_others(chain, owned, numbers, name, person, is_restricted)
    for name, other in itertools.permutations(chosen, 2):
        before = rows_of(other)
        for person in PEOPLE:
            for member_filter in filters(person, next(iter(numbers.values()), SHARED_NUMBER)):
                assert_finds_own_only(chain, name, other, member_filter)
        for identifier in owned[other]:
            assert_is_unknown(chain, name, identifier)
        assert rows_of(other) == before


def enroll_without_touching_others(chain, owned, numbers, name, person, is_restricted) -> None:
    before = {other: rows_of(other) for other in chain.names if other != name}
    restriction = {"restricted_to": name} if is_restricted else {}
    status, answer = chain.call(support.ENROLL, HOTELS[name], customer=person, **restriction)
    assert status == 200
    membership = answer["membership"]
    owned[name].add(membership["providerMembershipId"])
    numbers[membership["providerMembershipId"]] = membership["membershipNumber"]
    assert {other: rows_of(other) for other in before} == before
    assert len(set().union(*owned.values())) == sum(map(len, owned.values())), "two programs share a membership"


def assert_finds_own_only(chain: Chain, name: str, other: str, member_filter: dict) -> None:
    with database.session():
        query = Membership.select(Membership.provider_membership_id).join(programs.Program)
        own = {row[0] for row in query.where(programs.Program.name == name).tuples()}
    status, answer = chain.call(support.SEARCH, HOTELS[name], memberFilter=member_filter)
    assert status == 200
    found = {member["membership"]["providerMembershipId"] for member in answer["members"]}
    assert found <= own
    if member_filter == {"membershipNumber": SHARED_NUMBER}:
        assert len(found) == 1


def assert_is_unknown(chain: Chain, name: str, identifier: str) -> None:
    status, answer = chain.call(support.LIST, HOTELS[name], providerMembershipIds=[identifier])
    assert (status, [entry["status"] for entry in answer["memberships"]]) == (200, ["notFound"])
    for is_linked in (True, False):
        status, _ = chain.call(support.LINK, HOTELS[name], providerMembershipId=identifier, isLinked=is_linked)
        assert status == 404


def bodies(identifier: str) -> dict[str, dict]:
    return {
        support.SEARCH: {"memberFilter": {"membershipNumber": SHARED_NUMBER}},
        support.ENROLL: {"customer": PEOPLE[0]},
        support.LIST: {"providerMembershipIds": [identifier]},
        support.LINK: {"providerMembershipId": identifier, "isLinked": True},
    }


@pytest.fixture
def chain(running: support.Server) -> Chain:
    support.clear(running.database_url)
    with database.session():
        programs.Program.delete().execute()
    return Chain(running, NAMES)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("hotel", "restriction"), [(STRANGER, None), (STRANGER, "gold"), (HOTELS["blue"], "gold")])
def test_hotel_outside_the_callers_programs_is_refused(chain, operation, hotel, restriction):
    before = {name: rows_of(name) for name in NAMES}
    status, problem = chain.call(operation, hotel, restricted_to=restriction, **bodies("any")[operation])
    assert status == 422
    assert [error["pointer"] for error in problem["errors"]] == ["#/mewsEnterpriseId"]
    assert {name: rows_of(name) for name in NAMES} == before


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("restriction", [None, "gold"])
def test_hotel_of_the_callers_program_is_served(chain, operation, restriction):
    _, enrolled = chain.call(support.ENROLL, HOTELS["gold"], customer=PEOPLE[0])
    body = bodies(enrolled["membership"]["providerMembershipId"])[operation]
    assert chain.call(operation, HOTELS["gold"], restricted_to=restriction, **body)[0] == 200


@pytest.mark.parametrize("operation", OPERATIONS)
def test_with_one_program_any_hotel_is_taken_and_recorded(running, operation):
    support.clear(running.database_url)
    identifier = running.enroll(PEOPLE[0]).json()["membership"]["providerMembershipId"]
    body = bodies(identifier)[operation] | {"mewsEnterpriseId": STRANGER, "providerEnterpriseId": "Hotel 7"}
    assert running.call(operation, body).status_code == 200
    for _ in range(100):  # a request that only reads is answered before the hotel is recorded
        with database.session():
            rows = list(Enterprise.select().where(Enterprise.mews_enterprise_id == STRANGER))
            recorded = [(row.program.name, row.provider_enterprise_id) for row in rows]
        if recorded:
            break
        time.sleep(0.05)
    assert recorded == [(programs.DEFAULT_PROGRAM, "Hotel 7")]
