"""Limits for each token: off by default, counted over all workers, told in the fields of the IETF's draft."""

import concurrent.futures
import re
import time
import uuid

import httpx
import pytest

from app import settings
from models import tokens
from models.clock import system_clock
from models.database import session
from tests import support
from tests.resilience.soak import rounds
from tests.support import HOTEL, LIST, assert_problem

WAIT = "This token is used too often; wait before you try again."
BODY = {"mewsEnterpriseId": HOTEL, "providerMembershipIds": ["a"]}
FIELDS = ("RateLimit-Policy", "RateLimit", "Retry-After")


def ask(server, **options: object) -> httpx.Response:
    """Call on a connection of its own, which either worker process may take."""
    return server.call(LIST, options.pop("body", BODY), headers={"Connection": "close"}, **options)


@pytest.fixture(scope="module")
def limited(start_once) -> support.Server:
    return start_once(LOYALTY_RATE_LIMIT="3/hour; 5 per 2 days", LOYALTY_WORKERS="4")


@pytest.fixture
def token(limited) -> str:
    return new_token(limited)


def new_token(server) -> str:
    """A token that no other test has used."""
    support.use_database(server.database_url)
    with session():
        return tokens.create(f"limited-{uuid.uuid4()}", system_clock())[0]


def test_there_is_no_limit_by_default(server):
    answers = [ask(server) for _ in range(30)]
    assert {answer.status_code for answer in answers} == {200}
    assert not any(field in answer.headers for answer in answers for field in FIELDS)


def test_a_limit_is_told_and_kept(limited, token):
    answers = [ask(limited, token=token) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    policy = '"3 per 1 hour";q=3;w=3600, "5 per 2 day";q=5;w=172800'
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {policy}
    fields = [re.findall(r'"(?:3 per 1 hour|5 per 2 day)";r=(\d);t=(\d+)', a.headers["RateLimit"]) for a in answers]
    assert [[int(left) for left, _ in items] for items in fields] == [[2, 4], [1, 3], [0, 2], [0, 1], [0, 0]]
    assert all(3500 < int(hour) <= 3600 and 172_700 < int(days) <= 172_800 for (_, hour), (_, days) in fields)
    assert_problem(answers[-1], "core/too-many-requests", WAIT)
    waits = [answer.headers.get("Retry-After") for answer in answers]
    assert waits == [None, None, None, fields[3][0][1], fields[4][0][1]]


def test_of_two_limits_that_are_reached_the_longer_wait_is_told(limited, token):
    answers = [ask(limited, token=token) for _ in range(6)]
    assert int(answers[-1].headers["Retry-After"]) > 172_700


def test_all_workers_count_together(limited, token, tell):
    asked = rounds(60, 3_000)
    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        statuses = list(executor.map(lambda _: ask(limited, token=token).status_code, range(asked)))
    tell(requests=asked, allowed=3, served=statuses.count(200), refused=statuses.count(429))
    assert (statuses.count(200), statuses.count(429)) == (3, asked - 3)
    with session():
        name = tokens.verify(token, system_clock()).name
    metrics = httpx.get(f"{limited.url}/metrics").text
    assert f'loyalty_over_rate_limit_total{{token="{name}"}} {asked - 3}.0' in metrics


def test_each_token_has_its_own(limited, token):
    assert [ask(limited, token=token).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert ask(limited, token=new_token(limited)).status_code == 200


def test_refused_bodies_count_and_wrong_tokens_and_probes_do_not(limited, token):
    wrong = ask(limited, token="wrong")
    assert (wrong.status_code, [field for field in FIELDS if field in wrong.headers]) == (401, [])
    probe = httpx.get(f"{limited.url}/livez", headers={"Authorization": f"Bearer {token}"})
    assert (probe.status_code, [field for field in FIELDS if field in probe.headers]) == (200, [])
    statuses = [ask(limited, token=token, body=body).status_code for body in ({}, BODY, BODY, BODY)]
    assert statuses == [400, 200, 200, 429]


def test_after_retry_after_it_goes_on(start_once):
    server = start_once(LOYALTY_RATE_LIMIT="1 per 4 seconds")
    refused = next(answer for answer in (ask(server) for _ in range(100)) if answer.status_code == 429)
    time.sleep(int(refused.headers["Retry-After"]))
    assert ask(server).status_code == 200


@pytest.mark.parametrize("value", ["often", "0/second", "1/fortnight", "10", "1/second nonsense", "-1/day"])
@pytest.mark.parametrize("name", ["rate_limit", "failed_authentication_limit"])
def test_a_limit_that_cannot_be_read_stops_the_start(name, value):
    with pytest.raises(settings.InvalidSetting, match=f"LOYALTY_{name.upper()} cannot be used: It must be a limit"):
        settings.load({}, database_url="sqlite:///x.db", **{name: value})


@pytest.mark.parametrize("value", ["proxy.example.com", "10.0.0.0/33", "10.0.0.1/8", "*"])
def test_a_proxy_that_is_no_address_stops_the_start(value):
    with pytest.raises(
        settings.InvalidSetting, match="LOYALTY_TRUSTED_PROXIES cannot be used: It must be IP addresses"
    ):
        settings.load({}, database_url="sqlite:///x.db", trusted_proxies=value)
