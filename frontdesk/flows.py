"""What front desk staff do: search members, enroll, link, refresh, unlink. Each is one call of the partner server."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from app.contract import Contract
from frontdesk import forms, reading, store
from frontdesk.partner import Partner
from frontdesk.store import Customer, Exchange


@dataclass(frozen=True)
class Desk:
    """A front desk of a hotel.

    Attributes:
        partner: the server to call.
        hotel: what every request says of the hotel, `mewsEnterpriseId` at least.
    """

    partner: Partner
    hotel: dict[str, str]

    @property
    def contract(self) -> Contract:
        """The contract that the partner server is expected to keep."""
        return self.partner.contract

    def search(self, customer: Customer, language: str) -> Exchange | None:
        """Look for members that may be the customer; None if too little is known to search by."""
        member_filter = forms.member_filter(self.contract, customer.details)
        if not member_filter:
            return None
        return self._call(forms.SEARCH, {forms.SEARCH: member_filter}, language, customer)

    def matches(self, customer: Customer) -> list[dict]:
        """Return the members that the last search found for the customer, if it can be searched for at all."""
        found = store.latest_of(self.contract.operation_with(forms.SEARCH).operation_id, customer)
        if found is None or not found.is_good or not forms.member_filter(self.contract, customer.details):
            return []
        return orjson.loads(found.answer)["members"]

    def enroll(self, customer: Customer, language: str) -> Exchange:
        """Make the customer a member; who is one already gets the membership that there is."""
        body = forms.customer(forms.fields(self.contract), customer.details)
        exchange = self._call(forms.ENROLL, {forms.ENROLL: body}, language, customer)
        if exchange.is_good:
            customer.hold(orjson.loads(exchange.answer)["membership"])
        return exchange

    def link(self, customer: Customer, provider_membership_id: str, language: str) -> Exchange:
        """Link a membership that there is to the customer."""
        exchange = self._link(customer, provider_membership_id, True, language)
        if exchange.is_good:
            customer.is_draft = False
            customer.hold(orjson.loads(exchange.answer)["membership"])
        return exchange

    def unlink(self, customer: Customer, language: str) -> Exchange:
        """End the link to the membership, which stays in the program.

        If the partner server says that it does not know the membership, there is nothing left to be linked to. It says
        so by 404 with a problem detail; a proxy that does not know the path answers 404 without one.
        """
        exchange = self._link(customer, customer.membership["providerMembershipId"], False, language)
        if exchange.is_good or (exchange.status == 404 and reading.problem(exchange)):
            customer.hold(None)
        return exchange

    def refresh(self, customer: Customer, language: str) -> Exchange:
        """Ask how the customer's membership stands."""
        [exchange] = self._refresh([customer], language, customer)
        return exchange

    def refresh_all(self, language: str) -> Sequence[Exchange]:
        """Ask how all memberships stand, as the nightly job does for the customers who arrive the next day.

        The first request that goes wrong is the last one.
        """
        linked = [customer for customer in store.customers() if customer.membership]
        return self._refresh(linked, language, None)

    def _refresh(self, linked: Sequence[Customer], language: str, about: Customer | None) -> list[Exchange]:
        most, exchanges = forms.most_at_once(self.contract), []
        for start in range(0, len(linked), most):
            some = linked[start : start + most]
            identifiers = list(dict.fromkeys(customer.membership["providerMembershipId"] for customer in some))
            exchange = self._call(forms.LIST, {forms.LIST: identifiers}, language, about)
            exchanges.append(exchange)
            if not exchange.is_good:
                break
            told = orjson.loads(exchange.answer)["memberships"]
            by_identifier = {membership["providerMembershipId"]: membership for membership in told}
            for customer in some:
                customer.hold(by_identifier[customer.membership["providerMembershipId"]])
        return exchanges

    def _link(self, customer: Customer, identifier: str, is_linked: bool, language: str) -> Exchange:
        body = {forms.LINK: identifier, "isLinked": is_linked, "mewsCustomerId": str(customer.id)}
        return self._call(forms.LINK, body, language, customer)

    def _call(self, name: str, body: dict, language: str, customer: Customer | None) -> Exchange:
        exchange = self.partner.call(name, self.hotel | body, language)
        exchange.keep(customer)
        return exchange
