"""Wrong tokens are counted by address and answered with 429 in the end; a valid one never is."""

import concurrent.futures
import itertools
import re
import secrets
import time
import uuid

import httpx
import pytest

from app.rates import origin
from models import tokens
from models.clock import system_clock
from models.database import database, session
from tests import support
from tests.resilience.soak import rounds
from tests.support import HOTEL, LIST, assert_problem

ADDRESSES = itertools.count(1)
ALLOWED = 5
LIMIT = {"LOYALTY_FAILED_AUTHENTICATION_LIMIT": f"{ALLOWED}/hour"}
WAIT = "Too many requests with wrong tokens came from this address; wait before you try again."
BODY = {"mewsEnterpriseId": HOTEL, "providerMembershipIds": ["a"]}
# Each look-up of a token takes as long as with a database that is far away.
FAR_AWAY = """
ALTER TABLE token RENAME TO token_rows;
CREATE FUNCTION slow_tokens() RETURNS SETOF token_rows LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(0.2); RETURN QUERY SELECT * FROM token_rows; END $$;
CREATE VIEW token AS SELECT * FROM slow_tokens();
"""


@pytest.fixture(scope="module")
def limited(start_once) -> support.Server:
    return start_once(**LIMIT)


@pytest.fixture
def address() -> str:
    """An address that no other test has, as a proxy on this machine tells it."""
    return f"203.0.113.{next(ADDRESSES)}"


def wrong_token() -> str:
    """A token that only the database can tell from a valid one."""
    secret = secrets.token_hex(tokens.SECRET_BYTES)
    return f"{tokens.PREFIX}{secret}{tokens._checksum(secret)}"


def ask(server, token: str | None = None, forwarded_for: str | None = None) -> httpx.Response:
    """Call on a connection of its own, which either worker process may take."""
    headers = {"Connection": "close"} | ({"X-Forwarded-For": forwarded_for} if forwarded_for else {})
    return server.call(LIST, BODY, token=token or wrong_token(), headers=headers)


def statuses(server, times: int, **options: str) -> list[int]:
    return [ask(server, **options).status_code for _ in range(times)]


def counted(server, *, throttled: bool) -> float:
    text = httpx.get(f"{server.url}/metrics").text
    label = str(throttled).lower()
    found = re.search(rf'^loyalty_failed_authentications_total{{throttled="{label}"}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_wrong_tokens_are_told_to_wait_by_all_workers_together_and_counted(limited, address):
    before = counted(limited, throttled=False), counted(limited, throttled=True)
    assert statuses(limited, ALLOWED + 7, forwarded_for=address) == [401] * ALLOWED + [429] * 7
    answer = ask(limited, forwarded_for=address)
    assert_problem(answer, "core/too-many-requests", WAIT)
    assert 3500 < int(answer.headers["Retry-After"]) <= 3600
    assert "WWW-Authenticate" not in answer.headers
    after = counted(limited, throttled=False), counted(limited, throttled=True)
    assert after == (before[0] + ALLOWED, before[1] + 8)


def test_every_kind_of_wrong_token_counts(limited, address):
    fields = ["", "Bearer", "Bearer x", f"Basic {limited.token}", f"Bearer {wrong_token()}"]
    headers = [{"X-Forwarded-For": address} | ({"Authorization": field} if field else {}) for field in fields]
    answers = [limited.call(LIST, BODY, token=None, headers=given) for given in headers]
    assert [answer.status_code for answer in answers] == [401] * ALLOWED
    assert ask(limited, forwarded_for=address).status_code == 429


def test_a_valid_token_is_never_throttled(limited, address):
    """All of Mews' hotels share addresses: one with a wrong token must not lock the others out."""
    assert statuses(limited, ALLOWED + 3, forwarded_for=address)[-3:] == [429] * 3
    for _ in range(10):
        assert ask(limited, forwarded_for=address).status_code == 429
        assert ask(limited, limited.token, forwarded_for=address).status_code == 200
    support.use_database(limited.database_url)
    with session():
        new, _ = tokens.create(f"new-{uuid.uuid4()}", system_clock())
    assert ask(limited, new, forwarded_for=address).status_code == 200


def test_valid_tokens_do_not_count_as_wrong_ones(limited, address):
    assert set(statuses(limited, 3 * ALLOWED, token=limited.token, forwarded_for=address)) == {200}
    assert ask(limited, forwarded_for=address).status_code == 401


def test_each_address_behind_the_proxy_has_its_own_count(limited, address):
    assert statuses(limited, ALLOWED + 1, forwarded_for=address) == [401] * ALLOWED + [429]
    assert ask(limited, forwarded_for=f"203.0.113.{next(ADDRESSES)}").status_code == 401
    assert ask(limited).status_code == 401


def test_an_address_that_the_client_made_up_before_the_proxys_is_not_believed(limited, address):
    made_up = [f"198.51.100.{number}, {address}" for number in range(ALLOWED + 1)]
    assert [ask(limited, forwarded_for=told).status_code for told in made_up] == [401] * ALLOWED + [429]


def test_a_client_that_is_no_trusted_proxy_cannot_say_who_it_is(start_once):
    server = start_once(LOYALTY_TRUSTED_PROXIES="10.0.0.0/8,192.0.2.1", **LIMIT)
    made_up = [f"198.51.100.{number}" for number in range(ALLOWED + 1)]
    assert [ask(server, forwarded_for=told).status_code for told in made_up] == [401] * ALLOWED + [429]


def test_an_empty_limit_switches_it_off(server):
    assert set(statuses(server, 150)) == {401}


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "203.0.113.10", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:DB8:1:2:0::2", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.9", "203.0.113.9", True),
        ("::ffff:203.0.113.9", "::ffff:203.0.113.10", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("unknown", "_hidden", True),
        ("", "unknown", True),
    ],
)
def test_what_counts_as_one_address(one, other, is_same):
    assert (origin(one) == origin(other)) is is_same


def test_a_crowd_of_wrong_tokens_does_not_hold_up_the_valid_ones(make_database, tmp_path, tell):
    """Each look-up takes 0.2 s, and 40 wrong tokens at once wait for longer than the deadline."""
    url = make_database("postgres")
    token = support.prepare(url)
    with support.gunicorn(url, token, tmp_path / "log", LOYALTY_WORKERS="1", LOYALTY_REQUEST_DEADLINE="2") as server:
        with session():
            new = [tokens.create(f"new-{number}", system_clock())[0] for number in range(3)]
            for statement in FAR_AWAY.split(";\n"):
                database.execute_sql(statement) if statement.strip() else None
        assert ask(server, token).status_code == 200
        wrong, valid = crowded(server, [token, *new])
    tell(wrong_tokens=len(wrong), valid=len(valid), refused=len(valid) - valid.count(200))
    assert 401 in set(wrong) <= {401, 408}
    assert set(valid) == {200}


def crowded(server, valid_tokens: list[str]) -> tuple[list[int], list[int]]:
    """The statuses of a crowd of wrong tokens, and those of valid ones in turn meanwhile."""
    turn = itertools.cycle(valid_tokens)
    with concurrent.futures.ThreadPoolExecutor(40) as crowd:
        wrong = [crowd.submit(ask, server) for _ in range(rounds(400, 4_000))]
        valid = []
        while not all(future.done() for future in wrong):
            valid.append(ask(server, next(turn)).status_code)
            time.sleep(0.1)
    return [future.result().status_code for future in wrong], valid
