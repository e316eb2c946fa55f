"""The seam: all that the handlers ask of a loyalty system, and the one that comes with this server.

A provider that runs a loyalty system already puts its own object in place of `PeeweeBackend`, by
`LOYALTY_BACKEND=package.module:factory`. Values are plain: dictionaries with the contract's fields in snake case
(`first_name`, `postal_code`), dates and datetimes of the standard library; an absent field is absent or None.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from models import enrollment, memberships, programs, search
from models.caller import Caller
from models.clock import Clock, system_clock
from models.database import session
from models.later import Later
from models.retries import retry_on_conflict
from models.tables import Program

Values = dict
Result = TypeVar("Result")
# Hotels whose programs are believed.
MOST_BELIEVED = 1024


class Backend(Protocol):
    """A loyalty system. Methods run several at once, and raise the errors of `models.errors`.

    Those of one that is put in place of ours run in threads; ours run as jobs on the event loop (`models.greenlets`).

    One that has a method `shutdown` too is told when the worker process ends.
    """

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
    """The loyalty system of this server, on SQLite or Postgres.

    Args:
        search_limit: how many members a search finds at most.
        belief: seconds for which what only reads believes a hotel's program and policy as last read.
        clock: the time.
    """

    def __init__(self, *, search_limit: int, belief: float = 0.0, clock: Clock = system_clock) -> None:
        self._search_limit = search_limit
        self._belief = belief
        self._clock = clock
        self._later = Later()
        self._believed: dict[tuple, tuple[float, programs.Place]] = {}

    def search(self, caller: Caller, member_filter: Values) -> list[Values]:
        """See `models.search.search`."""
        return self._read(
            caller, lambda program: search.search(program, member_filter, self._clock(), limit=self._search_limit)
        )

    def enroll(self, caller: Caller, customer: Values) -> Values:
        """See `models.enrollment.enroll`."""
        with session():
            return enrollment.enroll(caller, customer, self._clock())

    def list(self, caller: Caller, provider_membership_ids: Sequence[str]) -> Sequence[Values]:
        """See `models.memberships.list_memberships`."""
        return self._read(
            caller, lambda program: memberships.list_memberships(program, provider_membership_ids, self._clock())
        )

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

    def _read(self, caller: Caller, use_case: Callable[[Program], Result]) -> Result:
        """Do what only reads, with the hotel's program; a hotel that is new is recorded afterwards."""
        with session():
            place, found = self._located(caller, use_case)
        if not place.is_recorded:
            self._later.run(programs.record, place.program, caller, self._clock())
        return found

    @retry_on_conflict
    def _located(self, caller: Caller, use_case: Callable[[Program], Result]) -> tuple[programs.Place, Result]:
        place = self._locate(caller)
        return place, use_case(place.program)

    def _locate(self, caller: Caller) -> programs.Place:
        asked = caller.mews_enterprise_id, caller.provider_enterprise_id, caller.program
        now = time.monotonic()
        until, place = self._believed.get(asked, (0.0, None))
        if place is not None and now < until:
            return place
        place = programs.locate(caller)
        if place.is_recorded:
            if len(self._believed) >= MOST_BELIEVED:
                self._believed.clear()
            self._believed[asked] = now + self._belief, place
        return place

    def shutdown(self) -> None:
        """Finish what is to be written later."""
        self._later.shutdown()

    def health(self) -> None:
        """Return: the server looks at the database by itself, since its tokens are there."""
