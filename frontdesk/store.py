"""What the front desk keeps in an SQLite file of its own: customers, and what was sent and answered about them."""

import datetime
import pathlib
import uuid

import orjson
import peewee

from app.contract import JSON

# Of what was sent and answered, the newest so many are kept.
EXCHANGES_KEPT = 500
# `secure_delete` overwrites what is deleted, since it is a guest's data.
database = peewee.SqliteDatabase(None, pragmas={"foreign_keys": 1, "secure_delete": 1})


class Table(peewee.Model):
    """Base of all tables."""

    class Meta:
        database = database
        legacy_table_names = False


class Customer(Table):
    """A customer of the hotel.

    Attributes:
        id: what Mews calls `mewsCustomerId`.
        details: what was entered, by the names of `frontdesk.forms.Field`; a blank field is left out.
        membership: as the partner server last told it; None without one.
        membership_updated_at: when that was, in UTC.
        is_draft: whether the second step of the creation, "verify membership", is still to be done.
    """

    id = peewee.UUIDField(primary_key=True, default=uuid.uuid4)
    details = peewee.JSONField()
    membership = peewee.JSONField(null=True)
    membership_updated_at = peewee.TimestampField(utc=True, null=True, default=None)
    is_draft = peewee.BooleanField(default=True)
    created_at = peewee.TimestampField(resolution=6, utc=True)

    @property
    def name(self) -> str:
        """First and last name, as far as they are known."""
        names = (self.details.get("firstName"), self.details.get("lastName"))
        return " ".join(filter(None, names)) or "Customer without a name"

    def hold(self, membership: dict | None) -> None:
        """Keep a membership as it was told just now, or none."""
        self.membership = membership
        self.membership_updated_at = datetime.datetime.now(datetime.UTC) if membership else None
        self.save()


class Exchange(Table):
    """One request to the partner server, and what came back. The token is never in it.

    Attributes:
        customer: whom it was about; None if about several.
        operation: the operation's id in the contract.
        summary: what the contract calls it.
        body: the request's.
        sent_at: in UTC.
        milliseconds: until the answer was there, or was given up.
        status: of the answer; None if there was none.
        headers: of the answer, as (name in small letters, value).
        answer: the body of the answer as text; what is not UTF-8 in it stands as in "\\xff".
        failure: why there was no answer, or no whole one, in a sentence for people.
        faults: where and how the answer breaks the contract, as (JSON pointer, what is wrong).
    """

    id = peewee.AutoField()
    customer = peewee.ForeignKeyField(Customer, null=True, backref="exchanges", on_delete="CASCADE")
    operation = peewee.TextField()
    summary = peewee.TextField()
    method = peewee.TextField()
    url = peewee.TextField()
    language = peewee.TextField()
    body = peewee.JSONField()
    sent_at = peewee.TimestampField(utc=True)
    milliseconds = peewee.FloatField()
    status = peewee.IntegerField(null=True)
    headers = peewee.JSONField(default=list)
    answer = peewee.TextField(default="")
    failure = peewee.TextField(null=True)
    faults = peewee.JSONField(default=list)

    @property
    def is_good(self) -> bool:
        """Whether the answer is a 200 that keeps the contract."""
        return self.status == 200 and not self.faults and self.failure is None

    @property
    def sent_headers(self) -> dict[str, str]:
        """The header fields of the request, but for the token and what every HTTP client adds."""
        language = {"Accept-Language": self.language} if self.language else {}
        return {"Accept": f"{JSON}, */*", "Content-Type": JSON} | language

    @property
    def sent_body(self) -> str:
        """The body of the request as it was sent."""
        return orjson.dumps(self.body).decode()

    def keep(self, customer: Customer | None) -> None:
        """Save it, and drop what is too old to keep."""
        self.customer = customer
        self.save()
        Exchange.delete().where(Exchange.id <= self.id - EXCHANGES_KEPT).execute()


def use(path: pathlib.Path) -> None:
    """Keep everything in this file, which is made if it is missing; one that is made is for its owner alone.

    Raises:
        peewee.DatabaseError: it is no SQLite file, or one of something else.
        OSError: it cannot be made.
    """
    path.touch(mode=0o600)
    database.init(str(path))
    with database.connection_context():
        database.create_tables([Customer, Exchange])
        Customer.delete().where(Customer.is_draft).execute()  # nobody will finish them


def customers() -> list[Customer]:
    """Return the customers, the newest first."""
    return list(Customer.select().where(~Customer.is_draft).order_by(Customer.created_at.desc()))


def latest(count: int, customer: Customer | None = None) -> list[Exchange]:
    """Return the newest exchanges about a customer, or about several at once."""
    about = Exchange.customer == customer if customer else Exchange.customer.is_null()
    return list(Exchange.select().where(about).order_by(Exchange.id.desc()).limit(count))


def latest_of(operation: str, customer: Customer) -> Exchange | None:
    """Return the newest exchange of an operation about a customer."""
    found = Exchange.select().where(Exchange.customer == customer, Exchange.operation == operation)
    return found.order_by(Exchange.id.desc()).first()
