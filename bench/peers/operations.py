"""The four operations on a connection of SQLAlchemy Core, which its documentation advises where speed matters.

Statements are built once, so that neither their text nor their key in the cache of compiled ones is made anew.
"""

import contextvars
import datetime
import functools
import time
import uuid
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import orjson
import uuid_utils
from sqlalchemy import ARRAY, Connection, Row, String, any_, bindparam, delete, func, select, union
from sqlalchemy.dialects import postgresql, sqlite

from bench.peers import scoring
from bench.peers.common import BELIEF_SECONDS
from bench.peers.messages import EnrollRequest, LinkRequest, ListRequest, SearchRequest
from bench.peers.tables import enterprise, event, link, member, membership, program
from bench.peers.tokens import Identity
from models import enrollment, folding, names, numbers
from models.connection import _numbered
from models.errors import (
    FieldError,
    FieldFault,
    InvalidFields,
    MembershipNotLinkable,
    NumbersExhausted,
    UnknownEnterprise,
    UnknownMembership,
)
from models.memberships import LINKABLE, current_status
from models.programs import Status

Request = SearchRequest | EnrollRequest | ListRequest | LinkRequest
DESCRIBED = (
    membership.c.provider_membership_id,
    membership.c.status,
    membership.c.membership_number,
    membership.c.tier,
    membership.c.points,
    membership.c.expires_at,
    membership.c.expires_at_offset,
    membership.c.deeplink_url,
)
HERE = membership.c.deleted_at.is_(None), membership.c.program_id == bindparam("program_id")
_connection: contextvars.ContextVar[Connection] = contextvars.ContextVar("connection")

LOCATE = (
    select(program, enterprise.c.id.label("enterprise_id"), enterprise.c.provider_enterprise_id)
    .join_from(
        program,
        enterprise,
        (enterprise.c.program_id == program.c.id) & (enterprise.c.mews_enterprise_id == bindparam("asked")),
        isouter=True,
    )
    .order_by(program.c.id)
)
LOCK = (
    select(*DESCRIBED, membership.c.id)
    .where(*HERE, membership.c.provider_membership_id == bindparam("identifier"))
    .with_for_update()
)
UNLINK_ALL = (
    delete(link)
    .where(
        link.c.membership_id == bindparam("membership_id"),
        link.c.enterprise_id == bindparam("enterprise_id"),
    )
    .returning(link.c.mews_customer_id)
)
UNLINK = UNLINK_ALL.where(link.c.mews_customer_id == bindparam("customer"))
RECORD_EVENT = event.insert()


