"""The partner server, called as Mews calls it. What comes back is recorded, however bad it is."""

import asyncio
import re
import ssl
import threading
import time
import urllib.parse

import httpx

from app.contract import Contract
from frontdesk import faults
from frontdesk.store import Exchange

# Mews does not say how long it waits; no front desk waits longer than this.
PATIENCE_SECONDS = 10.0
LARGEST_ANSWER_BYTES = 2 * 1024 * 1024
MASK = "•••"
# The answer's header fields that say something of the operation; the others only fill the screen.
TELLING_HEADERS = (
    "Location",
    "Content-Type",
    "Content-Language",
    "Retry-After",
    "RateLimit",
    "WWW-Authenticate",
    "X-Request-Id",
)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class _NoAnswer(Exception):
    """There was no answer, or no whole one; the text says why."""


class Partner:
    """A partner server at a base address.

    Args:
        base_url: without a slash at its end.
        token: the bearer token that the provider issued. It goes into `Authorization` and nowhere else.
        contract: what to call, and what to expect.
    """

    def __init__(self, base_url: str, token: str, contract: Contract) -> None:
        self.base_url, self.contract = base_url, contract
        self._token, self._repeated = token, _spellings(token)
        # A proxy of the environment is not for this machine's own addresses.
        trust_env = urllib.parse.urlsplit(base_url).hostname not in LOOPBACK
        # The client's timeout is for each piece of an answer; asyncio's, in `_receive`, is for all of it.
        self._client = httpx.AsyncClient(timeout=PATIENCE_SECONDS, trust_env=trust_env, follow_redirects=False)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def call(self, name: str, body: dict, language: str = "") -> Exchange:
        """Call the operation whose request carries this name, and return what happened, not yet saved.

        Args:
            name: a property of the operation's request body, such as `memberFilter`.
            body: what to send.
            language: for `Accept-Language`; empty for none.

        Raises:
            MissingOperation: the contract has no such operation.
        """
        operation = self.contract.operation_with(name)
        exchange = Exchange(
            operation=operation.operation_id,
            summary=self.contract.node(("paths", operation.path, operation.method.lower())).get("summary", name),
            method=operation.method,
            url=self.base_url + operation.path,
            language=language,
            body=body,
        )
        begun = time.monotonic()
        try:
            answered = self._send(exchange)
        except _NoAnswer as failure:
            exchange.failure = str(failure)
        else:
            exchange.answer, exchange.faults = self._text(answered), faults.of_encoding(answered)
        exchange.milliseconds = (time.monotonic() - begun) * 1000
        if exchange.is_good and operation.answer:
            exchange.faults = faults.found(operation.answer, exchange)
        return exchange

    def _send(self, exchange: Exchange) -> bytes:
        """Send the request and return the body of the answer, whose status and header fields are noted as they come."""
        headers = {"Authorization": f"Bearer {self._token}"} | exchange.sent_headers
        request = self._client.build_request(exchange.method, exchange.url, headers=headers, content=exchange.sent_body)
        try:
            return asyncio.run_coroutine_threadsafe(self._receive(request, exchange), self._loop).result()
        except httpx.HTTPError as error:
            raise _NoAnswer(_why(error)) from None

    async def _receive(self, request: httpx.Request, exchange: Exchange) -> bytes:
        """Return the body of the answer, all of which must be there in time."""
        answer = None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer = await self._client.send(request, stream=True)
                told = [name for name in TELLING_HEADERS if name in answer.headers]
                exchange.headers = [(name.lower(), self._masked(answer.headers[name])) for name in told]
                exchange.status = answer.status_code
                return await _read(answer)
        except TimeoutError:
            late = "The loyalty system did not answer within" if answer is None else "The answer was not complete after"
            raise _NoAnswer(f"{late} {PATIENCE_SECONDS:.0f} seconds.") from None
        finally:
            if answer:
                await answer.aclose()

    def _text(self, body: bytes) -> str:
        r"""Return a body as text, with what is not UTF-8 as in `\xff`."""
        return self._masked(body.decode("utf-8", "backslashreplace"))

    def _masked(self, text: str) -> str:
        """Return a text without the token, which a server that repeats its request may have put there."""
        return self._repeated.sub(MASK, text)


def _spellings(token: str) -> re.Pattern[str]:
    r"""Return what matches a token in any spelling: of JSON (`\u005f` for `_`), URLs (`%5F`), UTF-16."""
    # As many backslashes as JSON in JSON in JSON has; without a limit, an answer of nothing else would take for ever.
    signs = (rf"{re.escape(sign)}|(?i:u{ord(sign):04x}|%(?:25){{0,3}}{ord(sign):02x})" for sign in token)
    return re.compile("".join(rf"[\\\0]{{0,7}}(?:{spellings})" for spellings in signs))


async def _read(answer: httpx.Response) -> bytes:
    """Return the body, which a server could send without end."""
    body = b""
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > LARGEST_ANSWER_BYTES:
            raise _NoAnswer(f"The answer is longer than {LARGEST_ANSWER_BYTES // 1024**2} MiB, and was given up.")
    return body


def _why(error: httpx.HTTPError) -> str:
    match error:
        case httpx.TimeoutException():
            return f"The loyalty system did not answer within {PATIENCE_SECONDS:.0f} seconds."
        case httpx.ConnectError() if isinstance(_cause(error), ssl.SSLError):
            return "No secure connection: the loyalty system's certificate is not trusted."
        case httpx.ConnectError():
            return "The loyalty system cannot be reached: check that it runs, and the base address."
        case httpx.DecodingError():
            return "The answer says that it is compressed, and cannot be read so."
    return "The loyalty system broke the connection off, or does not speak HTTP."


def _cause(error: BaseException) -> BaseException:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return error
