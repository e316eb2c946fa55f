"""The table of faults, and the ways of spoiling that several of them share."""

import dataclasses
import json
import threading
from collections.abc import Callable
from typing import Any

from tests.certify.front import Answer, Call, Fault, answer, problem
from tests.support import ENROLL, LIST, SEARCH

JSON = "application/json"
lock = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Seeded:
    """A fault, the requirement that it breaks, and what its provider says of the server (`certify.play.Options`)."""

    fault: Fault
    requirement: str
    says: dict[str, Any]


FAULTS: dict[str, Seeded] = {}


def seeded(requirement: str, **says: Any) -> Callable[[Fault], Fault]:
    """Put a fault into the table."""

    def put(fault: Fault) -> Fault:
        assert fault.__name__ not in FAULTS
        FAULTS[fault.__name__] = Seeded(fault, requirement, says)
        return fault

    return put


def spoil(name: str, call: Call, change: Callable[[Answer], Answer]) -> Answer:
    """Change the successes of an operation."""
    found = call.forward()
    return change(found) if call.is_for(name) and found.is_ok else found


def spoil_memberships(call: Call, change: Callable[[dict], dict]) -> Answer:
    """Change each membership in whatever answer, unless it is a stub."""
    found = call.forward()
    if not found.is_ok:
        return found
    return found.with_memberships(lambda one: change(one) if "membershipNumber" in one else one)


def spoil_members(call: Call, change: Callable[[dict], dict]) -> Answer:
    """Change each member that a search finds."""
    return keep_members(call, lambda members: [change(member) for member in members])


def keep_members(call: Call, change: Callable[[list[dict]], list[dict]]) -> Answer:
    """Change the list of members that a search finds."""
    return spoil(SEARCH, call, lambda found: found.with_body({"members": change(found.body["members"])}))


def nobody(call: Call, *, unless: bool = False) -> Answer:
    """Let a search find nobody."""
    return call.forward() if unless else keep_members(call, lambda _: [])


def spoil_list(call: Call, change: Callable[[list[dict]], list[dict]]) -> Answer:
    """Change the memberships of a list."""
    return spoil(LIST, call, lambda found: found.with_body({"memberships": change(found.body["memberships"])}))


def spoil_problems(call: Call, change: Callable[[dict], dict]) -> Answer:
    """Change the body of each problem."""
    found = call.forward()
    return found.with_body(change(found.body)) if found.is_problem else found


def spoil_errors(call: Call, change: Callable[[dict], dict]) -> Answer:
    """Change each error of a field."""

    def changed(body: dict) -> dict:
        return body | {"errors": [change(error) for error in body["errors"]]} if "errors" in body else body

    return spoil_problems(call, changed)


def without(fields: dict, *names: str) -> dict:
    return {name: value for name, value in fields.items() if name not in names}


def crash() -> Answer:
    """Answer as a server does that has an exception where it expected none."""
    return problem(500, "core/internal-server-error", "Internal server error")


def success(body: Any) -> Answer:
    return answer(200, json.dumps(body).encode(), JSON)


def is_repeat(call: Call, name: str) -> bool:
    """Tell whether the very same call of an operation has come before, and remember it."""
    with lock:
        seen = call.memory.setdefault(f"calls of {name}", set())
        is_known = call.content in seen
        seen.add(call.content)
    return call.is_for(name) and is_known


def email_of(call: Call) -> str:
    """Return the e-mail of the customer to enroll; empty if there is none."""
    return str(call.part("customer").get("email", "")) if call.is_for(ENROLL) else ""
