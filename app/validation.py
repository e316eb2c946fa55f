"""Request bodies against the contract's JSON Schema 2020-12: every error, with its place and the contract's type."""

import itertools
from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from app.contract import Contract, Operation
from app.languages import N_, Message
from app.problems import (
    BAD_REQUEST,
    FIELD_DUPLICATE,
    FIELD_EMAIL_INVALID,
    FIELD_INVALID_FORMAT,
    FIELD_INVALID_TYPE,
    FIELD_NOT_ALLOWED_VALUE,
    FIELD_OUT_OF_RANGE,
    FIELD_REQUIRED,
    FIELD_TOO_LONG,
    FIELD_TOO_SHORT,
    FIELDS_DETAIL,
    INVALID_CRITERIA,
    MOST_FIELD_ERRORS,
    FieldProblem,
    Problem,
)

# JSON Schema keyword -> the contract's field-level type, and what to tell.
_KEYWORDS = {
    "minLength": (FIELD_TOO_SHORT, N_("At least %(limit)s characters are needed.")),
    "minItems": (FIELD_TOO_SHORT, N_("At least %(limit)s entries are needed.")),
    "minProperties": (FIELD_TOO_SHORT, N_("At least %(limit)s fields are needed.")),
    "maxLength": (FIELD_TOO_LONG, N_("At most %(limit)s characters are allowed.")),
    "maxItems": (FIELD_TOO_LONG, N_("At most %(limit)s entries are allowed.")),
    "maxProperties": (FIELD_TOO_LONG, N_("At most %(limit)s fields are allowed.")),
    "minimum": (FIELD_OUT_OF_RANGE, N_("The least value is %(limit)s.")),
    "maximum": (FIELD_OUT_OF_RANGE, N_("The greatest value is %(limit)s.")),
    "exclusiveMinimum": (FIELD_OUT_OF_RANGE, N_("The value must be greater than %(limit)s.")),
    "exclusiveMaximum": (FIELD_OUT_OF_RANGE, N_("The value must be less than %(limit)s.")),
    "multipleOf": (FIELD_OUT_OF_RANGE, N_("The value must be a multiple of %(limit)s.")),
    "type": (FIELD_INVALID_TYPE, N_("The value must be of type %(types)s.")),
    "enum": (FIELD_NOT_ALLOWED_VALUE, N_("The value is none of those allowed.")),
    "const": (FIELD_NOT_ALLOWED_VALUE, N_("The value is none of those allowed.")),
    "uniqueItems": (FIELD_DUPLICATE, N_("Entries must differ from each other.")),
    "format": (FIELD_INVALID_FORMAT, N_("The value must have the format %(format)s.")),
}
_OTHER_KEYWORD = (FIELD_INVALID_FORMAT, N_("The value does not have the form that the contract asks for."))
_EMAIL = Message(N_("This is no e-mail address."))
_REQUIRED = Message(N_("This field is required."))
_UNEXPECTED = Message(N_("The contract has no such field here."))
_CRITERIA = Message(
    N_("The filter holds no accepted combination of fields; the missing ones of the nearest are listed.")
)
_UNKNOWN_FIELD = ("additionalProperties", "unevaluatedProperties")
# A longer name of an unknown field is not repeated in a pointer.
_LONGEST_NAME = 100

Path = tuple[str | int, ...]


def check(contract: Contract, operation: Operation, body: Any, *, ignore_unknown: bool = False) -> list[str]:
    """Return the names of unknown fields that were ignored, if the body is otherwise what the contract says.

    Args:
        contract: where the combinations of a filter are looked up.
        operation: whose body it is.
        body: the parsed JSON.
        ignore_unknown: take fields that a closed schema does not have, instead of refusing them.

    Raises:
        Problem: 400, with every error of the body (up to a bound that keeps answers small).
    """
    if operation.body is None or operation.body.is_valid(body):
        return []
    errors = list(operation.body.iter_errors(_shortened(body)))
    if all(map(_unknown_fields, errors)):
        errors = list(operation.body.iter_errors(body))  # there may be more in what was cut off
    if ignore_unknown:
        ignored = [name for error in errors for name in _unknown_fields(error)]
        errors = [error for error in errors if not _unknown_fields(error)]
        if not errors:
            return ignored
    raise _refusal(contract, errors)


