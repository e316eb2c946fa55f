"""Programs, their policies, and the hotels that belong to them."""

import datetime
import enum
import uuid
from dataclasses import dataclass

import peewee

from models import numbers
from models.caller import Caller
from models.database import transaction
from models.errors import AlreadyExists, UnknownEnterprise, UnknownName
from models.retries import retry_on_conflict
from models.statements import Row, Statement, given
from models.tables import Enterprise, Program

DEFAULT_PROGRAM = "default"


class Status(enum.StrEnum):
    """What a membership's row can say of it; the contract's further status is the absence of a row."""

    PENDING = "pending"
    ENROLLED = "enrolled"
    CANCELED = "canceled"
    DECLINED = "declined"


DEFAULT_VISIBLE_STATUSES = (Status.PENDING, Status.ENROLLED, Status.CANCELED)
DEFAULT_REQUIRED_FIELDS = ("firstName", "lastName")


@dataclass(frozen=True)
class Place:
    """Where a request acts: the row of a program, with its policy, and the id of the hotel (None: not recorded yet)."""

    program: Row
    enterprise_id: int | None
    is_recorded: bool


@retry_on_conflict
def add_program(
    name: str,
    now: datetime.datetime,
    *,
    requires_confirmation: bool = False,
    required_fields: tuple[str, ...] = DEFAULT_REQUIRED_FIELDS,
    number_pattern: str = numbers.DEFAULT_PATTERN,
    visible_statuses: tuple[str, ...] = DEFAULT_VISIBLE_STATUSES,
) -> Program:
    """Add a program.

    Args:
        name: unique among the programs.
        now: the time of its creation.
        requires_confirmation: whether new memberships wait as pending until an operator confirms them.
        required_fields: fields that an enrollment must give, as the contract spells them (`address/city`).
        number_pattern: see `models.numbers.check_pattern`.
        visible_statuses: the statuses that a search finds.

    Raises:
        AlreadyExists: the name is taken.
        InvalidNumberPattern: the pattern cannot make numbers.
    """
    numbers.check_pattern(number_pattern)
    try:
        with transaction():
            return Program.create(
                name=name,
                requires_confirmation=requires_confirmation,
                required_fields=required_fields,
                number_pattern=number_pattern,
                visible_statuses=visible_statuses,
                created_at=now,
            )
    except peewee.IntegrityError:
        raise AlreadyExists("A program with this name exists; choose another name.") from None


def ensure_default_program(now: datetime.datetime) -> None:
    """Add the default program to a database that has none."""
    if not Program.select().exists():
        add_program(DEFAULT_PROGRAM, now)


def list_programs() -> list[Program]:
    """Return all programs, the oldest first."""
    return list(Program.select().order_by(Program.id))


def find_program(name: str | None) -> Program:
    """Return the program of this name; without a name, the only one.

    Raises:
        UnknownName: there is none, or several and no name was given.
    """
    found = [program for program in list_programs() if name in (None, program.name)]
    if len(found) != 1:
        known = ", ".join(program.name for program in list_programs())
        raise UnknownName(f"Name one of the programs: {known}." if known else "Run `loyalty db upgrade` first.")
    return found[0]


@retry_on_conflict
def add_enterprise(program: Program, mews_enterprise_id: uuid.UUID, now: datetime.datetime) -> Enterprise:
    """Register a hotel with a program.

    Raises:
        AlreadyExists: the hotel is registered already.
    """
    try:
        with transaction():
            return Enterprise.create(program=program, mews_enterprise_id=str(mews_enterprise_id), created_at=now)
    except peewee.IntegrityError:
        raise AlreadyExists("This enterprise is registered already; see `loyalty enterprise list`.") from None


def list_enterprises() -> list[Enterprise]:
    """Return all registered hotels with their programs, the oldest first."""
    return list(Enterprise.select(Enterprise, Program).join(Program).order_by(Enterprise.id))


def _programs_and_hotel() -> peewee.Select:
    joined = (Enterprise.program == Program.id) & (Enterprise.mews_enterprise_id == given("mews_enterprise_id"))
    return (
        Program.select(Program, Enterprise.id.alias("enterprise_id"), Enterprise.provider_enterprise_id)
        .join(Enterprise, peewee.JOIN.LEFT_OUTER, on=joined)
        .order_by(Program.id)
    )


_PROGRAMS = Statement(_programs_and_hotel)


def locate(caller: Caller) -> Place:
    """Return the program and the hotel that a request speaks of; it only reads.

    With one program any hotel is taken, to be recorded; with several it must have been registered.

    Raises:
        UnknownEnterprise: the hotel belongs to no program, or to one that the caller's token is not for.
    """
    known = _PROGRAMS.rows(mews_enterprise_id=str(caller.mews_enterprise_id))
    home = next((row for row in known if row.enterprise_id), None)
    if home is None and len(known) == 1:
        home = known[0]
    if home is None or caller.program not in (None, home.name):
        raise UnknownEnterprise("the enterprise is registered with no program of this caller")
    is_named = caller.provider_enterprise_id in (None, home.provider_enterprise_id)
    return Place(home, home.enterprise_id, is_recorded=bool(home.enterprise_id) and is_named)


def locate_and_record(caller: Caller, now: datetime.datetime) -> tuple[Row, int]:
    """Return the program's row, and the row's id of the hotel, which is recorded first where it is new or newly named.

    Raises:
        UnknownEnterprise: see `locate`.
    """
    place = locate(caller)
    if place.is_recorded and place.enterprise_id:
        return place.program, place.enterprise_id
    return place.program, record(place.program, caller, now)


def record(program: Row, caller: Caller, now: datetime.datetime) -> int:
    """Insert the hotel, or note the newest name that the provider has for it, and return its row's id."""
    name = Enterprise.provider_enterprise_id
    newest_name = peewee.fn.COALESCE(peewee.EXCLUDED.provider_enterprise_id, name)
    recorded = Enterprise.insert(
        program=program.id,
        mews_enterprise_id=str(caller.mews_enterprise_id),
        provider_enterprise_id=caller.provider_enterprise_id,
        created_at=now,
    ).on_conflict(conflict_target=[Enterprise.mews_enterprise_id], update={name: newest_name})
    return next(iter(recorded.returning(Enterprise.id).tuples().execute()))[0]
