"""One connection to Postgres, which jobs of the event loop and threads use alike.

What requests ask goes by libpq's own functions, past psycopg's cursors.
"""

import functools
import itertools
import math
import re
import select
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import conninfo, pq, waiting
from psycopg.adapt import PyFormat, Transformer

from models import greenlets

POLL_SECONDS = 0.1
# Statements that are prepared on each connection, which is replaced after some minutes.
MOST_PREPARED = 100
_GOOD = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)
Row = TypeVar("Row")


class Connection(psycopg.Connection):
    """A connection that gives up on a server that is silent, at a moment that the pool sets for each session."""

    give_up = math.inf
    opened_at = 0.0
    may_prepare = False  # behind a pooler, what is prepared would be looked for on another connection to Postgres
    _watch: greenlets.Watch | None = None  # begun by the first job that waits

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._converter = Transformer(self)
        self._names: dict[str, bytes] = {}
        self._numbers = itertools.count()

    @classmethod
    def open(cls, parameters: dict[str, Any], seconds: float) -> "Connection":
        """Connect to one host. As `psycopg.connect`, which cannot wait for less than two seconds.

        Raises:
            psycopg.OperationalError: the host refuses, or does not answer in time.
        """
        opening = cls._connect_gen(conninfo.make_conninfo(**parameters))
        connection = waiting.wait_conn(opening, interval=POLL_SECONDS, timeout=seconds)
        connection.autocommit = True
        connection.opened_at = time.monotonic()
        connection.give_up = connection.opened_at + seconds
        connection.prepare_threshold = None  # else psycopg would deallocate with its own statements ours as well
        connection.may_prepare = not connection.is_pooled()
        return connection

    def is_pooled(self) -> bool:
        """Tell whether a pooler such as PgBouncer is between us and Postgres: it gives numbers of its own to us."""
        return self.execute("SELECT pg_backend_pid()").fetchone() != (self.info.backend_pid,)

    def command(self, text: str) -> None:
        """Send what has neither parameters nor rows."""
        self._exchange(self.pgconn.send_query, text.encode())

    def ask(self, text: str, values: Sequence, make_row: Callable[[Sequence], Row]) -> tuple[list[Row], int]:
        """Run a statement, and return its rows, and how many rows it has read or changed.

        By libpq's own functions (https://www.psycopg.org/psycopg3/docs/api/pq.html): what a cursor does beside, for
        each statement anew, takes as long as the rest of a request. What is asked for often is prepared, as cursors do
        it, and the values are sent as text, whose types Postgres knows by the columns that they are compared with.

        Args:
            text: the statement, with `%s` for each value; no COPY, which has a protocol of its own.
            values: of Python's types.
            make_row: makes a row of its columns' values.
        """
        values = self._converter.dump_sequence(values, [PyFormat.TEXT] * len(values))
        name = self._names.get(text) or self._prepare(text)
        if name:
            result = self._exchange(self.pgconn.send_query_prepared, name, values, None, pq.Format.BINARY)
        else:
            sent = (_numbered(text), values, None, None, pq.Format.BINARY)
            result = self._exchange(self.pgconn.send_query_params, *sent)
        self._converter.set_pgresult(result)
        rows = self._converter.load_rows(0, result.ntuples, make_row)
        self._converter.set_pgresult(None)  # else the last answer would stay in memory while the connection idles
        return rows, result.command_tuples or 0

    def _prepare(self, text: str) -> bytes | None:
        """Return the name of a prepared statement; None behind a pooler, or if there are many already."""
        if not self.may_prepare or len(self._names) >= MOST_PREPARED:
            return None
        name = f"loyalty_{next(self._numbers)}".encode()  # none twice, if an interruption lost the one before
        self._exchange(self.pgconn.send_prepare, name, _numbered(text))
        self._names[text] = name
        return name

    def _exchange(self, send: Callable, *arguments: Any) -> pq.abc.PGresult:
        """Call what sends something, and return the answer.

        Raises:
            psycopg.Error: Postgres refuses it, or it did not come; see `wait`.
        """
        return self.wait(_exchange(self.pgconn, send, arguments))

    def wait(self, gen: Any, interval: float = POLL_SECONDS, timeout: float | None = None) -> Any:
        """Wait for an answer of the server.

        Raises:
            psycopg.OperationalError: there was none until `give_up`; the connection is closed. The statement is not
                canceled, since a commit that waits for a synchronous standby would then be reported as done.
        """
        if self.give_up < math.inf:
            timeout = self.give_up - time.monotonic()
        try:
            if timeout is not None and timeout <= 0:  # a commit that is not sent leaves no doubt
                raise psycopg.OperationalError("no time is left for this statement")
            if greenlets.is_job():
                self._watch = self._watch or greenlets.Watch(self.fileno())
                return greenlets.follow(gen, self._watch, self.give_up)
            return super().wait(gen, interval, timeout)
        except psycopg.OperationalError as error:
            if error.sqlstate is None:  # not told by the server: whatever it says from now on comes too late
                self.close()
            raise
        except psycopg.errors.ReadOnlySqlTransaction:
            self.close()  # this server is no longer the primary
            raise

    def close(self) -> None:
        """Close it, also where libpq has closed its socket already."""
        super().close()
        watch, self._watch = self._watch, None
        if watch:
            watch.close()

    def is_usable(self, oldest: float) -> bool:
        """Tell whether an idle connection was opened after `oldest`, and the server has not said a word since it idles.

        To someone who asked nothing it tells little but the end of the connection; nothing is sent to find that out.
        """
        if self.closed or self.opened_at < oldest:
            return False
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return not poll.poll(0)


@functools.lru_cache(1024)
def _numbered(text: str) -> bytes:
    """Return a statement with libpq's places for values in place of the Python drivers'."""
    numbers = itertools.count(1)
    return re.sub("%[s%]", lambda found: f"${next(numbers)}" if found[0] == "%s" else "%", text).encode()


def _exchange(
    pgconn: pq.abc.PGconn, send: Callable, arguments: Sequence
) -> Generator[waiting.Wait, waiting.Ready, pq.abc.PGresult]:
    """Yield what to wait for until all is sent and the answer is there (PostgreSQL manual, 34.4), and return that."""
    send(*arguments)
    while pgconn.flush():
        if (yield waiting.Wait.RW) & waiting.Ready.R:
            pgconn.consume_input()
    found = None
    try:
        while True:
            while pgconn.is_busy():
                yield waiting.Wait.R
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                break
            found = result
    except psycopg.OperationalError:
        if found is None:  # else the server has said why it ends the connection
            raise
    if found is None:
        raise psycopg.OperationalError("the connection is lost")
    if found.status not in _GOOD:
        raise psycopg.errors.error_from_result(found)
    return found
