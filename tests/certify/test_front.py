"""The front that spoils: without a fault nobody can tell it from the server, and a fault spoils what it says."""

import itertools

import httpx
import pytest

from tests.certify.faults import enrolling, errors, linking, requests
from tests.certify.front import front, no_fault
from tests.support import GUEST, HOTEL, LIST

OF_ONE_ANSWER = {"date", "x-request-id"}
REQUESTS = [
    ("POST", "/memberships/list", b'{"mewsEnterpriseId": "%b", "providerMembershipIds": ["a"]}' % HOTEL.encode()),
    ("POST", "/memberships/list", b'{"mewsEnterpriseId": "%b", "providerMembershipIds": []}' % HOTEL.encode()),
    ("POST", "/memberships/list?page=2", b"{"),
    ("POST", "/members/", b"{}"),
    ("POST", "//members", b"{}"),
    ("POST", "/members%2Fsearch", b"{}"),
    ("DELETE", "/members", b""),
    ("GET", "/nowhere", b""),
]


def told(server, method: str, target: str, content: bytes, **headers: str) -> tuple:
    answer = server.client.request(method, f"{server.url}{target}", content=content, headers=headers)
    kept = {name: value for name, value in answer.headers.items() if name not in OF_ONE_ANSWER}
    body = answer.json()
    return answer.status_code, kept, body | ({"instance": ""} if "instance" in body else {})


def test_without_a_fault_it_answers_as_the_server(server):
    with front(server, no_fault) as same:
        for token, language, request in itertools.product([server.token, "wrong"], ["en", "cs"], REQUESTS):
            headers = {"Authorization": f"Bearer {token}", "Accept-Language": language}
            assert told(same, *request, **headers) == told(server, *request, **headers)


def test_a_fault_spoils_what_it_says_and_leaves_the_rest(server):
    with front(server, enrolling.created) as spoilt:
        assert spoilt.enroll(GUEST).status_code == 201
        assert spoilt.enroll({}).status_code == 400
        assert spoilt.list(["unknown"]).status_code == 200


def test_a_fault_that_remembers_does_so_for_its_own_front_alone(server):
    for _ in range(2):
        with front(server, linking.unlink_deletes) as spoilt:
            identifier = spoilt.enroll(GUEST).json()["membership"]["providerMembershipId"]
            assert spoilt.list([identifier]).json()["memberships"][0]["status"] == "enrolled"
            assert spoilt.link(identifier, False).status_code == 200
            assert spoilt.list([identifier]).json()["memberships"][0]["status"] == "notFound"


def test_a_fault_may_send_the_server_another_request(server):
    with front(server, enrolling.second_membership) as spoilt:
        numbers = {spoilt.enroll(GUEST).json()["membership"]["membershipNumber"] for _ in range(3)}
    assert len(numbers) == 3


def test_a_fault_may_answer_without_the_server(server):
    with front(server, requests.redirect_to_a_slash) as spoilt:
        answer = spoilt.enroll(GUEST)
    assert (answer.status_code, answer.headers["Location"], answer.content) == (308, "/members/", b"")
    assert server.search({"email": GUEST["email"]}).json() == {"members": []}


def test_a_fault_may_cut_the_connection(server):
    with front(server, requests.worker_dies) as spoilt:
        with pytest.raises(httpx.TransportError):
            spoilt.link("unknown", True)
        assert spoilt.list(["unknown"]).status_code == 200


def test_pointers_are_spoilt_where_they_stand(server):
    body = {"mewsEnterpriseId": HOTEL, "providerMembershipIds": ["a", 7]}
    with front(server, errors.pointer_counts_from_one) as spoilt:
        told_errors = spoilt.call(LIST, body).json()["errors"]
    assert [error["pointer"] for error in told_errors] == ["#/providerMembershipIds/2"]
