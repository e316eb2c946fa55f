"""The peer with plain functions, which FastAPI runs in threads: SQLAlchemy, psycopg 3 or sqlite3."""

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated

import anyio.to_thread
from fastapi import Depends, FastAPI, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import create_engine

from bench.peers import engines, messages, tokens
from bench.peers.common import is_sqlite
from bench.peers.operations import Operations
from bench.peers.tokens import Identity
from bench.peers.web import answer, authenticated, body, make_app

reading, writing = engines.make(create_engine, "sqlite", "postgresql+psycopg")
operations = Operations(is_sqlite=is_sqlite())


def _look_up(text: str) -> Identity | None:
    with reading.connect() as connection:
        return tokens.look_up(connection, text)


async def _find(text: str) -> Identity | None:
    return await run_in_threadpool(_look_up, text)


@contextlib.asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    # No more threads than connections, where FastAPI has 40.
    anyio.to_thread.current_default_thread_limiter().total_tokens = engines.CONNECTIONS
    yield
    reading.dispose()
    writing.dispose()


app = make_app(lifespan=_lifespan)
Caller = Annotated[Identity, Depends(authenticated(tokens.Tokens(_find)))]


@app.post("/members/search")
def search_members(
    caller: Caller, request: Annotated[messages.SearchRequest, Depends(body(messages.SearchRequest))]
) -> Response:
    """Search members."""
    with reading.connect() as connection:
        found = operations.search(connection, caller, request)
    return answer(messages.members_answer, found)


@app.post("/members")
def enroll_customer(
    caller: Caller, request: Annotated[messages.EnrollRequest, Depends(body(messages.EnrollRequest))]
) -> Response:
    """Enroll a customer."""
    with writing.begin() as connection:
        enrolled = operations.enroll(connection, caller, request)
    return answer(messages.membership_answer, enrolled)


@app.post("/memberships/list")
def list_memberships(
    caller: Caller, request: Annotated[messages.ListRequest, Depends(body(messages.ListRequest))]
) -> Response:
    """List memberships by IDs."""
    with reading.connect() as connection:
        listed = operations.list(connection, caller, request)
    return answer(messages.memberships_answer, listed)


@app.put("/memberships/link")
def link_membership(
    caller: Caller, request: Annotated[messages.LinkRequest, Depends(body(messages.LinkRequest))]
) -> Response:
    """Link or unlink membership."""
    with writing.begin() as connection:
        linked = operations.link(connection, caller, request)
    return answer(messages.membership_answer, linked)
