"""The bulk path: whole batches, each member once, whatever else writes at the same time."""

import datetime
import threading
from collections import Counter

import pytest

from models import bulk, enrollment, memberships, numbers, programs, search
from models.bulk import Outcome
from models.database import rows, session
from models.errors import NumbersExhausted
from models.tables import Event, Member, Membership
from tests import support

NOW = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
ADA = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.com",
    "birthday": datetime.date(1815, 12, 10),
    "phone_number": "+44 20 7946 0001",
    "address": {"line1": "St James's Square 12", "city": "London", "postal_code": "SW1Y", "country_code": "GB"},
}
MEMBERSHIP = {
    "provider_membership_id": "P-1",
    "membership_number": "OLD-1",
    "status": "canceled",
    "tier": "Gold",
    "points": 2**63 - 1,
    "expires_at": datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
    "expires_at_offset": 120,
    "deeplink_url": "https://example.com/ada",
}


@pytest.fixture
def program(database_url):
    support.prepare(database_url)
    with session():
        yield programs.find_program(None)


def people(first: int, last: int) -> list[tuple[dict, dict]]:
    return [({"last_name": f"Person {index}"}, {"membership_number": f"N-{index}"}) for index in range(first, last)]


def write(program, *records: tuple[dict, dict], **options) -> list[Outcome]:
    return bulk.write(program, [bulk.prepare(*record) for record in records], NOW, **options)


def counts() -> tuple[int, int, int]:
    return Member.select().count(), Membership.select().count(), Event.select().count()


def test_a_member_has_the_columns_that_an_enrollment_gives_and_shares_its_identity(program):
    enrollment.add_member(program, ADA, NOW, shares_identity=True)
    write(program, (ADA, MEMBERSHIP))
    enrolled, imported = rows(Member.select().order_by(Member.id))
    assert imported.pop("id") > enrolled.pop("id")
    assert imported == enrolled
    assert imported["identity_key"] is None


def test_a_membership_has_what_was_given(program):
    write(program, (ADA, MEMBERSHIP))
    [row] = rows(Membership.select())
    assert row | MEMBERSHIP == row
    assert (row["number_key"], row["created_at"], row["deleted_at"]) == ("old1", NOW, None)
    [event] = rows(Event.select())
    assert (event["membership"], event["kind"], event["actor"], event["happened_at"]) == (
        row["id"],
        "imported",
        "operator",
        NOW,
    )


def test_what_is_not_given_is_made(program):
    write(
        program, ({"last_name": "A"}, {"membership_number": "X"}), ({"last_name": "B"}, {"provider_membership_id": "Y"})
    )
    first, second = rows(Membership.select().order_by(Membership.member))
    assert first["provider_membership_id"]
    assert len(second["membership_number"]) == len(numbers.DEFAULT_PATTERN)
    assert [(row["status"], row["points"], row["expires_at"]) for row in (first, second)] == [("enrolled", 0, None)] * 2


def test_records_of_one_batch_may_have_different_columns(program):
    write(program, ({"last_name": "A"}, {"membership_number": "X"}), (ADA, MEMBERSHIP))
    first, second = rows(Membership.select().order_by(Membership.member))
    assert second | MEMBERSHIP == second
    assert first["tier"] is first["expires_at"] is first["deeplink_url"] is None


def test_members_keep_the_order_of_the_records(program):
    bulk.load(program, people(0, 2500), NOW)
    names = [row["last_name"] for row in rows(Member.select().order_by(Member.id))]
    assert names == [f"Person {index}" for index in range(2500)]


def test_twice_is_once(program):
    assert bulk.load(program, people(0, 1200), NOW) == {Outcome.ADDED: 1200}
    assert bulk.load(program, people(600, 1800), NOW) == {Outcome.PRESENT: 600, Outcome.ADDED: 600}
    assert counts() == (1800, 1800, 1800)


def test_twins_within_a_batch_are_one(program):
    assert write(program, *people(0, 2), *people(0, 2)) == [Outcome.ADDED] * 2 + [Outcome.PRESENT] * 2
    assert counts() == (2, 2, 2)


