"""Jobs on the event loop: one knows nothing of those that its greenlet ran before."""

import asyncio
import contextvars
import gc
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future

import greenlet
import pytest

from models import greenlets

MOMENT, WHILE = 0.02, 0.1


async def in_turn(*functions: Callable[[], object]) -> list[object]:
    return [await greenlets.start(function) for function in functions]


def test_jobs_one_after_another_share_a_greenlet_and_those_at_once_do_not():
    def which() -> greenlet.greenlet:
        greenlets.pause(MOMENT)
        return greenlet.getcurrent()

    async def run() -> list[greenlet.greenlet]:
        return [*await in_turn(which), *await asyncio.gather(*(greenlets.start(which) for _ in range(3)))]

    first, *others = asyncio.run(run())
    assert first in others
    assert len({*others}) == len(others)


def test_a_job_has_the_context_of_who_started_it():
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")

    def rename() -> str:
        found = name.get()
        name.set("a job")
        return found

    async def run() -> list[object]:
        found = await in_turn(rename, rename)
        name.set("who starts")
        return found + await in_turn(rename)

    assert asyncio.run(run()) == ["nobody", "nobody", "who starts"]


def test_nothing_of_a_job_is_kept_when_it_is_done():
    class Body:
        pass

    known: contextvars.ContextVar[Body] = contextvars.ContextVar("known")

    async def run() -> list[weakref.ref]:
        given, found = Body(), Body()
        kept = [weakref.ref(given), weakref.ref(found)]

        def job(given: Body = given, found: Body = found) -> Body:
            known.set(found)
            return given

        assert await greenlets.start(job) is given
        del given, found, job
        await asyncio.sleep(0)
        return kept

    assert [one() for one in asyncio.run(run())] == [None, None]


def test_a_job_after_one_that_failed_does_its_work():
    async def run() -> list[object]:
        with pytest.raises(ZeroDivisionError):
            await greenlets.start(lambda: 1 // 0)
        return await in_turn(lambda: 1)

    assert asyncio.run(run()) == [1]


def test_an_answer_that_comes_too_late_wakes_no_later_job():
    late: Future = Future()

    def impatient() -> greenlet.greenlet:
        with pytest.raises(TimeoutError):
            greenlets.result_of(late, MOMENT)
        return greenlet.getcurrent()

    def resting() -> tuple[greenlet.greenlet, float]:
        begun = time.monotonic()
        greenlets.pause(WHILE)
        return greenlet.getcurrent(), time.monotonic() - begun

    async def run() -> None:
        ran_before = await greenlets.start(impatient)
        done = greenlets.start(resting)
        late.set_result(None)
        runs, rested = await done
        assert runs is ran_before
        assert rested >= WHILE

    asyncio.run(run())


def test_jobs_of_a_loop_that_ended_before_them_are_in_the_way_of_none():
    async def abandon() -> None:
        greenlets.start(lambda: greenlets.pause(1000))

    asyncio.run(abandon())
    gc.collect()
    assert asyncio.run(in_turn(lambda: 1, lambda: 2)) == [1, 2]
