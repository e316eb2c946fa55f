"""Memberships: what they are now, listing, linking, and every change of their status."""

import datetime
import functools
import operator
import uuid
from collections.abc import Sequence

import peewee

from models import history
from models.caller import Caller
from models.database import database, transaction
from models.errors import IllegalTransition, MembershipNotLinkable, UnknownMembership
from models.programs import Status, locate_and_record
from models.retries import retry_on_conflict
from models.statements import Row, Statement, any_of, given, given_columns
from models.tables import Link, Member, Membership, Program

# From which status an operator's command may lead to which.
TRANSITIONS = {
    Status.ENROLLED: {Status.PENDING, Status.CANCELED},
    Status.DECLINED: {Status.PENDING},
    Status.CANCELED: {Status.ENROLLED},
}
NOT_FOUND = "notFound"
LINKABLE = {Status.PENDING, Status.ENROLLED}
# What an answer needs of a row; what is changed has its id and its member before.
DESCRIBED = (
    *(Membership.provider_membership_id, Membership.membership_number, Membership.status, Membership.tier),
    *(Membership.points, Membership.expires_at, Membership.expires_at_offset, Membership.deeplink_url),
)
COLUMNS = (Membership.id, Membership.member, *DESCRIBED)
DESCRIPTION = slice(-len(DESCRIBED), None)  # of a row that ends with them
PERSONAL_FIELDS = tuple(
    name for name in Member._meta.fields if name not in ("id", "program", "key_version", "created_at")
)
_STATUSES = {status.value: status for status in Status}  # faster than to call the class
_PENDING = Status.PENDING.value


def current_status(status: str, expires_at: datetime.datetime | None, now: datetime.datetime) -> Status:
    """Return what a stored status means now: an enrolled membership that has expired reads as canceled."""
    if status == Status.ENROLLED and expires_at is not None and expires_at <= now:
        return Status.CANCELED
    return _STATUSES[status]


def describe(described: Sequence, now: datetime.datetime) -> dict:
    """Return a membership as the contract's plain values; a pending one shows only its id and status.

    Args:
        described: the values of `DESCRIBED`, in that order.
        now: the moment at which its expiry is judged.
    """
    identifier, number, status, tier, points, expires_at, offset, deeplink_url = described
    if expires_at is not None:  # else it still has the status that is stored
        status = current_status(status, expires_at, now).value
        expires_at = with_offset(expires_at, offset)
    if status == _PENDING:
        return {"provider_membership_id": identifier, "status": status}
    return {
        "provider_membership_id": identifier,
        "status": status,
        "membership_number": number,
        "tier": tier,
        "points": points,
        "expires_at": expires_at,
        "deeplink_url": deeplink_url,
    }


def with_offset(moment: datetime.datetime | None, minutes: int | None) -> datetime.datetime | None:
    """Return a moment with the offset that it was given with, in minutes east of UTC; in UTC without one."""
    return None if moment is None else moment.astimezone(_zone(minutes or 0))


@functools.lru_cache  # there are a few dozen
def _zone(minutes: int) -> datetime.timezone:
    return datetime.timezone(datetime.timedelta(minutes=minutes))


def list_memberships(program: Program, provider_membership_ids: Sequence[str], now: datetime.datetime) -> list[dict]:
    """Return one entry for each distinct identifier, in the order asked; unknown ones read `notFound`."""
    asked = list(dict.fromkeys(provider_membership_ids))
    known = {row[0]: row for row in _LISTED.rows(program=program.id, ids=asked)}
    return [
        describe(known[identifier], now)
        if identifier in known
        else {"provider_membership_id": identifier, "status": NOT_FOUND}
        for identifier in asked
    ]


def _living(columns: Sequence[peewee.Field], *conditions: peewee.Expression) -> peewee.Select:
    return Membership.select(*columns).where(
        Membership.program == given("program"), Membership.deleted_at.is_null(), *conditions
    )


_LISTED = Statement(lambda: _living(DESCRIBED, any_of(Membership.provider_membership_id, "ids")), named=False)


