"""Loyalty systems that misbehave: one takes its time, the other fails and quotes the guest while it does."""

import contextlib
import time

from models.caller import Caller
from tests.http.memory_backend import MemoryBackend

FAILING_SECONDS = 0.8


class SlowBackend(MemoryBackend):
    """Enrolls after as many seconds as the last name says."""

    def enroll(self, caller: Caller, customer: dict) -> dict:
        with contextlib.suppress(ValueError):
            time.sleep(float(customer["last_name"]))
        return super().enroll(caller, customer)


class FailingBackend(MemoryBackend):
    def search(self, _caller: Caller, member_filter: dict) -> list[dict]:
        try:
            raise KeyError(repr(member_filter))
        except KeyError as error:
            error.add_note(f"while searching {member_filter}")
            raise RuntimeError(f"cannot search {member_filter}") from error

    def enroll(self, _caller: Caller, customer: dict) -> dict:
        time.sleep(FAILING_SECONDS)
        raise ValueError(f"cannot enroll {customer}")

    def list(self, _caller: Caller, provider_membership_ids: list[str]) -> list[dict]:
        raise ExceptionGroup(f"cannot list {provider_membership_ids}", [ValueError(repr(provider_membership_ids))])

    def link(self, _caller: Caller, provider_membership_id: str, **_options: object) -> dict:
        return {"provider_membership_id": provider_membership_id, "status": f"nonsense {provider_membership_id}"}


def make() -> SlowBackend:
    return SlowBackend()


def make_failing() -> FailingBackend:
    return FailingBackend()
