"""The contract's JSON objects as marshmallow schemas.

Generated from spec/mews-loyalty-partner.yaml (version 2025.08.11) by `make generate`: not to be edited.
"""

from marshmallow import fields

from handlers import conversion


class SearchMembersRequest(conversion.Schema):
    """The component searchMembersRequest."""

    mews_enterprise_id = fields.UUID(data_key="mewsEnterpriseId")
    provider_enterprise_id = fields.String(data_key="providerEnterpriseId")
    member_filter = fields.Nested(lambda: MemberFilter, data_key="memberFilter")


class MemberFilter(conversion.Schema):
    """The component memberFilter."""

    provider_membership_id = fields.String(data_key="providerMembershipId")
    membership_number = fields.String(data_key="membershipNumber")
    email = fields.String()
    first_name = fields.String(data_key="firstName")
    last_name = fields.String(data_key="lastName")
    phone_number = fields.String(data_key="phoneNumber")
    city = fields.String()
    postal_code = fields.String(data_key="postalCode")
    country_code = fields.String(data_key="countryCode")


class SearchMembersResponse(conversion.Schema):
    """The component searchMembersResponse."""

    members = fields.List(fields.Nested(lambda: Member))


class Member(conversion.Schema):
    """The component member."""

    first_name = fields.String(data_key="firstName")
    last_name = fields.String(data_key="lastName")
    email = fields.String()
    birthday = fields.Date()
    phone_number = fields.String(data_key="phoneNumber")
    address = fields.Nested(lambda: Address)
    membership = fields.Nested(lambda: MembershipDetails)


class Address(conversion.Schema):
    """The component address."""

    line1 = fields.String()
    line2 = fields.String()
    city = fields.String()
    postal_code = fields.String(data_key="postalCode")
    country_code = fields.String(data_key="countryCode")
    country_subdivision_code = fields.String(data_key="countrySubdivisionCode")


class MembershipDetails(conversion.Schema):
    """The component membershipDetails."""

    provider_membership_id = fields.String(data_key="providerMembershipId")
    membership_number = fields.String(data_key="membershipNumber")
    tier = fields.String()
    points = fields.Integer()
    status = fields.String()
    expires_at = conversion.OffsetDateTime(data_key="expiresAt")
    deeplink_url = fields.String(data_key="deeplinkUrl")


class Membership(conversion.Schema):
    """The component membership."""

    provider_membership_id = fields.String(data_key="providerMembershipId")
    membership_number = fields.String(data_key="membershipNumber")
    tier = fields.String()
    points = fields.Integer()
    status = fields.String()
    expires_at = conversion.OffsetDateTime(data_key="expiresAt")
    deeplink_url = fields.String(data_key="deeplinkUrl")


class MembershipStub(conversion.Schema):
    """The component membershipStub."""

    provider_membership_id = fields.String(data_key="providerMembershipId")
    status = fields.String()


class EnrollCustomerRequest(conversion.Schema):
    """The component enrollCustomerRequest."""

    mews_enterprise_id = fields.UUID(data_key="mewsEnterpriseId")
    provider_enterprise_id = fields.String(data_key="providerEnterpriseId")
    customer = fields.Nested(lambda: Customer)


class Customer(conversion.Schema):
    """The component customer."""

    first_name = fields.String(data_key="firstName")
    last_name = fields.String(data_key="lastName")
    email = fields.String()
    birthday = fields.Date()
    phone_number = fields.String(data_key="phoneNumber")
    address = fields.Nested(lambda: Address)


class EnrollCustomerResponse(conversion.Schema):
    """The component enrollCustomerResponse."""

    membership = fields.Nested(lambda: MembershipDetails)


class ListMembershipsRequest(conversion.Schema):
    """The component listMembershipsRequest."""

    mews_enterprise_id = fields.UUID(data_key="mewsEnterpriseId")
    provider_enterprise_id = fields.String(data_key="providerEnterpriseId")
    provider_membership_ids = fields.List(fields.String(), data_key="providerMembershipIds")


class ListMembershipsResponse(conversion.Schema):
    """The component listMembershipsResponse."""

    memberships = fields.List(fields.Nested(lambda: MembershipDetails))


class LinkMembershipRequest(conversion.Schema):
    """The component linkMembershipRequest."""

    mews_enterprise_id = fields.UUID(data_key="mewsEnterpriseId")
    provider_enterprise_id = fields.String(data_key="providerEnterpriseId")
    provider_membership_id = fields.String(data_key="providerMembershipId")
    is_linked = fields.Boolean(data_key="isLinked")
    mews_customer_id = fields.UUID(data_key="mewsCustomerId")


class LinkMembershipResponse(conversion.Schema):
    """The component linkMembershipResponse."""

    membership = fields.Nested(lambda: MembershipDetails)


search_members_request = SearchMembersRequest()
member_filter = MemberFilter()
search_members_response = SearchMembersResponse()
member = Member()
address = Address()
membership_details = MembershipDetails()
membership = Membership()
membership_stub = MembershipStub()
enroll_customer_request = EnrollCustomerRequest()
customer = Customer()
enroll_customer_response = EnrollCustomerResponse()
list_memberships_request = ListMembershipsRequest()
list_memberships_response = ListMembershipsResponse()
link_membership_request = LinkMembershipRequest()
link_membership_response = LinkMembershipResponse()
