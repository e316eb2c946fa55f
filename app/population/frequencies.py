"""How often names and places occur in each country of the population; the data is in `countries/`."""

import bisect
import functools
import itertools
import pathlib
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import yaml

COUNTRIES = pathlib.Path(__file__).parent / "countries"
THOUSANDS_IN_A_POSTAL_CODE = 20
TOWNS = 2_000  # in each country, besides the cities of its list
SHIFT = 20  # without it, one person in five would have the commonest name of a list of a hundred
LETTERS_OF_POSTAL_CODES = "ABDEFGHJLNPQRSTUWXYZ"

Value = TypeVar("Value")


class Frequencies(Generic[Value]):
    """Values with weights, to draw from."""

    def __init__(self, values: Iterable[Value], weights: Iterable[float]) -> None:
        self.values = tuple(values)
        self._cumulative = tuple(itertools.accumulate(weights))

    def draw(self, chance: random.Random) -> Value:
        """Return a value, each as often as its weight says."""
        return self.values[bisect.bisect(self._cumulative, chance.random() * self._cumulative[-1])]


@dataclass(frozen=True)
class City:
    """A place with the fields of an address that depend on it.

    Attributes:
        name: as its inhabitants write it.
        subdivision: the part of its ISO 3166-2 code after the country.
        postal_codes: all of them, the most populous first.
        phone_numbers: templates in which `{}` stands for a digit.
    """

    name: str
    subdivision: str | None
    postal_codes: tuple[str, ...]
    phone_numbers: tuple[str, ...]


@dataclass(frozen=True)
class Country:
    """A country's frequencies.

    Attributes:
        code: ISO 3166-1.
        first_names, last_names: for each group of people whose names go together, such as women.
        rare_last_names: share of people whose last name is too rare to be in the list.
        last_names_each: how many last names a person has.
        cities: by inhabitants.
        streets: templates in which `{number}` stands for the number.
    """

    code: str
    first_names: tuple[Frequencies[str], ...]
    last_names: tuple[Frequencies[str], ...]
    rare_last_names: float
    last_names_each: int
    cities: Frequencies[City]
    streets: tuple[str, ...]


@functools.cache
def countries() -> Frequencies[Country]:
    """Return all countries of the population, by their share of it."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    read = {path.stem: yaml.load(path.read_text("utf-8"), loader) for path in sorted(COUNTRIES.glob("*.yaml"))}  # noqa: S506 (a safe loader)
    return Frequencies([_country(code, data) for code, data in read.items()], [data["share"] for data in read.values()])


def rare(names: Frequencies[str], chance: random.Random) -> str:
    """Return a made-up name: the first half of one and the second half of another (`Hoff` and `mann`).

    There are as many as pairs of names, and some are more frequent than others, as with rare names in life.
    """
    one, other = names.draw(chance), names.draw(chance)
    return one[: (len(one) + 1) // 2] + other[len(other) // 2 :].lower()


def zipf(count: int) -> list[float]:
    """Return weights that fall with the rank as those of names and towns do (the law of Zipf and Mandelbrot)."""
    return [1 / (rank + SHIFT) for rank in range(1, count + 1)]


def _country(code: str, data: dict) -> Country:
    chance = random.Random(code)  # noqa: S311 (not for secrets)
    places = [*_cities(data, chance), *_towns(data, chance)]
    return Country(
        code=code,
        first_names=tuple(_names(people["first_names"]) for people in data["names"]),
        last_names=tuple(_names(people["last_names"]) for people in data["names"]),
        rare_last_names=data["rare_last_names"],
        last_names_each=data.get("last_names_each", 1),
        cities=Frequencies([city for city, _ in places], [weight for _, weight in places]),
        streets=tuple(data["streets"].replace("{street}", street) for street in data["street_names"]),
    )


def _names(listed: dict[int, str] | list[str]) -> Frequencies[str]:
    """Return names from their counts (`{1006: Smith, 810: Johnson}`), or from a list with the commonest first."""
    if isinstance(listed, list):
        return Frequencies(listed, zipf(len(listed)))
    counted = [(name, weight) for weight, names in listed.items() for name in names.split()]
    return Frequencies([name for name, _ in counted], [weight for _, weight in counted])


def _cities(data: dict, chance: random.Random) -> Iterator[tuple[City, float]]:
    for name, (thousands, subdivision, postal_codes, area_codes) in data["cities"].items():
        count = 1 + thousands // THOUSANDS_IN_A_POSTAL_CODE
        codes = tuple(_filled(chance.choice(postal_codes), chance) for _ in range(count))
        yield City(name, subdivision, codes, _phone_numbers(data, area_codes)), thousands


def _towns(data: dict, chance: random.Random) -> Iterator[tuple[City, float]]:
    """Yield made-up towns, in which the share `towns` of the country's people live."""
    names = _names([name for name in data["cities"] if name.isalpha()])
    inhabitants = sum(thousands for thousands, *_ in data["cities"].values()) * data["towns"] / (1 - data["towns"])
    weights = zipf(TOWNS) if inhabitants else []
    for weight in weights:
        codes = (_filled(data["town_postal_code"], chance),)
        phone_numbers = _phone_numbers(data, [_filled(chance.choice(data["town_area_codes"]), chance)])
        yield City(rare(names, chance), None, codes, phone_numbers), inhabitants * weight / sum(weights)


def _phone_numbers(data: dict, area_codes: Iterable[object]) -> tuple[str, ...]:
    return tuple(data["phone_number"].format(code).replace("#", "{}") for code in area_codes)


def _filled(template: str, chance: random.Random) -> str:
    """Return the template with a digit for each `#` and a letter for each `@`."""
    signs = {"#": "0123456789", "@": LETTERS_OF_POSTAL_CODES}
    return "".join(chance.choice(signs.get(sign, sign)) for sign in template)
