"""A time limit for many blocks, by one timer."""

import asyncio
import time

import pytest

from app.timeouts import Timeouts

SECONDS = 0.1


async def wait(timeouts: Timeouts, seconds: float) -> float:
    """Return how long a block lasted that is to wait for so long."""
    begun = time.monotonic()
    try:
        with timeouts.limit():
            await asyncio.sleep(seconds)
    except TimeoutError:
        return time.monotonic() - begun
    return 0.0


def test_each_block_ends_when_its_own_time_is_over():
    async def run() -> list[float]:
        timeouts, blocks = Timeouts(SECONDS), []
        for number in range(6):
            blocks.append(asyncio.create_task(wait(timeouts, 0.01 if number % 2 else 30)))
            await asyncio.sleep(SECONDS / 4)
        return await asyncio.gather(*blocks)

    lasted = asyncio.run(run())
    assert lasted[1::2] == [0.0] * 3
    assert min(lasted[::2]) >= SECONDS * 0.99


def test_a_limit_holds_on_the_next_loop_as_well():
    timeouts = Timeouts(SECONDS)
    for _ in range(2):
        assert asyncio.run(wait(timeouts, 30)) >= SECONDS * 0.99


def test_who_is_canceled_by_another_is_not_told_that_time_is_over():
    async def run() -> None:
        task = asyncio.create_task(wait(Timeouts(SECONDS), 30))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())


def test_the_inner_of_two_blocks_ends_alone():
    async def run() -> str:
        with Timeouts(30).limit():
            assert await wait(Timeouts(SECONDS), 30)
            await asyncio.sleep(0.01)
            return "went on"

    assert asyncio.run(run()) == "went on"


def test_what_a_block_raises_in_time_is_not_lost():
    async def run() -> None:
        with Timeouts(SECONDS).limit():
            raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(run())
