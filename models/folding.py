"""Normalised keys: what two spellings of one name, address, e-mail or phone number have in common."""

import hashlib
import re
import unicodedata

import anyascii
import idna
import phonenumbers

from models.tables import KEY_LENGTH

# Every row carries the version of these rules, so that a later release can find and renew older keys.
KEY_VERSION = 1
# Shorter strings of digits would match half the members.
SHORTEST_PHONE_DIGITS = 5

_APOSTROPHES = re.compile(r"['\u2018\u2019\u02bc\u02bb`\u00b4]")
_SEPARATORS = re.compile(r"[^a-z0-9]+")


def fold(text: str | None) -> str | None:
    """Return the text in lower-case ASCII letters, digits and single spaces; None if nothing readable is in it.

    Unicode NFKC, case folding and transliteration, so that `Łukasz` is `lukasz`, `O’Neil` is `oneil` and
    `Anne-Marie` is `anne marie`.
    """
    if not text:
        return None
    plain = unicodedata.normalize("NFKC", _APOSTROPHES.sub("", text)).casefold()
    folded = _SEPARATORS.sub(" ", anyascii.anyascii(plain).lower()).strip()
    return folded or plain.strip() or None


def bounded(key: str | None) -> str | None:
    """Return the key, or its SHA-256 in hex if it is longer than an indexed key may be."""
    if key is None or len(key) <= KEY_LENGTH:
        return key
    return digest(key)


def digest(*parts: str) -> str:
    """Return the SHA-256 of the parts as 64 hex digits; no two lists of parts are joined to the same text."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def email_key(email: str | None) -> str | None:
    """Return an e-mail address in one form: case folded, the domain in its ASCII form (IDNA 2008 with UTS 46)."""
    if not email or not email.strip():
        return None
    local, _, domain = unicodedata.normalize("NFC", email.strip()).rpartition("@")
    try:
        domain = idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        domain = domain.casefold()
    return bounded(f"{local.casefold()}@{domain}")


def phone_keys(phone_number: str | None, country_code: str | None) -> list[str]:
    """Return the keys by which a phone number may be found, the most telling first.

    E.164 where libphonenumber can parse it (with the address's country as region), then its digits as given, and last
    those without the country.
    """
    if not phone_number:
        return []
    digits = "".join(str(unicodedata.digit(sign)) for sign in phone_number if sign.isdecimal())
    keys = [digits] if len(digits) >= SHORTEST_PHONE_DIGITS else []
    try:
        parsed = phonenumbers.parse(phone_number, country_key(country_code))
    except phonenumbers.NumberParseException:
        return [str(bounded(key)) for key in keys]
    national = str(parsed.national_number)
    if len(national) >= SHORTEST_PHONE_DIGITS:
        keys.append(national)
    keys.insert(0, phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
    return [str(bounded(key)) for key in dict.fromkeys(keys)]


def country_key(country_code: str | None) -> str | None:
    """Return an ISO 3166-1 code in upper case, or None for a blank one."""
    return (country_code or "").strip().upper() or None


def number_key(membership_number: str | None) -> str | None:
    """Return a membership number, or a postal code, without case, spaces and hyphens."""
    folded = fold(membership_number)
    return bounded(folded.replace(" ", "")) if folded else None


def member_keys(customer: dict) -> dict:
    """Return the key columns of a member for the customer's plain values."""
    address = customer.get("address") or {}
    phones = phone_keys(customer.get("phone_number"), address.get("country_code"))
    return {
        "email_key": email_key(customer.get("email")),
        "phone_key": next((key for key in phones if key.startswith("+")), None),
        "phone_digits_key": phones[-1] if phones and not phones[-1].startswith("+") else None,
        "first_name_key": bounded(fold(customer.get("first_name"))),
        "last_name_key": bounded(fold(customer.get("last_name"))),
        "city_key": bounded(fold(address.get("city"))),
        "postal_code_key": number_key(address.get("postal_code")),
        "key_version": KEY_VERSION,
    }
