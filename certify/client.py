"""Sends requests as Mews does, records each exchange, and has every answer looked at."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.from_thread
import httpx

from app import __version__
from certify.exchange import Exchange
from certify.masking import Masker
from certify.wording import duration

TIMEOUT_SECONDS = 15
# Of an exchange as a whole: the limit above is of each read, and a server may send a byte at a time.
LONGEST_EXCHANGE_SECONDS = 20
LARGEST_ANSWER_BYTES = 10 * 1024**2
LONGEST_WAIT_SECONDS = 60
MOST_WAITS = 3
MOST_SILENCES = 5
_JSON = {"Content-Type": "application/json"}


class Silence(Exception):
    """A request got no answer; the text is one sentence that says how."""

    def __init__(self, told: str, exchange: Exchange) -> None:
        super().__init__(told)
        self.exchange = exchange


class _Endless(Exception):
    """An answer was given up before its end; the text says why."""


class ServerAway(Exception):
    """The server does not answer any more; the text is one sentence that says so."""


@dataclass(frozen=True)
class Answer:
    """An answer as it came, for the scenarios to go on with; only its `exchange` may be shown.

    Attributes:
        path: of the operation that was called, below the base URL.
        status: of the answer.
        headers: all of them.
        content: the body.
        body: the parsed body; None where it is no JSON.
        exchange: the masked record.
    """

    path: str
    status: int
    headers: httpx.Headers
    content: bytes
    body: Any
    exchange: Exchange

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2xx, be it the documented one or not."""
        return 200 <= self.status < 300

    @property
    def media_type(self) -> str:
        """The media type of the body, without parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


class Client:
    """Calls one server.

    Requests are sent from an event loop in a thread of its own, since only there can a whole exchange be given up.

    Attributes:
        sent: how many requests.
        met_endless: whether an answer had to be given up before its end.

    Args:
        base_url: that the partner gives to Mews, without a slash at its end.
        token: that Mews would send.
        masker: masks what is recorded.
        observe: is shown every answer to a request that a path of the spec was called with.
        wait: sleeps for a number of seconds.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        masker: Masker,
        observe: Callable[[Answer], None],
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base_url = base_url
        self.sent = 0
        self.met_endless = False
        self._token = token
        self._masker = masker
        self._observe = observe
        self._wait = wait
        self._silences = 0
        self._lock = threading.Lock()
        agent = {"User-Agent": f"loyalty-certify/{__version__}"}
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False, headers=agent)
        self._closing = contextlib.ExitStack()
        self._loop = self._closing.enter_context(anyio.from_thread.start_blocking_portal())
        self._closing.callback(self._loop.call, self._http.aclose)

    def close(self) -> None:
        """Close the connections, and end the thread."""
        self._closing.close()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        authorization: str | None = None,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        patient: bool = True,
        observed: bool = True,
        shown: Collection[str] = (),
    ) -> Answer:
        """Send a request to a path below the base URL and return its answer.

        Args:
            method: of the request.
            path: of the request.
            body: sent as JSON, unless `content` is given.
            authorization: replaces the header Authorization; empty leaves it out.
            headers: further ones, or others.
            content: the body as bytes.
            patient: wait as a 429 asks for, and send again.
            observed: have the answer looked at as one of an operation.
            shown: fields of the answer that may be shown though the kit has not seen their values before.

        Raises:
            Silence: no answer came.
            ServerAway: none has come for several requests.
        """
        sent = self._headers(authorization) | (headers or {})
        content = json.dumps(body, ensure_ascii=False).encode() if content is None else content
        for waits_left in range(MOST_WAITS if patient else 0, -1, -1):
            answer = self._send(method, path, sent, content, body, shown)
            if observed:
                self._observe(answer)
            if answer.status != 429 or not waits_left or not self._has_waited(answer):
                break
        return answer

    def _has_waited(self, answer: Answer) -> bool:
        seconds = _retry_after(answer)
        if seconds > LONGEST_WAIT_SECONDS:
            return False
        self._wait(seconds)
        return True

    def _headers(self, authorization: str | None) -> dict[str, str]:
        authorization = f"Bearer {self._token}" if authorization is None else authorization
        return _JSON | ({"Authorization": authorization} if authorization else {})

    def _send(
        self, method: str, path: str, headers: dict[str, str], content: bytes, body: Any, shown: Collection[str]
    ) -> Answer:
        began = time.perf_counter()
        try:
            came, arrived = self._loop.call(self._exchange, method, f"{self.base_url}{path}", headers, content)
        except (httpx.RequestError, _Endless) as error:
            raise self._silence(error, method, path, headers, content, time.perf_counter() - began) from None
        exchange = Exchange(
            method,
            f"{self.base_url}{path}",
            {name: self._masker.text(value) for name, value in headers.items()},
            self._masker.sent(content),
            came.status_code,
            self._masker.headers(came.headers, body),
            self._masker.came(arrived, body, shown),
            time.perf_counter() - began,
            self._masker.content(content),
        )
        with self._lock:
            self.sent += 1
            self._silences = 0
        return Answer(path, came.status_code, came.headers, arrived, parsed(arrived), exchange)

    async def _exchange(
        self, method: str, url: str, headers: dict[str, str], content: bytes
    ) -> tuple[httpx.Response, bytes]:
        arrived = bytearray()
        try:
            with anyio.fail_after(LONGEST_EXCHANGE_SECONDS):
                async with self._http.stream(method, url, headers=headers, content=content) as came:
                    async for chunk in came.aiter_bytes():
                        arrived += chunk
                        if len(arrived) > LARGEST_ANSWER_BYTES:
                            raise _Endless(f"it is longer than {LARGEST_ANSWER_BYTES // 1024**2} MiB")
        except TimeoutError:
            raise _Endless(f"it was not complete after {LONGEST_EXCHANGE_SECONDS} s") from None
        return came, bytes(arrived)

    def _silence(
        self, error: Exception, method: str, path: str, headers: dict[str, str], content: bytes, seconds: float
    ) -> Exception:
        # What broke HTTP stands in the texts of other errors, with whatever the server put there.
        is_own = isinstance(error, _Endless | httpx.ConnectError)
        why = (is_own and self._masker.text(str(error))) or type(error).__name__
        told = f"No whole answer came within {duration(seconds)} ({why})."
        with self._lock:
            self.met_endless |= isinstance(error, _Endless)
            self.sent += 1
            self._silences += 1
            if self._silences >= MOST_SILENCES:
                return ServerAway(f"The server at {self.base_url} does not answer any more ({why}).")
        shown = {name: self._masker.text(value) for name, value in headers.items()}
        url = f"{self.base_url}{path}"
        sent, again = self._masker.sent(content), self._masker.content(content)
        return Silence(told, Exchange(method, url, shown, sent, 0, {}, told, seconds, again))


def parsed(content: bytes) -> Any:
    """Return a body as the JSON that it is; None where it is none, or not in UTF-8 alone (RFC 8259, section 8.1)."""
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def _retry_after(answer: Answer) -> float:
    """Return the seconds that an answer asks to wait, or one where it does not say it in seconds."""
    told = answer.headers.get("Retry-After", "")
    return float(told) if told.isdecimal() else 1.0
