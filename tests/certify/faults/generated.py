"""Faults that show only where somebody tries what Mews might send as well."""

from tests.certify.faults.errors import own_shape
from tests.certify.faults.requests import any_method_taken
from tests.certify.faults.seeding import crash, seeded, spoil
from tests.certify.faults.tokens import open_to_all
from tests.certify.front import Answer, Call, answer, problem
from tests.support import LINK


@seeded("generated-no-server-error")
def optional_hotel_crashes(call: Call) -> Answer:
    """The provider's own identifier of the hotel, which nobody has sent until now."""
    return crash() if call.body.get("providerEnterpriseId") else call.forward()


@seeded("generated-answers-follow-spec")
def link_without_customer_is_no_content(call: Call) -> Answer:
    return spoil(LINK, call, lambda found: found if "mewsCustomerId" in call.body else answer(204))


@seeded("generated-invalid-requests-refused")
def optional_hotel_of_any_type(call: Call) -> Answer:
    hotel = call.body.get("providerEnterpriseId")
    is_wrong = hotel is not None and not isinstance(hotel, str)
    return call.with_body(call.body | {"providerEnterpriseId": str(hotel)}).forward() if is_wrong else call.forward()


@seeded("generated-valid-requests-served")
def optional_hotel_refused(call: Call) -> Answer:
    if isinstance(call.body.get("providerEnterpriseId"), str) and call.forward().is_ok:
        return problem(400, "core/bad-request", "Bad request")
    return call.forward()


@seeded("generated-requests-need-a-token")
def open_to_whatever_comes(call: Call) -> Answer:
    return open_to_all(call)


@seeded("generated-methods-refused")
def whatever_method_taken(call: Call) -> Answer:
    return any_method_taken(call)


@seeded("generated-errors-are-problem-details")
def own_shape_of_every_error(call: Call) -> Answer:
    return own_shape(call)
