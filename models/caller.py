"""Who asks, for which hotel: what every operation of a backend is told."""

import uuid
from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """The origin of a request.

    Attributes:
        mews_enterprise_id: the hotel for which Mews calls.
        provider_enterprise_id: the provider's own name of that hotel, if Mews sent it; it never scopes anything.
        token_name: which bearer token was sent, by its name.
        program: the only program that the token is for, or None where it is for all.
        request_id: the id in the answer's header, its `instance` and the log.
    """

    mews_enterprise_id: uuid.UUID
    token_name: str
    provider_enterprise_id: str | None = None
    program: str | None = None
    request_id: str | None = None
