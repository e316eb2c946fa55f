"""Where the candidates of a search are read: around the wanted values in sorted indexes.

The sorted neighbourhood method (Hernandez and Stolfo, 1995): members stand in an index in the order of several keys,
and those nearest to what is asked for are read in both directions. So the number of members that are compared depends
neither on how many there are nor on how many share a name, and typing errors towards the end of a word leave them
neighbours.
"""

import string
from dataclasses import dataclass

from models import folding, spellings

# The indexes, by their columns in order. Each stands in models.tables for the member, after the program.
NAMES = ("last_name_code", "first_name_code", "last_name_key", "first_name_key", "city_key")
POSTAL_CODE = ("postal_code_key", "last_name_key", "first_name_key")
CITY = ("city_key", "last_name_key", "first_name_key")
FIRST_NAME_AND_POSTAL_CODE = ("first_name_key", "postal_code_key", "last_name_key")
FIRST_NAME_AND_CITY = ("first_name_key", "city_key", "last_name_key")
SORTED = (NAMES, POSTAL_CODE, CITY, FIRST_NAME_AND_POSTAL_CODE, FIRST_NAME_AND_CITY)

MOST_CANDIDATES = 200  # that are scored for one request
NAMESAKES = 20
NEIGHBOURS = 14  # in each direction
MISSPELT_CODES = 10  # namesakes whose postal code is one error away
LONGEST_CODE = 10  # more signs has no postal code; it bounds how many others are one digit away


@dataclass(frozen=True)
class Scan:
    """One stretch of an index: members whose `equal` columns are equal, the nearest in the order of `following` first.

    The stretch begins at the wanted values of `following` and leads up, or from just before them down. With `among`, a
    column and how many values are good for it, there are as many short ones: of each value, those with just the wanted
    values of `following`.
    """

    equal: tuple[str, ...]
    following: tuple[str, ...] = ()
    is_down: bool = False
    limit: int = NAMESAKES
    among: tuple[str, int] | None = None


Values = tuple[str, ...]


def identifying(wanted: dict) -> list[tuple[Scan, Values]]:
    """Return the scans for what belongs to one person, or to a family, with the values to look for.

    Args:
        wanted: what `models.matching.filter_keys` returned.
    """
    pairs = [(column, wanted[column]) for column in ("provider_membership_id", "number_key", "email_key")]
    pairs += [("phone_key" if key.startswith("+") else "phone_digits_key", key) for key in wanted["phone_keys"]]
    return [(Scan((column,)), (value,)) for column, value in pairs if value]


def namesakes(wanted: dict, *, limit: int) -> list[tuple[Scan, Values]]:
    """Return the scans for members whose names sound alike, in either order or with the last name in another form, and
    for those of them who have the postal code, if one is given: of many namesakes, only some are read.

    Args:
        wanted: what `models.matching.filter_keys` returned.
        limit: how many of them to read at most.
    """
    most = min(limit, MOST_CANDIDATES)
    scans = [
        (Scan(NAMES[:2], NAMES[2:], limit=most), values)
        for columns, values in _sorted_values(wanted)
        if columns is NAMES and all(values[:2])
    ]
    address = tuple(wanted[column] for column in POSTAL_CODE)
    if all(address):
        scans.append((Scan(POSTAL_CODE, limit=most), address))
    return scans + _other_last_names(wanted)


def partly_exact(wanted: dict) -> list[tuple[Scan, Values]]:
    """Return the scans for members that agree in one name and the place, or in both names with a postal code that is
    misspelt.

    Args:
        wanted: what `models.matching.filter_keys` returned.
    """
    return [
        (Scan(columns[:2], columns[2:], limit=NEIGHBOURS), values)
        for columns, values in _sorted_values(wanted)
        if columns is not NAMES and all(values[:2])
    ] + _misspelt_postal_code(wanted)


