"""A request and its answer as the kit records them: masked at the moment of recording, so that no report can leak.

What the kit makes up may be shown, since its guests are fictional. Everything else in an answer that a person could
be known by is masked: texts and numbers in fields that are not listed here, names of fields that the contract does not
have, e-mail addresses, long numbers and tokens wherever they stand, and whatever is no JSON.
"""

import json
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MASK = "•••"
# Fields whose texts say nothing of a person, in any answer of the contract.
SHOWN_FIELDS = frozenset({"status", "tier", "points", "expiresAt", "type", "instance", "pointer"})
SENTENCES = frozenset({"title", "detail"})
SHOWN_HEADERS = ("content-type", "content-language", "www-authenticate", "allow", "retry-after", "x-request-id")
_EMAIL = re.compile(r"[^\s@<>\"'(),;:]+@[^\s@<>\"'(),;:]+\.[^\s@<>\"'(),;:]+")
_NUMBER = re.compile(r"\+?\d[\d ()./-]{5,}\d")
# What XML 1.0 cannot hold, and no report needs.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
LONGEST_BODY = 1500


@dataclass(frozen=True)
class Exchange:
    """What was sent and what came back, fit to be shown.

    Attributes:
        method: of the request.
        url: of the request.
        sent_headers: those that the kit set; a token reads `$LOYALTY_TOKEN`.
        sent: the request's body.
        status: of the answer; 0 if none came.
        headers: those of the answer that say something of it.
        came: the answer's body, or why none came.
        seconds: until the answer was complete.
    """

    method: str
    url: str
    sent_headers: dict[str, str]
    sent: str
    status: int
    headers: dict[str, str]
    came: str
    seconds: float

    @property
    def curl(self) -> str:
        """A command that sends the request again, with the token in the variable LOYALTY_TOKEN."""
        headers = [f"-H {_shell(f'{name}: {value}')}" for name, value in self.sent_headers.items()]
        body = [f"--data-raw {shlex.quote(self.sent)}"] if self.sent else []
        return " ".join(["curl -sS -i", f"-X {self.method}", shlex.quote(self.url), *headers, *body])


def _shell(header: str) -> str:
    """Quote a header for a shell; one that names a variable has it filled in."""
    return f'"{header}"' if "$LOYALTY_" in header or "${LOYALTY_" in header else shlex.quote(header)


class Masker:
    """Knows the tokens, and the texts that the kit made up.

    Args:
        tokens: each token with what is shown in its place.
        names: of the fields that the contract has; others are masked as values are.
    """

    def __init__(self, tokens: Mapping[str, str], names: Collection[str] = ()) -> None:
        longest_first = sorted(filter(None, tokens), key=len, reverse=True)  # one may be a part of another
        self._tokens = {token: tokens[token] for token in longest_first}
        self._names = SHOWN_FIELDS | SENTENCES | set(names)
        self._known: set[str] = set()

    def know(self, *values: Any) -> None:
        """Let the texts within values be shown from now on: the kit made them, or they stand for its guests."""
        self._known |= {text for value in values for text in texts(value)}

    def text(self, text: str, known: Collection[str] = ()) -> str:
        """Return a text without tokens, and without e-mail addresses that are not the kit's."""
        for token, shown in self._tokens.items():
            text = text.replace(token, shown)
        text = _EMAIL.sub(lambda found: found[0] if found[0] in known or found[0] in self._known else MASK, text)
        return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)

    def sent(self, content: bytes) -> str:
        """Return a request's body, which is the kit's own but for tokens."""
        text = content.decode("utf-8", "replace")
        for token, shown in self._tokens.items():
            text = text.replace(token, shown)
        return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)

    def came(self, content: bytes, sent: Any = None, shown: Collection[str] = ()) -> str:
        """Return an answer's body, masked and cut to a length that can be read.

        Args:
            content: the answer's body.
            sent: the parsed body of the request, whose texts may be shown in the answer to it.
            shown: further fields that may be shown in this answer.
        """
        known, fields = set(texts(sent)), SHOWN_FIELDS | set(shown)
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict | list):
            return f"({len(content):,} bytes that are no JSON object, not shown)" if content else ""
        shown = self.text(json.dumps(self._masked(body, "", known, fields), ensure_ascii=False, indent=2), known)
        return shown if len(shown) <= LONGEST_BODY else f"{shown[:LONGEST_BODY]}\n... ({len(shown):,} characters)"

    def _masked(self, node: Any, field: str, known: Collection[str], fields: Collection[str]) -> Any:
        if isinstance(node, dict):
            return {
                self._name(name, place, known): self._masked(value, name, known, fields)
                for place, (name, value) in enumerate(node.items(), 1)
            }
        if isinstance(node, list):
            return [self._masked(value, field, known, fields) for value in node]
        if node is None or isinstance(node, bool) or field in fields or node in self._known or node in known:
            return node
        return _NUMBER.sub(MASK, node) if field in SENTENCES and isinstance(node, str) else MASK

    def _name(self, name: str, place: int, known: Collection[str]) -> str:
        """Return the name of a field, or in its place a mask that no other field of the object has."""
        return name if name in self._names or name in self._known or name in known else f"{MASK} {place}"

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of an answer that say something of it; where it redirects to, without the query."""
        shown = {name: self.text(headers[name]) for name in SHOWN_HEADERS if name in headers}
        if "location" in headers:
            shown["location"] = self.text(headers["location"].partition("?")[0])
        return shown


def texts(value: Any) -> Iterator[str]:
    """Yield every text within a JSON value that is long enough to tell something."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)
