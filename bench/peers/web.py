"""What both FastAPI variants have in common: the application, who asks, the body, the answer, and refusals."""

from collections.abc import Callable
from typing import Any, TypeVar

import uuid_utils
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, TypeAdapter, ValidationError

from bench.peers.common import Refused
from bench.peers.tokens import Identity, Tokens
from models.errors import LoyaltyError

JSON = "application/json"
Model = TypeVar("Model", bound=BaseModel)


def make_app(**options: Any) -> FastAPI:
    """Return an application without pages of documentation, which answers refusals as the server does."""
    app = FastAPI(openapi_url=None, **options)
    for error in (Refused, ValidationError, LoyaltyError):
        app.add_exception_handler(error, _refuse)
    return app


def authenticated(tokens: Tokens) -> Callable:
    """Return the dependency that tells who asks."""

    async def identify(request: Request) -> Identity:
        identity = await tokens.identify(request.headers.get("authorization", ""))
        if identity is None:
            raise Refused
        return identity

    return identify


def body(model: type[Model]) -> Callable:
    """Return the dependency that reads the body, from JSON in one step, as pydantic's documentation advises."""

    async def read(request: Request) -> Model:
        if not request.headers.get("content-type", JSON).startswith(JSON):
            raise Refused
        return model.model_validate_json(await request.body())

    return read


def answer(kind: TypeAdapter, value: dict) -> Response:
    """Return a response whose JSON pydantic-core writes."""
    return Response(kind.dump_json(value), media_type=JSON)


async def _refuse(request: Request, error: Exception) -> Response:
    """Answer with the problem that the server would: only requests that are right are measured."""
    from bench.peers import refusals

    instance = f"urn:uuid:{uuid_utils.uuid7()}"
    status, headers, content = refusals.render(request.method, request.url.path, await request.body(), error, instance)
    return Response(content, status, headers)
