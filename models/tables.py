"""The tables. What may exist once is a unique index here, never a check before a write."""

import peewee

from models.database import NamesField, UtcDateTimeField, database

# Keys that are compared or indexed are never longer than this (see models.folding.bounded).
KEY_LENGTH = 64
IDENTIFIER_LENGTH = 255


class Table(peewee.Model):
    """Base of all tables."""

    id = peewee.BigAutoField()

    class Meta:
        database = database
        legacy_table_names = False


class Program(Table):
    """A loyalty program and its policy."""

    name = peewee.CharField(IDENTIFIER_LENGTH, unique=True)
    requires_confirmation = peewee.BooleanField()
    required_fields = NamesField()
    number_pattern = peewee.CharField(IDENTIFIER_LENGTH)
    visible_statuses = NamesField()
    created_at = UtcDateTimeField()


class Enterprise(Table):
    """A hotel, as Mews identifies it, and the program that it belongs to."""

    program = peewee.ForeignKeyField(Program)
    mews_enterprise_id = peewee.CharField(36, unique=True)
    provider_enterprise_id = peewee.TextField(null=True)
    created_at = UtcDateTimeField()


class Member(Table):
    """A person in a program, as given, and the keys that find them. A deleted one keeps only its id."""

    program = peewee.ForeignKeyField(Program, index=False)
    first_name = peewee.TextField(null=True)
    last_name = peewee.TextField(null=True)
    email = peewee.TextField(null=True)
    birthday = peewee.DateField(null=True)
    phone_number = peewee.TextField(null=True)
    line1 = peewee.TextField(null=True)
    line2 = peewee.TextField(null=True)
    city = peewee.TextField(null=True)
    postal_code = peewee.TextField(null=True)
    country_code = peewee.TextField(null=True)
    country_subdivision_code = peewee.TextField(null=True)
    identity_key = peewee.CharField(KEY_LENGTH, null=True)
    email_key = peewee.CharField(KEY_LENGTH, null=True)
    phone_key = peewee.CharField(KEY_LENGTH, null=True)  # E.164
    phone_digits_key = peewee.CharField(KEY_LENGTH, null=True)  # for numbers that come without their country
    # Those of the sorted indexes: empty for a missing value, null for an erased member (see models.blocking).
    first_name_key = peewee.CharField(KEY_LENGTH, null=True)
    last_name_key = peewee.CharField(KEY_LENGTH, null=True)
    city_key = peewee.CharField(KEY_LENGTH, null=True)
    postal_code_key = peewee.CharField(KEY_LENGTH, null=True)
    first_name_code = peewee.CharField(KEY_LENGTH, null=True)
    last_name_code = peewee.CharField(KEY_LENGTH, null=True)
    key_version = peewee.SmallIntegerField()
    created_at = UtcDateTimeField()

    class Meta:
        indexes = (
            (("program", "identity_key"), True),
            (("program", "email_key"), False),
            (("program", "phone_key"), False),
            (("program", "phone_digits_key"), False),
            (("program", "last_name_code", "first_name_code", "last_name_key", "first_name_key", "city_key"), False),
            (("program", "postal_code_key", "last_name_key", "first_name_key"), False),
            (("program", "city_key", "last_name_key", "first_name_key"), False),
            (("program", "first_name_key", "postal_code_key", "last_name_key"), False),
            (("program", "first_name_key", "city_key", "last_name_key"), False),
        )


class Membership(Table):
    """A member's standing in the program. Never removed: a deleted one stays as a tombstone."""

    program = peewee.ForeignKeyField(Program, index=False)
    member = peewee.ForeignKeyField(Member, unique=True)
    provider_membership_id = peewee.CharField(IDENTIFIER_LENGTH)
    membership_number = peewee.TextField()
    number_key = peewee.CharField(KEY_LENGTH)
    status = peewee.CharField(16)
    tier = peewee.TextField(null=True)
    points = peewee.BigIntegerField()
    expires_at = UtcDateTimeField(null=True)
    expires_at_offset = peewee.SmallIntegerField(null=True)  # minutes east of UTC, to answer as received
    deeplink_url = peewee.TextField(null=True)
    created_at = UtcDateTimeField()
    deleted_at = UtcDateTimeField(null=True)

    class Meta:
        indexes = (
            (("program", "provider_membership_id"), True),
            (("program", "number_key"), True),
        )


class Link(Table):
    """A membership that a hotel has attached to one of its customers (the empty text: to none in particular)."""

    membership = peewee.ForeignKeyField(Membership, index=False)
    enterprise = peewee.ForeignKeyField(Enterprise)
    mews_customer_id = peewee.CharField(36)
    created_at = UtcDateTimeField()

    class Meta:
        indexes = ((("membership", "enterprise", "mews_customer_id"), True),)


class Event(Table):
    """What changed, by whom and when: appended in the transaction of the change, never altered."""

    membership = peewee.ForeignKeyField(Membership)
    kind = peewee.CharField(32)
    actor = peewee.CharField(IDENTIFIER_LENGTH)
    enterprise = peewee.ForeignKeyField(Enterprise, null=True, index=False)
    mews_customer_id = peewee.CharField(36, null=True)
    request_id = peewee.CharField(36, null=True)
    happened_at = UtcDateTimeField()


class Token(Table):
    """A bearer token that was issued to Mews; only its SHA-256 is kept."""

    name = peewee.CharField(IDENTIFIER_LENGTH, unique=True)
    digest = peewee.CharField(KEY_LENGTH, unique=True)
    program = peewee.ForeignKeyField(Program, null=True, index=False)
    created_at = UtcDateTimeField()
    expires_at = UtcDateTimeField()
    revoked_at = UtcDateTimeField(null=True)
    last_used_at = UtcDateTimeField(null=True)


TABLES = (Program, Enterprise, Member, Membership, Link, Event, Token)
