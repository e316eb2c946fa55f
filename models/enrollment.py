"""Enrollment: one person, one membership, however often and however many at once ask for it."""

import datetime
import json

import inflection
import peewee
import uuid_utils

from models import blocking, folding, history, names, numbers
from models.caller import Caller
from models.database import transaction
from models.errors import AlreadyExists, DatabaseBusy, FieldError, FieldFault, InvalidFields, NumbersExhausted
from models.memberships import COLUMNS, DESCRIPTION, describe
from models.programs import Status, locate_and_record
from models.retries import retry_on_conflict
from models.statements import Row, Statement, given, given_columns
from models.tables import Member, Membership, Program

ADDRESS_FIELDS = ("line1", "line2", "city", "postal_code", "country_code", "country_subdivision_code")
PERSON_FIELDS = ("first_name", "last_name", "email", "birthday", "phone_number")
# Chances that every one of them is taken vanish until a pattern is all but used up.
NUMBER_ATTEMPTS = 20
MEMBER_COLUMNS, MEMBERSHIP_COLUMNS = (
    tuple(name for name in table._meta.fields if name != "id") for table in (Member, Membership)
)


@retry_on_conflict
def enroll(caller: Caller, customer: dict, now: datetime.datetime) -> dict:
    """Return the customer's membership: the one that exists, as it is, or a new one.

    Args:
        caller: who asks, for which hotel.
        customer: the contract's customer in plain values; absent fields are absent.
        now: the time of enrollment.

    Raises:
        UnknownEnterprise: see `models.programs.locate`.
        InvalidFields: a field that the program requires is missing, or the e-mail belongs to someone with
            another name.
    """
    with transaction():
        program, enterprise_id = locate_and_record(caller, now)
        _require_fields(program, customer)
        identity = identity_key(customer)
        row = _existing(program, customer, identity)
        if row is None:
            row, is_new = _create(program, customer, identity, now)
            if is_new:
                history.record("enrolled", row.id, now, caller=caller, enterprise_id=enterprise_id)
    return describe(row[DESCRIPTION], now)


def _require_fields(program: Program, customer: dict) -> None:
    missing = []
    for name in program.required_fields:
        path = tuple(inflection.underscore(part) for part in name.split("/"))
        if not _has(customer, path):
            missing.append(FieldError(FieldFault.REQUIRED, ("customer", *path)))
    if missing:
        raise InvalidFields(*missing)


def _has(customer: dict, path: tuple[str, ...]) -> bool:
    value: object = customer
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value is not None and str(value).strip() != ""


def identity_key(customer: dict) -> str:
    """Return what makes the customer one person: a hash of the e-mail, else of the name with birthday or phone
    number, else of everything that is known.
    """
    known = json.dumps(customer, sort_keys=True, default=str)
    return folded_identity_key(customer) or folding.digest("customer", known)


def folded_identity_key(customer: dict) -> str | None:
    """Return the identity key if the rules of `models.folding` are in it, so that it must be renewed with them.

    None if there is neither an e-mail nor a birthday or phone number.
    """
    email = folding.email_key(customer.get("email"))
    if email:
        return folding.digest("email", email)
    name = [folding.fold(customer.get(part)) or "" for part in ("first_name", "last_name")]
    if customer.get("birthday"):
        return folding.digest("birthday", *name, customer["birthday"].isoformat())
    phones = folding.phone_keys(customer.get("phone_number"), (customer.get("address") or {}).get("country_code"))
    return folding.digest("phone", *name, phones[0]) if phones else None


def _same_person() -> peewee.Select:
    """Members by identity key or e-mail key.

    Not by one condition with an "or": for that SQLite, without statistics, reads the whole program.
    """
    program = Member.program == given("program")
    by_identity = Member.select(Member.id).where(program, Member.identity_key == given("identity_key"))
    by_email = Member.select(Member.id).where(program, Member.email_key == given("email_key"))
    return (
        Membership.select(
            Member.first_name, Member.last_name, (Member.identity_key.is_null()).alias("is_imported"), *COLUMNS
        )
        .join(Member)
        .where(Member.id.in_(by_identity | by_email))
        .order_by(Member.id)
    )


_SAME_PERSON = Statement(_same_person)