def _other_last_names(wanted: dict) -> list[tuple[Scan, Values]]:
    """Return the scans for members of the first name that have the last name in another form; see `spellings.forms`."""
    if not wanted["first_name_code"] or not wanted["last_name_code"]:
        return []
    first_code, *others = (wanted[column] for column in ("first_name_code", "first_name_key", "city_key"))
    return [
        (Scan(NAMES[:2], NAMES[2:], limit=NEIGHBOURS), (last_name_code(form), first_code, form, *others))
        for form in spellings.forms(wanted["last_name_key"])
    ]


def _misspelt_postal_code(wanted: dict) -> list[tuple[Scan, Values]]:
    """Return the scan for namesakes whose postal code is one typing error away.

    In no order of an index do they stand together, and of many namesakes too few are read to find them by chance.
    """
    column, *columns = POSTAL_CODE
    names, codes = tuple(wanted[name] for name in columns), _one_error_away(wanted[column])
    if not codes or not all(names):
        return []
    return [(Scan((), tuple(columns), limit=MISSPELT_CODES, among=(column, len(codes))), codes + 2 * names)]


def _one_error_away(code: str) -> Values:
    """Return the codes that differ in one digit, or in the order of two signs."""
    if len(code) > LONGEST_CODE:
        return ()
    pieces = [(code[:place], code[place], code[place + 1 :]) for place in range(len(code))]
    others = [before + digit + after for before, sign, after in pieces if sign.isdigit() for digit in string.digits]
    others += [before + after[:1] + sign + after[1:] for before, sign, after in pieces]
    return tuple(other for other in dict.fromkeys(others) if other != code)


def nearest(wanted: dict) -> list[tuple[Scan, Values]]:
    """Return the scans in both directions for the neighbours of what is wanted.

    Args:
        wanted: what `models.matching.filter_keys` returned.
    """
    scans = []
    for columns, values in _sorted_values(wanted):
        if values[0]:
            scans += [(Scan((), columns, is_down, NEIGHBOURS), values) for is_down in (False, True)]
    return scans


def _sorted_values(wanted: dict) -> list[tuple[tuple[str, ...], Values]]:
    given = [(columns, tuple(wanted[column] or "" for column in columns)) for columns in SORTED]
    first, last = wanted["last_name_key"] or "", wanted["first_name_key"] or ""
    return [*given, (NAMES, (last_name_code(last), sound_code(first), last, first, wanted["city_key"] or ""))]


def member_keys(customer: dict) -> dict:
    """Return the key columns of a member for the customer's plain values.

    Those that indexes are sorted by are empty where there is no value; null stands for a member that was erased.
    """
    address = customer.get("address") or {}
    phones = folding.phone_keys(customer.get("phone_number"), address.get("country_code"))
    first, last = folding.fold(customer.get("first_name")) or "", folding.fold(customer.get("last_name")) or ""
    return {
        "email_key": folding.email_key(customer.get("email")),
        "phone_key": next((key for key in phones if key.startswith("+")), None),
        "phone_digits_key": phones[-1] if phones and not phones[-1].startswith("+") else None,
        "first_name_key": folding.bounded(first),
        "last_name_key": folding.bounded(last),
        "first_name_code": folding.bounded(sound_code(first)),
        "last_name_code": folding.bounded(last_name_code(last)),
        "city_key": folding.bounded(folding.fold(address.get("city"))) or "",
        "postal_code_key": folding.postal_code_key(address.get("postal_code")) or "",
        "key_version": folding.key_version(),
    }


def sound_code(folded: str) -> str:
    """Return the consonants of a folded name in one spelling for each sound; a name without any is its own code.

    Names with the same code stand together in an index, and within it by their letters.
    """
    return spellings.consonants(folded) or spellings.spelling(folded)


def last_name_code(folded: str) -> str:
    """Return the code of a folded last name's first word that is no particle: `de la cruz`, `cruz`, `cruz garcia`.

    People leave out particles, and the second half of a double name.
    """
    return sound_code(spellings.parts(spellings.spelling(folded))[0]) if folded else ""
