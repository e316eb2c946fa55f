"""The languages in which problems are told: catalogues, and the choice after `Accept-Language`."""

import functools
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from babel.messages.pofile import read_po
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

CATALOGUES = pathlib.Path(__file__).parent / "locale"
DEFAULT = "en"
LANGUAGES = (DEFAULT, "cs", "de", "es", "fr")


@dataclass(frozen=True)
class Message:
    """A text in English with its `%(name)s` values; translated when it is rendered."""

    text: str
    values: Mapping[str, object] = field(default_factory=dict)


def N_(text: str) -> str:  # noqa: N802 (gettext's own name: it marks a text for the catalogues)
    """Return the text; by this call Babel finds it."""
    return text


@functools.cache
def catalogue(language: str) -> dict[str, str]:
    """Return the translations of one language by their English texts."""
    path = CATALOGUES / language / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        return {str(message.id): str(message.string) for message in read_po(file) if message.id}


def translate(message: Message, language: str) -> str:
    """Return the message in one of `LANGUAGES`."""
    text = message.text if language == DEFAULT else catalogue(language)[message.text]
    return text % message.values if message.values else text


@functools.lru_cache(64)  # a client sends the same one each time, or none
def negotiate(accept_language: str | None) -> str:
    """Return the best of `LANGUAGES` for an `Accept-Language` field (RFC 9110, section 12.5.4; `de-AT` is `de`)."""
    quality: dict[str, float] = {}
    for language, weight in parse_accept_header(accept_language, LanguageAccept):
        primary = language.partition("-")[0].lower()
        quality[primary] = max(weight, quality.get(primary, 0))
    best = max(LANGUAGES, key=lambda language: quality.get(language, quality.get("*", 0)))
    return best if quality.get(best, quality.get("*", 0)) > 0 else DEFAULT
