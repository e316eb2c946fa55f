"""Every way in which the loyalty system refuses. The HTTP edge turns these into problem details."""

import enum
from dataclasses import dataclass


class LoyaltyError(Exception):
    """Base of all domain errors. Its text never holds anything that a guest gave."""


class FieldFault(enum.Enum):
    """What is wrong with one field; each has a field-level problem type of the contract."""

    REQUIRED = "required"
    DUPLICATE = "duplicate"


@dataclass(frozen=True)
class FieldError:
    """One field of the request that the loyalty system cannot take.

    `path` holds attribute names (`("customer", "first_name")`); the edge knows how the contract spells them.
    """

    fault: FieldFault
    path: tuple[str, ...]


class InvalidFields(LoyaltyError):
    """The request lacks fields that the program requires, or holds some that it cannot take."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("the request holds fields that the program cannot take")
        self.errors = errors


class UnknownMembership(LoyaltyError):
    """No membership has this identifier, or it was deleted."""


class RefusedByRule(LoyaltyError):
    """Well-formed, but against a rule of the program; `path` names the field to blame."""

    path: tuple[str, ...] = ()


class UnknownEnterprise(RefusedByRule):
    """The enterprise is registered with no program that this caller may act for."""

    path = ("mews_enterprise_id",)


class MembershipNotLinkable(RefusedByRule):
    """Only pending and enrolled memberships can be linked."""

    path = ("provider_membership_id",)


class IllegalTransition(LoyaltyError):
    """The membership cannot go from its status to the wanted one."""


class NumbersExhausted(LoyaltyError):
    """The program's number pattern has no free number left (or so few that none was found)."""


class AlreadyExists(LoyaltyError):
    """An operator asked to add something whose name or number is taken."""


class UnknownName(LoyaltyError):
    """An operator named a program, token or enterprise that does not exist."""


class DatabaseUnavailable(LoyaltyError):
    """The database cannot be reached or used; `str()` says why without its address or any row."""


class DatabaseBusy(DatabaseUnavailable):
    """Others kept the database busy for as long as one may wait; nothing was changed, so it can be tried again."""


class SchemaOutdated(DatabaseUnavailable):
    """The database holds an older schema than this release needs."""


class BackupFailed(LoyaltyError):
    """A backup cannot be written or restored; `str()` says why without any row. What was there before still is."""


class InvalidDatabaseUrl(LoyaltyError):
    """The database URL has no form that SQLite or libpq takes."""
