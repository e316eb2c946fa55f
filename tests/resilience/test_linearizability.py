"""Links of one membership under many clients: what they have seen is what one after the other could have seen."""

import concurrent.futures
import dataclasses
import itertools
import math
import random
import threading
import time
import uuid

import pytest

from models.database import rows, session
from models.tables import Enterprise, Event, Link, Membership
from tests import support
from tests.resilience.linearizability import Call, Links, is_linearizable
from tests.resilience.soak import rounds
from tests.support import GUEST

CLIENTS, CALLS = 8, 4
HOTELS = [str(uuid.uuid4()) for _ in range(2)]
CUSTOMER, NO_CUSTOMER, ALL = str(uuid.uuid4()), "", None
OPERATIONS = [("link", CUSTOMER), ("link", NO_CUSTOMER), ("unlink", CUSTOMER), ("unlink", ALL)]
Recorded = tuple[str, str, Call]


def client(server: support.Server, identifier: str, together: threading.Barrier, seed: str) -> list[Recorded]:
    """Call whenever all clients do, and return for each call the hotel, the request's id and what is known of it."""
    chance, calls = random.Random(seed), []
    for _ in range(CALLS):
        hotel, (kind, customer) = chance.choice(HOTELS), chance.choice(OPERATIONS)
        body = {"mewsEnterpriseId": hotel, "providerMembershipId": identifier, "isLinked": kind == "link"}
        body |= {"mewsCustomerId": customer} if customer else {}
        together.wait()
        called = time.monotonic()
        answer = server.call(support.LINK, body)
        assert answer.status_code == 200, answer.text
        calls.append((hotel, answer.headers["X-Request-Id"], Call(called, time.monotonic(), kind, customer)))
    return calls


def drive(server: support.Server, seed: int) -> tuple[str, list[Recorded]]:
    """Let many clients link and unlink a new membership, and return its identifier with what they did."""
    answer = server.enroll(GUEST | {"email": f"{uuid.uuid4()}@example.com"})
    identifier, together = answer.json()["membership"]["providerMembershipId"], threading.Barrier(CLIENTS)
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as executor:
        running = [
            executor.submit(client, server, identifier, together, f"{seed} {number}") for number in range(CLIENTS)
        ]
        return identifier, list(itertools.chain.from_iterable(each.result() for each in running))


def events_of(identifier: str) -> list[dict]:
    columns = (Event.kind, Event.mews_customer_id, Event.request_id, Enterprise.mews_enterprise_id.alias("hotel"))
    query = Event.select(*columns).join(Membership).switch(Event).join(Enterprise).order_by(Event.id)
    return rows(query.where(Membership.provider_membership_id == identifier, Event.kind != "enrolled"))


def links_of(identifier: str, hotel: str) -> Links:
    query = Link.select(Link.mews_customer_id).join(Membership).switch(Link).join(Enterprise)
    wanted = (Membership.provider_membership_id == identifier) & (Enterprise.mews_enterprise_id == hotel)
    return Links(link["mews_customer_id"] for link in rows(query.where(wanted)))


def history_of(hotel: str, identifier: str, calls: list[Recorded]) -> list[Call]:
    """Return the calls about one hotel with what their events say, and a last one that reads the links left."""
    changed: dict[str, set[str]] = {}
    for event in events_of(identifier):
        changed.setdefault(event["request_id"], set()).add(event["mews_customer_id"] or NO_CUSTOMER)
    known = [
        dataclasses.replace(call, changed=Links(changed.get(request, ()))) for at, request, call in calls if at == hotel
    ]
    now = time.monotonic()
    return [*known, Call(now, now, "read", changed=links_of(identifier, hotel))]


def replayed(hotel: str, identifier: str) -> Links:
    """Return the links that follow from the history rows alone, each of which must change something."""
    links = set()
    for event in events_of(identifier):
        customer = event["mews_customer_id"] or NO_CUSTOMER
        if event["hotel"] == hotel:
            assert (customer in links) == (event["kind"] == "unlinked"), event
            links ^= {customer}
    return Links(links)


