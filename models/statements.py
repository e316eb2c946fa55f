"""Queries that are built once and run with other values each time.

Peewee takes longer to build the text of a query than a database to answer it. So the queries of a request are built
when they are first needed, with places for their values.
"""

import functools
from collections import namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import orjson
import peewee

from models.database import NamesField, UtcDateTimeField, database

# What a database does not take, and SQLite not give back, as its Python type by itself; and what Postgres does not.
_CONVERTED = (UtcDateTimeField, NamesField, peewee.BooleanField, peewee.DateField)
_CONVERTED_ON_POSTGRES = (NamesField,)
# A named tuple of the fields that a query selects or returns.
Row: TypeAlias = Any


@dataclass(frozen=True)
class _Place:
    """Where a value goes: its name, and what makes of it what the database takes."""

    name: str
    convert: Callable[[Any], Any] | None


class _Built(NamedTuple):
    sql: str
    params: list
    make_row: Callable[[Sequence], Row]
    converters: list[tuple[int, Callable[[Any], Any]]]


def given(name: str, field: peewee.Field | None = None) -> peewee.Value:
    """Return a place in a query for a value that is named when the query is run.

    Args:
        name: of the value.
        field: converts the value, where it is not of a type that databases take.
    """
    return peewee.Value(_Place(name, field.db_value if field else None), converter=False)


def any_of(column: peewee.Field, name: str) -> peewee.Expression:
    """Return the condition that a column has one of the values of a list, in one place however long the list is.

    Args:
        column: of texts.
        name: of the list.
    """
    place = [_Place(name, _as_json)]
    if isinstance(database.obj, peewee.SqliteDatabase):
        return peewee.Expression(column, peewee.OP.IN, peewee.SQL("(SELECT value FROM json_each(?))", place))
    # Psycopg takes as long to make an array of a list as for all its rows; without the array here, Postgres may read
    # the whole table.
    return peewee.Expression(column, peewee.OP.EQ, peewee.SQL("ANY(ARRAY(SELECT json_array_elements_text(%s)))", place))


def _as_json(values: list) -> str:
    return orjson.dumps(values).decode()


def given_columns(table: type[peewee.Model], *names: str) -> dict[peewee.Field, peewee.Value]:
    """Return places for the values of a row that is inserted, each by the name of its field."""
    fields = [table._meta.fields[name] for name in names]
    return {field: given(field.name, field if isinstance(field, _CONVERTED) else None) for field in fields}


class Statement:
    """One query.

    Args:
        build: returns the query with places for its values.
        named: whether its rows are named tuples, which Postgres' driver needs a call more for each to make.
    """

    def __init__(self, build: Callable[[], Any], *, named: bool = True) -> None:
        self._build, self._named = build, named
        self._built: dict[str, _Built] = {}

    def run(self, **values: Any) -> int:
        """Run it with values by the names of their places, and return how many rows it has changed."""
        return self._ask(values)[1]

    def rows(self, **values: Any) -> list[Row]:
        """Run it, and return its rows, as tuples; moments are of any offset."""
        found, _ = self._ask(values)
        _, _, make_row, converters = self._for_this(database.obj)
        for at, convert in converters:
            found = [
                row if row[at] is None else make_row([*row[:at], convert(row[at]), *row[at + 1 :]]) for row in found
            ]
        return found

    def _ask(self, values: dict[str, Any]) -> tuple[list[Row], int]:
        opened = database.obj  # each look through the proxy costs as much again
        built = self._for_this(opened)
        params = [_filled(param, values) if isinstance(param, _Place) else param for param in built.params]
        return opened.ask(built.sql, params, built.make_row)

    def _for_this(self, opened: peewee.Database) -> _Built:
        built = self._built.get(opened.param)
        if built is None:
            query = self._build()
            sql, params = query.sql()
            columns = query._returning or ()
            converted = _CONVERTED if isinstance(opened, peewee.SqliteDatabase) else _CONVERTED_ON_POSTGRES
            converters = [
                (at, column.python_value) for at, column in enumerate(columns) if isinstance(column, converted)
            ]
            built = _Built(sql, params, _row_maker(columns) if self._named else tuple, converters)
            self._built[opened.param] = built
        return built


def _row_maker(columns: Sequence[Any]) -> Callable[[Sequence], Row]:
    row: Any = namedtuple("Row", [column.name for column in columns])  # type: ignore[misc]
    return functools.partial(tuple.__new__, row)


def _filled(place: _Place, values: dict) -> Any:
    value = values[place.name]
    return place.convert(value) if place.convert else value
