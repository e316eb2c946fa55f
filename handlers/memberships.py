"""Reading memberships and linking them to a hotel's customers."""

from handlers import backend, caller, schemas


def list_memberships(*, body: dict) -> dict:
    """List memberships by IDs."""
    request = schemas.list_memberships_request.load(body)
    memberships = backend().list(caller(request), request["provider_membership_ids"])
    return schemas.list_memberships_response.dump({"memberships": memberships})


def link_membership(*, body: dict) -> dict:
    """Link or unlink membership."""
    request = schemas.link_membership_request.load(body)
    membership = backend().link(
        caller(request),
        request["provider_membership_id"],
        is_linked=request["is_linked"],
        mews_customer_id=request.get("mews_customer_id"),
    )
    return schemas.link_membership_response.dump({"membership": membership})
