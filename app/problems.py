"""Every problem that the server answers with, and the one place where exceptions become problem details (RFC 9457)."""

import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import marshmallow
import orjson
import structlog
from starlette.exceptions import HTTPException

from app.contract import Contract, Operation
from app.languages import N_, Message, translate
from models import errors

BASE = "https://purl.mews.com/problem/"
MEDIA_TYPE = "application/problem+json"
# More than this many field errors would make a small request produce a large answer.
MOST_FIELD_ERRORS = 200
RETRY_AFTER_SECONDS = 1
log = structlog.get_logger("loyalty")


@dataclass(frozen=True)
class ProblemType:
    """A problem type: where it has a name, one of Mews' list (mews loyalty partner guide, "Errors")."""

    status: int
    title: str
    name: str | None = None

    @property
    def uri(self) -> str:
        """The `type` member; types outside Mews' list are `about:blank`."""
        return BASE + self.name if self.name else "about:blank"


BAD_REQUEST = ProblemType(400, N_("Bad request"), "core/bad-request")
INVALID_CRITERIA = ProblemType(400, N_("Invalid member search criteria"), "loyalty/invalid-member-search-criteria")
UNAUTHORIZED = ProblemType(401, N_("Unauthorized"), "core/unauthorized")
NOT_FOUND = ProblemType(404, N_("Not found"), "core/not-found")
METHOD_NOT_ALLOWED = ProblemType(405, N_("Method not allowed"))
TIMEOUT = ProblemType(408, N_("Request timeout"), "core/request-timeout")
UNPROCESSABLE = ProblemType(422, N_("Unprocessable entity"), "core/unprocessable-entity")
TOO_MANY_REQUESTS = ProblemType(429, N_("Too many requests"), "core/too-many-requests")
INTERNAL_ERROR = ProblemType(500, N_("Internal server error"), "core/internal-server-error")
NOT_READY = ProblemType(503, N_("Service unavailable"))

FIELD_REQUIRED = "core/field-required"
FIELD_INVALID_FORMAT = "core/field-invalid-format"
FIELD_EMAIL_INVALID = "core/field-email-invalid"
FIELD_TOO_SHORT = "core/field-too-short"
FIELD_TOO_LONG = "core/field-too-long"
FIELD_OUT_OF_RANGE = "core/field-out-of-range"
FIELD_INVALID_TYPE = "core/field-invalid-type"
FIELD_NOT_ALLOWED_VALUE = "core/field-not-allowed-value"
FIELD_DUPLICATE = "core/field-duplicate"

