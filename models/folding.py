"""Normalised keys: what two spellings of one name, address, e-mail or phone number have in common.

A key unites only what never separates two names; other spellings of one name are for `models.names` to compare.
"""

import functools
import hashlib
import re
import string
import unicodedata
from typing import Any

import anyascii
import idna
import phonenumbers
from babel.core import get_global

from models.tables import KEY_LENGTH

# Every row carries the version of these rules, so that a later release can find and renew older keys.
KEY_VERSION = 4
# Added to it in the rows whose e-mail keys have no subaddresses.
_WITHOUT_SUBADDRESSES = 1000
# Whose mailboxes are the same with dots and without.
_DOTLESS_DOMAINS = {"gmail.com", "googlemail.com"}
# Shorter strings of digits would match half the members.
SHORTEST_PHONE_DIGITS = 5

_APOSTROPHES = "'`"
# Letters and digits stay, in lower case; apostrophes go, and so O'Neil is ONeil; all else parts words.
_LETTERS: dict[int, str | None] = dict.fromkeys(range(128), " ")
_LETTERS |= {ord(sign): sign.lower() for sign in string.ascii_letters + string.digits}
_LETTERS |= dict.fromkeys(map(ord, _APOSTROPHES))
_UKRAINIAN = str.maketrans("гґиій", "hgyii")
_LONG_VOWELS = re.compile("(?<=o)[ou](?![aeiou])|(?<=u)u(?![aeiou])")  # さとう is Sato in a passport
# By script: where anyascii, which goes letter by letter, differs from how names are written in passports.
_SPELLINGS: dict[re.Pattern, list[tuple[re.Pattern, Any]]] = {
    re.compile("[\u0370-\u03ff]"): [  # Greek by ELOT 743
        (re.compile("ο[υύ]"), "ou"),  # Παπαδόπουλος
        (re.compile(r"([αεη])[υύ](?=[θκξπστφχψ]|\b)"), r"\1f"),  # Ευτυχία
        (re.compile("([αεη])[υύ]"), r"\1v"),  # Ευάγγελος
        (re.compile("γ(?=[γξχ])"), "n"),
        (re.compile(r"\bμπ"), "b"),  # Μπάμπης
    ],
    re.compile("[\u0400-\u04ff]"): [
        (re.compile("ъ(?![еёюя])"), "a"),  # Bulgarian: Първанов
        (re.compile(".*[іїєґ].*"), lambda name: name[0].translate(_UKRAINIAN)),  # Сергій is Serhii
    ],
    re.compile("[\u0600-\u06ff]"): [
        (re.compile("[\u064b-\u065f\u0670\u0640]"), ""),  # vowel signs, and the line that stretches a word
        (re.compile(r"\bال(?=\w{3})"), ""),  # the article
        (re.compile("[أإآٱ]"), "ا"),
    ],
    re.compile("[\u0900-\u097f]"): [
        (re.compile("([क-ह])(?=[अ-ह])"), r"\1a"),  # the vowel of a consonant without a sign: रमेश is Ramesh
        (re.compile("[शष]"), "sh"),
    ],
    re.compile("[\u3041-\u30ff]"): [
        (re.compile("(.)([ゃゅょャュョ])"), lambda kana: _contract(kana[1], kana[2])),  # しょ is sho, not shiyo
        (re.compile("[っッ](?=(.))"), lambda kana: anyascii.anyascii(kana[1])[:1]),  # いっせい is Issei
        (re.compile(".+"), lambda name: _LONG_VOWELS.sub("", anyascii.anyascii(name[0]))),
    ],
}
_FIRST_SCRIPT_AFTER_LATIN = "\u0370"

_EXTENSION = re.compile(r"\W*(?:ext(?:ension)?|x|#)\W*\d{1,7}\W*$", re.IGNORECASE)
_COUNTRY_BEFORE_POSTAL_CODE = re.compile(r"^[a-z]{1,2} (?=\d{4}|\d{3} \d{2}$)")  # D-10115, CZ-110 00
_ZIP_PLUS_FOUR = re.compile(r"^(\d{5}) \d{4}$")


def fold(text: str | None) -> str | None:
    """Return the text in lower-case ASCII letters, digits and single spaces; None if nothing readable is in it.

    Unicode NFKC, case folding and transliteration, so that `Łukasz` is `lukasz`, `O’Neil` is `oneil`, `Anne-Marie` is
    `anne marie`, `王小明` is `wangxiaoming` and `Ευάγγελος` is `evangelos`. Folding twice is folding once.
    """
    if not text:
        return None
    if text.isascii():
        return " ".join(text.translate(_LETTERS).split()) or text.strip().lower() or None
    plain = unicodedata.normalize("NFKC", text.replace("\u00b4", "'")).casefold()
    return " ".join(_transliterate(plain).translate(_LETTERS).split()) or _unreadable(plain)


def _transliterate(plain: str) -> str:
    if max(plain) >= _FIRST_SCRIPT_AFTER_LATIN:
        for script, spellings in _SPELLINGS.items():
            if script.search(plain):
                for pattern, replacement in spellings:
                    plain = pattern.sub(replacement, plain)
    return anyascii.anyascii(plain)


