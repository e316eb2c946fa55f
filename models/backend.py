"""The seam: all that the handlers ask of a loyalty system, and the one that comes with this server.

A provider that runs a loyalty system already puts its own object in place of `PeeweeBackend`, by
`LOYALTY_BACKEND=package.module:factory`. Values are plain: dictionaries with the contract's fields in snake case
(`first_name`, `postal_code`), dates and datetimes of the standard library; an absent field is absent or None.
"""

import uuid
from collections.abc import Sequence
from typing import Protocol

from models import enrollment, memberships, schema, search
from models.caller import Caller
from models.clock import Clock, system_clock
from models.database import database, session

Values = dict


class Backend(Protocol):
    """A loyalty system. Methods run in threads, several at once, and raise the errors of `models.errors`."""

    def search(self, caller: Caller, member_filter: Values) -> list[Values]:
        """Return members (with their `membership`) that match, the best first."""

    def enroll(self, caller: Caller, customer: Values) -> Values:
        """Return the customer's membership, new or existing."""

    def list(self, caller: Caller, provider_membership_ids: Sequence[str]) -> Sequence[Values]:
        """Return one membership for each distinct identifier in the order asked, `notFound` ones included."""

    def link(
        self,
        caller: Caller,
        provider_membership_id: str,
        *,
        is_linked: bool,
        mews_customer_id: uuid.UUID | None,
    ) -> Values:
        """Link or unlink a membership and return it."""

    def health(self) -> None:
        """Return if requests can be served.

        Raises:
            DatabaseUnavailable: they cannot.
        """


class PeeweeBackend:
    """The loyalty system of this server, on SQLite or Postgres."""

    def __init__(self, *, search_limit: int, clock: Clock = system_clock) -> None:
        self._search_limit = search_limit
        self._clock = clock

    def search(self, caller: Caller, member_filter: Values) -> list[Values]:
        """See `models.search.search`."""
        with session():
            return search.search(caller, member_filter, self._clock(), limit=self._search_limit)

    def enroll(self, caller: Caller, customer: Values) -> Values:
        """See `models.enrollment.enroll`."""
        with session():
            return enrollment.enroll(caller, customer, self._clock())

    def list(self, caller: Caller, provider_membership_ids: Sequence[str]) -> Sequence[Values]:
        """See `models.memberships.list_memberships`."""
        with session():
            return memberships.list_memberships(caller, provider_membership_ids, self._clock())

    def link(
        self,
        caller: Caller,
        provider_membership_id: str,
        *,
        is_linked: bool,
        mews_customer_id: uuid.UUID | None,
    ) -> Values:
        """See `models.memberships.link`."""
        with session():
            return memberships.link(
                caller,
                provider_membership_id,
                is_linked=is_linked,
                mews_customer_id=mews_customer_id,
                now=self._clock(),
            )

    def health(self) -> None:
        """Return if the database answers and has this release's schema."""
        with session():
            schema.check(database.obj)