class Operations:
    """The operations on one engine.

    Args:
        is_sqlite: or else Postgres.
    """

    def __init__(self, *, is_sqlite: bool) -> None:
        insert: Any = sqlite.insert if is_sqlite else postgresql.insert
        asked: Any = (
            membership.c.provider_membership_id.in_(
                select(func.json_each(bindparam("identifiers")).table_valued("value").c.value)
            )
            if is_sqlite
            else membership.c.provider_membership_id == any_(bindparam("identifiers", type_=ARRAY(String)))
        )
        self._as_parameter = (lambda asked: orjson.dumps(asked).decode()) if is_sqlite else list
        self._list = select(*DESCRIBED).where(*HERE, asked)
        self._record = insert(enterprise).returning(enterprise.c.id)
        self._record = self._record.on_conflict_do_update(
            index_elements=[enterprise.c.mews_enterprise_id],
            set_={
                "provider_enterprise_id": func.coalesce(
                    self._record.excluded.provider_enterprise_id, enterprise.c.provider_enterprise_id
                )
            },
        )
        self._add_member = insert(member).on_conflict_do_nothing().returning(member.c.id)
        self._add_membership = insert(membership).on_conflict_do_nothing().returning(*DESCRIBED, membership.c.id)
        self._add_link = insert(link).on_conflict_do_nothing()
        self._believed: dict[tuple, tuple[float, SimpleNamespace]] = {}
        scoring.Statements("?" if is_sqlite else "%s", _execute).use()

    def search(self, connection: Connection, identity: Identity, request: SearchRequest) -> dict:
        """Return the members that match."""
        now, place = _now(), self._believed_place(connection, identity, request)
        _connection.set(connection)
        visible = SimpleNamespace(id=place.program_id, visible_statuses=place.visible_statuses)
        return {"members": scoring.find(visible, request.member_filter.model_dump(exclude_unset=True), now)}

    def enroll(self, connection: Connection, identity: Identity, request: EnrollRequest) -> dict:
        """Return the membership of a customer, the one that there is or a new one."""
        now, place = _now(), self._place(connection, identity, request)
        customer = request.customer.model_dump(exclude_unset=True)
        scoring.require(place.required_fields, customer)
        key = enrollment.identity_key(customer)
        row = _existing(connection, place, customer, key)
        if row is None:
            row = self._create(connection, place, customer, key, now)
            if row is None:
                row = _existing(connection, place, customer, key)
            else:
                _record_event(connection, "enrolled", row.id, identity, place, None, now)
        return {"membership": scoring.describe(*row[: len(DESCRIBED)], now=now)}

    def list(self, connection: Connection, identity: Identity, request: ListRequest) -> dict:
        """Return one membership for each distinct identifier in the order asked."""
        now, place = _now(), self._believed_place(connection, identity, request)
        asked = dict.fromkeys(request.provider_membership_ids)
        given = {"program_id": place.program_id, "identifiers": self._as_parameter(list(asked))}
        known = {row[0]: row for row in connection.execute(self._list, given)}
        return {
            "memberships": [
                scoring.describe(*known[identifier], now=now) if identifier in known else scoring.unknown(identifier)
                for identifier in asked
            ]
        }

    def link(self, connection: Connection, identity: Identity, request: LinkRequest) -> dict:
        """Link or unlink a membership and return it."""
        now, place = _now(), self._place(connection, identity, request)
        given = {"program_id": place.program_id, "identifier": request.provider_membership_id}
        row = connection.execute(LOCK, given).first()
        if row is None:
            raise UnknownMembership
        if request.is_linked:
            changed = self._link(connection, row, place, request.mews_customer_id, now)
        else:
            changed = _unlink(connection, row, place, request.mews_customer_id)
        for customer in changed:
            kind = "linked" if request.is_linked else "unlinked"
            _record_event(connection, kind, row.id, identity, place, customer or None, now)
        return {"membership": scoring.describe(*row[: len(DESCRIBED)], now=now)}

    def _believed_place(self, connection: Connection, identity: Identity, request: Request) -> SimpleNamespace:
        """Return the program and the hotel for a request that only reads, as they were a moment ago."""
        asked = request.mews_enterprise_id, request.provider_enterprise_id, identity.program
        until, place = self._believed.get(asked, (0.0, None))
        if place is None or time.monotonic() >= until:
            until = time.monotonic() + BELIEF_SECONDS
            place = self._place(connection, identity, request)
            self._believed[asked] = until, place
        return place

    def _place(self, connection: Connection, identity: Identity, request: Request) -> SimpleNamespace:
        """Return the program and the hotel, which is recorded first where it is new or newly named."""
        asked = str(request.mews_enterprise_id)
        rows = connection.execute(LOCATE, {"asked": asked}).all()
        home = next((row for row in rows if row.enterprise_id), rows[0] if len(rows) == 1 else None)
        if home is None or identity.program not in (None, home.name):
            raise UnknownEnterprise
        named = request.provider_enterprise_id
        enterprise_id = home.enterprise_id
        if enterprise_id is None or named not in (None, home.provider_enterprise_id):
            given = {"program_id": home.id, "mews_enterprise_id": asked, "provider_enterprise_id": named}
            enterprise_id = connection.execute(self._record, given | {"created_at": _now()}).scalar_one()
        return SimpleNamespace(
            program_id=home.id,
            enterprise_id=enterprise_id,
            requires_confirmation=home.requires_confirmation,
            required_fields=home.required_fields.split(","),
            visible_statuses=home.visible_statuses.split(","),
            number_pattern=home.number_pattern,
        )

    def _create(
        self, connection: Connection, place: SimpleNamespace, customer: dict, key: str, now: datetime.datetime
    ) -> Row | None:
        values = enrollment.member_columns(customer)
        values |= {"program_id": place.program_id, "identity_key": key, "created_at": now}
        member_id = connection.execute(self._add_member, values).scalar()
        if member_id is None:  # another request has just enrolled the same person
            return None
        status = Status.PENDING if place.requires_confirmation else Status.ENROLLED
        given = {
            "program_id": place.program_id,
            "member_id": member_id,
            "provider_membership_id": str(uuid_utils.uuid7()),
            "status": status.value,
            "points": 0,
            "created_at": now,
        }
        for _ in range(enrollment.NUMBER_ATTEMPTS):
            number = numbers.make_number(place.number_pattern)
            given |= {"membership_number": number, "number_key": folding.number_key(number)}
            row = connection.execute(self._add_membership, given).first()
            if row is not None:
                return row
        raise NumbersExhausted

    def _link(
        self,
        connection: Connection,
        row: Row,
        place: SimpleNamespace,
        customer: uuid.UUID | None,
        now: datetime.datetime,
    ) -> Sequence[str]:
        if current_status(row.status, row.expires_at, now) not in LINKABLE:
            raise MembershipNotLinkable
        given = {
            "membership_id": row.id,
            "enterprise_id": place.enterprise_id,
            "mews_customer_id": str(customer or ""),
            "created_at": now,
        }
        return [given["mews_customer_id"]] if connection.execute(self._add_link, given).rowcount else []


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _execute(statement: str, values: Sequence) -> Iterable[Sequence]:
    connection = _connection.get()
    if connection.dialect.driver == "asyncpg":
        statement = _for_asyncpg(statement)
    return connection.exec_driver_sql(statement, tuple(values))