def _refusal(contract: Contract, errors: list[jsonschema_rs.ValidationError]) -> Problem:
    fields: dict[tuple[str, Path], FieldProblem] = {}
    for field in itertools.chain.from_iterable(_field_problems(contract, error) for error in errors):
        fields.setdefault((field.name, field.path), field)
        if len(fields) >= MOST_FIELD_ERRORS:
            break
    if all(map(_is_combination, errors)):
        return Problem(INVALID_CRITERIA, _CRITERIA, list(fields.values()))
    return Problem(BAD_REQUEST, FIELDS_DETAIL, list(fields.values()))


def answer_faults(contract: Contract, operation: Operation, answer: Any) -> list[FieldProblem]:
    """Return every error of an answer; where the contract has several shapes, of the one that has all of its fields."""
    if operation.answer is None or operation.answer.is_valid(answer):
        return []
    errors = itertools.chain.from_iterable(map(_of_one_shape, operation.answer.iter_errors(answer)))
    return [field for error in errors for field in _field_problems(contract, error)]


def _of_one_shape(error: jsonschema_rs.ValidationError) -> list[jsonschema_rs.ValidationError]:
    shapes: list = getattr(error.kind, "context", None) or [[error]]
    return min(shapes, key=lambda causes: any(cause.kind.name in _UNKNOWN_FIELD for cause in causes))


def _shortened(value: Any) -> Any:
    """The value without what comes after the first entries of long lists: all errors are found before any is told."""
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    return [_shortened(item) for item in value[:MOST_FIELD_ERRORS]] if isinstance(value, list) else value


def _field_problems(contract: Contract, error: jsonschema_rs.ValidationError) -> Iterator[FieldProblem]:
    kind: Any = error.kind
    path = tuple(error.instance_path)
    if kind.name == "required":
        yield FieldProblem(FIELD_REQUIRED, (*path, kind.property), _REQUIRED)
    elif unknown := _unknown_fields(error):
        for name in unknown:
            place = (*path, name) if len(name) <= _LONGEST_NAME else path
            yield FieldProblem(FIELD_NOT_ALLOWED_VALUE, place, _UNEXPECTED)
    elif _is_combination(error):
        for name in _nearest_combination(contract, error):
            yield FieldProblem(FIELD_REQUIRED, (*path, name), _REQUIRED)
    elif kind.name == "format" and kind.format.endswith("email"):
        yield FieldProblem(FIELD_EMAIL_INVALID, path, _EMAIL)
    else:
        name, text = _KEYWORDS.get(kind.name, _OTHER_KEYWORD)
        yield FieldProblem(name, path, Message(text, _told(kind.as_dict())))


def _told(values: dict) -> dict:
    """The limits that a schema states are told; what a guest gave (`value`) is not among them."""
    return {
        name: ", ".join(value) if isinstance(value, list) else value
        for name, value in values.items()
        if name in ("limit", "types", "format")
    }


def _unknown_fields(error: jsonschema_rs.ValidationError) -> list[str]:
    """The names of the fields that a closed schema does not have; of another error, none."""
    kind: Any = error.kind
    return kind.unexpected if kind.name in _UNKNOWN_FIELD else []


def _is_combination(error: jsonschema_rs.ValidationError) -> bool:
    """Tell whether the value lacks fields for each of several combinations, as a member filter may."""
    kind: Any = error.kind
    return kind.name == "anyOf" and all(
        branch and all(cause.kind.name == "required" for cause in branch) for branch in kind.context
    )


def _nearest_combination(contract: Contract, error: jsonschema_rs.ValidationError) -> list[str]:
    """Return what the nearest combination lacks: of those that lack least, the one with most fields given."""
    kind: Any = error.kind
    missing = [[cause.kind.property for cause in branch] for branch in kind.context]
    needed = [len(branch.get("required", ())) for branch in contract.node(error.schema_path)]
    nearest = min(range(len(missing)), key=lambda index: (len(missing[index]), -needed[index]))
    return missing[nearest]
