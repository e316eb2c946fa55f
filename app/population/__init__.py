"""Made-up members of a program, in any number, with names and places as frequent as in life.

For `loyalty demo --members` and the measurements in `bench/`; docs/scale.md tells where the frequencies come from.
E-mail addresses are of the domains that RFC 2606 keeps for examples, and North American phone numbers of the exchange
555, of which hardly any are given out; those of other countries only look right.
"""

import datetime
import functools
import random
import re
from collections.abc import Iterator

from anyascii import anyascii

from app.population.frequencies import City, Country, Frequencies, countries, rare
from models.programs import Status

SEED = 20251109
# One member in 500 has this name and lives in this city: many more than in life, where about one American in 6,000
# is a John Smith. So a million members have the 2,000 namesakes in one city that search must bear at any size.
CROWD_SHARE = 1 / 500
CROWD = {"firstName": "John", "lastName": "Smith", "city": "New York", "countryCode": "US"}
# The share of members who have told it.
TOLD = {"firstName": 0.99, "email": 0.88, "birthday": 0.6, "phoneNumber": 0.75, "address": 0.92, "line1": 0.8}
DOMAINS = Frequencies(("example.com", "example.org", "example.net"), (6, 3, 1))
TIERS = ((50_000, "Platinum"), (15_000, "Gold"), (3_000, "Silver"), (0, "Basic"))
STATUSES = Frequencies((Status.ENROLLED, Status.CANCELED, Status.PENDING, Status.DECLINED), (92, 5, 2, 1))
MEAN_POINTS = 6_000
OLDEST, YOUNGEST = datetime.date(1935, 1, 1).toordinal(), datetime.date(2007, 12, 31).toordinal()
FIRST_ENROLLMENT = int(datetime.datetime(2015, 1, 1, tzinfo=datetime.UTC).timestamp() * 1000)
MILLISECONDS_BETWEEN = 20_000
EXPIRING, EXPIRY_YEARS = 0.2, range(2024, 2031)
MEAN_NUMBER = 40  # of a house
NO_LETTERS = re.compile(r"[^a-z]+")
NUMBER_DIGITS = 12
# Coprime to the powers of ten, so that consecutive members have distinct numbers that look unrelated.
NUMBER_STEP = 618_033_988_751


def members(count: int, *, seed: int = SEED) -> Iterator[dict]:
    """Yield members one by one, as the columns of `loyalty member import`; what is not known of one is left out.

    The same seed gives the same members; fewer of them are the first of more.

    Args:
        count: how many.
        seed: of all chance.
    """
    chance = random.Random(seed)  # noqa: S311 (not for secrets)
    for index in range(count):
        yield _member(index, chance)


def _member(index: int, chance: random.Random) -> dict:
    is_crowd = chance.random() < CROWD_SHARE
    country = _crowd_country() if is_crowd else countries().draw(chance)
    city = _crowd_city() if is_crowd else country.cities.draw(chance)
    names = (CROWD["firstName"], CROWD["lastName"]) if is_crowd else _names(country, chance)
    told = {name for name, share in TOLD.items() if chance.random() < share}
    member = _membership(index, chance) | _person(names, index, city, told, chance)
    return member | _address(country, city, told, chance) if "address" in told else member


@functools.cache
def _crowd_country() -> Country:
    return next(country for country in countries().values if country.code == CROWD["countryCode"])


@functools.cache
def _crowd_city() -> City:
    return next(city for city in _crowd_country().cities.values if city.name == CROWD["city"])


def _names(country: Country, chance: random.Random) -> tuple[str, str]:
    group = chance.randrange(len(country.first_names))
    last_names = country.last_names[group]
    drawn = [
        rare(last_names, chance) if chance.random() < country.rare_last_names else last_names.draw(chance)
        for _ in range(country.last_names_each)
    ]
    return country.first_names[group].draw(chance), " ".join(drawn)


def _membership(index: int, chance: random.Random) -> dict:
    points = int(chance.expovariate(1 / MEAN_POINTS))
    membership = {
        "providerMembershipId": _uuid7(FIRST_ENROLLMENT + index * MILLISECONDS_BETWEEN, chance.getrandbits(74)),
        "membershipNumber": f"{(index + 1) * NUMBER_STEP % 10**NUMBER_DIGITS:0{NUMBER_DIGITS}}",
        "tier": next(tier for least, tier in TIERS if points >= least),
        "points": points,
        "status": STATUSES.draw(chance),
    }
    if chance.random() < EXPIRING:
        membership["expiresAt"] = f"{chance.choice(EXPIRY_YEARS)}-12-31T23:59:59Z"
    return membership


def _uuid7(milliseconds: int, bits: int) -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7) of a time since 1970 and 74 further bits."""
    value = milliseconds << 80 | 7 << 76 | bits >> 62 << 64 | 2 << 62 | bits & (1 << 62) - 1
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _person(names: tuple[str, str], index: int, city: City, told: set[str], chance: random.Random) -> dict:
    first_name, last_name = names
    person = {"lastName": last_name}
    if "firstName" in told:
        person["firstName"] = first_name
    if "email" in told:
        person["email"] = _email(first_name, last_name, index, chance)
    if "birthday" in told:
        person["birthday"] = datetime.date.fromordinal(chance.randint(OLDEST, YOUNGEST)).isoformat()
    if "phoneNumber" in told:
        template = chance.choice(city.phone_numbers)
        person["phoneNumber"] = template.format(*f"{chance.randrange(10**9):09}")
    return person


def _email(first_name: str, last_name: str, index: int, chance: random.Random) -> str:
    first, last = (NO_LETTERS.sub("", anyascii(name).lower()) for name in (first_name, last_name))
    local = chance.choice((f"{first}.{last}", f"{first[:1]}{last}", f"{last}.{first}", first))
    return f"{local}{index}@{DOMAINS.draw(chance)}"


def _address(country: Country, city: City, told: set[str], chance: random.Random) -> dict:
    # Squared, so that half of a city's people live in the first quarter of its postal codes.
    postal_code = city.postal_codes[int(len(city.postal_codes) * chance.random() ** 2)]
    address = {"city": city.name, "postalCode": postal_code, "countryCode": country.code}
    if city.subdivision:
        address["countrySubdivisionCode"] = city.subdivision
    if "line1" in told:
        # The length of streets is skewed too.
        address["line1"] = chance.choice(country.streets).format(number=1 + int(chance.expovariate(1 / MEAN_NUMBER)))
    return address
