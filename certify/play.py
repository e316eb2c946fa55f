"""What the scenarios play with: the operations as Mews calls them, guests, and the judge."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from certify.client import Answer, Client, Silence
from certify.guests import Guests
from certify.judge import Judge
from certify.masking import Masker
from certify.observers import memberships
from certify.requirements import Flow
from certify.specification import CARRIES, IDENTIFIERS, Specification

# The hotel of the contract's examples: any will do where a program takes any.
BEGUN = ("pending", "enrolled")
HOTEL = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
T = TypeVar("T")


class BrokenOff(Exception):
    """A scenario cannot go on; the text is one sentence that says why."""


@dataclass(frozen=True)
class Options:
    """What the provider says of its server.

    Attributes:
        base_url: that it gives to Mews.
        token: that Mews would send.
        second_token: that is valid as well, as during rotation; empty if there is none.
        enterprise: `mewsEnterpriseId` of the hotel that calls.
        other_enterprise: of a hotel that belongs to another program; empty if there is none.
        absent: the flows that the server does not serve.
        languages: those that problems are told in.
    """

    base_url: str
    token: str = field(repr=False)
    second_token: str = field(default="", repr=False)
    enterprise: str = HOTEL
    other_enterprise: str = ""
    absent: tuple[Flow, ...] = ()
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Enrolled:
    """A guest of the kit who was enrolled, the membership, and the answer that said so."""

    guest: dict
    membership: dict
    answer: Answer

    @property
    def id(self) -> str:
        """The provider's identifier of the membership."""
        return str(self.membership.get("providerMembershipId"))

    def is_now(self, membership: dict | None) -> bool:
        """Tell whether a membership is as it was enrolled; one that was pending may have been confirmed since."""
        if membership is None or self.membership.get("status") != "pending":
            return membership == self.membership
        return str(membership.get("providerMembershipId")) == self.id and membership.get("status") in BEGUN


@dataclass
class Play:
    """One run against one server.

    Attributes:
        left: the guests that were enrolled and stay, as pairs of e-mail address and membership identifier.
    """

    options: Options
    spec: Specification
    judge: Judge
    client: Client
    guests: Guests
    masker: Masker
    left: list[tuple[str, str]] = field(default_factory=list)

    def check(self, name: str, holds: bool, told: str, *answers: Answer, pointer: str = "") -> bool:
        """Tell the judge whether a requirement holds, and what was found if not; return whether it does."""
        return self.judge.check(name, holds, told, *(answer.exchange for answer in answers), pointer=pointer)

    def body(self, flow: Flow, carried: Any, **further: Any) -> dict:
        """Return the request of a flow, for the hotel that calls, with what it carries."""
        return {"mewsEnterpriseId": self.options.enterprise, CARRIES[flow]: carried} | further

    def call(self, flow: Flow, body: Any, **options: Any) -> Answer:
        """Call the operation of a flow; for the options and what is raised, see `send`."""
        operation = self.spec.operation(flow)
        shown = IDENTIFIERS if flow is Flow.ENROLL else ()  # whoever is enrolled is a guest of the kit
        answer = self.send(operation.method, operation.path, body, shown=shown, **options)
        if flow is Flow.ENROLL and answer.is_success:
            self._keep(body, answer)
        return answer

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Send a request; the options are those of `Client.call`.

        Raises:
            BrokenOff: no answer came, which is a finding.
            ServerAway: none has come for several requests.
        """
        try:
            return self.client.call(method, path, body, **options)
        except Silence as silence:
            for name in ("requests-are-answered", "requests-are-answered-in-time"):
                self.judge.check(name, False, str(silence), silence.exchange)
            raise BrokenOff(f"A request got no answer: {silence}") from None

    def _keep(self, body: Any, answer: Answer) -> None:
        customer = body.get("customer") if isinstance(body, dict) else None
        email = customer.get("email", "") if isinstance(customer, dict) else ""  # it may be wrong on purpose
        found = memberships(answer.body)
        pair = (str(email), str(found[0]["providerMembershipId"]) if found else "")
        if pair not in self.left:
            self.left.append(pair)

    def serve(self, flow: Flow, body: Any, **options: Any) -> Answer:
        """Call the operation of a flow with a request that must be served, and return the answer.

        Raises:
            BrokenOff: the spec does not allow the request, or it was not served, which is a finding.
        """
        if not self.spec.takes(flow, body):
            raise BrokenOff(f"The request that the kit has for {flow} is not allowed by this spec.")
        answer = self.call(flow, body, **options)
        if not answer.is_success:
            self.check(f"{flow}-answers-200", False, f"The status is {answer.status}, and not 200.", answer)
            raise BrokenOff(f"A request that must be served ({flow}) was answered with {answer.status}.")
        return answer

    def enroll(self, guest: dict | None = None, hotel: dict | None = None, **options: Any) -> Enrolled:
        """Enroll a guest, a new one unless one is given, for the hotel that calls unless a field names another.

        Raises:
            BrokenOff: the answer has no membership, which is a finding.
        """
        guest = guest or self.guests.guest()
        self.masker.know(guest)
        answer = self.serve(Flow.ENROLL, self.body(Flow.ENROLL, guest) | (hotel or {}), **options)
        found = memberships(answer.body)
        told = f"The answer has {len(found)} objects with a providerMembershipId, and not one."
        if not self.check("enroll-creates-membership", len(found) == 1, told, answer):
            raise BrokenOff("An enrollment was answered without a membership.")
        self.masker.know(found[0])
        return Enrolled(guest, found[0], answer)

    def search(self, member_filter: dict, **options: Any) -> Answer:
        """Search members; for what is raised, see `serve`."""
        return self.serve(Flow.SEARCH, self.body(Flow.SEARCH, member_filter), **options)

    def refresh(self, identifiers: list[str], **options: Any) -> Answer:
        """List memberships; for what is raised, see `serve`."""
        return self.serve(Flow.LIST, self.body(Flow.LIST, identifiers), **options)

    def link(self, identifier: str, is_linked: bool, customer: str, **options: Any) -> Answer:
        """Link a membership to a Mews customer, or unlink it; for what is raised, see `serve`."""
        return self.serve(Flow.LINK, self.link_body(identifier, is_linked, customer), **options)

    def link_body(self, identifier: str, is_linked: bool, customer: str) -> dict:
        """Return the request that links a membership to a Mews customer, or unlinks it."""
        return self.body(Flow.LINK, identifier, isLinked=is_linked, mewsCustomerId=customer)

    def customer(self) -> str:
        """Return the identifier of a new Mews customer."""
        return str(uuid.uuid4())

    def unknown_id(self) -> str:
        """Return a membership identifier that nobody has."""
        return f"certify-{uuid.uuid4().hex[:12]}"

    def at_once(self, calls: list[Callable[[], T]], most: int) -> list[T]:
        """Make calls in threads, so many at a time at most, and return what they return in their order."""
        with ThreadPoolExecutor(most) as pool:
            return [made.result() for made in [pool.submit(call) for call in calls]]


def ids(answer: Answer) -> list[str]:
    """Return the identifiers of the memberships in an answer, in its order."""
    return [str(membership["providerMembershipId"]) for membership in memberships(answer.body)]


def entry(answer: Answer, identifier: str) -> dict | None:
    """Return the membership of an identifier in an answer."""
    return next((one for one in memberships(answer.body) if one["providerMembershipId"] == identifier), None)
