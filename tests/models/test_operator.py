"""What only an operator does, and what it leaves in the rows."""

import datetime

import pytest

from models import enrollment, memberships, programs, search
from models.clock import system_clock
from models.database import session
from models.errors import IllegalTransition
from models.tables import Event, Link, Member, Membership
from tests import support

NOW = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
BEFORE, AFTER = NOW - datetime.timedelta(seconds=1), NOW + datetime.timedelta(seconds=1)
ADA = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.com",
    "birthday": datetime.date(1815, 12, 10),
    "phone_number": "+44 20 7946 0001",
    "address": {"line1": "St James's Square 12", "city": "London", "postal_code": "SW1Y", "country_code": "GB"},
}


@pytest.fixture
def program(database_url):
    support.prepare(database_url)
    with session():
        yield programs.find_program(None)


def add(program, customer=ADA, **values) -> str:
    return enrollment.add_member(program, customer, NOW, **values)["provider_membership_id"]


def test_deleting_erases_every_personal_datum_and_leaves_a_tombstone(program):
    identifier = add(program)
    memberships.delete(program, identifier, system_clock())
    member = Member.select().dicts().get()
    kept = {name for name, value in member.items() if value is not None}
    assert kept == {"id", "program", "key_version", "created_at"}
    assert Membership.get().deleted_at is not None
    assert Link.select().count() == 0
    assert [event.kind for event in Event.select().order_by(Event.id)] == ["enrolled", "deleted"]
    assert search.look_up(program, "ada@example.com", NOW) == []


def test_one_who_was_deleted_enrolls_anew(program):
    identifier = add(program)
    memberships.delete(program, identifier, NOW)
    assert add(program) != identifier


@pytest.mark.parametrize("first", [programs.Status.CANCELED, programs.Status.PENDING])
def test_what_has_expired_cannot_be_confirmed(program, first):
    identifier = add(program, status=first, expires_at=BEFORE)
    with pytest.raises(IllegalTransition):
        memberships.change_status(program, identifier, programs.Status.ENROLLED, NOW)
    assert Membership.get().status == first
    assert Event.select().count() == 1


def test_what_has_not_expired_can(program):
    identifier = add(program, status=programs.Status.CANCELED, expires_at=AFTER)
    assert memberships.change_status(program, identifier, programs.Status.ENROLLED, NOW)["status"] == "enrolled"


def test_in_a_family_that_shares_an_email_each_gets_their_own(program):
    family = {"last_name": "Smith", "email": "family@example.com"}
    for name in ("Marie", "Mariah"):
        add(program, {"first_name": name, **family}, shares_identity=True)
    maria = add(program, {"first_name": "Maria", **family}, shares_identity=True)
    found = enrollment.enroll(support.caller(), {"first_name": "Maria", **family}, NOW)
    assert found["provider_membership_id"] == maria


def test_a_blank_identifier_finds_nobody(program):
    add(program, {"last_name": "Without an e-mail"})
    assert search.look_up(program, " ", NOW) == []
