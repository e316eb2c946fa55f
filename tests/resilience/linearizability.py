"""Is what many clients saw what one after the other could have seen? A checker after Wing and Gong, with Lowe's memory.

As in Jepsen's tests of registers: a history of operations, each with the moments of its call and its answer, is
linearizable if they can be put in an order that keeps "answered before the other was called" and in which each has the
effect that was seen (G. Lowe, "Testing for linearizability", 2017). Here the register is the set of a hotel's links to
one membership, and what an operation is seen to have done stands in the history rows of its request.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Links = frozenset[str]


@dataclass(frozen=True)
class Call:
    """One operation of a client.

    Attributes:
        called: the moment of the call.
        answered: the moment of the answer; infinity where there was none, so that it may take effect at any time.
        kind: `link`, `unlink`, or `read`, which sees all links.
        customer: whom it is about; None: all.
        changed: the customers whose links it changed, or read; None if that is not known, as without an answer.
    """

    called: float
    answered: float
    kind: str
    customer: str | None = None
    changed: Links | None = None


def step(links: Links, call: Call) -> Links | None:
    """Return the links after a call, or None if it cannot have been seen to do what it did."""
    named = links if call.customer is None else frozenset({call.customer})
    changed = {"link": named - links, "unlink": named & links, "read": links}[call.kind]
    if call.changed not in (None, changed):
        return None
    return {"link": links | changed, "unlink": links - changed, "read": links}[call.kind]


def is_linearizable(history: Sequence[Call]) -> bool:
    """Tell whether the calls can be put in an order that explains them, from no links at first.

    Which calls are done already and what the links are then is all that matters for the rest, so that each such state
    is looked at once.
    """
    first = (frozenset(range(len(history))), Links())
    waiting, seen = [first], {first}
    while waiting:
        left, links = waiting.pop()
        if all(history[index].answered == math.inf for index in left):  # one without an answer need not have happened
            return True
        for index in _next(history, left):
            after = step(links, history[index])
            state = (left - {index}, after)
            if after is not None and state not in seen:
                seen.add(state)
                waiting.append(state)
    return False


def _next(history: Sequence[Call], left: frozenset[int]) -> Iterator[int]:
    """Return the calls that can come next: no other that is left was answered before they were called."""
    earliest = min(history[index].answered for index in left)
    return (index for index in left if history[index].called <= earliest)
