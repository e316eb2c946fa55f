"""What the generated schemas are made of: conversion between JSON and Python values, and no validation."""

import datetime
from collections.abc import Mapping
from typing import Any

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
    """Base of the generated schemas.

    `load` turns a JSON object into a plain dict: names in snake_case, absent keys absent, unknown keys
    left out. It raises `marshmallow.ValidationError` for a value that its Python type cannot hold.
    `dump` takes such a dict, or an object with such attributes, and gives the contract's names in the
    contract's order. What is absent is left out, and so is None where the contract does not take null.
    """

    class Meta:
        unknown = marshmallow.EXCLUDE

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Read one value of a dict or an object; what is None counts as missing, but for a nullable field.

        Marshmallow's own reads the attribute of a dict that lacks the key: `items` would be the method.
        """
        value = obj.get(attr, default) if isinstance(obj, Mapping) else getattr(obj, attr, default)
        return default if value is None and not self.fields[attr].allow_none else value
