"""Membership numbers: a program's pattern, random digits and a check digit."""

import secrets
import string

from stdnum import luhn

from models.errors import LoyaltyError
from models.tables import IDENTIFIER_LENGTH

DIGIT, CHECK_DIGIT = "#", "?"
# Fewer random digits would run out, or make numbers that can be guessed.
LEAST_DIGITS = 6
DEFAULT_PATTERN = "#########?"


class InvalidNumberPattern(LoyaltyError):
    """The pattern cannot make membership numbers."""


def check_pattern(pattern: str) -> None:
    """Do nothing if the pattern can make membership numbers.

    Args:
        pattern: `#` stands for a random digit and `?`, once, for the check digit; all else stands for itself.

    Raises:
        InvalidNumberPattern: it has too few `#`, not exactly one `?`, is too long or not ASCII.
    """
    fits = len(pattern) <= IDENTIFIER_LENGTH and pattern.isascii() and pattern.isprintable()
    if pattern.count(DIGIT) < LEAST_DIGITS or pattern.count(CHECK_DIGIT) != 1 or not fits:
        raise InvalidNumberPattern(
            f"A number pattern needs at least {LEAST_DIGITS} {DIGIT} for random digits and one {CHECK_DIGIT} for "
            f"the check digit, such as {DEFAULT_PATTERN}, and has at most {IDENTIFIER_LENGTH} characters, all ASCII."
        )


def make_number(pattern: str) -> str:
    """Return a random membership number after the pattern; its digits end in a Luhn check digit (ISO/IEC 7812)."""
    filled = "".join(secrets.choice(string.digits) if sign == DIGIT else sign for sign in pattern)
    digits = "".join(sign for sign in filled if sign in string.digits)
    return filled.replace(CHECK_DIGIT, luhn.calc_check_digit(digits))
