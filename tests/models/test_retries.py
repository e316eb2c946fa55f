"""When a use-case starts anew; what it is for is shown through the door in tests/resilience/test_concurrency.py."""

import peewee
import psycopg
import pytest

from models.database import session, transaction
from models.retries import retry_on_conflict
from tests import support


class UseCase:
    """Fails with errors of the driver, as peewee passes them on, until there are no more."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.errors:
            raise peewee.OperationalError from self.errors.pop()
        return self.calls


@pytest.fixture
def held(database_url):
    support.prepare(database_url)
    with session():
        yield


def failing(times: int) -> UseCase:
    return UseCase(*[psycopg.errors.DeadlockDetected() for _ in range(times)])


def test_a_conflict_is_tried_again_until_it_is_solved(held):
    assert retry_on_conflict(failing(3))() == 4


def test_within_a_transaction_it_fails_at_once_and_the_transaction_is_done_anew(held):
    inner = failing(1)

    @retry_on_conflict
    def outer() -> int:
        with transaction():
            return retry_on_conflict(inner)()

    with pytest.raises(peewee.OperationalError), transaction():
        retry_on_conflict(failing(1))()
    assert outer() == 2


def test_any_other_error_is_not_tried_again(held):
    broken = UseCase(psycopg.errors.AdminShutdown())
    with pytest.raises(peewee.OperationalError):
        retry_on_conflict(broken)()
    assert broken.calls == 1
