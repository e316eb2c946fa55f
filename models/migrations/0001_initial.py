"""The first schema: programs, enterprises, members, memberships, links, history and tokens."""

from peewee import (
    BigAutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    Database,
    DateField,
    Field,
    ForeignKeyField,
    Model,
    SmallIntegerField,
    TextField,
)


class Moment(Field):
    """A moment in UTC."""

    field_type = "TIMESTAMPTZ"


class Program(Model):
    id = BigAutoField()
    name = CharField(unique=True)
    requires_confirmation = BooleanField()
    required_fields = TextField()
    number_pattern = CharField()
    visible_statuses = TextField()
    created_at = Moment()

    class Meta:
        table_name = "program"


class Enterprise(Model):
    id = BigAutoField()
    program = ForeignKeyField(Program)
    mews_enterprise_id = CharField(unique=True, max_length=36)
    provider_enterprise_id = TextField(null=True)
    created_at = Moment()

    class Meta:
        table_name = "enterprise"


class Member(Model):
    id = BigAutoField()
    program = ForeignKeyField(Program, index=False)
    first_name = TextField(null=True)
    last_name = TextField(null=True)
    email = TextField(null=True)
    birthday = DateField(null=True)
    phone_number = TextField(null=True)
    line1 = TextField(null=True)
    line2 = TextField(null=True)
    city = TextField(null=True)
    postal_code = TextField(null=True)
    country_code = TextField(null=True)
    country_subdivision_code = TextField(null=True)
    identity_key = CharField(null=True, max_length=64)
    email_key = CharField(null=True, max_length=64)
    phone_key = CharField(null=True, max_length=64)
    phone_digits_key = CharField(null=True, max_length=64)
    first_name_key = CharField(null=True, max_length=64)
    last_name_key = CharField(null=True, max_length=64)
    city_key = CharField(null=True, max_length=64)
    postal_code_key = CharField(null=True, max_length=64)
    key_version = SmallIntegerField()
    created_at = Moment()

    class Meta:
        table_name = "member"
        indexes = (
            (("program", "identity_key"), True),
            (("program", "email_key"), False),
            (("program", "phone_key"), False),
            (("program", "phone_digits_key"), False),
            (("program", "last_name_key", "first_name_key"), False),
            (("program", "last_name_key", "city_key"), False),
            (("program", "last_name_key", "postal_code_key"), False),
        )


class Membership(Model):
    id = BigAutoField()
    program = ForeignKeyField(Program, index=False)
    member = ForeignKeyField(Member, unique=True)
    provider_membership_id = CharField()
    membership_number = TextField()
    number_key = CharField(max_length=64)
    status = CharField(max_length=16)
    tier = TextField(null=True)
    points = BigIntegerField()
    expires_at = Moment(null=True)
    expires_at_offset = SmallIntegerField(null=True)
    deeplink_url = TextField(null=True)
    created_at = Moment()
    deleted_at = Moment(null=True)

    class Meta:
        table_name = "membership"
        indexes = ((("program", "provider_membership_id"), True), (("program", "number_key"), True))


class Event(Model):
    id = BigAutoField()
    membership = ForeignKeyField(Membership)
    kind = CharField(max_length=32)
    actor = CharField()
    enterprise = ForeignKeyField(Enterprise, null=True, index=False)
    mews_customer_id = CharField(null=True, max_length=36)
    request_id = CharField(null=True, max_length=36)
    happened_at = Moment()

    class Meta:
        table_name = "event"


class Link(Model):
    id = BigAutoField()
    membership = ForeignKeyField(Membership, index=False)
    enterprise = ForeignKeyField(Enterprise)
    mews_customer_id = CharField(max_length=36)
    created_at = Moment()

    class Meta:
        table_name = "link"
        indexes = ((("membership", "enterprise", "mews_customer_id"), True),)


class Token(Model):
    id = BigAutoField()
    name = CharField(unique=True)
    digest = CharField(unique=True, max_length=64)
    program = ForeignKeyField(Program, null=True, index=False)
    created_at = Moment()
    expires_at = Moment()
    revoked_at = Moment(null=True)
    last_used_at = Moment(null=True)

    class Meta:
        table_name = "token"


def up(migrator: object, db: Database) -> None:
    """Create all tables, for this database only."""
    tables = [Program, Enterprise, Member, Membership, Event, Link, Token]
    with db.bind_ctx(tables):
        db.create_tables(tables)
