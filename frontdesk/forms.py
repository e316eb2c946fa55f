"""The fields of a customer, as the contract has them and Mews' screens call them."""

from collections.abc import Mapping
from dataclasses import dataclass

import babel
import inflection

from app.contract import Contract, Operation

# What the requests of the operations carry, which is how they are found in the contract.
SEARCH, ENROLL, LIST, LINK = "memberFilter", "customer", "providerMembershipIds", "providerMembershipId"
COUNTRY = "countryCode"
# As in the screens of https://docs.mews.com/loyalty-partner/workflows/search-members, in their order. A field that the
# contract has no more is not shown, and a new one is shown after these.
LABELS = {
    "email": "Email",
    "firstName": "First name",
    "lastName": "Last name",
    "phoneNumber": "Phone",
    "membershipNumber": "Membership number",
    "line1": "Address line 1",
    "line2": "Address line 2",
    "city": "City",
    "postalCode": "Postal code",
    COUNTRY: "Country",
    "countrySubdivisionCode": "State or region",
    "birthday": "Date of birth",
}
# To search by, beside what the contract says of a customer.
SEARCHED_BESIDES = ("membershipNumber",)


@dataclass(frozen=True)
class Field:
    """A field of a customer.

    Attributes:
        name: the contract's.
        label: what people call it.
        path: where it stands in a customer of the contract; empty if it is only searched by.
        is_required: whether the contract wants it.
        longest: characters, at most; None if the contract sets no limit.
        format: the contract's, such as `date`; empty without one.
    """

    name: str
    label: str
    path: tuple[str, ...]
    is_required: bool = False
    longest: int | None = None
    format: str = ""


def fields(contract: Contract) -> list[Field]:
    """Return the fields to enter a customer by, in the order of the screen."""
    customer = _properties(contract, contract.operation_with(ENROLL))[ENROLL]
    found = {field.name: field for field in _fields(contract, customer)}
    searched = _properties(contract, contract.operation_with(SEARCH))[SEARCH]
    besides = {field.name: field for field in _fields(contract, searched) if field.name in SEARCHED_BESIDES}
    found |= {name: Field(name, field.label, (), False, field.longest) for name, field in besides.items()}
    order = [*(name for name in LABELS if name in found), *(name for name in found if name not in LABELS)]
    return [found[name] for name in order]


def read(known: list[Field], form: Mapping[str, str]) -> dict[str, str]:
    """Return what was entered, by field; blank fields are left out."""
    entered = {field.name: form.get(field.name, "").strip() for field in known}
    return {name: value for name, value in entered.items() if value}


def customer(known: list[Field], details: Mapping[str, str]) -> dict:
    """Return what was entered as a customer of the contract."""
    body: dict = {}
    for field in known:
        if field.path and field.name in details:
            place = body
            for step in field.path[:-1]:
                place = place.setdefault(step, {})
            place[field.path[-1]] = details[field.name]
    return body


def member_filter(contract: Contract, details: Mapping[str, str]) -> dict[str, str]:
    """Return what was entered as far as members can be searched by it; empty if no combination of fields is there."""
    schema = contract.resolve(_properties(contract, contract.operation_with(SEARCH))[SEARCH])
    given = {name: value for name, value in details.items() if name in schema["properties"]}
    enough = any(given.keys() >= set(branch) for branch in _combinations(schema))
    return given if enough else {}


def combinations(contract: Contract) -> list[str]:
    """Return the combinations of fields that a search needs one of, in words."""
    schema = contract.resolve(_properties(contract, contract.operation_with(SEARCH))[SEARCH])
    known = {field.name for field in fields(contract)}
    return [" + ".join(map(label, branch)) for branch in _combinations(schema) if known >= set(branch)]


def most_at_once(contract: Contract) -> int:
    """Return how many memberships the contract lets one request list."""
    return _properties(contract, contract.operation_with(LIST))[LIST].get("maxItems", 1)


def label(name: str) -> str:
    """Return what people call a field of the contract."""
    return LABELS.get(name) or inflection.humanize(inflection.underscore(name))


def countries() -> list[tuple[str, str]]:
    """Return the countries as (ISO 3166-1 alpha-2 code, name), by name."""
    names = babel.Locale("en").territories
    listed = ((code, name) for code, name in names.items() if len(code) == 2 and code.isalpha())
    return sorted(((code, name) for code, name in listed if code not in _NO_COUNTRIES), key=lambda pair: pair[1])


# Codes of CLDR's territories that are none of ISO 3166-1: groups, outlying parts, and those for tests.
_NO_COUNTRIES = {"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "XK", "ZZ"}


def _combinations(schema: dict) -> list[list[str]]:
    return [branch["required"] for branch in schema.get("anyOf", ()) if "required" in branch] or [[]]


def _properties(contract: Contract, operation: Operation) -> dict[str, dict]:
    return contract.resolve(operation.body_schema)["properties"]


def _fields(contract: Contract, schema: dict, path: tuple[str, ...] = ()) -> list[Field]:
    """Return the texts of an object, and of the objects within it."""
    found, schema = [], contract.resolve(schema)
    for name, reference in schema.get("properties", {}).items():
        inner = contract.resolve(reference)
        if inner.get("type") == "object":
            found += _fields(contract, inner, (*path, name))
        elif inner.get("type") == "string":
            required = not path and name in schema.get("required", ())
            longest, shape = inner.get("maxLength"), inner.get("format", "")
            found.append(Field(name, label(name), (*path, name), required, longest, shape))
    return found
