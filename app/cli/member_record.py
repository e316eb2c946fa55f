"""A member as one flat record with the contract's names: how members are imported and exported."""

import datetime
import re
import uuid
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import marshmallow
import peewee
from marshmallow import fields

from app import contract, problems, validation
from app.languages import DEFAULT, translate
from handlers import conversion, schemas
from models.programs import Status
from models.tables import IDENTIFIER_LENGTH, Member, Membership

LARGEST_POINTS = 2**63 - 1  # what the column holds


def _columns(schema: conversion.Schema, table: type[peewee.Model]) -> dict[str, str]:
    """Return the contract's name of each column of the table that the schema has."""
    return {name: field.data_key or name for name, field in schema.fields.items() if name in table._meta.fields}


MEMBERSHIP = _columns(schemas.membership, Membership)
PERSON = _columns(schemas.customer, Member)
ADDRESS = _columns(schemas.address, Member)
COLUMNS = (*MEMBERSHIP.values(), *PERSON.values(), *ADDRESS.values())
# What a second import knows a membership by.
IDENTIFIERS = (MEMBERSHIP["provider_membership_id"], MEMBERSHIP["membership_number"])
_INTEGERS = {MEMBERSHIP[name] for name in MEMBERSHIP if isinstance(schemas.membership.fields[name], fields.Integer)}
_OTHER_THAN_TEXT = {
    name
    for schema in (schemas.membership, schemas.customer, schemas.address)
    for name, field in schema.fields.items()
    if not isinstance(field, fields.String)
}
_STATUS, _POINTS = MEMBERSHIP["status"], MEMBERSHIP["points"]
_NUMBER = re.compile(r"-?[0-9]{1,30}")
# What makes a membership complete where a record leaves it to the server.
_SHOWN = dict.fromkeys(IDENTIFIERS, "")


class Refused(Exception):
    """A record that cannot be a member; its text says why, field by field, and repeats no value."""


def is_told(value: Any) -> bool:
    """Tell whether a value says something: a blank one is a missing one."""
    return value is not None and str(value).strip() != ""


def from_text(record: Mapping[str, str]) -> dict[str, Any]:
    """Return a record of texts, as CSV has them, with its numbers as numbers; what is none stays a text."""
    return {name: _number(text) if name in _INTEGERS else text for name, text in record.items()}


def _number(text: str) -> int | str:
    return int(text) if _NUMBER.fullmatch(text) else text


class Reader:
    """Takes records that the server could show as the contract wants it.

    Args:
        required_fields: of the program. One that the contract requires as well is required here; what only the
            program requires is asked of enrollments, and not of the members of an older system.
    """

    def __init__(self, required_fields: Collection[str]) -> None:
        self._contract = contract.load()
        self._operation = self._contract.operation_with("customer")
        self._request = schemas.enroll_customer_request.dump({"mews_enterprise_id": uuid.UUID(int=0), "customer": {}})
        customer = self._contract.resolve(self._operation.body_schema)["properties"]["customer"]
        required = self._contract.resolve(customer).get("required", [])
        self._blank = {name: "" for name in required if name not in required_fields}

    def read(self, record: Mapping[str, Any]) -> tuple[dict, dict]:
        """Return the customer in plain values and the membership's columns, which are what `models.bulk.prepare` takes.

        Raises:
            Refused: a value has not the form that the contract asks for, or there is no identifier.
        """
        told = {name: value for name, value in record.items() if is_told(value)}
        address = {name: told[name] for name in ADDRESS.values() if name in told}
        person = self._blank | {name: told[name] for name in PERSON.values() if name in told}
        customer = person | ({"address": address} if address else {})
        membership = {name: told[name] for name in MEMBERSHIP.values() if name in told}
        faults = [*self._customer_faults(customer), *self._membership_faults(membership), *_unwritable(told)]
        if faults:
            raise Refused(" ".join(faults))
        return self._plain_values(person, address, membership)

    def _plain_values(self, person: dict, address: dict, membership: dict) -> tuple[dict, dict]:
        customer = _converted(schemas.customer, PERSON, person)
        if address:
            customer["address"] = _converted(schemas.address, ADDRESS, address)
        columns = _converted(schemas.membership, MEMBERSHIP, membership)
        if expiry := columns.get("expires_at"):
            columns["expires_at_offset"] = int(expiry.utcoffset().total_seconds() // 60)
        return customer, columns

    def _customer_faults(self, customer: dict) -> Iterator[str]:
        try:
            validation.check(self._contract, self._operation, self._request | {"customer": customer})
        except problems.Problem as problem:
            yield from map(_sentence, problem.fields)

    def _membership_faults(self, membership: dict) -> Iterator[str]:
        answer = {"membership": _SHOWN | membership | {_STATUS: Status.ENROLLED.value}}
        yield from map(_sentence, validation.answer_faults(self._contract, self._operation, answer))
        if not membership.keys() & set(IDENTIFIERS):
            yield f"{' or '.join(IDENTIFIERS)}: One of them is needed, to know the member when it is imported again."
        if membership.get(_STATUS, Status.ENROLLED) not in list(Status):  # JSON may hold what no set takes
            yield f"{_STATUS}: It must be one of {', '.join(Status)}."
        if isinstance(points := membership.get(_POINTS), int | float) and not 0 <= points <= LARGEST_POINTS:
            yield f"{_POINTS}: It must be from 0 to {LARGEST_POINTS}."
        if len(str(membership.get(IDENTIFIERS[0], ""))) > IDENTIFIER_LENGTH:
            yield f"{IDENTIFIERS[0]}: It may have {IDENTIFIER_LENGTH} characters at most."


def _unwritable(record: Mapping[str, Any]) -> list[str]:
    return [f"{name}: The character U+0000 is not allowed." for name, value in record.items() if "\0" in str(value)]


def _sentence(fault: problems.FieldProblem) -> str:
    return f"{fault.path[-1]}: {translate(fault.detail, DEFAULT)}"


def _converted(schema: conversion.Schema, columns: Mapping[str, str], record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record's values of these columns as the types that the tables hold, by the columns' names."""
    values = {name: record[wire] for name, wire in columns.items() if wire in record}
    for name in values.keys() & _OTHER_THAN_TEXT:
        values[name] = _value(schema.fields[name], columns[name], values[name])
    return values


def _value(field: fields.Field, name: str, value: Any) -> Any:
    try:
        converted = field.deserialize(value)
        if isinstance(converted, datetime.datetime):
            converted.astimezone(datetime.UTC)
    except (marshmallow.ValidationError, OverflowError):
        raise Refused(f"{name}: This date or time is out of range.") from None
    return converted


def written(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a member's columns as a record, which read again gives the same member.

    Args:
        row: the columns by their names, `expires_at` with its offset.
    """
    columns = (MEMBERSHIP | PERSON | ADDRESS).items()
    return {wire: _plain(row[name]) for name, wire in columns if is_told(row[name])}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.date) else value
