"""Work spread over processes, in order and with a bound on what waits."""

import collections
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

WAITING_FOR_EACH = 2


def spread(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
    """Return each task with its result, in order; a single one is done here, several in one process for each CPU.

    Args:
        function: what to do; like tasks and results it must be one that can be pickled.
        tasks: taken only as fast as results are, so that memory does not depend on how many there are. The processes
            begin before the first result is there, and so with no lock that comes with working on results.
    """
    remaining = iter(tasks)
    first = list(itertools.islice(remaining, 2))
    if len(first) < 2:
        yield from ((task, function(task)) for task in first)
        return
    processes = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(processes, initializer=_start) as executor:
        waiting: collections.deque[tuple[Task, Future]] = collections.deque()
        for task in itertools.chain(first, remaining):
            waiting.append((task, executor.submit(function, task)))
            if len(waiting) > processes * WAITING_FOR_EACH:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)


def _first(waiting: collections.deque[tuple[Task, Future]]) -> tuple[Task, Any]:
    task, future = waiting.popleft()
    return task, future.result()


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the process that has started this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # by which the executor ends it, whatever its parent makes of it
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that has started it was killed, which leaves it no time to say so."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)
