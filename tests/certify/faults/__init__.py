"""Mistakes that providers make, one a function, each with the requirement that a review must name for it.

They are written from the contract and docs/interpretations.md, not from what the kit happens to look at.
"""

from tests.certify.faults import enrolling, errors, generated, linking, listing, programs, requests, searching, tokens
from tests.certify.faults.seeding import FAULTS

__all__ = [
    "FAULTS",
    "enrolling",
    "errors",
    "generated",
    "linking",
    "listing",
    "programs",
    "requests",
    "searching",
    "tokens",
]
