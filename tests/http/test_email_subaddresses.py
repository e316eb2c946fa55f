"""LOYALTY_EMAIL_SUBADDRESSES: whether jane+spa@ is somebody else than jane@, from the first day or from one on."""

from pathlib import Path

import pytest

from models.tables import Member
from tests import support
from tests.cli.commands import Loyalty
from tests.support import GUEST

ROOT = Path(__file__).parents[2]
IGNORE = {"LOYALTY_EMAIL_SUBADDRESSES": "ignore"}


def enrolled(server: support.Server, email: str) -> str:
    answer = server.enroll(GUEST | {"email": email})
    assert answer.status_code == 200, answer.text
    return answer.json()["membership"]["providerMembershipId"]


def found(server: support.Server, email: str) -> list[str]:
    """The identifiers of whom a search by the e-mail alone finds."""
    members = server.search({"email": email}).json()["members"]
    return [member["membership"]["providerMembershipId"] for member in members]


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("jane@example.com", "Jane+spa@example.com", True),
        ("jane+spa@example.com", "jane+golf+2@example.com", True),
        ("Jane.Doe+spa@gmail.com", "janedoe@Gmail.com", True),
        ("j.doe@googlemail.com", "jdoe@googlemail.com", True),
        ("jane.doe@example.com", "janedoe@example.com", False),
        ("+spa@example.com", "+golf@example.com", False),
    ],
)
def test_where_they_are_ignored_addresses_with_and_without_are_one(start, first, second, is_one):
    server = start(LOYALTY_WORKERS="1", **IGNORE)
    one, other = enrolled(server, first), enrolled(server, second)
    assert (one == other) == is_one
    assert found(server, second) == [other]
    assert server.search({"email": first}).json()["members"][0]["email"] == first
    assert support.count(Member) == (1 if is_one else 2)


def test_by_default_they_are_kept(start):
    server = start(LOYALTY_WORKERS="1")
    one, other = enrolled(server, "jane.doe@gmail.com"), enrolled(server, "jane.doe+spa@gmail.com")
    assert one != other
    assert found(server, "jane.doe+spa@gmail.com") == [other]
    assert found(server, "janedoe@gmail.com") == []


def test_a_change_renews_the_keys_and_can_be_taken_back(start, tmp_path, database_url):
    loyalty = Loyalty(tmp_path, LOYALTY_DATABASE_URL=database_url, PYTHONPATH=str(ROOT))
    server = start(LOYALTY_WORKERS="1")
    plain, tagged, alone = map(enrolled, [server] * 3, ("jo@example.com", "jo+spa@example.com", "al+x@example.com"))

    status = loyalty("db", "status", **IGNORE)
    assert (status.code, "3 members have keys of an earlier release or setting" in status.stderr) == (1, True)
    renewed = loyalty("db", "upgrade", "--json", **IGNORE).json["keys"]
    assert renewed == {"renewed": 3, "twins": [tagged]}
    assert loyalty("db", "check", **IGNORE).code == 0
    server = start(LOYALTY_WORKERS="1", **IGNORE)
    assert (found(server, "jo@example.com"), found(server, "al@example.com")) == ([plain, tagged], [alone])
    assert enrolled(server, "al+y@example.com") == alone

    assert loyalty("db", "status").code == 1
    assert loyalty("db", "upgrade", "--json").json["keys"] == {"renewed": 3, "twins": []}
    assert loyalty("db", "check").code == 0
    server = start(LOYALTY_WORKERS="1")
    assert (found(server, "jo@example.com"), found(server, "al@example.com")) == ([plain], [])
    assert enrolled(server, "jo+spa@example.com") == tagged