def _existing(program: Program, customer: dict, identity: str) -> Row | None:
    email = folding.email_key(customer.get("email"))
    found = _SAME_PERSON.rows(program=program.id, identity_key=identity, email_key=email)
    name = (customer.get("first_name"), customer.get("last_name"))
    known = [row for row in found if names.names_compatible(name, (row.first_name, row.last_name))]
    if found and not known:
        raise InvalidFields(FieldError(FieldFault.DUPLICATE, ("customer", "email")))

    def preference(row: Row) -> tuple:  # in a family that shares an e-mail, Maria is not Marie
        return not names.names_equal(name, (row.first_name, row.last_name)), row.is_imported

    return min(known, key=preference, default=None)


def _create(program: Program, customer: dict, identity: str, now: datetime.datetime) -> tuple[Row, bool]:
    """Return the new membership, or the one of a request that was a moment faster, and whether it is new."""
    member_id = insert_member(program, customer, identity, now)
    if member_id is None:  # another request has just enrolled the same person, and has committed
        row = _existing(program, customer, identity)
        if row is None:  # and an operator has deleted it at once
            raise DatabaseBusy("The member was deleted at the same moment; try again.")
        return row, False
    status = Status.PENDING if program.requires_confirmation else Status.ENROLLED
    return insert_membership(program, member_id, now, status=status), True


_INSERT_MEMBER = Statement(
    lambda: Member.insert(given_columns(Member, *MEMBER_COLUMNS)).on_conflict_ignore().returning(Member.id)
)


def insert_member(program: Program, customer: dict, identity: str | None, now: datetime.datetime) -> int | None:
    """Insert a member and return its row's id, or None if the program has one of this identity."""
    values = member_columns(customer) | {"program": program.id, "identity_key": identity, "created_at": now}
    inserted = _INSERT_MEMBER.rows(**values)
    return inserted[0].id if inserted else None


def member_columns(customer: dict) -> dict:
    """Return the columns of a member's row that follow from the customer's plain values: as given, and the keys."""
    address = customer.get("address") or {}
    return {
        **{name: customer.get(name) for name in PERSON_FIELDS},
        **{name: address.get(name) for name in ADDRESS_FIELDS},
        **blocking.member_keys(customer),
    }


_INSERT_MEMBERSHIP = Statement(
    lambda: Membership.insert(given_columns(Membership, *MEMBERSHIP_COLUMNS)).on_conflict_ignore().returning(*COLUMNS)
)


def insert_membership(
    program: Program,
    member_id: int,
    now: datetime.datetime,
    *,
    status: Status,
    membership_number: str | None = None,
    **values: object,
) -> Row:
    """Insert a membership and return its row, of `models.memberships.COLUMNS`.

    Args:
        program: whose pattern makes the number.
        member_id: the member's row.
        now: the time of enrollment.
        status: the first status.
        membership_number: a number from elsewhere, exempt from the pattern; without one, one is made.
        values: further columns (`tier`, `points`, `expires_at`, ...).

    Raises:
        AlreadyExists: the number from elsewhere is taken.
        NumbersExhausted: no free number was found.
    """
    columns = dict.fromkeys(MEMBERSHIP_COLUMNS) | {"points": 0, "provider_membership_id": str(uuid_utils.uuid7())}
    columns |= values | {"program": program.id, "member": member_id, "status": status.value, "created_at": now}
    for _ in range(1 if membership_number else NUMBER_ATTEMPTS):
        number = membership_number or numbers.make_number(program.number_pattern)
        named = {"membership_number": number, "number_key": folding.number_key(number)}
        inserted = _INSERT_MEMBERSHIP.rows(**columns | named)
        if inserted:  # else the number is taken
            return inserted[0]
    if membership_number:
        raise AlreadyExists("This membership number is taken; give another or none.")
    raise NumbersExhausted("The program's number pattern has no free number; give it more digits.")


@retry_on_conflict
def add_member(
    program: Program,
    customer: dict,
    now: datetime.datetime,
    *,
    status: Status = Status.ENROLLED,
    shares_identity: bool = False,
    **values: object,
) -> dict:
    """Add a member with a membership on the operator's behalf, and return the membership as it now stands.

    Args:
        program: where to.
        customer: the person, in the plain values of an enrollment.
        now: the time of it.
        status: the first status.
        shares_identity: whether another member may have the same e-mail, as families do.
        values: see `insert_membership`.

    Raises:
        AlreadyExists: the person is a member already, or the number is taken.
    """
    with transaction():
        identity = None if shares_identity else identity_key(customer)
        member_id = insert_member(program, customer, identity, now)
        if member_id is None:
            raise AlreadyExists("This person is a member already; `loyalty member show` finds them by e-mail.")
        row = insert_membership(program, member_id, now, status=status, **values)  # type: ignore[arg-type]
        history.record("enrolled", row.id, now)
    return describe(row[DESCRIPTION], now)