def _contract(syllable: str, small: str) -> str:
    consonant, glide = anyascii.anyascii(syllable)[:-1], anyascii.anyascii(small)
    return consonant + (glide[1:] if consonant in ("sh", "ch", "j") else glide)


def _unreadable(plain: str) -> str | None:
    """Return a key for signs that have no letters, such as an emoji; it is the same for its own key."""
    return unicodedata.normalize("NFKC", plain).strip() or None


def bounded(key: str | None) -> str | None:
    """Return the key, or its SHA-256 in hex if it is longer than an indexed key may be."""
    if key is None or len(key) <= KEY_LENGTH:
        return key
    return digest(key)


def digest(*parts: str) -> str:
    """Return the SHA-256 of the parts as 64 hex digits; no two lists of parts are joined to the same text."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class _Rules:
    """What an operator chooses; it is the same in all processes that share a database."""

    ignores_subaddresses = False


def ignore_subaddresses(ignores: bool) -> None:
    """Let the e-mail keys of this process leave out subaddresses and Gmail's dots, or keep them as by default."""
    _Rules.ignores_subaddresses = ignores


def key_version() -> int:
    """Return the version of the keys that this process makes."""
    return KEY_VERSION + _WITHOUT_SUBADDRESSES * _Rules.ignores_subaddresses


def outdated_key_versions() -> list[int]:
    """Return the versions whose keys are to be renewed: earlier rules, and these where subaddresses count otherwise."""
    known = [each + added for each in range(KEY_VERSION + 1) for added in (0, _WITHOUT_SUBADDRESSES)]
    return [version for version in known if version != key_version()]


def email_key(email: str | None) -> str | None:
    """Return an e-mail address in one form: in lower case, the domain in its ASCII form (IDNA 2008 with UTS 46).

    Subaddresses (RFC 5233: what follows a plus) and dots count, unless `ignore_subaddresses` has said otherwise.
    """
    if not email or not email.strip():
        return None
    local, _, domain = unicodedata.normalize("NFC", email.strip()).rpartition("@")
    local, domain = local.lower(), _ascii_domain(domain)
    if _Rules.ignores_subaddresses:
        local = local.partition("+")[0] or local
        local = local.replace(".", "") if domain in _DOTLESS_DOMAINS else local
    return bounded(unicodedata.normalize("NFC", f"{local}@{domain}"))


@functools.lru_cache(4096)
def _ascii_domain(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return domain.casefold()


def phone_keys(phone_number: str | None, country_code: str | None) -> list[str]:
    """Return the keys by which a phone number may be found, the most telling first.

    E.164 where libphonenumber can parse it (with the address's country as region), then its digits as given, and last
    those without the country and the zero before a national number. Extensions are left out.
    """
    if not phone_number:
        return []
    number = _EXTENSION.sub("", phone_number)
    digits = "".join(str(unicodedata.digit(sign)) for sign in number if sign.isdecimal())
    keys = [digits, digits.lstrip("0")]
    parsed = _parse_phone(number, digits, country_key(country_code))
    if parsed:
        e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
        keys = [e164, digits, str(parsed.national_number)]
    return [str(bounded(key)) for key in dict.fromkeys(keys) if len(key) >= SHORTEST_PHONE_DIGITS]


def _parse_phone(number: str, digits: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    """Without a region, 00 is taken for the + that most of the world dials so."""
    international = f"+{digits[2:]}" if not region and digits.startswith("00") else number
    try:
        return phonenumbers.parse(international, region)
    except phonenumbers.NumberParseException:
        return None


def phones_agree(one: list[str], other: list[str]) -> bool | None:
    """Tell whether two numbers are one, or None if one of them is missing.

    By E.164 where both parse, otherwise by any digits that they have in common.

    Args:
        one: what `phone_keys` returned.
        other: the same of the other number.
    """
    if not one or not other:
        return None
    if one[0].startswith("+") and other[0].startswith("+"):
        return one[0] == other[0]
    return not set(one).isdisjoint(other)


@functools.lru_cache(1024)
def country_key(country_code: str | None) -> str | None:
    """Return the ISO 3166-1 alpha-2 code in upper case, also for an alpha-3 or numeric one; None for a blank one.

    The other codes are CLDR's. One that it does not know, or that stands for several countries now, stays as it is.
    """
    code = (country_code or "").strip().upper()
    known = get_global("territory_aliases").get(code, [])
    return (known[0] if len(known) == 1 else code) or None


def number_key(membership_number: str | None) -> str | None:
    """Return a membership number without case, spaces and hyphens."""
    folded = fold(membership_number)
    return bounded(folded.replace(" ", "")) if folded else None


def postal_code_key(postal_code: str | None) -> str | None:
    """Return a postal code without case, spaces, hyphens, the country before it (`D-10115`), or a ZIP's last four
    digits (`10012-1234`), which people leave out.
    """
    folded = _COUNTRY_BEFORE_POSTAL_CODE.sub("", fold(postal_code) or "")
    return number_key(_ZIP_PLUS_FOUR.sub(r"\1", folded))
