"""Every text that the server tells is told in every language, and the caller's preference picks which."""

import pathlib
import re

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import app
from app.languages import CATALOGUES, DEFAULT, LANGUAGES, Message, catalogue, negotiate, translate
from app.problems import BAD_REQUEST, FIELDS_DETAIL

TRANSLATED = [language for language in LANGUAGES if language != DEFAULT]
LIMIT = "At most %(limit)s characters are allowed."
PLACE = "The body is no valid JSON (line %(line)s, column %(column)s)."


@pytest.fixture(scope="module")
def texts() -> set[str]:
    """The English texts that the code marks by `N_`."""
    found = extract_from_dir(pathlib.Path(app.__file__).parent, keywords={"N_": None})
    return {text for _file, _line, text, _comments, _context in found}


def parsed(language: str) -> Catalog:
    """The catalogue as Babel reads it, with what `app.languages` leaves out: header, flags, obsolete entries."""
    with (CATALOGUES / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, abort_invalid=True)


def directives(text: str) -> list[str]:
    return sorted(re.findall(r"%(?:\(\w*\))?.?", text))


def test_extraction_finds_titles_details_and_texts_with_values(texts):
    assert {BAD_REQUEST.title, FIELDS_DETAIL.text, LIMIT, PLACE} <= texts


def test_each_language_but_english_has_a_catalogue():
    assert sorted(TRANSLATED) == sorted(path.name for path in CATALOGUES.iterdir())


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated(language, texts):
    translations = catalogue(language)
    assert texts - translations.keys() == set()
    assert [text for text in texts if translations[text].strip() in ("", text)] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_keep_the_placeholders(language, texts):
    translations = catalogue(language)
    assert [text for text in texts if directives(text) != directives(translations.get(text, ""))] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_catalogue_holds_a_text_that_no_longer_exists(language, texts):
    assert catalogue(language).keys() - texts == set()
    assert list(parsed(language).obsolete) == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalogue_says_its_language_and_holds_no_fuzzy_entry(language):
    read = parsed(language)
    assert (str(read.locale), read.charset) == (language, "utf-8")
    assert [message.id for message in read if message.id and message.fuzzy] == []


@pytest.mark.parametrize(
    ("accept_language", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("de", "de"),
        ("DE", "de"),
        ("de-AT,de;q=0.9", "de"),
        ("cs-CZ", "cs"),
        ("es-419", "es"),
        ("fr-CA;q=0.5, es;q=0.9", "es"),
        ("es;q=0.5, fr;q=0.9", "fr"),
        ("xx, cs;q=0.1", "cs"),
        ("xx", "en"),
        ("*", "en"),
        ("de, *;q=0.5", "de"),
        ("de;q=0", "en"),
        ("de;q=0, fr;q=0.1", "fr"),
        ("en;q=0, de;q=0.1", "de"),
        (";;;,,q", "en"),
        ("\x00, \xe9, -, de;q=x", "en"),
    ],
)
def test_the_preference_of_the_caller_picks_the_language(accept_language, language):
    assert negotiate(accept_language) == language


def test_unless_english_is_refused_any_other_serves_a_wildcard():
    assert negotiate("*, en;q=0") in TRANSLATED


@pytest.mark.parametrize(
    ("piece", "language"), [("fr,", "fr"), ("x", "en"), (",", "en"), (";q=", "en"), ("a-", "en"), ('"', "en")]
)
def test_a_header_of_ten_kilobytes_is_read_like_any_other(piece, language):
    assert negotiate(piece * (10_240 // len(piece))) == language


def test_english_is_told_as_written():
    assert translate(FIELDS_DETAIL, "en") == FIELDS_DETAIL.text


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "At most 12 characters are allowed."),
        ("cs", "Nejvyšší počet znaků: 12."),
        ("de", "Höchstzahl der Zeichen: 12."),
        ("es", "Número máximo de caracteres: 12."),
        ("fr", "Nombre maximal de caractères\xa0: 12."),
    ],
)
def test_translate_fills_the_placeholder(language, told):
    assert translate(Message(LIMIT, {"limit": 12}), language) == told


@pytest.mark.parametrize("language", LANGUAGES)
def test_translate_fills_several_placeholders_in_every_language(language):
    told = translate(Message(PLACE, {"line": 3, "column": 41}), language)
    assert re.findall(r"\d+", told) == ["3", "41"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_translate_puts_a_value_in_as_it_is(language):
    assert "50 %(limit)s %" in translate(Message(LIMIT, {"limit": "50 %(limit)s %"}), language)


@pytest.mark.parametrize(
    ("accept_language", "language"),
    [
        ("en-US, de;q=0.9", "en"),
        ("pt-BR, en-GB;q=0.9, fr;q=0.2", "en"),
        ("de-AT;q=0.5, fr;q=0.4", "de"),
    ],
)
def test_a_region_takes_its_language_before_a_lesser_preference(accept_language, language):
    assert negotiate(accept_language) == language
