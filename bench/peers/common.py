"""What all peers have in common: their database, and what the contract and the server decide for them alike."""

import os

VARIABLE = "LOYALTY_DATABASE_URL"
# What the server's own connections to SQLite have.
PRAGMAS = (
    "synchronous=full",
    "foreign_keys=on",
    "temp_store=memory",
    "cache_size=-4096",
    "journal_size_limit=67108864",
)
# As app.security.BELIEF_SECONDS and models.backend.BELIEF_SECONDS: a revocation takes effect within a second.
BELIEF_SECONDS = 0.5
# Of fields, one of which a member filter must have.
COMBINATIONS = (
    ("email",),
    ("membership_number",),
    ("provider_membership_id",),
    ("first_name", "last_name"),
    ("last_name", "city", "country_code"),
)


class Refused(Exception):
    """The request has no valid token, or its body is no JSON by its media type."""


def is_sqlite() -> bool:
    """Tell whether the database is SQLite, or else Postgres."""
    return os.environ[VARIABLE].startswith("sqlite")
