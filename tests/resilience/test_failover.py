"""The primary dies under load, the standby is promoted, and the server carries on by itself."""

import itertools
import random
import time

import pytest

from tests import support
from tests.resilience.cluster import Node, cluster
from tests.resilience.proxy import Proxy, proxy
from tests.resilience.soak import rounds
from tests.resilience.traffic import Traffic, traffic, wait_until

DEADLINE, TOLERANCE = 2.0, 1.0
RECOVERY_SECONDS = 5.0
SERVED_IN_A_ROW = 30
SETTINGS = {"LOYALTY_REQUEST_DEADLINE": str(DEADLINE), "LOYALTY_WORKERS": "2", "LOYALTY_CONCURRENCY": "4"}
DATABASE = "loyalty"


class Site:
    """The server, on a cluster whose nodes it reaches through a network that can fail."""

    def __init__(self, nodes: tuple[Node, Node], networks: tuple[Proxy, Proxy]) -> None:
        self.primary, self.standby = nodes
        self.is_whole = True
        self.networks = dict(zip(nodes, networks, strict=True))
        hosts = ",".join(f"127.0.0.1:{network.port}" for network in networks)
        self.url = f"postgresql://postgres@{hosts}/{DATABASE}?target_session_attrs=read-write"
        self.primary.execute(f"CREATE DATABASE {DATABASE}")
        self.token = support.prepare(self.url)
        support.use_database(self.url).close_all()

    def fail_over(self, fault: str) -> float:
        """Break the primary, promote the standby, and return the moment when that was done."""
        if fault == "killed":
            self.primary.kill()
        else:
            self.networks[self.primary].silence()
        self.standby.promote()
        self.primary, self.standby, self.is_whole = self.standby, self.primary, False
        return time.monotonic()

    def mend(self) -> None:
        """Make the old primary the standby of the new one, if it is not."""
        if not self.is_whole:
            self.standby.kill()
            self.standby.follow(self.primary)
            self.networks[self.standby].heal()
            self.is_whole = True


@pytest.fixture(scope="module")
def site():
    with cluster() as nodes, proxy(("127.0.0.1", nodes[0].port)) as one, proxy(("127.0.0.1", nodes[1].port)) as two:
        yield Site(nodes, (one, two))


@pytest.fixture(scope="module")
def server(site, tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "server.log"
    with support.gunicorn(site.url, site.token, log, **SETTINGS) as running:
        yield running


def assert_nothing_lost(site: Site, seen: Traffic) -> None:
    found = site.primary.execute("SELECT email FROM member", DATABASE)
    emails = [email for (email,) in found]
    assert len(emails) == len(set(emails))
    assert seen.acknowledged.keys() <= set(emails)


def gap(seen: Traffic, broken: float) -> float:
    """The longest time after a moment in which no request was served, in seconds."""
    served = sorted(answer.ended for answer in seen.answers if answer.status == 200)
    return max(later - earlier for earlier, later in itertools.pairwise(served) if later > broken)


def test_the_standby_takes_over_and_nothing_is_lost(site, server, tell):
    faults = ["killed", "silent"] * rounds(1, 10)
    acknowledged, gaps, recoveries = 0, [], []
    for fault in faults:
        site.mend()
        with traffic(server) as seen:
            wait_until(lambda seen=seen: seen.served_since(0) > SERVED_IN_A_ROW, 30, "nothing is served")
            time.sleep(random.random() / 2)
            broken = time.monotonic()
            promoted = site.fail_over(fault)
            wait_until(lambda seen=seen, at=promoted: seen.served_since(at) > SERVED_IN_A_ROW, 30, "nothing is served")
        assert seen.wrong == []
        assert max(answer.seconds for answer in seen.answers) < DEADLINE + TOLERANCE
        recoveries.append(max(0.0, seen.last_failure() - promoted))
        assert recoveries[-1] < RECOVERY_SECONDS
        assert_nothing_lost(site, seen)
        acknowledged += len(seen.acknowledged)
        gaps.append(gap(seen, broken))
    tell(
        failovers=len(faults),
        acknowledged=acknowledged,
        lost=0,
        doubled=0,
        longest_gap=round(max(gaps), 2),
        longest_until_all_is_served_after_promotion=round(max(recoveries), 2),
    )
