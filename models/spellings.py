"""Spellings of one name: what transliterations, habits and scripts without vowels make of it.

All on folded text (see `models.folding`). What is kept in memory of names seen is bounded.
"""

import functools
import re

CACHED = 2**14  # names whose spelling is remembered
# Words that people leave out or write one for the other: of the nobility, the article; Vietnamese `thi` and `van`.
PARTICLE = re.compile(
    "van|von|der|den|de|del|della|di|da|do|dos|das|du|la|le|los|las|el|al|bin|ibn|zu|zum|zur|af|av|ter|ten|thi"
)
# Spellings of one sound, in this order, in folded text. Each was taken in for the names beside it.
_SPELLINGS = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\bst\b", "saint"),
        (r"\bma?c ?(?=\w)", "mac"),  # McDonald, Mac Donald, MacDonald
        (r"\babd ?[aeiou][lrnsdtz] ?(?=\w)", "abd"),  # Abdul Rahman, Abdelrahman, Abdurrahman
        (r"\ba[iy]e?s?c?h(?=ah?\b)", "aish"),  # Aicha, Ayesha, Aisha
        (r"\bcheik", "sheik"),  # Cheikh, Sheikh
        (r"\b(?:sean|shaun|shawn)\b", "shon"),
        (r"\bstewart", "stuart"),
        (r"\bgeof", "jef"),  # Geoffrey, Jeffrey
        (r"mp(?=[st])", "m"),  # Thompson, Thomson
        (r"dt\b", "t"),  # Schmidt, Schmitt
        ("tsch|tch|cz", "ch"),  # Tschaikowski, Chaykovsky
        ("tz", "z"),  # Schultz, Schulz
        (r"(?<=[eiou])z(?=[aeiou]\w)", "s"),  # Suzanne, Susanne
        ("sch|sz", "sh"),  # Schischkin, Shishkin
        (r"(?<=\w\w)sh(?=\w)", "s"),  # Ayshe, Ayşe; Misha, Miša
        (r"\bste(?:ph|f)", "stev"),  # Stephen, Stefan, Steven
        ("ph", "f"),  # Sophia, Sofia
        (r"\b[ck](?:hr|r(?=ist))", "hr"),  # Christos, Hristos, Khristos; Christina, Kristina
        ("ck|q(?!i)", "k"),  # Rick, Rik; Qasim, Kasim
        ("x", "ks"),  # Alexander, Aleksander
        ("w", "v"),  # Nowak, Novak
        (r"(?<=\w)ch(?=[lo])|c(?![eiyh])", "k"),  # Nicholas, Nicolas, Nikolas
        ("c(?=[eiy])", "s"),  # Cindy, Sindy
        (r"ou\b|oh\b|oh(?=[^aeiou ])", "o"),  # Satou, Satoh, Sato; John, Jon
        ("oo|ou", "u"),  # Mahmood, Mahmoud, Mahmud
        ("(?<=[scjyhp])eo(?=[nlkm])", "u"),  # Cheolsu, Chul-soo
        ("ee", "i"),  # Deepak, Dipak
        (r"(?<=[bdfghklmnprstvz])yo(?=[bdfgklmnprstvz])|(?<=\bp)io(?=tr)", "e"),  # Fyodor, Fedor; Piotr, Petr
        ("([aou])e", r"\1"),  # Mueller, Müller; Jørgensen, Joergensen
        (r"\b(?:[ij]u(?=[^aeiou ][aeiou])|yu|iu)", "yu"),  # Yuliya, Julia, Iuliia
        (r"\b[ij](?=[ao]\w{3})", "y"),  # Jaroslav, Yaroslav, Iaroslav
        (r"\b(?:[yi]e(?=\w\w)|je(?=[lkv][aeig]))", "e"),  # Yelena, Jelena, Elena
        (r"(?<=\w)[jy](?=\w)|(?<=\w{3})[jy]\b", "i"),  # Sergey, Sergej, Sergei; Meyer, Meier
        (r"(?<=\w)[ae]ie?(?=[rs])|(?<=\w)[ae]i(?=ner|la)", "ai"),  # Meyer, Maier, Mayr; Reiner, Rainer; Leila, Laila
        (r"\bkath?[aeo]?rine?\b", "katrin"),  # Catherine, Kathryn
        (r"(?<=\w[aeo])h\b", ""),  # Farah, Fara
        (r"(.)\1+", r"\1"),  # Phillip, Philip
        (r"sk(?:i|a|aia)\b", "ski"),  # Belinsky, Belinskaya
    )
]
# Korean surnames as romanised by rule, and as their bearers write them; spelled as above.
KOREAN = {
    "gim": "kim",
    "bag": "park",
    "bak": "park",
    "pak": "park",
    "i": "li",
    "yi": "li",
    "choe": "choi",
    "jo": "cho",
    "gang": "kang",
    "im": "lim",
    "gwon": "kvon",
    "no": "ro",
}
_JOINED_PARTICLE = re.compile(rf"({PARTICLE.pattern})(\w{{4,}})")
_ELIDED = re.compile(r"d\w{5,}")
_BEFORE_ELISION = re.compile(r"\bd[aeiou] (?=\w{5})")  # De Avis is not Davis
# Arabic and Hebrew are written without vowels: what each sign may be in Latin letters, if not just itself.
_WITH_VOWELS = {
    "f": "(?:f|ph){1,2}",
    "h": "[ckh]{1,2}",
    "j": "[jg]{1,2}",
    "k": "[kqc]{1,2}h?",
    "q": "[qk]{1,2}",
    "s": "s{1,2}h?",
    "v": "[vowu]{1,2}",
    "w": "[wouv]{1,2}",
    "y": "(?:[iyj]|ee){1,2}",
}


