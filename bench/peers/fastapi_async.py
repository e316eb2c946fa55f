"""The peer with coroutines: FastAPI, SQLAlchemy's asyncio extension, asyncpg or aiosqlite.

An operation runs on its connection in one piece (`run_sync`), which changes to the event loop where it waits for the
database. It costs less than to await each statement by itself.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI, Response
from sqlalchemy.ext.asyncio import create_async_engine

from bench.peers import engines, messages, tokens
from bench.peers.common import is_sqlite
from bench.peers.operations import Operations
from bench.peers.tokens import Identity
from bench.peers.web import answer, authenticated, body, make_app

reading, writing = engines.make(create_async_engine, "sqlite+aiosqlite", "postgresql+asyncpg")
operations = Operations(is_sqlite=is_sqlite())


async def _look_up(text: str) -> Identity | None:
    async with reading.connect() as connection:
        return await connection.run_sync(tokens.look_up, text)


@contextlib.asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    await reading.dispose()
    await writing.dispose()


app = make_app(lifespan=_lifespan)
Caller = Annotated[Identity, Depends(authenticated(tokens.Tokens(_look_up)))]


@app.post("/members/search")
async def search_members(
    caller: Caller, request: Annotated[messages.SearchRequest, Depends(body(messages.SearchRequest))]
) -> Response:
    """Search members."""
    async with reading.connect() as connection:
        found = await connection.run_sync(operations.search, caller, request)
    return answer(messages.members_answer, found)


@app.post("/members")
async def enroll_customer(
    caller: Caller, request: Annotated[messages.EnrollRequest, Depends(body(messages.EnrollRequest))]
) -> Response:
    """Enroll a customer."""
    async with writing.begin() as connection:
        enrolled = await connection.run_sync(operations.enroll, caller, request)
    return answer(messages.membership_answer, enrolled)


@app.post("/memberships/list")
async def list_memberships(
    caller: Caller, request: Annotated[messages.ListRequest, Depends(body(messages.ListRequest))]
) -> Response:
    """List memberships by IDs."""
    async with reading.connect() as connection:
        listed = await connection.run_sync(operations.list, caller, request)
    return answer(messages.memberships_answer, listed)


@app.put("/memberships/link")
async def link_membership(
    caller: Caller, request: Annotated[messages.LinkRequest, Depends(body(messages.LinkRequest))]
) -> Response:
    """Link or unlink membership."""
    async with writing.begin() as connection:
        linked = await connection.run_sync(operations.link, caller, request)
    return answer(messages.membership_answer, linked)