@pytest.mark.parametrize(
    ("customer", "membership", "outcome"),
    [
        (ADA, {"membership_number": "old 1"}, Outcome.PRESENT),
        (ADA, {"provider_membership_id": "P-1"}, Outcome.PRESENT),
        (ADA, {"provider_membership_id": "P-1", "membership_number": "OLD-1", "points": 1}, Outcome.PRESENT),
        (ADA | {"last_name": "King"}, {"membership_number": "OLD-1"}, Outcome.CHANGED),
        (ADA | {"address": {"city": "Paris"}}, {"membership_number": "OLD-1"}, Outcome.CHANGED),
        (ADA, {"provider_membership_id": "P-1", "membership_number": "OLD-2"}, Outcome.TAKEN),
        (ADA, {"provider_membership_id": "P-2", "membership_number": "OLD-1"}, Outcome.TAKEN),
        (ADA, {"provider_membership_id": "P-1", "membership_number": "N-0"}, Outcome.TAKEN),
        (ADA, {"provider_membership_id": "P-2", "membership_number": "OLD-2"}, Outcome.ADDED),
    ],
    ids=["number", "identifier", "points alone", "name", "address", "other number", "other id", "two", "family"],
)
def test_what_is_there_is_left_as_it_is(program, customer, membership, outcome):
    write(program, (ADA, MEMBERSHIP), *people(0, 1))
    before = rows(Membership.select()) + rows(Member.select())
    assert write(program, (customer, membership)) == [outcome]
    kept = [row for row in rows(Membership.select()) + rows(Member.select()) if row in before]
    assert kept == before
    assert counts()[0] == 2 + (outcome == Outcome.ADDED)


def test_a_deleted_member_stays_deleted(program):
    write(program, (ADA, MEMBERSHIP))
    memberships.delete(program, "P-1", NOW)
    assert write(program, (ADA, MEMBERSHIP)) == [Outcome.PRESENT]
    assert search.look_up(program, "ada@example.com", NOW) == []


def test_a_dry_run_tells_the_same_and_leaves_nothing(program):
    assert write(program, *people(0, 2), *people(1, 3), dry_run=True) == [
        Outcome.ADDED,
        Outcome.ADDED,
        Outcome.PRESENT,
        Outcome.ADDED,
    ]
    assert counts() == (0, 0, 0)


def test_programs_do_not_see_each_other(program):
    other = programs.add_program("gold", NOW)
    assert write(program, (ADA, MEMBERSHIP)) == write(other, (ADA, MEMBERSHIP)) == [Outcome.ADDED]


def test_made_numbers_that_are_taken_are_made_again(program, monkeypatch):
    made = iter(["1", "1", "1", "2", "3"])
    monkeypatch.setattr(numbers, "make_number", lambda _: next(made))
    write(program, ({"last_name": "A"}, {"provider_membership_id": "A"}))
    write(program, *(({"last_name": name}, {"provider_membership_id": name}) for name in "BC"))
    assert {row["membership_number"] for row in rows(Membership.select())} == {"1", "2", "3"}
    assert counts() == (3, 3, 3)


def test_a_pattern_without_free_numbers_ends_the_batch_whole(program, monkeypatch):
    monkeypatch.setattr(numbers, "make_number", lambda _: "1")
    with pytest.raises(NumbersExhausted):
        write(program, *(({"last_name": name}, {"provider_membership_id": name}) for name in "AB"))
    assert counts() == (0, 0, 0)


def test_two_at_once_add_each_member_once(program):
    outcomes: Counter[Outcome] = Counter()
    wanted = people(0, 5000)

    def load_backwards() -> None:
        with session():
            outcomes.update(bulk.load(program, wanted[::-1], NOW))

    other = threading.Thread(target=load_backwards)
    other.start()
    here = bulk.load(program, wanted, NOW)
    other.join()
    assert here + outcomes == {Outcome.ADDED: 5000, Outcome.PRESENT: 5000}
    assert counts() == (5000, 5000, 5000)


def test_pages_hold_every_member_but_the_deleted_in_order(program):
    write(program, (ADA, MEMBERSHIP), *people(0, 1100))
    memberships.delete(program, "P-1", NOW)
    enrollment.add_member(program, ADA, NOW)
    write(programs.add_program("gold", NOW), *people(0, 5))
    pages = list(bulk.pages(program))
    assert [share for share, _ in pages] == sorted(share for share, _ in pages)
    assert pages[-1][0] == 1
    names = [row["last_name"] for _, page in pages for row in page]
    assert names == [*(f"Person {index}" for index in range(1100)), "Lovelace"]
