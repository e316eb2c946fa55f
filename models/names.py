"""Comparing names: whether two of them may be one person's, whatever the spelling, and how much alike they are.

The rules unite what the field calls one name: typing errors, transliterations, nicknames, initials, parts. They are
spelled out in docs/matching.md, and judged by tests/golden/pairs.csv.
"""

import functools

from nicknames import NickNamer
from rapidfuzz.distance import OSA, JaroWinkler

from models import folding, spellings

SIMILAR = 0.9  # the similarity from which two names count as one

# How much alike two names are that do not merely differ by a typing error, whose Jaro-Winkler similarity it is.
_OTHER_SPELLING = 0.97
_NICKNAME = 0.95
_PART = 0.92
_INITIAL = 0.9
_TWO_NAMES = 0.89  # the most for two that are not one
_STRANGERS = 0.55  # names that are less alike are not worth a closer look

# One letter of a name with few letters makes another name: Jan and Jon, Chen and Cheng.
SHORTEST_WITH_ERRORS = 5
SHORTEST_WITH_TWO_ERRORS = 10
SHORTEST_WITH_OTHER_VOWELS = 6
# Women's names that differ in few letters from those of men, and not by an a. No rule tells them from Carol, Carole.
_WOMEN = {
    "adrien": "adrienne",
    "christian": "christiane",
    "daniel": "danielle",
    "fabien": "fabienne",
    "francis": "frances",
    "gabriel": "gabrielle",
    "julien": "julienne",
    "justin": "justine",
    "lucien": "lucienne",
    "marcel": "marcelle",
    "martin": "martine",
    "michel": "michelle",
    "pascal": "pascale",
    "raphael": "raphaelle",
    "simon": "simone",
    "valentin": "valentine",
}
# Arabic o and u, and a, e and i, are written one for the other.
_VOWELS = str.maketrans("eio", "aau")


def first_name_similarity(one: str, other: str) -> float:
    """Return how much alike two folded first names are, from 0 to 1; from `SIMILAR` on they may be one person's.

    Typing errors, other spellings, nicknames, initials, and one without the other's further names (`anna`,
    `anna maria`).
    """
    if one == other:
        return 1.0
    if " " not in one + other:
        return _first_word_similarity(one, other)
    if not spellings.joined_spellings(one).isdisjoint(spellings.joined_spellings(other)):
        return _OTHER_SPELLING
    if _are_servants_of(one, other):
        return _PART
    pairs = list(zip(spellings.parts(one), spellings.parts(other), strict=False))
    similarity = min(_first_word_similarity(*pair) for pair in pairs)
    return min(similarity, _PART) if similarity >= SIMILAR else _below(JaroWinkler.similarity(one, other))


def last_name_similarity(one: str, other: str) -> float:
    """Return how much alike two folded last names are, from 0 to 1; from `SIMILAR` on they may be one person's.

    Typing errors, other spellings, particles left out or moved (`cruz de la`), parts of a double name in any order, and
    the Slavic forms for women (`novak`, `novakova`).
    """
    if one == other:
        return 1.0
    if " " not in one + other:
        return _last_word_similarity(one, other)
    if not spellings.joined_spellings(one).isdisjoint(spellings.joined_spellings(other)):
        return _OTHER_SPELLING
    if _are_servants_of(one, other) or spellings.elided(one) == spellings.elided(other):
        return _PART
    fewer, more = sorted((spellings.parts(one), spellings.parts(other)), key=len)
    if _are_among(fewer, more) and (len(fewer) < len(more) or _are_among(more, fewer)):
        return _PART
    return _below(JaroWinkler.similarity(one, other))


def _are_servants_of(one: str, other: str) -> bool:
    """Tell whether both are one name with abd, servant of, of which one is from Arabic: عبد الرحمن, Abdulrahman."""
    return spellings.fits_servant_of(one, other) or spellings.fits_servant_of(other, one)


def _are_among(parts: tuple[str, ...], known: tuple[str, ...]) -> bool:
    return all(any(_last_word_similarity(part, name) >= SIMILAR for name in known) for part in parts)


def _first_word_similarity(one: str, other: str) -> float:
    if min(len(one), len(other)) == 1:
        return _INITIAL if one[0] == other[0] else 0.0
    if one != other and _is_nickname(one, other):
        return _NICKNAME
    similarity = _word_similarity(one, other)
    return _below(similarity) if SIMILAR <= similarity < 1 and _are_two_names(one, other) else similarity


def _last_word_similarity(one: str, other: str) -> float:
    similarity = _word_similarity(one, other)
    if similarity < SIMILAR and one.endswith("ova") != other.endswith("ova"):
        masculine, feminine = sorted((one, other), key=lambda name: name.endswith("ova"))
        # Novák, Nováková; Svoboda, Svobodová; Hájek, Hájková
        if len(feminine) > len("ova") + 3 and OSA.distance(masculine, feminine[: -len("ova")]) <= 1:
            return _OTHER_SPELLING
    return similarity


