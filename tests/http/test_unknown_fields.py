"""Fields that Mews may send before the contract here has them: refused, or taken and counted."""

from tests import support
from tests.support import GUEST, HOTEL, UNEXPECTED, assert_problem

NEWER = {"mewsEnterpriseId": HOTEL, "loyaltyTier": "x", "memberFilter": {"email": GUEST["email"], "room": {"a": [1]}}}


def test_by_default_each_is_refused_at_its_place(server):
    answer = server.call(support.SEARCH, NEWER)
    name = "core/field-not-allowed-value"
    errors = {(error["type"], error["pointer"], error["detail"]) for error in answer.json()["errors"]}
    pointers = ("#/loyaltyTier", "#/memberFilter/room")
    assert answer.status_code == 400
    assert errors == {(support.PROBLEM + name, pointer, UNEXPECTED) for pointer in pointers}


def test_ignored_ones_are_counted_by_name_and_nothing_else_is_forgiven(start):
    server = start(LOYALTY_UNKNOWN_FIELDS="ignore", LOYALTY_WORKERS="1")
    membership = server.enroll(GUEST).json()["membership"]
    found = server.call(support.SEARCH, NEWER)
    assert found.status_code == 200
    assert [member["membership"] for member in found.json()["members"]] == [membership]
    answer = server.call(support.SEARCH, NEWER | {"mewsEnterpriseId": 7})
    error = ("core/field-invalid-type", "#/mewsEnterpriseId", "The value must be of type string.")
    assert_problem(answer, "core/bad-request", support.FIELDS, error)
    assert server.call(support.SEARCH, NEWER | {"memberFilter": {"room": 1}}).status_code == 400
    metrics = server.client.get(f"{server.url}/metrics").text
    operation = support.operation(support.SEARCH).operation_id
    for field in ("room", "loyaltyTier"):
        assert f'loyalty_unknown_fields_total{{field="{field}",operation="{operation}"}} 1.0' in metrics


def test_the_number_of_names_that_are_counted_is_bounded(start):
    server = start(LOYALTY_UNKNOWN_FIELDS="ignore", LOYALTY_WORKERS="1")
    many = {f"field{number}": number for number in range(60)} | {"no plain name: ä@example.com": 1}
    body = {"mewsEnterpriseId": HOTEL, "providerMembershipIds": ["a"]} | many
    assert server.call(support.LIST, body).status_code == 200
    metrics = server.client.get(f"{server.url}/metrics").text
    counted = [line for line in metrics.splitlines() if line.startswith("loyalty_unknown_fields_total{")]
    assert len(counted) == 51
    operation = support.operation(support.LIST).operation_id
    assert f'loyalty_unknown_fields_total{{field="other",operation="{operation}"}} 11.0' in counted
    assert "ä@example.com" not in metrics