NOTHING_HERE = Message(N_("There is nothing at this address."))
FIELDS_DETAIL = Message(N_("One or more fields are missing or invalid."))


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one place of the request body."""

    name: str
    path: tuple[str | int, ...]
    detail: Message


@dataclass(eq=False)
class Problem(Exception):
    """A request that is answered with a problem detail."""

    type: ProblemType
    detail: Message
    fields: Sequence[FieldProblem] = ()
    headers: dict[str, str] = field(default_factory=dict)


def unauthorized() -> Problem:
    """Return the one answer to a missing, malformed, unknown, expired or revoked token (RFC 6750, section 3)."""
    detail = Message(N_("The bearer token is missing, unknown, expired or revoked."))
    return Problem(UNAUTHORIZED, detail, headers={"WWW-Authenticate": 'Bearer realm="loyalty"'})


def too_busy() -> Problem:
    """Return the answer to a request that was not taken, or given up with nothing changed, since others are served."""
    return too_many(Message(N_("The server is busy; try again shortly.")), RETRY_AFTER_SECONDS)


def too_many(detail: Message, retry_after: int) -> Problem:
    """Return the answer to a client that has to wait.

    Args:
        detail: of what there was too much.
        retry_after: whole seconds until it makes sense to ask again.
    """
    return Problem(TOO_MANY_REQUESTS, detail, headers={"Retry-After": str(retry_after)})


def internal_error() -> Problem:
    """Return the answer to a fault of the server, which says nothing but where the log has more."""
    return Problem(
        INTERNAL_ERROR, Message(N_("Something went wrong on the server; its log has it under this request's id."))
    )


def from_exception(error: Exception, contract: Contract | None, operation: Operation | None) -> Problem:
    """Return the problem that an exception means to the caller; an unexpected one is an internal error.

    Args:
        error: whatever routing, security, validation or a handler raised.
        contract: the version that was addressed, which knows how bodies spell attribute names.
        operation: the operation that was called, if any.
    """
    match error:
        case Problem():
            return error
        case errors.InvalidFields() if contract and operation:
            fields = [_field_problem(fault, contract.wire_path(operation, fault.path)) for fault in error.errors]
            return Problem(BAD_REQUEST, FIELDS_DETAIL, fields)
        case HTTPException(status_code=404):  # no route has a slash within a path parameter
            return Problem(NOT_FOUND, NOTHING_HERE)
        case errors.UnknownMembership():
            return Problem(NOT_FOUND, Message(N_("No membership has this identifier.")))
        case errors.RefusedByRule() if contract and operation:
            detail = _RULES[type(error)]
            path = contract.wire_path(operation, error.path)
            return Problem(UNPROCESSABLE, detail, [FieldProblem(FIELD_NOT_ALLOWED_VALUE, path, detail)])
        case errors.DatabaseBusy():
            return too_busy()
        case marshmallow.ValidationError():
            return Problem(BAD_REQUEST, FIELDS_DETAIL, list(_unconvertible(error.messages)))
        case NotImplementedError() if operation:  # a stub of `make generate`, or a backend in the making
            log.error("not implemented yet", operation=operation.operation_id)
    return internal_error()


_FAULTS = {
    errors.FieldFault.REQUIRED: (FIELD_REQUIRED, Message(N_("This field is required."))),
    errors.FieldFault.DUPLICATE: (
        FIELD_DUPLICATE,
        Message(N_("Another member, with another name, has this e-mail address.")),
    ),
}
_RULES = {
    errors.UnknownEnterprise: Message(N_("This enterprise is not registered with a program of yours.")),
    errors.MembershipNotLinkable: Message(N_("Only pending and enrolled memberships can be linked.")),
}


def _field_problem(fault: errors.FieldError, path: tuple[str, ...]) -> FieldProblem:
    name, detail = _FAULTS[fault.fault]
    return FieldProblem(name, path, detail)


def _unconvertible(messages: Any, path: tuple[str | int, ...] = ()) -> Iterator[FieldProblem]:
    """Values that JSON Schema allows and Python cannot hold, such as the year 0."""
    if isinstance(messages, dict):
        for key, value in messages.items():
            yield from _unconvertible(value, (*path, key))
    else:
        yield FieldProblem(FIELD_INVALID_FORMAT, path, Message(N_("This date or time is out of range.")))


def pointer(path: Sequence[str | int]) -> str:
    """Return a path as an RFC 6901 pointer in URI fragment form (section 6)."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "#" + "".join("/" + urllib.parse.quote(step, safe="~!$&'()*+,;=:@-._") for step in steps)


def render(problem: Problem, language: str, instance: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, header fields and body of the answer (RFC 9457).

    Args:
        problem: what to say.
        language: in which of `app.languages.LANGUAGES`.
        instance: URI of this occurrence.
    """
    body: dict[str, Any] = {
        "type": problem.type.uri,
        "status": problem.type.status,
        "title": translate(Message(problem.type.title), language),
        "detail": translate(problem.detail, language),
        "instance": instance,
    }
    if problem.fields:
        body["errors"] = [
            {
                "type": BASE + field.name,
                "pointer": pointer(field.path),
                "detail": translate(field.detail, language),
            }
            for field in problem.fields[:MOST_FIELD_ERRORS]
        ]
    headers = {"Content-Type": MEDIA_TYPE, "Content-Language": language, "Vary": "Accept-Language"}
    return problem.type.status, headers | problem.headers, orjson.dumps(body)
