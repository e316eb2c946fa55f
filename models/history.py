"""The append-only history: every change of a membership leaves one row in the change's own transaction."""

import datetime

from models.caller import Caller
from models.statements import Statement, given_columns
from models.tables import Event

OPERATOR = "operator"
_COLUMNS = ("kind", "membership", "happened_at", "actor", "request_id", "enterprise", "mews_customer_id")
_APPEND = Statement(lambda: Event.insert(given_columns(Event, *_COLUMNS)))


def record(
    kind: str,
    membership_id: int,
    now: datetime.datetime,
    *,
    caller: Caller | None = None,
    enterprise_id: int | None = None,
    mews_customer_id: str | None = None,
) -> None:
    """Append one event; without a caller it was the operator.

    Args:
        kind: what happened, as a past participle (`enrolled`, `imported`, `linked`, `canceled`).
        membership_id: the row that changed.
        now: when.
        caller: on whose request.
        enterprise_id: the row of the hotel concerned.
        mews_customer_id: the customer of that hotel, where one was named.
    """
    _APPEND.run(
        kind=kind,
        membership=membership_id,
        happened_at=now,
        actor=caller.token_name if caller else OPERATOR,
        request_id=caller.request_id if caller else None,
        enterprise=enterprise_id,
        mews_customer_id=mews_customer_id or None,
    )


def list_events(membership_id: int) -> list[Event]:
    """Return the membership's events, the oldest first."""
    return list(Event.select().where(Event.membership == membership_id).order_by(Event.id))
