"""The floor: bare ASGI, msgspec and the raw driver, to see what the rest of all the others' time goes into.

It does what the contract asks and no more: one connection, which the event loop itself waits for, no pool, no limits,
no log. Token and hotel are believed for half a second. Nobody should serve so.
"""

import datetime
import sqlite3
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import psycopg
import uuid_utils

from bench.peers import floor_database, scoring, structs
from bench.peers.common import BELIEF_SECONDS, Refused
from models import enrollment, folding, names, numbers, tokens
from models.errors import (
    FieldError,
    FieldFault,
    InvalidFields,
    LoyaltyError,
    MembershipNotLinkable,
    NumbersExhausted,
    UnknownEnterprise,
    UnknownMembership,
)
from models.memberships import LINKABLE, current_status
from models.programs import Status


class Floor:
    """The application."""

    def __init__(self) -> None:
        self._database = floor_database.connect()
        self._tokens: dict[bytes, tuple[float, tokens.Identity]] = {}
        self._places: dict[str, tuple[float, SimpleNamespace]] = {}
        self._routes: dict[tuple[str, str], tuple[msgspec.json.Decoder, Callable]] = {
            ("POST", "/members/search"): (msgspec.json.Decoder(structs.SearchRequest), self._search),
            ("POST", "/members"): (msgspec.json.Decoder(structs.EnrollRequest), self._enroll),
            ("POST", "/memberships/list"): (msgspec.json.Decoder(structs.ListRequest), self._list),
            ("PUT", "/memberships/link"): (msgspec.json.Decoder(structs.LinkRequest), self._link),
        }
        self._encode = msgspec.json.Encoder().encode

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Serve one request."""
        route = self._routes.get((scope.get("method", ""), scope.get("path", "")))
        if route is None:
            if scope["type"] == "http":
                await _send(send, 404, [], b"")
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        try:
            identity = self._identify(dict(scope["headers"]).get(b"authorization", b""))
            decoder, serve = route
            content = self._encode(serve(identity, decoder.decode(body), datetime.datetime.now(datetime.UTC)))
            await _send(send, 200, [(b"content-type", b"application/json")], content)
        except (Refused, LoyaltyError, msgspec.ValidationError) as error:
            await _refuse(scope, body, error, send)

    def _identify(self, authorization: bytes) -> tokens.Identity:
        until, identity = self._tokens.get(authorization, (0.0, None))
        started = time.monotonic()
        if identity is not None and started < until:
            return identity
        scheme, _, text = authorization.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not tokens.is_well_formed(text):
            raise Refused
        now = datetime.datetime.now(datetime.UTC)
        rows = self._database.rows(floor_database.IDENTITY, {"digest": tokens._digest(text), "now": now})
        if not rows:
            raise Refused
        name, program, used = rows[0]
        used = datetime.datetime.fromisoformat(used) if isinstance(used, str) else used
        identity = tokens.Identity(name, program, used)
        if not tokens.is_use_noted(identity, now):
            before = now - tokens.LAST_USE_RESOLUTION
            self._database.rows(floor_database.NOTE_USE, {"name": name, "now": now, "before": before})
        self._tokens[authorization] = (started + BELIEF_SECONDS, identity)
        return identity

    def _place(self, identity: tokens.Identity, request: Any, now: datetime.datetime) -> SimpleNamespace:
        asked = str(request.mews_enterprise_id)
        until, place = self._places.get(asked, (0.0, None))
        started = time.monotonic()
        named = None if request.provider_enterprise_id is msgspec.UNSET else request.provider_enterprise_id
        if place is None or started >= until or named not in (None, place.named):
            place = self._find_place(asked, named, now)
            self._places[asked] = (started + BELIEF_SECONDS, place)
        if identity.program not in (None, place.name):
            raise UnknownEnterprise
        return place

    def _find_place(self, asked: str, named: str | None, now: datetime.datetime) -> SimpleNamespace:
        rows = self._database.rows(floor_database.PLACE, {"asked": asked})
        home = next((row for row in rows if row[6]), rows[0] if len(rows) == 1 else None)
        if home is None:
            raise UnknownEnterprise
        if home[6] is None or named not in (None, home[7]):
            values = {"program_id": home[0], "asked": asked, "named": named, "now": now}
            self._database.rows(floor_database.RECORD, values)
            return self._find_place(asked, named, now)
        return SimpleNamespace(
            id=home[0],
            name=home[1],
            status=(Status.PENDING if home[2] else Status.ENROLLED).value,
            required_fields=home[3].split(","),
            number_pattern=home[4],
            visible_statuses=home[5].split(","),
            enterprise_id=home[6],
            named=home[7],
        )

    def _search(self, identity: tokens.Identity, request: structs.SearchRequest, now: datetime.datetime) -> dict:
        place = self._place(identity, request, now)
        return {"members": scoring.find(place, structs.plain(request.member_filter), now)}

    def _list(self, identity: tokens.Identity, request: structs.ListRequest, now: datetime.datetime) -> dict:
        place, asked = self._place(identity, request, now), list(dict.fromkeys(request.provider_membership_ids))
        known = {row[0]: row for row in self._database.list_memberships(place.id, asked)}
        return {
            "memberships": [
                scoring.describe(*known[identifier], now=now) if identifier in known else scoring.unknown(identifier)
                for identifier in asked
            ]
        }

    def _link(self, identity: tokens.Identity, request: structs.LinkRequest, now: datetime.datetime) -> dict:
        place = self._place(identity, request, now)
        customer = "" if request.mews_customer_id is msgspec.UNSET else str(request.mews_customer_id)
        values = {
            "program_id": place.id,
            "identifier": request.provider_membership_id,
            "enterprise_id": place.enterprise_id,
            "customer": customer,
            "all_customers": not customer,
            "kind": "linked" if request.is_linked else "unlinked",
            "actor": identity.name,
            "request_id": str(uuid_utils.uuid7()),
            "now": now,
        }
        row = self._database.link(values, is_linked=request.is_linked)
        if row is None:
            raise UnknownMembership
        if request.is_linked and current_status(row[1], row[5], now) not in LINKABLE:
            raise MembershipNotLinkable
        return {"membership": scoring.describe(*row, now=now)}

    def _enroll(self, identity: tokens.Identity, request: structs.EnrollRequest, now: datetime.datetime) -> dict:
        place, customer = self._place(identity, request, now), structs.plain(request.customer)
        scoring.require(place.required_fields, customer)
        values = enrollment.member_columns(customer) | {
            "program_id": place.id,
            "identity_key": enrollment.identity_key(customer),
            "enterprise_id": place.enterprise_id,
            "provider_membership_id": str(uuid_utils.uuid7()),
            "status": place.status,
            "points": 0,
            "actor": identity.name,
            "request_id": str(uuid_utils.uuid7()),
            "created_at": now,
            "now": now,
        }
        for _ in range(enrollment.NUMBER_ATTEMPTS):
            number = numbers.make_number(place.number_pattern)
            values |= {"membership_number": number, "number_key": folding.number_key(number)}
            try:
                known, new = self._database.enroll(values)
            except (sqlite3.IntegrityError, psycopg.errors.UniqueViolation):
                continue
            if known or new:
                return {"membership": scoring.describe(*(new or _best(known, customer)), now=now)}
        raise NumbersExhausted


def _best(known: list[floor_database.Found], customer: dict) -> tuple:
    name = (customer.get("first_name"), customer.get("last_name"))
    compatible = [one for one in known if names.names_compatible(name, one.name)]
    if not compatible:
        raise InvalidFields(FieldError(FieldFault.DUPLICATE, ("customer", "email")))
    return min(compatible, key=lambda one: (not names.names_equal(name, one.name), one.is_imported)).described


async def _send(send: Callable, status: int, headers: list, content: bytes) -> None:
    headers = [*headers, (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _refuse(scope: dict, body: bytes, error: Exception, send: Callable) -> None:
    from bench.peers import refusals

    instance = f"urn:uuid:{uuid_utils.uuid7()}"
    status, headers, content = refusals.render(scope["method"], scope["path"], body, error, instance)
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await _send(send, status, encoded, content)


app = Floor()
