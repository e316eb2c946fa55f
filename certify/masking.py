"""Masks what no report may show: tokens, and whatever tells of a person.

The rule for each text is what may be shown, and not what may not, so that nothing needs to be recognised:

- what says who somebody is (a field of a customer or of a filter) never. A guest of the kit is told by the name of the
  field, `‹lastName›`, wherever the value comes back; anybody else is `•••`.
- identifiers of the kit's guests, and what else the kit sent, always.
- what a problem says, a status, a tier and a header word by word: those that the spec or the kit's own sentences have.
- everything else never: other fields, names of fields that the contract does not have, and whatever is no JSON.
"""

import functools
import json
import re
import unicodedata
import urllib.parse
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from certify import requirements
from certify.wording import counted

MASK = "•••"
# Fields that are shown word by word; each of the addresses among them without its query.
WORDED_FIELDS = frozenset({"status", "tier", "title", "detail", "pointer"})
ADDRESS_FIELDS = frozenset({"type", "instance"})
COUNTED_FIELDS = frozenset({"status", "points"})
FIELDS = WORDED_FIELDS | ADDRESS_FIELDS | COUNTED_FIELDS | {"expiresAt", "errors"}
SHOWN_HEADERS = ("content-type", "content-language", "www-authenticate", "allow", "retry-after", "x-request-id")
LONGEST_BODY = 1500
# More digits than these are a number of somebody's.
MOST_DIGITS = 4
LARGEST_COUNT = 10**6
# Words of protocols beside those of the spec, and of the kit's own variables.
_PROTOCOLS = """about basic bearer blank charset digest error gmt html https invalid loyalty plain realm scope urn utf
uuid www xml get head post put patch delete options trace"""
_UUID = r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"
_EMAIL = r"[^\s@<>\"'(),;:/?=]+@[^\s@<>\"'(),;:/?=]+\.[^\s@<>\"'(),;:/?=]+"
_TOKEN = re.compile(
    rf"(?P<email>{_EMAIL})|(?P<uuid>{_UUID})|(?P<number>\+?\d[\d ()./-]{{3,}}\d\b)|(?:\w|%[0-9a-fA-F]{{2}})+"
)
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_REPEATED = re.compile(r"(‹\w+›|•••)(?:[ ,.'’-]+\1)+")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)
_LANGUAGES = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,4})*")
_REQUEST_ID = re.compile(rf"{_UUID}|[0-9a-f]{{16,64}}")
# What XML 1.0 cannot hold, and no report needs.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def words(text: str) -> Iterator[str]:
    """Yield the words of a text in lower case; `lastName` and `last_name` have two."""
    return (found.lower() for found in re.findall(r"[^\W\d_]+", _HUMP.sub(" ", text)))


@functools.cache
def _own_words() -> frozenset[str]:
    said = [text for found in requirements.load().values() for text in (found.name, found.says, found.reading)]
    return frozenset(words(" ".join([*said, _PROTOCOLS])))


class _Known:
    """Values that the kit made up or was given for its guests.

    Attributes:
        shown: texts that say nothing of who somebody is.
        labels: the name of the field for each text that does, and for each word and number in it.
    """

    def __init__(self) -> None:
        self.shown: set[str] = set()
        self.labels: dict[str, str] = {}

    def add(self, value: Any, personal: Collection[str], field: str = "") -> None:
        """Add all texts within a value."""
        if isinstance(value, dict):
            for name, below in value.items():
                self.add(below, personal, name)
        elif isinstance(value, list | tuple):
            for below in value:
                self.add(below, personal, field)
        elif isinstance(value, str) and field in personal:
            told = (found[0] for found in _TOKEN.finditer(value) if _is_telling(found[0]))
            self.labels |= {_key(text): field for text in (value, *told) if _key(text)}
        elif isinstance(value, str):
            self.shown.add(value)


def _is_telling(word: str) -> bool:
    """Tell whether a word or number is more than any text may have."""
    return len(word) > (MOST_DIGITS if word.isdigit() else 2)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _key(text: str) -> str:
    """Return what texts have in common that say the same: without case, percent-encoding, and signs in a number."""
    text = _composed(urllib.parse.unquote(text)).casefold()
    return text if re.search(r"[^\W\d_]", text) else re.sub(r"\D", "", text)


