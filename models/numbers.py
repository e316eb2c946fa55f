"""Membership numbers: a program's pattern, random digits and a check digit."""

import secrets

from stdnum import luhn

from models.errors import LoyaltyError

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
        InvalidNumberPattern: it has too few `#`, or not exactly one `?`.
    """
    if pattern.count(DIGIT) < LEAST_DIGITS or pattern.count(CHECK_DIGIT) != 1:
        raise InvalidNumberPattern(
            f"A number pattern needs at least {LEAST_DIGITS} {DIGIT} for random digits and one {CHECK_DIGIT} for "
            f"the check digit, such as {DEFAULT_PATTERN}."
        )


def make_number(pattern: str) -> str:
    """Return a random membership number after the pattern; its digits end in a Luhn check digit (ISO/IEC 7812)."""
    filled = "".join(secrets.choice("0123456789") if sign == DIGIT else sign for sign in pattern)
    digits = "".join(sign for sign in filled if sign.isdecimal())
    return filled.replace(CHECK_DIGIT, luhn.calc_check_digit(digits))