def _word_similarity(one: str, other: str) -> float:
    if one == other:
        return 1.0
    similarity = JaroWinkler.similarity(one, other)
    if similarity < _STRANGERS and not (spellings.is_written_unlike(one) or spellings.is_written_unlike(other)):
        return similarity
    is_without_vowels = spellings.fits_without_vowels(one, other) or spellings.fits_without_vowels(other, one)
    if similarity < _STRANGERS and not is_without_vowels and spellings.KOREAN.keys().isdisjoint((one, other)):
        return similarity
    spelled, other_spelled = spellings.spelling(one), spellings.spelling(other)
    if spelled == other_spelled:
        return _OTHER_SPELLING
    if is_without_vowels:
        return _PART
    if _is_typing_error(one, other, similarity):
        return similarity
    spelled_similarity = JaroWinkler.similarity(spelled, other_spelled)
    is_long = min(len(one), len(other)) >= SHORTEST_WITH_ERRORS
    if is_long and _is_typing_error(spelled, other_spelled, spelled_similarity):
        return spelled_similarity
    return SIMILAR if _differ_in_vowels(spelled, other_spelled) else _below(similarity)


def _below(similarity: float) -> float:
    return min(similarity, _TWO_NAMES)


def _is_typing_error(one: str, other: str, similarity: float) -> bool:
    """Tell whether they begin alike and differ in one letter, two in long names, or two letters changed places."""
    if similarity <= SIMILAR or one[0] != other[0]:
        return False
    shortest = min(len(one), len(other))
    if shortest < SHORTEST_WITH_ERRORS:
        return len(one) == len(other) and sorted(one) == sorted(other)
    return OSA.distance(one, other) <= (2 if shortest >= SHORTEST_WITH_TWO_ERRORS else 1)


def _differ_in_vowels(one: str, other: str) -> bool:
    """Tell whether two longer names differ only in o and u, or in a, e and i, as Arabic ones do: Mohammed, Muhammad."""
    shortest = min(len(one), len(other))
    return shortest >= SHORTEST_WITH_OTHER_VOWELS and one.translate(_VOWELS) == other.translate(_VOWELS)


@functools.cache
def _nicknames() -> dict[str, set[str]]:
    return NickNamer().nickname_lookup


def _is_nickname(one: str, other: str) -> bool:
    nicknames = _nicknames()
    return other in nicknames.get(one, ()) or one in nicknames.get(other, ())


@functools.cache
def _known_names() -> frozenset[str]:
    return frozenset(_nicknames()).union(*_nicknames().values())


def _are_two_names(one: str, other: str) -> bool:
    """Tell whether similar first names are those of a man and a woman (Mario, Maria; Daniel, Danielle), or both in the
    list of names and differ in a consonant (Martin, Marvin).
    """
    if one + "a" == other or other + "a" == one or _WOMEN.get(one) == other or _WOMEN.get(other) == one:
        return True
    if one.endswith("a") != other.endswith("a") and {one[-1], other[-1]}.isdisjoint("ehiy"):
        return True
    known = _known_names()
    return one in known and other in known and spellings.consonants(one) != spellings.consonants(other)


def first_names_compatible(one: str | None, other: str | None) -> bool:
    """Tell whether two folded first names may be one person's at enrollment, where a missing one may be any."""
    if not one or not other:
        return True
    return JaroWinkler.similarity(one, other) >= SIMILAR or first_name_similarity(one, other) >= SIMILAR


def _last_names_compatible(one: str | None, other: str | None) -> bool:
    if not one or not other:
        return one == other
    return JaroWinkler.similarity(one, other) >= SIMILAR or last_name_similarity(one, other) >= SIMILAR


def names_equal(one: tuple[str | None, str | None], other: tuple[str | None, str | None]) -> bool:
    """Tell whether two (first name, last name) pairs, as given, are the same after folding, in either order or all in
    one field.
    """
    return not set(_whole_names(one)).isdisjoint(_whole_names(other))


def names_compatible(one: tuple[str | None, str | None], other: tuple[str | None, str | None]) -> bool:
    """Tell whether two (first name, last name) pairs, as given, may be one person's, in either order.

    Names beyond the length of a key must be equal.
    """
    (first, last), (other_first, other_last) = [
        tuple(folding.bounded(folding.fold(name)) for name in pair) for pair in (one, other)
    ]
    straight = _last_names_compatible(last, other_last) and first_names_compatible(first, other_first)
    return straight or names_equal(one, other)


def _whole_names(pair: tuple[str | None, str | None]) -> list[str]:
    first, last = [(folding.fold(name) or "").replace(" ", "") for name in pair]
    return [first + last, last + first]
