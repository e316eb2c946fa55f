"""Whether the servers of `make bench` answer right: what the population says, what others say, and what is written."""

import concurrent.futures
import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

import httpx
import orjson

from app import problems
from bench import queries, workload
from bench.contenders import Contender
from bench.load import Answer
from bench.workload import Call
from models import database
from models.tables import Event

CHECKED = 60  # of each operation: of links, all of a row, and the ends of some
SECONDS = 30
HOTEL = {"mewsEnterpriseId": queries.HOTEL}
# Requests that are wrong, and the status and type of their problems.
WRONG = (
    ("search", HOTEL | {"memberFilter": {"firstName": "Ann"}}, problems.INVALID_CRITERIA),
    ("search", HOTEL | {"memberFilter": {"email": "no address"}}, problems.BAD_REQUEST),
    ("search", HOTEL | {"memberFilter": {"email": "ann@example.com", "age": 30}}, problems.BAD_REQUEST),
    ("enroll", HOTEL | {"customer": {"firstName": "Ann"}}, problems.BAD_REQUEST),
    ("enroll", HOTEL | {"customer": {"lastName": "Other"}}, problems.BAD_REQUEST),
    ("enroll", HOTEL | {"customer": {"firstName": "Ann", "lastName": "A" * 256}}, problems.BAD_REQUEST),
    ("list", HOTEL | {"providerMembershipIds": []}, problems.BAD_REQUEST),
    ("link", HOTEL | {"providerMembershipId": "nobody", "isLinked": True}, problems.NOT_FOUND),
    ("link", HOTEL | {"providerMembershipId": "nobody", "isLinked": "yes"}, problems.BAD_REQUEST),
)


class WrongAnswer(Exception):
    """A server does not answer as it should, so that its speed means nothing; the text says what it was asked."""


def check(servers: Sequence[Contender], calls: dict[str, list[Call]]) -> int:
    """Return how many calls of each operation were sent to each server, all of which were answered right.

    Raises:
        WrongAnswer: one was not.
    """
    with concurrent.futures.ThreadPoolExecutor(len(servers)) as executor:
        answers = list(executor.map(lambda server: _check(server, calls), servers))
    for server, found in zip(servers[1:], answers[1:], strict=True):
        for asked, one, other in zip(_asked(calls), answers[0], found, strict=True):
            if one != other:
                raise WrongAnswer(f"{server.name} and {servers[0].name} differ in the answer to {asked}.")
    return CHECKED


def check_load(server: Contender, name: str, calls: Sequence[Call], answers: Iterable[Answer]) -> None:
    """Return if all answers to calls of an operation are right.

    Args:
        server: that gave them.
        name: of the operation.
        calls: that were sent, again and again.
        answers: with status 2xx.

    Raises:
        WrongAnswer: one is not.
    """
    for position, text in answers:
        call = calls[position % len(calls)]
        if not _is_right(call, text):
            raise _wrong(server, name, call.numbered(position), text)


def _is_right(call: Call, text: bytes) -> bool:
    with contextlib.suppress(orjson.JSONDecodeError):
        return call.is_right(orjson.loads(text))
    return False


def _wrong(server: Contender, name: str, body: bytes, text: bytes) -> WrongAnswer:
    return WrongAnswer(f"{server.name} answers {name} {body.decode()} with {text.decode(errors='replace')}")


def _asked(calls: dict[str, list[Call]]) -> list[object]:
    """Return the requests whose answers are the same wherever they come from."""
    return [*(call.body for name in ("search", "list") for call in calls[name][:CHECKED]), *WRONG, "no token"]


def _check(server: Contender, calls: dict[str, list[Call]]) -> list[Any]:
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers=headers, timeout=SECONDS) as client:
        answers = {name: _check_calls(server, client, name, calls[name][:CHECKED]) for name in workload.OPERATIONS}
        refusals = [_problem(server, _send(client, name, body), kind, body) for name, body, kind in WRONG]
        del client.headers["Authorization"]
        without = _send(client, "list", HOTEL)
        refusals.append(_problem(server, without, problems.UNAUTHORIZED, HOTEL))
    return [*answers["search"], *answers["list"], *refusals]


def _check_calls(server: Contender, client: httpx.Client, name: str, calls: Sequence[Call]) -> list[Any]:
    operation, answers = workload.operation(name), []
    before = _events(server)
    for serial, call in enumerate(calls):
        body = call.numbered(serial)
        response = client.request(operation.method, operation.path, content=body)
        if response.status_code != httpx.codes.OK or not _is_right(call, response.content):
            raise _wrong(server, name, body, response.content)
        answers.append(response.json())
    written, due = _events(server) - before, sum(call.changes for call in calls)
    if written != due:
        raise WrongAnswer(f"{server.name} has written {written} rows of history for {name}, and not {due}.")
    return answers


def _events(server: Contender) -> int:
    opened = database.open_pool(server.database)
    with opened.connection_context():
        (count,) = opened.execute_sql(f"SELECT COUNT(*) FROM {Event._meta.table_name}").fetchone()  # noqa: S608 (our name)
    opened.close_all()
    return count


def _send(client: httpx.Client, name: str, body: dict) -> httpx.Response:
    operation = workload.operation(name)
    return client.request(operation.method, operation.path, json=body)


def _problem(server: Contender, response: httpx.Response, kind: problems.ProblemType, asked: dict) -> dict:
    """Return the problem document, without what no two have in common."""
    document = response.json()
    if (response.status_code, document.get("type")) != (kind.status, kind.uri):
        raise WrongAnswer(f"{server.name} answers {asked} with {response.status_code} {response.text}")
    return {name: value for name, value in document.items() if name != "instance"}
