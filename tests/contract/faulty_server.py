"""A server with one deliberate fault: the real application, whose answers a layer around it spoils."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from unittest import mock

from app.application import create_app
from models.clock import system_clock
from tests import support

# What an operation might answer that believes everything: the first of these that its contract allows.
ANSWERS: list[dict] = [
    {"members": []},
    {"memberships": []},
    {"membership": {"providerMembershipId": "any", "status": "pending"}},
]


@dataclass(frozen=True)
class Answer:
    path: str
    status: int
    headers: dict[bytes, bytes]
    content: bytes

    @property
    def body(self) -> dict:
        return json.loads(self.content)

    def with_body(self, body: dict) -> "Answer":
        return replace(self, content=json.dumps(body).encode())

    def with_header(self, name: bytes, value: bytes) -> "Answer":
        return replace(self, headers=self.headers | {name: value})

    def without_header(self, name: bytes) -> "Answer":
        return replace(self, headers={key: value for key, value in self.headers.items() if key != name})

    def turned_into_success(self) -> "Answer":
        success = replace(self, status=200).with_header(b"content-type", b"application/json")
        allowed = [operation.answer for operation in support.CONTRACT.operations_at(self.path).values()]
        return success.with_body(next(body for body in ANSWERS if all(answer.is_valid(body) for answer in allowed)))


def no_fault(answer: Answer) -> Answer:
    return answer


def created_instead_of_ok(answer: Answer) -> Answer:
    return replace(answer, status=201) if answer.status == 200 else answer


def required_field_left_out(answer: Answer) -> Answer:
    return answer.with_body({}) if answer.status == 200 else answer


def property_too_many(answer: Answer) -> Answer:
    return answer.with_body(answer.body | {"note": "hello"}) if answer.status == 200 else answer


def status_outside_the_enum(answer: Answer) -> Answer:
    if answer.status != 200 or "membership" not in answer.body:
        return answer
    return answer.with_body({"membership": answer.body["membership"] | {"status": "asleep"}})


def errors_as_html(answer: Answer) -> Answer:
    return answer.with_header(b"content-type", b"text/html") if answer.status >= 400 else answer


def crash_on_some_input(answer: Answer) -> Answer:
    is_unlucky = answer.status == 200 and b"notFound" in answer.content
    return replace(answer, status=500) if is_unlucky else answer


def authentication_ignored(answer: Answer) -> Answer:
    return answer.turned_into_success() if answer.status == 401 else answer


def no_allow_beside_405(answer: Answer) -> Answer:
    return answer.without_header(b"allow")


def validation_skipped(answer: Answer) -> Answer:
    return answer.turned_into_success() if answer.status == 400 else answer


def no_challenge_beside_401(answer: Answer) -> Answer:
    return answer.without_header(b"www-authenticate")


def instance_of_another_request(answer: Answer) -> Answer:
    return answer.with_header(b"x-request-id", b"01a2089b-d810-76d4-96eb-ad513584c178")


def valid_input_refused(answer: Answer) -> Answer:
    if answer.status != 200:
        return answer
    problem = {"type": support.PROBLEM + "core/bad-request", "status": 400, "title": "Bad request", "detail": "No."}
    instance = "urn:uuid:" + answer.headers[b"x-request-id"].decode()
    refusal = replace(answer, status=400).with_header(b"content-type", b"application/problem+json")
    return refusal.with_body(problem | {"instance": instance})


class Faulty:
    """The ASGI layer that spoils whole answers."""

    def __init__(self, app: Callable, fault: Callable[[Answer], Answer]) -> None:
        self._app = app
        self._fault = fault

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        messages: list[dict] = []

        async def keep(message: dict) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        if messages:  # a client that hung up gets none
            spoilt = self._fault(
                Answer(scope["path"], messages[0]["status"], dict(messages[0]["headers"]), messages[1]["body"])
            )
            headers = spoilt.with_header(b"content-length", str(len(spoilt.content)).encode()).headers
            await send({**messages[0], "status": spoilt.status, "headers": list(headers.items())})
            await send({**messages[1], "body": spoilt.content})
        return None


@contextlib.contextmanager
def faulty_server(database_url: str, token: str, fault: Callable[[Answer], Answer]) -> Iterator[support.Server]:
    """Run a server with this fault in a thread."""

    def create(*arguments: object) -> Faulty:
        return Faulty(create_app(*arguments), fault)

    with (
        mock.patch.object(support, "create_app", create),
        support.threaded(database_url, token, system_clock) as server,
    ):
        yield server
