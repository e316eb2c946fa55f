"""Random walks of enrollments, searches, lists, links, operator's changes and time, beside a small model."""

import datetime
import os
import uuid

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from models import database, memberships, programs
from models.errors import IllegalTransition
from models.programs import Status
from models.tables import Link, Membership
from tests import support

# `make soak` asks for more; half as many walks as it asks for random requests.
SOAK = os.environ.get("CONTRACT_EXAMPLES")
EXAMPLES = int(SOAK or 100) // 2
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
EMAILS = [f"guest{number}@example.com" for number in range(3)]
HOTELS = [str(uuid.UUID(int=number)) for number in (1, 2)]
CUSTOMERS = [None, *(str(uuid.UUID(int=number)) for number in (11, 12))]


class Person:
    """What the model knows of a membership."""

    def __init__(self, email: str, status: Status) -> None:
        self.email, self.stored, self.expires_at = email, status, None
        self.links: set[tuple[str, str]] = set()

    def status(self, now: datetime.datetime) -> Status:
        has_expired = self.stored == Status.ENROLLED and self.expires_at is not None and self.expires_at <= now
        return Status.CANCELED if has_expired else self.stored


class Loyalty(RuleBasedStateMachine):
    """A hotel, an operator and a clock, in any order. The server and its clock's hands are set by the test."""

    server: support.Server
    hands: list[datetime.datetime]
    identifiers = Bundle("identifiers")

    @initialize(requires_confirmation=st.booleans())
    def begin(self, requires_confirmation: bool) -> None:
        support.clear(self.server.database_url)
        support.set_policy(requires_confirmation=requires_confirmation)
        self.hands[0] = START
        self.first_status = Status.PENDING if requires_confirmation else Status.ENROLLED
        self.people: dict[str, Person] = {}

    @property
    def now(self) -> datetime.datetime:
        return self.hands[0]

    @rule(target=identifiers, email=st.sampled_from(EMAILS))
    def enroll(self, email: str) -> object:
        customer = {"firstName": "Ada", "lastName": "Lovelace", "email": email}
        first, repeated = self.server.enroll(customer), self.server.enroll(customer)
        assert first.status_code == 200
        assert first.content == repeated.content
        membership = first.json()["membership"]
        known = [identifier for identifier, person in self.people.items() if person.email == email]
        if known:
            assert [membership["providerMembershipId"]] == known
            assert membership["status"] == self.people[known[0]].status(self.now)
            return multiple()
        assert membership["status"] == self.first_status
        self.people[membership["providerMembershipId"]] = Person(email, self.first_status)
        return membership["providerMembershipId"]

    @rule(identifier=identifiers, status=st.sampled_from([Status.ENROLLED, Status.DECLINED, Status.CANCELED]))
    def confirm_decline_or_cancel(self, identifier: str, status: Status) -> None:
        person = self.people[identifier]
        present = person.status(self.now)
        is_legal = {
            Status.ENROLLED: present == Status.PENDING or person.stored == Status.CANCELED,
            Status.DECLINED: present == Status.PENDING,
            Status.CANCELED: present == Status.ENROLLED,
        }[status]
        try:
            with database.session():
                memberships.change_status(programs.find_program(None), identifier, status, self.now)
        except IllegalTransition:
            assert not is_legal
        else:
            assert is_legal
            person.stored = status

    @rule(identifier=identifiers, hours=st.integers(-1, 3))
    def set_expiry(self, identifier: str, hours: int) -> None:
        self.people[identifier].expires_at = self.now + datetime.timedelta(hours=hours)
        with database.session():
            Membership.update(expires_at=self.people[identifier].expires_at).where(
                Membership.provider_membership_id == identifier
            ).execute()

    @rule(hours=st.integers(1, 2))
    def move_the_clock(self, hours: int) -> None:
        self.hands[0] += datetime.timedelta(hours=hours)

    @rule(identifier=identifiers, hotel=st.sampled_from(HOTELS), customer=st.sampled_from(CUSTOMERS))
    def link(self, identifier: str, hotel: str, customer: str | None) -> None:
        person = self.people[identifier]
        is_linkable = person.status(self.now) in (Status.PENDING, Status.ENROLLED)
        assert self._change_link(identifier, hotel, customer, is_linked=True) == (200 if is_linkable else 422)
        if is_linkable:
            person.links.add((hotel, customer or ""))

    @rule(identifier=identifiers, hotel=st.sampled_from(HOTELS), customer=st.sampled_from(CUSTOMERS))
    def unlink(self, identifier: str, hotel: str, customer: str | None) -> None:
        person = self.people[identifier]
        assert self._change_link(identifier, hotel, customer, is_linked=False) == 200
        person.links = {link for link in person.links if link[0] != hotel or customer not in (None, link[1])}

    def _change_link(self, identifier: str, hotel: str, customer: str | None, *, is_linked: bool) -> int:
        body = {"mewsEnterpriseId": hotel, "providerMembershipId": identifier, "isLinked": is_linked}
        body |= {"mewsCustomerId": customer} if customer else {}
        return self.server.call(support.LINK, body).status_code

    @invariant()
    def list_tells_what_the_model_knows(self) -> None:
        asked = [*self.people, "never-issued"]
        listed = self.server.list(asked).json()["memberships"]
        statuses = [person.status(self.now) for person in self.people.values()]
        assert [entry["providerMembershipId"] for entry in listed] == asked
        assert [entry["status"] for entry in listed] == [*statuses, "notFound"]

    @invariant()
    def search_finds_exactly_the_visible(self) -> None:
        for email in EMAILS:
            found = self.server.search({"email": email}).json()["members"]
            visible = [
                (identifier, person.status(self.now))
                for identifier, person in self.people.items()
                if person.email == email and person.status(self.now) != Status.DECLINED
            ]
            shown = [member["membership"] for member in found]
            assert [(entry["providerMembershipId"], entry["status"]) for entry in shown] == visible

    @invariant()
    def links_are_the_models(self) -> None:
        with database.session():
            rows = {
                (link.membership.provider_membership_id, link.enterprise.mews_enterprise_id, link.mews_customer_id)
                for link in Link.select()
            }
        assert rows == {(identifier, *link) for identifier, person in self.people.items() for link in person.links}


def test_any_sequence_of_events_agrees_with_the_model(database_url: str) -> None:
    token = support.prepare(database_url)
    hands = [START]
    with support.threaded(database_url, token, lambda: hands[0]) as server:
        machine = type("Walk", (Loyalty,), {"server": server, "hands": hands})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=20,
                derandomize=SOAK is None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
