"""What one request carries through all layers of the edge, in its ASGI scope."""

from dataclasses import dataclass, field
from typing import Any

import uuid_utils

from app.contract import Contract, Operation

SCOPE_KEY = "loyalty"


@dataclass
class RequestContext:
    """The identity of a request, and what the layers have learnt of it so far.

    Attributes:
        request_id: a UUIDv7, in the answer's header, its `instance` and the log.
        language: in which problems are told.
        contract: which version of the contract was addressed.
        operation: which operation of it was reached.
        token_name: the name of its valid bearer token.
        program: the only program that the token is for.
        payload: the parsed and checked body, if the operation takes one.
        problem: the type of the problem answered with, for log and metrics.
        fields: further header fields of the answer, whatever it is.
    """

    request_id: str = field(default_factory=lambda: str(uuid_utils.uuid7()))
    language: str = "en"
    contract: Contract | None = None
    operation: Operation | None = None
    token_name: str | None = None
    program: str | None = None
    payload: Any = None
    problem: str | None = None
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)

    @property
    def instance(self) -> str:
        """This occurrence as a URI."""
        return f"urn:uuid:{self.request_id}"


def of(scope: Any) -> RequestContext:
    """Return the context of the request that an ASGI scope is of."""
    return scope[SCOPE_KEY]
