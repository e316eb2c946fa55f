"""Member search by `models.search`, with its statements executed through another library, answered as JSON's values.

So every peer finds the same candidates by the same statements, and scores them alike.
"""

import datetime
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import inflection

from models import database, search
from models.enrollment import ADDRESS_FIELDS, PERSON_FIELDS
from models.errors import FieldError, FieldFault, InvalidFields
from models.memberships import NOT_FOUND, with_offset
from models.programs import Status

SEARCH_LIMIT = 20  # as the server's LOYALTY_SEARCH_LIMIT is where nothing is said
ADDRESS_NAMES = [(name, inflection.camelize(name, uppercase_first_letter=False)) for name in ADDRESS_FIELDS]
PERSON_NAMES = [(name, inflection.camelize(name, uppercase_first_letter=False)) for name in PERSON_FIELDS]
SNAKE = {camel: snake for snake, camel in PERSON_NAMES}


class Statements:
    """Stands where `models.candidates` has peewee's database.

    Args:
        param: the placeholder of the driver.
        execute: runs a statement with its values and returns the rows.
    """

    def __init__(self, param: str, execute: Callable[[str, Sequence], Iterable[Sequence]]) -> None:
        self.param, self._execute = param, execute

    def ask(self, text: str, values: Sequence, make_row: Callable[[Sequence], Any]) -> tuple[list, int]:
        """See `models.connection.Connection.ask`."""
        found = list(map(make_row, self._execute(text, values)))
        return found, len(found)

    def use(self) -> None:
        """Let all searches of this process run through it."""
        database.database.initialize(self)


def find(program: Any, member_filter: dict, now: datetime.datetime) -> list[dict]:
    """Return the members that match, the best first.

    Args:
        program: its `id` and `visible_statuses`.
        member_filter: in plain values.
        now: the moment at which expiry is judged.
    """
    shown, _ = search.judge(program, member_filter, now, limit=SEARCH_LIMIT)
    return [_describe_member(entry.row, now) for entry in shown]


def _describe_member(row: dict, now: datetime.datetime) -> dict:
    person = {name: row[column] for column, name in PERSON_NAMES if row[column] is not None}
    address = {name: row[column] for column, name in ADDRESS_NAMES if row[column] is not None}
    if "birthday" in person:
        person["birthday"] = str(person["birthday"])
    if address:
        person["address"] = address
    expires_at = row["expires_at"]
    if isinstance(expires_at, str):
        expires_at = datetime.datetime.fromisoformat(expires_at)
    person["membership"] = describe(
        row["provider_membership_id"],
        row["status"],
        row["membership_number"],
        row["tier"],
        row["points"],
        expires_at,
        row["expires_at_offset"],
        row["deeplink_url"],
        now=now,
    )
    return person


def describe(
    identifier: str,
    status: str,
    number: str,
    tier: str | None,
    points: int,
    expires_at: datetime.datetime | None,
    offset: int | None,
    deeplink_url: str | None,
    *,
    now: datetime.datetime,
) -> dict:
    """Return a membership as the contract answers it: from its columns, in this order, as it stands now."""
    if status == Status.PENDING:
        return {"providerMembershipId": identifier, "status": status}
    if status == Status.ENROLLED and expires_at is not None and expires_at <= now:
        status = Status.CANCELED.value
    described = {
        "providerMembershipId": identifier,
        "membershipNumber": number,
        "points": points,
        "status": status,
    }
    if tier is not None:
        described["tier"] = tier
    if expires_at is not None:
        described["expiresAt"] = with_offset(expires_at.astimezone(datetime.UTC), offset).isoformat()
    if deeplink_url is not None:
        described["deeplinkUrl"] = deeplink_url
    return described


def unknown(identifier: str) -> dict:
    """Return what is answered for an identifier that no membership has."""
    return {"providerMembershipId": identifier, "status": NOT_FOUND}


def require(names: Sequence[str], customer: dict) -> None:
    """Do nothing if the customer has all fields that the program requires, as the contract spells them.

    Raises:
        InvalidFields: some are missing or blank.
    """
    snake = [SNAKE.get(name, name) for name in names]
    missing = [name for name in snake if not str(customer.get(name) or "").strip()]
    if missing:
        raise InvalidFields(*(FieldError(FieldFault.REQUIRED, ("customer", name)) for name in missing))
