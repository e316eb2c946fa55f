"""Finding and enrolling people in the program."""

from handlers import backend, caller, schemas


def search_members(*, body: dict) -> dict:
    """Search members."""
    request = schemas.search_members_request.load(body)
    members = backend().search(caller(request), request["member_filter"])
    return schemas.search_members_response.dump({"members": members})


def enroll_customer(*, body: dict) -> dict:
    """Enroll a customer."""
    request = schemas.enroll_customer_request.load(body)
    membership = backend().enroll(caller(request), request["customer"])
    return schemas.enroll_customer_response.dump({"membership": membership})
