"""The problem types that Mews publishes (docs.mews.com/loyalty-partner/guidelines/errors), and what a problem says."""

import urllib.parse
from typing import Any

BASE = "https://purl.mews.com/problem/"
MEDIA_TYPE = "application/problem+json"
# Status -> the types that Mews publishes for it.
TYPES = {
    400: {"core/bad-request", "loyalty/invalid-member-search-criteria"},
    401: {"core/unauthorized"},
    404: {"core/not-found"},
    408: {"core/request-timeout"},
    422: {"core/unprocessable-entity"},
    429: {"core/too-many-requests"},
    500: {"core/internal-server-error"},
}
REQUIRED = "core/field-required"
INVALID_FORMAT = "core/field-invalid-format"
TOO_SHORT = "core/field-too-short"
TOO_LONG = "core/field-too-long"
OUT_OF_RANGE = "core/field-out-of-range"
INVALID_TYPE = "core/field-invalid-type"
NOT_ALLOWED_VALUE = "core/field-not-allowed-value"
DUPLICATE = "core/field-duplicate"
EMAIL_INVALID = "core/field-email-invalid"
FIELD_TYPES = {
    REQUIRED,
    INVALID_FORMAT,
    TOO_SHORT,
    TOO_LONG,
    OUT_OF_RANGE,
    INVALID_TYPE,
    NOT_ALLOWED_VALUE,
    DUPLICATE,
    EMAIL_INVALID,
}


def name(uri: Any) -> str:
    """Return a type without Mews' address before it; another one as it is."""
    return uri.removeprefix(BASE) if isinstance(uri, str) else ""


def is_problem(body: Any) -> bool:
    """Tell whether a body has the members that Mews requires, each of its JSON type."""
    return (
        isinstance(body, dict)
        and isinstance(body.get("type"), str)
        and isinstance(body.get("title"), str)
        and isinstance(body.get("status"), int)
    )


def errors(body: Any) -> list[dict]:
    """Return the errors of fields that a problem lists."""
    listed = body.get("errors") if isinstance(body, dict) else None
    return [error for error in listed if isinstance(error, dict)] if isinstance(listed, list) else []


def pointers(body: Any) -> list[str]:
    """Return where the errors of a problem point, as plain pointers whichever form they are in."""
    return [plain(error.get("pointer")) for error in errors(body)]


def plain(pointer: Any) -> str:
    """Return a pointer in URI fragment form without its sign and percent-encoding; anything else as a text."""
    return urllib.parse.unquote(str(pointer)).removeprefix("#")
