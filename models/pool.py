"""Connections to Postgres that no fault of a network or of a server keeps for longer than a request may take.

Peewee's own pool asks each connection that it hands out for a sign of life, and connects, while it holds a lock that
all threads need: one connection to a host that swallows packets would stop them all.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import peewee
import psycopg
from playhouse.pool import MaxConnectionsExceeded
from psycopg import pq

from models import greenlets
from models.connection import Connection, Row


class PostgresPool(greenlets.OfJobs, peewee.PostgresqlDatabase):
    """Peewee's database, with a bounded number of connections.

    Args:
        parameters: libpq's, by name; `host`, `hostaddr` and `port` may be lists with commas.
        connections: at once, at most.
        queueing: seconds that a thread waits for one of them to be free; a job never does.
        connecting: seconds that all hosts together get to accept a new one.
        hold: seconds from the wish for a connection after which it is given up; infinite for commands.
        longest: seconds after which a connection is replaced when it is free.
    """

    patience = 0.0  # as `models.database.connect` sets it, for any database

    def __init__(
        self,
        parameters: dict[str, Any],
        *,
        connections: int,
        queueing: float,
        connecting: float,
        hold: float,
        longest: float,
    ) -> None:
        super().__init__(parameters.get("dbname", ""), prefer_psycopg3=True)
        # What it guards is each thread's own; with it, a thread that connects would make all others wait.
        self._lock = contextlib.nullcontext()
        self._hosts = _each_host(parameters)
        self._seconds = int(parameters.get("connect_timeout") or 0) or connecting / len(self._hosts)
        self._queueing, self._hold, self._longest = queueing, hold, longest
        self._places = threading.BoundedSemaphore(connections)
        self._idle: deque[Connection] = deque()

    def ask(self, text: str, values: Sequence, make_row: Callable[[Sequence], Row]) -> tuple[list[Row], int]:
        """See `Connection.ask`."""
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
            return (self._state.conn or self.connection()).ask(text, values, make_row)

    def begin(self, isolation_level: str | None = None) -> None:
        """Begin a transaction, without a cursor, which would cost more than the command."""
        if isolation_level is not None:
            super().begin(isolation_level)
            return
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
            self.connection().command("BEGIN")

    def commit(self) -> None:
        """End a transaction, without a cursor; of its own connection, since on another it would do nothing."""
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
            self._state.conn.command("COMMIT")

    def _connect(self) -> Connection:
        started = time.monotonic()
        # For each job there is one, so that none has to wait.
        if not self._places.acquire(timeout=0 if greenlets.is_job() else self._queueing):
            raise MaxConnectionsExceeded("every connection is in use")
        try:
            connection = self._take_idle() or greenlets.elsewhere(self._open)
        except BaseException:
            self._places.release()
            raise
        connection.give_up = started + self._hold
        return connection

    def _take_idle(self) -> Connection | None:
        oldest = time.monotonic() - self._longest
        with contextlib.suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if connection.is_usable(oldest):
                    return connection
                connection.close()
        return None

    def _open(self) -> Connection:
        """Connect to the first host that accepts; the one that did last is asked first, in case another one is dead."""
        failure: Exception = psycopg.OperationalError("no host is given")
        for host in self._hosts:
            try:
                connection = Connection.open(host, self._seconds)
            except psycopg.OperationalError as error:
                failure = error
            else:
                self._hosts = [host, *(other for other in self._hosts if other is not host)]
                return connection
        raise failure

    def _close(self, connection: Connection) -> None:
        try:
            if connection.closed:  # it broke, and what broke it may have broken those that idle
                self.close_idle()
            if connection.pgconn.transaction_status == pq.TransactionStatus.IDLE:
                self._idle.append(connection)
            else:
                connection.close()
        finally:
            self._places.release()

    def close_idle(self) -> None:
        """Close the connections that nobody uses."""
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()

    def close_all(self) -> None:
        """Close this thread's connection and those that nobody uses."""
        self.close()
        self.close_idle()


def _each_host(parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parameters for each of the hosts (PostgreSQL manual, 34.1.1.3 "Specifying Multiple Hosts")."""
    lists = {name: str(parameters[name]).split(",") for name in ("host", "hostaddr", "port") if parameters.get(name)}
    count = max(map(len, lists.values()), default=1)
    return [parameters | {name: found[turn % len(found)] for name, found in lists.items()} for turn in range(count)]
