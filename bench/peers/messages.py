"""The contract's requests and answers for pydantic, which states them again, as any peer would have to.

Requests are strict, and read from JSON in one step (`model_validate_json`), as pydantic's documentation advises for
speed. Answers are typed dictionaries, which pydantic writes without making an object of each.
"""

import datetime
import uuid
from typing import Annotated, NotRequired

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from bench.peers.common import COMBINATIONS

Text = Annotated[str, StringConstraints(max_length=255)]
# In Rust, where pydantic's own EmailStr calls Python.
Email = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)*$")]


class Message(BaseModel):
    """Base of all: camel case outside, and null is no value."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True)


class Closed(BaseModel):
    """Base of those that refuse unknown fields."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True, extra="forbid")


class MemberFilter(Closed):
    """What to search by."""

    provider_membership_id: str = None
    membership_number: str = None
    email: Email = None
    first_name: Text = None
    last_name: Text = None
    phone_number: str = None
    city: Text = None
    postal_code: Text = None
    country_code: str = None

    @model_validator(mode="after")
    def has_combination(self) -> "MemberFilter":
        """Refuse a filter with none of the combinations."""
        given = self.model_fields_set
        if not any(given.issuperset(combination) for combination in COMBINATIONS):
            raise PydanticCustomError("combination", "no accepted combination of fields")
        return self


class SearchRequest(Closed):
    """Body of a member search."""

    mews_enterprise_id: uuid.UUID
    provider_enterprise_id: str = None
    member_filter: MemberFilter


class Address(Message):
    """An address of a customer."""

    line1: Text = None
    line2: Text = None
    city: Text = None
    postal_code: Text = None
    country_code: str = None
    country_subdivision_code: str = None


class Customer(Message):
    """A person to enroll."""

    first_name: Text = None
    last_name: Text
    email: Email = None
    birthday: datetime.date = None
    phone_number: str = None
    address: Address = None


class EnrollRequest(Message):
    """Body of an enrollment."""

    mews_enterprise_id: uuid.UUID
    provider_enterprise_id: str = None
    customer: Customer


class ListRequest(Closed):
    """Body of a membership refresh."""

    mews_enterprise_id: uuid.UUID
    provider_enterprise_id: str = None
    provider_membership_ids: Annotated[list[str], Field(min_length=1, max_length=100)]


class LinkRequest(Message):
    """Body of a link or unlink."""

    mews_enterprise_id: uuid.UUID
    provider_enterprise_id: str = None
    provider_membership_id: str
    is_linked: bool
    mews_customer_id: uuid.UUID = None


class MembershipAnswer(TypedDict):
    """A membership; a pending or unknown one has only its identifier and status."""

    providerMembershipId: str
    status: str
    membershipNumber: NotRequired[str]
    tier: NotRequired[str]
    points: NotRequired[int]
    expiresAt: NotRequired[str]
    deeplinkUrl: NotRequired[str]


class MemberAnswer(TypedDict):
    """A person with a membership."""

    firstName: NotRequired[str]
    lastName: NotRequired[str]
    email: NotRequired[str]
    birthday: NotRequired[str]
    phoneNumber: NotRequired[str]
    address: NotRequired[dict[str, str]]
    membership: MembershipAnswer


class Members(TypedDict):
    """Answer to a search."""

    members: list[MemberAnswer]


class Membership(TypedDict):
    """Answer to an enrollment, a link or unlink."""

    membership: MembershipAnswer


class Memberships(TypedDict):
    """Answer to a refresh."""

    memberships: list[MembershipAnswer]


members_answer = TypeAdapter(Members)
membership_answer = TypeAdapter(Membership)
memberships_answer = TypeAdapter(Memberships)
