"""Bearer tokens at the edge: one code path for every way in which a token can be wrong."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from app import context
from app.problems import unauthorized
from models import tokens
from models.clock import Clock
from models.database import session
from models.later import Later

# A token that was found valid is believed for this long, so a revocation takes effect within a second.
BELIEF_SECONDS = 0.5
MOST_BELIEVED = 1024


class TokenStore:
    """Looks tokens up in the database, off the event loop, and remembers the valid ones for a moment."""

    def __init__(self, clock: Clock, threads: int = 2) -> None:
        self._clock = clock
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="token")
        self._later = Later()
        self._believed: dict[str, tuple[float, tokens.Identity]] = {}

    async def identify(self, token: str) -> tokens.Identity | None:
        """Return whom the token stands for, or None."""
        until, identity = self._believed.get(token, (0.0, None))
        if identity is not None and time.monotonic() < until:
            return identity
        self._believed.pop(token, None)
        if not tokens.is_well_formed(token):
            return None
        until = time.monotonic() + BELIEF_SECONDS  # from before the look-up, however long that takes
        found = await asyncio.get_running_loop().run_in_executor(self._executor, self._verify, token)
        if found is not None:
            if len(self._believed) >= MOST_BELIEVED:
                self._believed.clear()
            self._believed[token] = (until, found)
        return found

    def _verify(self, token: str) -> tokens.Identity | None:
        now = self._clock()
        with session():
            identity = tokens.verify(token, now)
        if identity is not None and not tokens.is_use_noted(identity, now):
            self._later.run(tokens.note_use, identity.name, now)
        return identity

    def shutdown(self) -> None:
        """End the threads."""
        self._executor.shutdown()
        self._later.shutdown()


class BearerSecurity:
    """What connexion's `security_map` asks for: makes the function that judges a request's `Authorization`."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store

    def get_fn(self, security_scheme: dict, required_scopes: list[str]) -> Callable:  # noqa: ARG002
        """Return the judge of a request."""
        return self._judge

    async def _judge(self, request: Any) -> dict:
        scope = request.scope
        identity = await self._store.identify(_bearer_token(scope["headers"]))
        if identity is None:
            raise unauthorized()
        state = context.of(scope)
        state.token_name, state.program = identity.name, identity.program
        return {"sub": identity.name}


def _bearer_token(headers: list[tuple[bytes, bytes]]) -> str:
    """Return the only bearer token sent (RFC 6750, section 2.1); the empty text where there is none or several."""
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) != 1:
        return ""
    scheme, _, token = values[0].decode("latin-1").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
