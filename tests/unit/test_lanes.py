"""The lanes of a worker process: who goes first."""

import asyncio
import concurrent.futures
import time

import pytest

from app.lanes import COURTESY_SECONDS, REST_TIMES, Lane, NotWanted
from models import greenlets

AT_WORK = 0.02
BOUNDS = {"queue_limit": 10, "patience": 5.0}


@pytest.fixture
def in_threads():
    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        yield lambda job: asyncio.get_running_loop().run_in_executor(executor, job)


@pytest.fixture
def staff(in_threads):
    return Lane(in_threads, places=1, **BOUNDS)


@pytest.fixture
def bulk(in_threads, staff):
    return Lane(in_threads, places=1, behind=staff, **BOUNDS)


def moments(*jobs: tuple[Lane, str, float]) -> dict[str, float]:
    """Run jobs that are all asked for at once, of (lane, name, seconds); when each began, from the first on."""
    began: dict[str, float] = {}

    def job(name: str, seconds: float) -> None:
        began[name] = time.monotonic()
        time.sleep(seconds)

    async def run() -> None:
        wanted = [
            lane.run(lambda name=name, seconds=seconds: job(name, seconds), lambda: True)
            for lane, name, seconds in jobs
        ]
        await asyncio.gather(*wanted)

    asyncio.run(run())
    return {name: moment - min(began.values()) for name, moment in began.items()}


def test_bulk_begins_when_staff_are_served(staff, bulk):
    began = moments((staff, "first", AT_WORK), (bulk, "bulk", 0), (staff, "second", 0))
    assert began["bulk"] >= began["second"] >= AT_WORK


def test_bulk_goes_on_while_staff_always_ask(staff, bulk):
    many = [(staff, f"staff {number}", AT_WORK) for number in range(int(10 * COURTESY_SECONDS / AT_WORK) // 3)]
    began = moments((bulk, "bulk", 0), *many)
    assert began["bulk"] < began[many[-1][1]]


def test_bulk_rests_for_each_of_its_jobs_while_staff_ask():
    """As long for two that ran at once as for two that did not."""
    staff = Lane(greenlets.start, places=1, **BOUNDS)
    bulk = Lane(greenlets.start, places=2, behind=staff, **BOUNDS)
    jobs, seconds = 12, 0.002

    def job() -> None:
        greenlets.pause(seconds)  # as for a database, while another one computes
        time.sleep(seconds)

    async def run() -> float:
        await staff.run(lambda: None, lambda: True)
        begun = time.monotonic()
        await asyncio.gather(*(bulk.run(job, lambda: True) for _ in range(jobs)))
        return time.monotonic() - begun

    assert asyncio.run(run()) >= REST_TIMES * seconds * (jobs - 2)


def test_a_job_that_nobody_wants_is_not_begun(staff):
    with pytest.raises(NotWanted):
        asyncio.run(staff.run(pytest.fail, lambda: False))


def test_jobs_that_never_wait_are_refused_beyond_the_limit_too():
    """On SQLite they keep the loop, so that all who came meanwhile ask for a place one right after the other."""
    lane = Lane(greenlets.start, places=2, queue_limit=3, patience=1.0)

    async def run() -> list[object]:
        jobs = [lane.run(lambda: time.sleep(0.001), lambda: True) for _ in range(50)]
        return await asyncio.gather(*jobs, return_exceptions=True)

    answers = asyncio.run(run())
    assert answers.count(None) == 2 + 3
    assert {answer.type.status for answer in answers if answer is not None} == {429}
