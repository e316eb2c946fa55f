"""The contract's requests for msgspec, which reads and checks them in one step."""

import datetime
import uuid
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from bench.peers.common import COMBINATIONS

Text = Annotated[str, Meta(max_length=255)]
Email = Annotated[str, Meta(max_length=255, pattern=r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)*$")]


class MemberFilter(Struct, rename="camel", forbid_unknown_fields=True):
    """What to search by."""

    provider_membership_id: str | UnsetType = UNSET
    membership_number: str | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    first_name: Text | UnsetType = UNSET
    last_name: Text | UnsetType = UNSET
    phone_number: str | UnsetType = UNSET
    city: Text | UnsetType = UNSET
    postal_code: Text | UnsetType = UNSET
    country_code: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse a filter with none of the combinations."""
        if not any(all(getattr(self, name) is not UNSET for name in names) for names in COMBINATIONS):
            raise ValueError("no accepted combination of fields")


class SearchRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """Body of a member search."""

    mews_enterprise_id: uuid.UUID
    member_filter: MemberFilter
    provider_enterprise_id: str | UnsetType = UNSET


class Address(Struct, rename="camel"):
    """An address of a customer."""

    line1: Text | UnsetType = UNSET
    line2: Text | UnsetType = UNSET
    city: Text | UnsetType = UNSET
    postal_code: Text | UnsetType = UNSET
    country_code: str | UnsetType = UNSET
    country_subdivision_code: str | UnsetType = UNSET


class Customer(Struct, rename="camel"):
    """A person to enroll."""

    last_name: Text
    first_name: Text | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    birthday: datetime.date | UnsetType = UNSET
    phone_number: str | UnsetType = UNSET
    address: Address | UnsetType = UNSET


class EnrollRequest(Struct, rename="camel"):
    """Body of an enrollment."""

    mews_enterprise_id: uuid.UUID
    customer: Customer
    provider_enterprise_id: str | UnsetType = UNSET


class ListRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """Body of a membership refresh."""

    mews_enterprise_id: uuid.UUID
    provider_membership_ids: Annotated[list[str], Meta(min_length=1, max_length=100)]
    provider_enterprise_id: str | UnsetType = UNSET


class LinkRequest(Struct, rename="camel"):
    """Body of a link or unlink."""

    mews_enterprise_id: uuid.UUID
    provider_membership_id: str
    is_linked: bool
    mews_customer_id: uuid.UUID | UnsetType = UNSET
    provider_enterprise_id: str | UnsetType = UNSET


def plain(struct: Struct) -> dict[str, Any]:
    """Return what was sent, under our names."""
    values = {name: getattr(struct, name) for name in struct.__struct_fields__}
    return {
        name: plain(value) if isinstance(value, Struct) else value
        for name, value in values.items()
        if value is not UNSET
    }