class Masker:
    """Knows the tokens, the guests of the kit, and which words may be shown.

    Args:
        tokens: each token with what is shown in its place.
        names: of the fields that the contract has; others are masked as values are.
        personal: those of them that say who somebody is.
        vocabulary: words of the contract.
    """

    def __init__(
        self,
        tokens: Mapping[str, str],
        names: Collection[str] = (),
        personal: Collection[str] = (),
        vocabulary: Collection[str] = (),
    ) -> None:
        longest_first = sorted(filter(None, tokens), key=len, reverse=True)  # one may be a part of another
        self._tokens = {token: tokens[token] for token in longest_first}
        self._names = FIELDS | set(names)
        self._personal = frozenset(personal)
        self._vocabulary = _own_words() | set(vocabulary)
        self._guests = _Known()
        # Names that are words as well, such as Street: not shown where they are written as the name is.
        self._namesakes: set[str] = set()

    def know(self, *values: Any) -> None:
        """Know values of the kit's guests from now on."""
        self._guests.add(list(values), self._personal)

    def content(self, content: bytes) -> bytes:
        """Return a request's body without tokens."""
        for token, shown in self._tokens.items():
            content = content.replace(token.encode(), shown.encode())
        return content

    def text(self, text: str) -> str:
        """Return a text of the kit's own without tokens."""
        for token, shown in self._tokens.items():
            text = text.replace(token, shown)
        return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)

    def sent(self, content: bytes) -> str:
        """Return a request's body, with names of fields in place of what says who somebody is."""
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            return self.words(content.decode("utf-8", "backslashreplace"))
        if not isinstance(body, dict | list):
            return self.words(content.decode("utf-8", "backslashreplace"))
        return self.text(json.dumps(self._sent(body, ""), ensure_ascii=False))

    def _sent(self, node: Any, field: str) -> Any:
        if isinstance(node, dict):
            return {name: self._sent(value, name) for name, value in node.items()}
        if isinstance(node, list):
            return [self._sent(value, field) for value in node]
        return f"‹{field}›" if isinstance(node, str) and node and field in self._personal else node

    def came(self, content: bytes, sent: Any = None, shown: Collection[str] = ()) -> str:
        """Return an answer's body, masked and cut to a length that can be read.

        Args:
            content: the answer's body.
            sent: the parsed body of the request, of which the answer may tell.
            shown: further fields that may be shown in this answer.
        """
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict | list):
            return (
                f"({counted(len(content), 'byte that is', 'bytes that are')} no JSON object, not shown)"
                if content
                else ""
            )
        known = self._known(sent)
        self._notice(body, "", known)
        told = self.text(json.dumps(self._masked(body, "", known, shown), ensure_ascii=False, indent=2))
        return told if len(told) <= LONGEST_BODY else f"{told[:LONGEST_BODY]}\n... ({len(told):,} characters)"

    def _known(self, sent: Any) -> list[_Known]:
        own = _Known()
        own.add(sent, self._personal)
        return [self._guests, own]

    def _notice(self, node: Any, field: str, known: list[_Known]) -> None:
        """Remember whose names are words that would be shown otherwise."""
        if isinstance(node, dict | list):
            for name, value in node.items() if isinstance(node, dict) else ((field, value) for value in node):
                self._notice(value, name, known)
        elif isinstance(node, str) and field in self._personal and not _label(node, known):
            self._namesakes |= {word for word in re.findall(r"[^\W\d_]{3,}", node) if not word.islower()}

    def _masked(self, node: Any, field: str, known: list[_Known], shown: Collection[str]) -> Any:
        if isinstance(node, dict):
            return {
                self._name(name, place, known): self._masked(value, name, known, shown)
                for place, (name, value) in enumerate(node.items(), 1)
            }
        if isinstance(node, list):
            return [self._masked(value, field, known, shown) for value in node]
        if isinstance(node, str):
            return self._text(node, field, known, shown)
        if node is None or isinstance(node, bool) or field in shown:
            return node
        return node if field in COUNTED_FIELDS and abs(node) < LARGEST_COUNT else MASK

    def _text(self, text: str, field: str, known: list[_Known], shown: Collection[str]) -> str:
        label = _label(text, known)
        if label:
            return f"‹{label}›"
        if (
            field in shown
            or any(text in one.shown for one in known)
            or (field == "expiresAt" and _MOMENT.fullmatch(text))
        ):
            return text
        if field in ADDRESS_FIELDS:
            return self.address(text, known)
        return self.words(text, known) if field in WORDED_FIELDS else MASK

    def _name(self, name: str, place: int, known: list[_Known]) -> str:
        """Return the name of a field, or in its place a mask that no other field of the object has."""
        return name if name in self._names or any(name in one.shown for one in known) else f"{MASK} {place}"

    def words(self, text: str, known: list[_Known] | None = None) -> str:
        """Return a text with only the words that may be shown."""
        known = known or [self._guests]
        return _REPEATED.sub(r"\1", _TOKEN.sub(lambda found: self._word(found, known), self.text(_composed(text))))

    def _word(self, found: re.Match[str], known: list[_Known]) -> str:
        word = found[0]
        label = _label(word, known)
        if label and _is_telling(word):
            return f"‹{label}›"
        if any(word in one.shown for one in known):
            return word
        if found["email"] or found["uuid"] or found["number"]:
            return MASK
        if word.isdigit():
            return word if len(word) <= MOST_DIGITS else MASK
        is_own = word not in self._namesakes and "%" not in word and set(words(word)) <= self._vocabulary
        return word if is_own else MASK

    def address(self, text: str, known: list[_Known] | None = None) -> str:
        """Return an address with its host, and only the words of its path that may be shown."""
        if re.fullmatch(rf"urn:uuid:{_UUID}", text):  # of a request
            return text
        try:
            parts = urllib.parse.urlsplit(text)
            host = parts.hostname or ""
        except ValueError:
            return MASK
        if not host:
            return self.words(text.partition("?")[0], known)
        return f"{parts.scheme}://{host}{self.words(parts.path, known)}"

    def headers(self, headers: Mapping[str, str], sent: Any = None) -> dict[str, str]:
        """Return the headers of an answer that say something of it; where it redirects to, without the query."""
        known = self._known(sent)
        shown = {name: self._header(name, headers[name], known) for name in SHOWN_HEADERS if name in headers}
        if "location" in headers:
            shown["location"] = self.text(self.address(headers["location"], known))
        return shown

    def _header(self, name: str, value: str, known: list[_Known]) -> str:
        shape = {"content-language": _LANGUAGES, "x-request-id": _REQUEST_ID}.get(name)
        return value if shape and shape.fullmatch(value) else self.words(value, known)


def _label(text: str, known: list[_Known]) -> str:
    key = _key(text)
    return next((one.labels[key] for one in known if key in one.labels), "")
