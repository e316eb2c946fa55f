"""Bearer tokens of a peer: looked up as the server does, and believed for as long."""

import datetime
import time
from collections.abc import Awaitable, Callable

from sqlalchemy import Connection, bindparam, or_, select, update

from bench.peers.common import BELIEF_SECONDS
from bench.peers.tables import program, token
from models.tokens import LAST_USE_RESOLUTION, Identity, _digest, is_use_noted, is_well_formed

LOOK_UP = (
    select(token.c.name, program.c.name.label("program"), token.c.last_used_at)
    .join_from(token, program, program.c.id == token.c.program_id, isouter=True)
    .where(token.c.digest == bindparam("digest"), token.c.revoked_at.is_(None), token.c.expires_at > bindparam("now"))
)
NOTE_USE = (
    update(token)
    .where(
        token.c.name == bindparam("who"),
        or_(token.c.last_used_at.is_(None), token.c.last_used_at <= bindparam("before")),
    )
    .values(last_used_at=bindparam("now"))
)


def look_up(connection: Connection, text: str) -> Identity | None:
    """Return whom a token stands for, and note its use, at most once a minute."""
    now = datetime.datetime.now(datetime.UTC)
    row = connection.execute(LOOK_UP, {"digest": _digest(text), "now": now}).first()
    if row is None:
        return None
    identity = Identity(row.name, row.program, row.last_used_at)
    if not is_use_noted(identity, now):
        connection.execute(NOTE_USE, {"who": row.name, "before": now - LAST_USE_RESOLUTION, "now": now})
    return identity


class Tokens:
    """The tokens that were found valid a moment ago, and the way to all others."""

    def __init__(self, find: Callable[[str], Awaitable[Identity | None]]) -> None:
        self._find = find
        self._believed: dict[str, tuple[float, Identity]] = {}

    async def identify(self, authorization: str) -> Identity | None:
        """Return whom the value of `Authorization` stands for, or None."""
        scheme, _, text = authorization.partition(" ")
        until, identity = self._believed.get(text, (0.0, None))
        if time.monotonic() < until:
            return identity
        if scheme.lower() != "bearer" or not is_well_formed(text):
            return None
        until = time.monotonic() + BELIEF_SECONDS
        identity = await self._find(text)
        if identity is not None:
            self._believed[text] = (until, identity)
        return identity
