"""Bearer tokens at the edge: one code path for every way in which a token can be wrong."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from app import context, telemetry
from app.languages import N_, Message
from app.problems import Problem, too_many, unauthorized
from app.rates import Rates, origin
from models import tokens
from models.clock import Clock
from models.database import session
from models.later import Later

# A token that was found valid is believed for this long, so a revocation takes effect within a second.
BELIEF_SECONDS = 0.5
MOST_BELIEVED = 1024


class TokenStore:
    """Looks tokens up in the database, off the event loop, and remembers the valid ones for a moment.

    All that wait are looked up at once, so that a valid one waits for two look-ups at most, however large a crowd of
    wrong ones there is.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="tokens")
        self._later = Later()
        self._believed: dict[str, tuple[float, tokens.Identity]] = {}
        self._waiting: dict[str, asyncio.Future] = {}
        self._asked: dict[str, asyncio.Future] = {}
        self._looking_up: asyncio.Task | None = None

    async def identify(self, token: str) -> tokens.Identity | None:
        """Return whom the token stands for, or None."""
        until, identity = self._believed.get(token, (0.0, None))
        if time.monotonic() < until:
            return identity
        if not tokens.is_well_formed(token):
            return None
        # However many requests wait for a token, one look-up answers them all.
        answer = self._asked.get(token) or self._waiting.setdefault(token, asyncio.get_running_loop().create_future())
        if self._looking_up is None or self._looking_up.done():
            self._looking_up = asyncio.create_task(self._look_up_waiting())
        return await asyncio.shield(answer)

    async def _look_up_waiting(self) -> None:
        while self._waiting:
            self._asked, self._waiting = self._waiting, {}
            until = time.monotonic() + BELIEF_SECONDS  # from before the look-up, however long that takes
            looking_up = asyncio.get_running_loop().run_in_executor(self._executor, self._verify, list(self._asked))
            await asyncio.wait([looking_up])
            for token, answer in self._asked.items():
                self._believed.pop(token, None)
                if error := looking_up.exception():
                    answer.set_exception(error)
                    answer.exception()  # whoever asked may have gone
                else:
                    self._believe(token, until, looking_up.result().get(token))
                    answer.set_result(looking_up.result().get(token))
            self._asked = {}

    def _believe(self, token: str, until: float, identity: tokens.Identity | None) -> None:
        if identity is not None:
            if len(self._believed) >= MOST_BELIEVED:
                self._believed.clear()
            self._believed[token] = (until, identity)

    def _verify(self, texts: list[str]) -> dict[str, tokens.Identity]:
        now = self._clock()
        with session():
            found = tokens.verify_all(texts, now)
        for identity in found.values():
            if not tokens.is_use_noted(identity, now):
                self._later.run(tokens.note_use, identity.name, now)
        return found

    def shutdown(self) -> None:
        """End the threads."""
        self._executor.shutdown()
        self._later.shutdown()


class BearerSecurity:
    """What connexion's `security_map` asks for: makes the function that judges a request's `Authorization`."""

    def __init__(self, store: TokenStore, *, requests: Rates, failures: Rates) -> None:
        """Judge by the tokens there are.

        Args:
            store: the valid tokens.
            requests: how many each token may send.
            failures: how many wrong tokens may come from an address before it is told to wait.
        """
        self._store, self._requests, self._failures = store, requests, failures

    def get_fn(self, security_scheme: dict, required_scopes: list[str]) -> Callable:  # noqa: ARG002
        """Return the judge of a request."""
        return self._judge

    async def _judge(self, request: Any) -> dict:
        scope = request.scope
        identity = await self._store.identify(_bearer_token(scope["headers"]))
        if identity is None:
            raise self._refusal(scope["client"])
        state = context.of(scope)
        state.token_name, state.program = identity.name, identity.program
        standing = self._requests.count(identity.name)
        state.fields += standing.fields
        if standing.retry_after:
            telemetry.record_over_rate_limit(identity.name)
            detail = Message(N_("This token is used too often; wait before you try again."))
            raise too_many(detail, standing.retry_after)
        return {"sub": identity.name}

    def _refusal(self, client: tuple[str, int] | None) -> Problem:
        """Count a wrong token only once it is known to be one: behind one address there may be many clients."""
        retry_after = self._failures.count(origin(client[0] if client else "")).retry_after
        telemetry.record_failed_authentication(throttled=bool(retry_after))
        if not retry_after:
            return unauthorized()
        detail = N_("Too many requests with wrong tokens came from this address; wait before you try again.")
        return too_many(Message(detail), retry_after)


def _bearer_token(headers: list[tuple[bytes, bytes]]) -> str:
    """Return the only bearer token sent (RFC 6750, section 2.1); the empty text where there is none or several."""
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) != 1:
        return ""
    scheme, _, token = values[0].decode("latin-1").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
