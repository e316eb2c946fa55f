"""Problem documents of the peers, which the server's own code writes: only requests that are right are measured.

Imported when the first one is needed, so that it is not in a peer's memory before.
"""

from app import contract, problems, validation, wire
from app.languages import DEFAULT
from bench.peers.common import Refused
from models.errors import LoyaltyError


def render(method: str, path: str, body: bytes, error: Exception, instance: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, header fields and body of the answer to a request that a peer has refused.

    Args:
        method: of the request.
        path: of the request.
        body: of the request.
        error: what the peer raised.
        instance: URI of this occurrence.
    """
    api = contract.load()
    operation = api.operations_at(path)[method]
    problem: problems.Problem | None = None
    if isinstance(error, Refused):
        problem = problems.unauthorized()
    elif isinstance(error, LoyaltyError):
        problem = problems.from_exception(error, api, operation)
    else:
        try:
            validation.check(api, operation, wire.parse(body), ignore_unknown=False)
        except problems.Problem as found:
            problem = found
    return problems.render(problem or problems.internal_error(), DEFAULT, instance)
