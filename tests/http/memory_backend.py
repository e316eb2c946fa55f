"""A loyalty system in memory, as short as the seam allows: what a provider's own one must do (models.backend)."""

import itertools
import threading

from models.caller import Caller
from models.errors import FieldError, FieldFault, InvalidFields, MembershipNotLinkable, UnknownMembership

ID = "provider_membership_id"
COMBINATIONS = (("email",), ("first_name", "last_name"), ("last_name", "city", "country_code"))
IDENTIFIERS = (ID, "membership_number")


class MemoryBackend:
    def __init__(self) -> None:
        self._members: dict[str, dict] = {}
        self._links: set[tuple] = set()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def search(self, _caller: Caller, member_filter: dict) -> list[dict]:
        def matches(member: dict) -> bool:
            known = {**(member.get("address") or {}), **member}
            return any(
                all(member_filter.get(name) and member_filter[name] == known.get(name) for name in names)
                for names in COMBINATIONS
            ) or any(member_filter.get(name) == member["membership"][name] for name in IDENTIFIERS)

        return [member for member in self._members.values() if matches(member)]

    def enroll(self, _caller: Caller, customer: dict) -> dict:
        if not (customer.get("first_name") or "").strip():
            raise InvalidFields(FieldError(FieldFault.REQUIRED, ("customer", "first_name")))
        with self._lock:
            for member in self._members.values():
                if customer.get("email") and customer["email"].casefold() == member.get("email", "").casefold():
                    if customer["last_name"] != member["last_name"]:
                        raise InvalidFields(FieldError(FieldFault.DUPLICATE, ("customer", "email")))
                    return member["membership"]
            number = str(next(self._numbers))
            membership = {ID: f"memory-{number}", "membership_number": number, "points": 0, "status": "enrolled"}
            self._members[membership[ID]] = customer | {"membership": membership}
        return membership

    def list(self, _caller: Caller, provider_membership_ids: list[str]) -> list[dict]:
        unknown = {"membership": {"status": "notFound"}}
        asked = dict.fromkeys(provider_membership_ids)
        return [{ID: identifier, **self._members.get(identifier, unknown)["membership"]} for identifier in asked]

    def link(self, caller: Caller, provider_membership_id: str, *, is_linked: bool, mews_customer_id) -> dict:
        if provider_membership_id not in self._members:
            raise UnknownMembership
        membership = self._members[provider_membership_id]["membership"]
        if is_linked and membership["status"] != "enrolled":
            raise MembershipNotLinkable
        change = self._links.add if is_linked else self._links.discard
        change((provider_membership_id, caller.mews_enterprise_id, mews_customer_id))
        return membership

    def health(self) -> None:
        pass


def make() -> MemoryBackend:
    return MemoryBackend()
