"""Doing a use-case anew where another's transaction was in the way of its own."""

import functools
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import peewee

from models import greenlets
from models.database import database, is_conflict
from models.errors import DatabaseBusy

PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.01, 0.2
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def retry_on_conflict(use_case: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Make a use-case start anew where another's transaction was in the way of its own: a deadlock, say.

    Within a transaction it does not: what was undone with it is not the use-case's alone.

    Raises:
        DatabaseBusy: others were in the way for too long.
    """

    @functools.wraps(use_case)
    def run(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        if database.in_transaction():
            return use_case(*arguments, **options)
        give_up = time.monotonic() + database.obj.patience
        pause = PAUSE_SECONDS
        while True:
            try:
                return use_case(*arguments, **options)
            except peewee.OperationalError as error:
                if not is_conflict(error):
                    raise
                if time.monotonic() + pause > give_up:
                    raise DatabaseBusy("Others keep the database busy; try again shortly.") from error
            greenlets.pause(random.uniform(0, pause))  # noqa: S311 (so that two do not meet again)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    return run
