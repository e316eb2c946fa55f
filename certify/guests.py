"""The guests that the kit makes up: of a domain that exists nowhere (RFC 2606), and of one run each."""

import random
import threading

import phonenumbers

DOMAIN = "certify.example"
# Letters alone, since some programs refuse digits in a name.
_LETTERS = "bcdfghklmnprstvz"
_VOWELS = "aeiou"
FIRST_NAMES = ("Ada", "Bruno", "Clara", "David", "Elena", "Felix", "Greta", "Hugo", "Irena", "Jonas", "Klara", "Leo")
# In each area code, 555-0100 to 555-0199 are kept for fiction.
FICTIONAL_NUMBERS = 100
ACCENTED = {"firstName": "Zoë-Marie", "lastName": "O’Brien Łukasiewicz Dvořák"}


class Guests:
    """Makes up customers with the contract's fields, never one twice.

    Args:
        randomness: chooses; its choices differ from run to run, so that runs do not meet each other's guests.
    """

    def __init__(self, randomness: random.Random) -> None:
        self._random = randomness
        self.run = self._syllables(4)
        self._area_codes = _area_codes()
        self._first_area = randomness.randrange(len(self._area_codes))
        self._count = 0
        self._lock = threading.Lock()

    def guest(self, **fields: object) -> dict:
        """Return a new customer with every field that the contract's examples have; `fields` replace some."""
        with self._lock:
            self._count += 1
            number = self._count
        return {
            "firstName": FIRST_NAMES[number % len(FIRST_NAMES)],
            "lastName": self.unheard_of(),
            "email": f"guest-{number}.{self.run}@{DOMAIN}",
            "birthday": f"{1950 + number % 50}-{1 + number % 12:02}-{1 + number % 28:02}",
            "phoneNumber": self._phone_number(number),
            "address": {
                "line1": f"{number} {self.unheard_of()} Street",
                "city": self.unheard_of(),
                "postalCode": f"{10000 + number}",
                "countryCode": "US",
                "countrySubdivisionCode": "NY",
            },
        } | fields

    def _phone_number(self, number: int) -> str:
        """Return a number that no other guest of the run has, and hardly one of another run."""
        areas, line = divmod(number, FICTIONAL_NUMBERS)
        area = self._area_codes[(self._first_area + areas) % len(self._area_codes)]
        return f"+1 {area} 555 01{line:02}"

    def unheard_of(self) -> str:
        """Return a name that nobody has."""
        return self._syllables(5).capitalize()

    def _syllables(self, count: int) -> str:
        with_vowels = ((self._random.choice(_LETTERS), self._random.choice(_VOWELS)) for _ in range(count))
        return "".join(letter + vowel for letter, vowel in with_vowels)


def _area_codes() -> list[int]:
    """Return the area codes of the United States."""
    numbers = {code: phonenumbers.parse(f"+1{code}5550100") for code in range(200, 1000)}
    places = (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
    return [
        code
        for code, number in numbers.items()
        if phonenumbers.region_code_for_number(number) == "US" and phonenumbers.number_type(number) in places
    ]
