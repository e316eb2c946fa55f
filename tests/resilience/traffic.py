"""Clients that never give up, and monitors: what each of them saw, and when."""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator

import httpx

from tests import support

# What a client may be told while something is broken; never anything else, and always as a problem document.
REFUSALS = {408, 429, 500}
PAUSE_SECONDS = 0.02
MONITOR_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class Answer:
    """One answer, with the moments (of `time.monotonic`) when it was asked for and when it came."""

    status: int
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclasses.dataclass
class Traffic:
    """Guests are enrolled by clients that repeat a request until it is acknowledged, and look at the answer then."""

    server: support.Server
    answers: list[Answer] = dataclasses.field(default_factory=list)
    live: list[Answer] = dataclasses.field(default_factory=list)
    ready: list[Answer] = dataclasses.field(default_factory=list)
    acknowledged: dict[str, str] = dataclasses.field(default_factory=dict)
    wrong: list[object] = dataclasses.field(default_factory=list)
    ended: threading.Event = dataclasses.field(default_factory=threading.Event)

    def ask(self, call: Callable[..., httpx.Response], *arguments: object) -> httpx.Response | None:
        """Call once, note the answer, and return it if it is a 200."""
        began = time.monotonic()
        answer = call(*arguments)
        self.answers.append(Answer(answer.status_code, began, time.monotonic()))
        if answer.status_code == 200:
            return answer
        if answer.status_code not in REFUSALS or answer.json()["status"] != answer.status_code:
            self.wrong.append(answer.text)
        time.sleep(PAUSE_SECONDS)
        return None

    def enroll(self, email: str) -> None:
        guest = {"firstName": "Ann", "lastName": "Lee", "email": email}
        answer = None
        while answer is None and not self.ended.is_set():
            answer = self.ask(self.server.enroll, guest)
        if answer is not None:
            self.acknowledged[email] = answer.json()["membership"]["providerMembershipId"]

    def client(self, name: int) -> None:
        number = 0
        while not self.ended.is_set():
            number += 1
            email = f"{name}-{number}-{time.monotonic_ns()}@example.com"
            self.enroll(email)
            if email in self.acknowledged and (found := self.ask(self.server.list, [self.acknowledged[email]])):
                seen = found.json()["memberships"][0]
                if seen["status"] != "enrolled":  # acknowledged, and not there
                    self.wrong.append(seen)
            time.sleep(PAUSE_SECONDS)

    def monitor(self, path: str, seen: list[Answer]) -> None:
        with httpx.Client(timeout=20) as client:
            while not self.ended.is_set():
                began = time.monotonic()
                status = client.get(f"{self.server.url}{path}").status_code
                seen.append(Answer(status, began, time.monotonic()))
                time.sleep(MONITOR_SECONDS)

    def guarded(self, work: Callable, *arguments: object) -> None:
        try:
            work(*arguments)
        except (httpx.HTTPError, ValueError, LookupError) as error:  # no answer, or none of the contract's
            self.wrong.append(error)

    def served_since(self, moment: float) -> int:
        """Return how many requests in a row were answered with 200 since a moment, up to now."""
        statuses = [answer.status for answer in list(self.answers) if answer.began > moment]
        failures = [place for place, status in enumerate(statuses) if status != 200]
        return len(statuses) - (failures[-1] + 1 if failures else 0)

    def is_ready_since(self, moment: float) -> bool:
        return any(answer.status == 200 and answer.began > moment for answer in list(self.ready))

    def last_failure(self) -> float:
        """Return when the last answer came that was no 200."""
        return max((answer.ended for answer in self.answers if answer.status != 200), default=0.0)


@contextlib.contextmanager
def traffic(server: support.Server, clients: int = 6) -> Iterator[Traffic]:
    """Keep clients and monitors busy until the block ends."""
    made = Traffic(server)
    work = [(made.client, name) for name in range(clients)]
    work += [(made.monitor, "/livez", made.live), (made.monitor, "/readyz", made.ready)]
    threads = [threading.Thread(target=made.guarded, args=one) for one in work]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        made.ended.set()
        for thread in threads:
            thread.join()


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition, and fail if it does not come."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)
