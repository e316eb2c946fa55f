"""What happens to a request whose client has hung up before its turn."""

import asyncio

import flask
import pytest

from app.handling import TRANSPORT, HandlerOperation
from app.lanes import Lane
from models import greenlets


class Closing:
    """A transport whose loss uvicorn has not been told of yet."""

    def is_closing(self) -> bool:
        return True


def test_nothing_is_done_and_uvicorn_is_left_to_notice_the_loss_first():
    lane = Lane(greenlets.start, places=1, queue_limit=1, patience=1.0)
    operation = HandlerOperation(pytest.fail, lane, flask.Flask(__name__))
    scope = {"extensions": {TRANSPORT: {"transport": Closing()}}}

    async def run() -> list[str]:
        seen: list[str] = []
        noticed = asyncio.Event()

        async def receive() -> dict:
            await noticed.wait()
            seen.append("told")
            return {"type": "http.disconnect"}

        serving = asyncio.create_task(operation(scope, receive, pytest.fail))
        await asyncio.sleep(0.01)
        seen.append("waits" if not serving.done() else "has returned")
        noticed.set()
        await serving
        return seen

    assert asyncio.run(run()) == ["waits", "told"]