@retry_on_conflict
def link(
    caller: Caller,
    provider_membership_id: str,
    *,
    is_linked: bool,
    mews_customer_id: uuid.UUID | None,
    now: datetime.datetime,
) -> dict:
    """Link a membership to the hotel's customer, or unlink it, and return it as it now stands.

    Doing it again changes nothing. Unlinking without a customer clears all links of that hotel.

    Raises:
        UnknownEnterprise: see `models.programs.locate`.
        UnknownMembership: the program has no such membership.
        MembershipNotLinkable: it is to be linked, but canceled or declined.
    """
    with transaction():
        program, enterprise_id = locate_and_record(caller, now)
        row = _locked(program, provider_membership_id)
        if is_linked:
            changed = _add_link(row, enterprise_id, mews_customer_id, now)
        else:
            changed = _remove_links(row, enterprise_id, mews_customer_id)
        for customer in changed:
            history.record(
                "linked" if is_linked else "unlinked",
                row.id,
                now,
                caller=caller,
                enterprise_id=enterprise_id,
                mews_customer_id=customer,
            )
    return describe(row[DESCRIPTION], now)


def _living_and_locked() -> peewee.Select:
    query = _living(COLUMNS, Membership.provider_membership_id == given("provider_membership_id"))
    # SQLite's immediate transaction holds the only write lock already.
    return query.for_update() if database.for_update else query


_LOCKED = Statement(_living_and_locked)


def _locked(program: Program, provider_membership_id: str) -> Row:
    found = _LOCKED.rows(program=program.id, provider_membership_id=provider_membership_id)
    if not found:
        raise UnknownMembership("No membership has this identifier.")
    return found[0]


_LINK_COLUMNS = ("membership", "enterprise", "mews_customer_id", "created_at")
_ADD_LINK = Statement(lambda: Link.insert(given_columns(Link, *_LINK_COLUMNS)).on_conflict_ignore())


def _add_link(row: Row, enterprise_id: int, mews_customer_id: uuid.UUID | None, now: datetime.datetime) -> list[str]:
    """Add a link and return its customer, in a list that is empty if the link exists (the empty text: no customer)."""
    if current_status(row.status, row.expires_at, now) not in LINKABLE:
        raise MembershipNotLinkable("only pending and enrolled memberships can be linked")
    customer = str(mews_customer_id or "")
    added = _ADD_LINK.run(membership=row.id, enterprise=enterprise_id, mews_customer_id=customer, created_at=now)
    return [customer] if added else []


def _remove_links(row: Row, enterprise_id: int, mews_customer_id: uuid.UUID | None) -> list[str]:
    """Remove one link, or without a customer all of the hotel, and return their customers."""
    statement = _END_LINKS if mews_customer_id is None else _END_LINK
    ended = statement.rows(membership=row.id, enterprise=enterprise_id, mews_customer_id=str(mews_customer_id))
    return [link.mews_customer_id for link in sorted(ended, key=operator.attrgetter("id"))]


def _links_ended(*conditions: peewee.Expression) -> peewee.Delete:
    of_hotel = (Link.membership == given("membership"), Link.enterprise == given("enterprise"))
    return Link.delete().where(*of_hotel, *conditions).returning(Link.id, Link.mews_customer_id)


_END_LINKS = Statement(_links_ended)
_END_LINK = Statement(lambda: _links_ended(Link.mews_customer_id == given("mews_customer_id")))


@retry_on_conflict
def change_status(program: Program, provider_membership_id: str, status: Status, now: datetime.datetime) -> dict:
    """Lead a membership to another status, for the operator, and return it as it now stands.

    Raises:
        UnknownMembership: the program has no such membership.
        IllegalTransition: its present status does not lead there.
    """
    with transaction():
        row = _locked(program, provider_membership_id)
        present = current_status(row.status, row.expires_at, now)
        if present not in TRANSITIONS[status]:
            raise IllegalTransition(f"A membership that is {present} cannot become {status}.")
        if current_status(status, row.expires_at, now) != status:
            raise IllegalTransition("A membership that has expired cannot become enrolled again.")
        Membership.update(status=status.value).where(Membership.id == row.id).execute()
        history.record(status.value, row.id, now)
    return describe(row._replace(status=status.value)[DESCRIPTION], now)


@retry_on_conflict
def delete(program: Program, provider_membership_id: str, now: datetime.datetime) -> None:
    """Erase the member's personal data and leave a tombstone, so that the identifier and number stay used.

    Raises:
        UnknownMembership: the program has no such membership.
    """
    with transaction():
        row = _locked(program, provider_membership_id)
        Link.delete().where(Link.membership == row.id).execute()
        Member.update(dict.fromkeys(PERSONAL_FIELDS)).where(Member.id == row.member).execute()
        Membership.update(deleted_at=now, tier=None, deeplink_url=None).where(Membership.id == row.id).execute()
        history.record("deleted", row.id, now)