@functools.lru_cache(CACHED)
def spelling(folded: str) -> str:
    """Return a folded name with one letter for each sound that transliterations write differently.

    Names that share it are spellings of one name; it is no name to show.
    """
    if folded in KOREAN:
        return KOREAN[folded]
    for pattern, replacement in _SPELLINGS:
        folded = pattern.sub(replacement, folded)
    return folded


@functools.lru_cache(CACHED)
def joined_spellings(folded: str) -> frozenset[str]:
    """Return the spellings of a folded name of several words without the spaces, before and after."""
    return frozenset({spelling(folded).replace(" ", ""), spelling(folded.replace(" ", ""))})


@functools.lru_cache(CACHED)
def consonants(name: str) -> str:
    """Return the consonants of a folded name's spelling, each once in a row, without h."""
    return re.sub(r"(.)\1+", r"\1", re.sub("[aeiouyh ]", "", spelling(name)))


@functools.lru_cache(CACHED)
def parts(folded: str) -> tuple[str, ...]:
    """Return the words of a folded name without particles, or all of them if it has no others."""
    words = tuple(folded.split())
    return tuple(word for word in words if not PARTICLE.fullmatch(word)) or words


@functools.lru_cache(CACHED)
def forms(folded: str) -> tuple[str, ...]:
    """Return other forms that a folded last name may have in a list of members that is sorted by its first word.

    Without particles (`berg` for `van der berg`), the last word alone (`jones` for `smith jones`), in one word
    (`vandyke` for `van dyke`), and with the particle by itself (`van dyke` for `vandyke`; for `dsouza` the first of
    `da souza`, `de souza` and so on; `al` for a name in Arabic letters, whose key is without it).
    """
    words = parts(folded)
    joined = _JOINED_PARTICLE.fullmatch(folded)
    found = [words[0], words[-1], folded.replace(" ", "")] if " " in folded else []
    found += [f"{joined[1]} {joined[2]}"] if joined else []
    found += [f"da {folded[1:]}"] if _ELIDED.fullmatch(folded) else []
    found += [f"al {folded}"] if _pattern_of_bare(folded) else []
    return tuple(form for form in dict.fromkeys(found) if form != folded)


def elided(folded: str) -> str:
    """Return a folded last name with a d, as after D', for the particle before a name of some length: `de souza`."""
    return _BEFORE_ELISION.sub("d", folded)


def fits_servant_of(bare: str, full: str) -> bool:
    """Tell whether a folded name in Arabic of two words, `bd rhmn`, may be the full one: `abdulrahman`, `abdur rahman`.

    The article between them is in the key of the full name alone, and its l sounds as the next letter.
    """
    return bare.startswith("bd ") and fits_without_vowels(*(name.replace(" ", "") for name in (bare, spelling(full))))


@functools.lru_cache(CACHED)
def is_written_unlike(folded: str) -> bool:
    """Tell whether a folded name may be the same as one that has hardly a letter in common with it."""
    return folded in KOREAN or _pattern_of_bare(folded) is not None


def fits_without_vowels(bare: str, full: str) -> bool:
    """Tell whether a folded name from a script without vowels may be the full one: `mhmd`, `muhammad`."""
    pattern = _pattern_of_bare(bare)
    return pattern is not None and pattern.fullmatch(full) is not None


@functools.lru_cache(CACHED)
def _pattern_of_bare(name: str) -> re.Pattern | None:
    """Return what a name from a script without vowels may be in Latin letters, or None for another name."""
    if not set("aeiou").isdisjoint(name) or not name.isalpha():
        return None
    letters = re.sub(r"(.)\1+", r"\1", name)
    sounding = letters[0] + letters[1:].replace("y", "")  # in Lynn and Kym, y is a vowel
    # Not many letters, and few that may be vowels too, so that no name can keep the pattern busy.
    if len(sounding) < 3 or len(letters) > 8 or sum(map(letters.count, "vwy")) > 2:
        return None
    # A long vowel would have its letter, except for aa: محمد is Mohammed, and not Mahmood. A last h may be silent.
    signs = [_WITH_VOWELS.get(sign, f"{sign}{{1,2}}") for sign in letters.removesuffix("h")]
    return re.compile("[aeiou]?" + "".join(f"{sign}(?:aa|[aeiou])?" for sign in signs) + "h?")
