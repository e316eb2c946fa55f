"""Work spread over processes, in order and with a bound on what waits.

Each process has a pipe of its own, whose other end only it holds. So whatever ends it, also in the middle of a result,
is seen at once. `concurrent.futures.ProcessPoolExecutor` has one pipe for all results and holds both of its ends: it
would wait for ever for the rest of a result.
"""

import collections
import contextlib
import itertools
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

WAITING_FOR_EACH = 2


class ProcessEnded(Exception):
    """A process has ended before it has returned what it was to do."""


def spread(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
    """Return each task with its result, in order; a single one is done here, several in one process for each CPU.

    Args:
        function: what to do; tasks and results must be such that they can be pickled.
        tasks: taken only as fast as results are, so that memory does not depend on how many there are. The processes
            begin before the first result is there, and so with no lock that comes with working on results.

    Raises:
        ProcessEnded: One of the processes has ended, as when memory is short; if by an exception, it has shown it.
    """
    remaining = iter(tasks)
    first = list(itertools.islice(remaining, 2))
    if len(first) < 2:
        yield from ((task, function(task)) for task in first)
        return
    processes = len(os.sched_getaffinity(0))
    waiting: collections.deque[tuple[Task, Future]] = collections.deque()
    with _started(function, processes) as do, ThreadPoolExecutor(processes) as threads:
        try:
            for task in itertools.chain(first, remaining):
                waiting.append((task, threads.submit(do, task)))
                if len(waiting) > processes * WAITING_FOR_EACH:
                    yield _first(waiting)
            while waiting:
                yield _first(waiting)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _first(waiting: collections.deque[tuple[Task, Future]]) -> tuple[Task, Any]:
    task, future = waiting.popleft()
    return task, future.result()


@contextlib.contextmanager
def _started(function: Callable[[Any], Any], processes: int) -> Iterator[Callable[[Any], Any]]:
    """Begin the processes, and give what has a task done by one of them that is idle."""
    idle: queue.SimpleQueue[Connection] = queue.SimpleQueue()
    with contextlib.ExitStack() as stack:
        for _ in range(processes):
            here, there = multiprocessing.Pipe()
            idle.put(stack.enter_context(here))
            with there:
                process = multiprocessing.Process(target=_serve, args=(function, there), daemon=True)
                process.start()
            stack.callback(process.join)
            stack.callback(process.terminate)

        def do(task: Any) -> Any:
            pipe = idle.get()
            try:
                pipe.send(task)
                return pipe.recv()
            except (EOFError, OSError) as error:
                raise ProcessEnded from error
            finally:
                idle.put(pipe)

        yield do


def _serve(function: Callable[[Any], Any], pipe: Connection) -> None:
    """Do what comes through the pipe, until this process is ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the process that has started this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which ends this one, whatever its parent makes of it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        pipe.send(function(pipe.recv()))


def _end_with_parent() -> None:
    """End this process when the one that has started it was killed, which leaves it no time to say so."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)