@functools.lru_cache(1024)
def _for_asyncpg(statement: str) -> str:
    """Return a statement with Postgres' own places for values, of which a moment comes as text."""
    return _numbered(statement.replace("expires_at <= %s", "expires_at <= %s::text::timestamptz")).decode()


_PERSON = (
    select(*DESCRIBED, member.c.first_name, member.c.last_name, member.c.identity_key.is_(None).label("is_imported"))
    .join_from(membership, member, member.c.id == membership.c.member_id)
    .order_by(member.c.id)
)
_OF_PROGRAM = select(member.c.id).where(member.c.program_id == bindparam("program_id"))
_SAME_IDENTITY = _OF_PROGRAM.where(member.c.identity_key == bindparam("identity_key"))
_SAME_EMAIL = _OF_PROGRAM.where(member.c.email_key == bindparam("email_key"))
BY_IDENTITY = _PERSON.where(member.c.id.in_(_SAME_IDENTITY))
# A condition with OR in place of the union would have SQLite read all members.
BY_IDENTITY_OR_EMAIL = _PERSON.where(member.c.id.in_(union(_SAME_IDENTITY, _SAME_EMAIL)))


def _existing(connection: Connection, place: SimpleNamespace, customer: dict, key: str) -> Row | None:
    email = folding.email_key(customer.get("email"))
    given = {"program_id": place.program_id, "identity_key": key}
    if email:
        found = connection.execute(BY_IDENTITY_OR_EMAIL, given | {"email_key": email}).all()
    else:
        found = connection.execute(BY_IDENTITY, given).all()
    name = (customer.get("first_name"), customer.get("last_name"))
    known = [row for row in found if names.names_compatible(name, (row.first_name, row.last_name))]
    if found and not known:
        raise InvalidFields(FieldError(FieldFault.DUPLICATE, ("customer", "email")))

    def preference(row: Row) -> tuple:
        return not names.names_equal(name, (row.first_name, row.last_name)), row.is_imported

    return min(known, key=preference, default=None)


def _unlink(connection: Connection, row: Row, place: SimpleNamespace, customer: uuid.UUID | None) -> Sequence[str]:
    given = {"membership_id": row.id, "enterprise_id": place.enterprise_id}
    if customer is None:
        return connection.execute(UNLINK_ALL, given).scalars().all()
    return connection.execute(UNLINK, given | {"customer": str(customer)}).scalars().all()


def _record_event(
    connection: Connection,
    kind: str,
    membership_id: int,
    identity: Identity,
    place: SimpleNamespace,
    customer: str | None,
    now: datetime.datetime,
) -> None:
    connection.execute(
        RECORD_EVENT,
        {
            "membership_id": membership_id,
            "kind": kind,
            "actor": identity.name,
            "enterprise_id": place.enterprise_id,
            "mews_customer_id": customer,
            "request_id": str(uuid_utils.uuid7()),
            "happened_at": now,
        },
    )
