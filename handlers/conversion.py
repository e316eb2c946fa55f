"""What the generated schemas are made of: conversion between JSON and Python values, and no validation."""

import datetime
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import marshmallow
from marshmallow import fields


class OffsetDateTime(fields.AwareDateTime):
    """A date-time (RFC 3339, section 5.6) that keeps its offset, in and out.

    Loads text into an aware `datetime.datetime` and dumps one as `isoformat()` prints it. Raises
    `marshmallow.ValidationError` for text without an offset, and for what Python cannot hold (year 0,
    second 60).
    """

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> datetime.datetime:
        # RFC 3339 allows "t" and "z"; Python 3.11 reads only "Z".
        text = value.upper() if isinstance(value, str) else value
        return super()._deserialize(text, *arguments, **options)


class Schema(marshmallow.Schema):
    """Base of the generated schemas, which convert and check nothing, and have no hooks.

    `load` turns a JSON object into a plain dict: names in snake_case, absent keys absent, unknown keys
    left out. It raises `marshmallow.ValidationError` for a value that its Python type cannot hold.
    `dump` takes such a dict, or an object with such attributes, and gives the contract's names in the
    contract's order. What is absent is left out, and so is None where the contract does not take null.

    Most values of JSON are their Python values. These are passed on as they are, since a list of memberships has
    hundreds; all others are converted by their fields.
    """

    class Meta:
        unknown = marshmallow.EXCLUDE

    def load(self, data: Any, **options: Any) -> Any:
        """Return the dict of a JSON object.

        Raises:
            marshmallow.ValidationError: with the places of all values that cannot be converted.
        """
        try:
            return self._loaded(data)
        except marshmallow.ValidationError:
            return super().load(data, **options)  # slower, and says of every value where it is

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:  # noqa: ARG002 (lists are fields of objects)
        """Return the JSON object of a dict or of an object with attributes."""
        is_mapping = type(obj) is dict or isinstance(obj, Mapping)
        get: Callable[[str], Any] = obj.get if is_mapping else lambda name: getattr(obj, name, None)
        dumped: dict[str, Any] = {}
        for name, key, plain, takes_null, dump in self._dumped:
            value = get(name)
            if type(value) is plain:
                dumped[key] = value
            elif value is not None:
                dumped[key] = dump(value)
            elif takes_null and (name in obj if is_mapping else hasattr(obj, name)):
                dumped[key] = None
        return dumped

    def _loaded(self, data: Any) -> dict:
        if not isinstance(data, dict):
            raise marshmallow.ValidationError("no object")
        return {
            part.attribute: value if type(value := data[part.key]) is part.plain else part.load(value)
            for part in self._parts
            if part.key in data
        }

    @functools.cached_property
    def _parts(self) -> list["_Part"]:
        return [_part(name, field) for name, field in self.fields.items()]

    # Tuples without names, which Python takes apart in much less time.
    @functools.cached_property
    def _dumped(self) -> list[tuple]:
        return [(part.attribute, part.key, part.plain, part.takes_null, part.dump) for part in self._parts]


class _Part(NamedTuple):
    """How the value of one field is converted; a value of the type `plain` needs no conversion."""

    attribute: str
    key: str
    plain: type | None
    takes_null: bool
    load: Callable[[Any], Any]
    dump: Callable[[Any], Any]


_PLAIN = {fields.String: str, fields.Integer: int, fields.Boolean: bool}


def _part(name: str, field: fields.Field) -> _Part:
    key = field.data_key or name
    load, dump = _conversions(name, field)
    return _Part(name, key, _PLAIN.get(type(field)), field.allow_none, load, dump)


def _conversions(name: str, field: fields.Field) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return what loads and what dumps a value of a field that is there."""
    if type(field) is fields.Nested and not field.many and not field.allow_none:
        schema: Any = field.schema
        return schema._loaded, schema.dump
    if type(field) is fields.List and not field.allow_none:
        load, dump = _conversions(name, field.inner)
        plain = _PLAIN.get(type(field.inner))
        return functools.partial(_each, load, plain), functools.partial(_each, dump, plain)
    if isinstance(field, fields.DateTime) and field.format is None:
        return field.deserialize, operator.methodcaller("isoformat")  # as the field would, a few calls later
    return field.deserialize, lambda value: field._serialize(value, name, None)


def _each(convert: Callable[[Any], Any], plain: type | None, values: Any) -> list:
    if not isinstance(values, list):
        raise marshmallow.ValidationError("no list")
    return [value if type(value) is plain else convert(value) for value in values]