def test_links_of_a_membership_are_linearizable(start, tell):
    server = start(LOYALTY_WORKERS="4", LOYALTY_REQUEST_DEADLINE="30")
    calls = overlapping = 0
    for seed in range(rounds(50, 1000)):
        identifier, recorded = drive(server, seed)
        with session():
            for hotel in HOTELS:
                history = history_of(hotel, identifier, recorded)
                assert is_linearizable(history), (seed, history)
                assert replayed(hotel, identifier) == history[-1].changed
                overlapping += overlaps(history)
        calls += len(recorded)
    assert overlapping > calls  # else it would show nothing
    tell(histories=seed + 1, clients=CLIENTS, calls=calls, overlapping_pairs=overlapping, refused=0)


def overlaps(history: list[Call]) -> int:
    pairs = itertools.combinations(history, 2)
    return sum(one.called < other.answered and other.called < one.answered for one, other in pairs)


A, B = "a", "b"
NOTHING, ONLY_A, BOTH = Links(), Links({A}), Links({A, B})


def calls(*rows: tuple) -> list[Call]:
    return [Call(*row) for row in rows]


@pytest.mark.parametrize(
    "history",
    [
        calls(),
        calls((0, 1, "link", A, ONLY_A), (2, 3, "read", ALL, ONLY_A)),
        calls((0, 3, "link", A, ONLY_A), (1, 2, "read", ALL, NOTHING)),
        calls((0, 3, "link", A, ONLY_A), (1, 2, "read", ALL, ONLY_A)),
        calls((0, 9, "link", A, NOTHING), (1, 2, "link", A, ONLY_A), (3, 4, "unlink", ALL, ONLY_A)),
        calls((0, 9, "link", A, ONLY_A), (0, 9, "link", B, Links({B})), (0, 9, "unlink", ALL, BOTH)),
        calls((0, math.inf, "link", A), (1, 2, "read", ALL, NOTHING), (3, 4, "read", ALL, ONLY_A)),
        calls((0, math.inf, "link", A), (1, 2, "read", ALL, NOTHING)),
    ],
)
def test_the_checker_takes_what_can_be_put_in_order(history):
    assert is_linearizable(history)


@pytest.mark.parametrize(
    "history",
    [
        calls((0, 1, "link", A, ONLY_A), (2, 3, "read", ALL, NOTHING)),  # lost
        calls((0, 3, "link", A, ONLY_A), (1, 4, "link", A, ONLY_A)),  # done twice
        calls((0, 1, "link", A, ONLY_A), (2, 5, "unlink", A, ONLY_A), (3, 4, "unlink", ALL, ONLY_A)),  # undone twice
        calls((0, 1, "link", A, ONLY_A), (2, 5, "unlink", A, ONLY_A), (6, 7, "read", ALL, ONLY_A)),  # come back
        calls((0, 1, "read", ALL, ONLY_A), (2, 3, "link", A, ONLY_A)),  # seen before it was asked for
        calls((0, 9, "link", A, ONLY_A), (1, 2, "read", ALL, ONLY_A), (3, 4, "read", ALL, NOTHING)),  # new, then old
        calls((0, 1, "link", A, ONLY_A), (0, 1, "link", B, Links({B})), (2, 3, "unlink", ALL, ONLY_A)),  # left behind
        calls((0, math.inf, "link", A), (1, 2, "read", ALL, ONLY_A), (3, 4, "read", ALL, NOTHING)),
    ],
)
def test_the_checker_refuses_what_no_order_explains(history):
    assert not is_linearizable(history)


def test_the_checker_is_not_lost_in_many_calls_at_once():
    together = [Call(0, 1, kind, A) for kind in ("link", "unlink")] * 5
    assert is_linearizable([*together, Call(2, 3, "read", ALL, ONLY_A)])
    assert not is_linearizable([*together, Call(2, 3, "read", ALL, BOTH)])
