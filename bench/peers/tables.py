"""The tables for SQLAlchemy Core, as `loyalty db upgrade` makes them; their indexes are in the database."""

import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, MetaData, SmallInteger, String, Table, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = MetaData()


class _Text(TypeDecorator):
    """A moment in UTC as ISO 8601 text of fixed width."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """Return what is written."""
        return value.isoformat(timespec="microseconds") if value else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime.datetime | None:  # noqa: ARG002
        """Return what was read."""
        return datetime.datetime.fromisoformat(value) if value else None


Moment = DateTime(timezone=True).with_variant(_Text(), "sqlite")


def _table(name: str, /, **columns: Any) -> Table:
    key = Column("id", BigInteger, primary_key=True)
    return Table(name, metadata, key, *(Column(column, kind) for column, kind in columns.items()))


program = _table(
    "program",
    name=String,
    requires_confirmation=Boolean,
    required_fields=Text,
    number_pattern=String,
    visible_statuses=Text,
    created_at=Moment,
)
enterprise = _table(
    "enterprise",
    program_id=BigInteger,
    mews_enterprise_id=String,
    provider_enterprise_id=Text,
    created_at=Moment,
)
member = _table(
    "member",
    program_id=BigInteger,
    first_name=Text,
    last_name=Text,
    email=Text,
    birthday=Date,
    phone_number=Text,
    line1=Text,
    line2=Text,
    city=Text,
    postal_code=Text,
    country_code=Text,
    country_subdivision_code=Text,
    identity_key=String,
    email_key=String,
    phone_key=String,
    phone_digits_key=String,
    first_name_key=String,
    last_name_key=String,
    city_key=String,
    postal_code_key=String,
    first_name_code=String,
    last_name_code=String,
    key_version=SmallInteger,
    created_at=Moment,
)
membership = _table(
    "membership",
    program_id=BigInteger,
    member_id=BigInteger,
    provider_membership_id=String,
    membership_number=Text,
    number_key=String,
    status=String,
    tier=Text,
    points=BigInteger,
    expires_at=Moment,
    expires_at_offset=SmallInteger,
    deeplink_url=Text,
    created_at=Moment,
    deleted_at=Moment,
)
link = _table("link", membership_id=BigInteger, enterprise_id=BigInteger, mews_customer_id=String, created_at=Moment)
event = _table(
    "event",
    membership_id=BigInteger,
    kind=String,
    actor=String,
    enterprise_id=BigInteger,
    mews_customer_id=String,
    request_id=String,
    happened_at=Moment,
)
token = _table(
    "token",
    name=String,
    digest=String,
    program_id=BigInteger,
    created_at=Moment,
    expires_at=Moment,
    revoked_at=Moment,
    last_used_at=Moment,
)
