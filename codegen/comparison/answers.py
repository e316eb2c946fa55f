"""What our server really sends: sample answers, made by the same code that makes the real ones.

A sample stands for every answer of the old document that has its status and media type and whose schema takes it: so
a renamed operation keeps its samples. Texts and numbers are as long and large as the server lets them be, since an
answer repeats what Mews sent at enrollment. `tests/codegen/test_compare_replay.py` holds them against real ones.
"""

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from app import contract, problems
from app.languages import DEFAULT, Message
from handlers import schemas

JSON = "application/json"
IDENTIFIER = "019a9c5e-7d43-7c1e-a5f0-0d7c1f6d2a11"
LONGEST_NAME = "Ł" * 255
LONGEST_EMAIL = f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 53}.example"
CENTRAL_EUROPE = datetime.timezone(datetime.timedelta(hours=1))
ENDED_OR_ENROLLED = ("enrolled", "canceled", "declined")

# Named in lower case, as header names count. `content-type` and the like are no matter of the contract.
HEADERS_ALWAYS = {"x-request-id": IDENTIFIER, "cache-control": "no-store"}
HEADERS_BY_STATUS = {"401": {"www-authenticate": 'Bearer realm="loyalty"'}, "429": {"retry-after": "1"}}
HEADERS_OF_PROBLEMS = {"content-language": DEFAULT, "vary": "Accept-Language"}


@dataclass(frozen=True)
class Answer:
    """An answer that our server sends."""

    status: str
    media_type: str
    body: Any


@cache
def samples() -> tuple[Answer, ...]:
    """Return all sample answers."""
    return (*(Answer("200", JSON, body) for body in _successes()), *_problems())


def headers(status: str) -> dict[str, str]:
    """Return the header fields that every answer of a status has, with a value: names in lower case."""
    of_problems = HEADERS_OF_PROBLEMS if status >= "4" else {}
    return HEADERS_ALWAYS | of_problems | HEADERS_BY_STATUS.get(status, {})


def _successes() -> Iterator[Any]:
    every = [*memberships(), {"provider_membership_id": IDENTIFIER, "status": "notFound"}]
    found = [person | {"membership": membership} for person in people() for membership in memberships()]
    identifiers = [f"{IDENTIFIER[:-3]}{number:03}" for number in range(most_listed())]
    longest = [{"provider_membership_id": identifier, "status": "notFound"} for identifier in identifiers]
    answers: dict[str, list[dict]] = {
        "enroll_customer_response": [{"membership": membership} for membership in memberships()],
        "list_memberships_response": [{"memberships": every}, {"memberships": longest}],
        "search_members_response": [{"members": []}, {"members": found}],
    }
    for name, bodies in answers.items():
        if hasattr(schemas, name):  # a contract whose operation is gone has no schema of its answers
            yield from map(getattr(schemas, name).dump, bodies)


def most_listed() -> int:
    """Return how many memberships a request may ask for; 1 where the contract sets no bound."""
    try:
        operation = (served := contract.load()).operation_with("providerMembershipIds")
    except contract.MissingOperation:
        return 1
    asked = served.resolve(operation.body_schema)["properties"]["providerMembershipIds"]
    return int(served.resolve(asked).get("maxItems", 1))


def memberships() -> list[dict]:
    """Return memberships in every status but notFound; a new one has 0 points, and only a pending one none."""
    least = {"provider_membership_id": IDENTIFIER, "membership_number": "5062739184", "points": 0}
    most = least | {
        "membership_number": "OLD 17/Ž",
        "tier": "Platinum – lifetime",
        "points": 2**63 - 1,
        "expires_at": datetime.datetime(2027, 12, 31, 23, 59, 59, tzinfo=CENTRAL_EUROPE),
        "deeplink_url": "https://provider.example/members/5062739184?from=mews",
    }
    stub = {"provider_membership_id": IDENTIFIER, "status": "pending"}
    return [stub, *(shape | {"status": status} for shape in (least, most) for status in ENDED_OR_ENROLLED)]


def people() -> list[dict]:
    """Return the person with the least that is known, and two with everything."""
    address = dict.fromkeys(("line1", "line2", "city", "postal_code"), LONGEST_NAME)
    local = {"line1": "1 Spring Street", "city": "New York", "postal_code": "10012", "country_code": "US"}
    most = {
        "first_name": LONGEST_NAME,
        "last_name": LONGEST_NAME,
        "email": LONGEST_EMAIL,
        "birthday": datetime.date(1984, 2, 29),
        "phone_number": "(212) 555-0101 ext. 7",
        "address": address | {"country_code": "US", "country_subdivision_code": "NY"},
    }
    usual = {
        "first_name": "Jürgen",
        "last_name": "Li",
        "email": "jürgen@bücher.example",
        "phone_number": "+12125550101",
    }
    least = {"last_name": "Li"}
    return [least, least | {"address": {"country_code": "CZ"}}, usual | {"address": local}, most]


def _problems() -> Iterator[Answer]:
    kinds = [kind for kind in vars(problems).values() if isinstance(kind, problems.ProblemType) and kind.name]
    fields = [problems.FieldProblem(problems.FIELD_REQUIRED, ("customer", "email"), problems.FIELDS_DETAIL)]
    for kind in kinds:
        for told in ([], fields if kind.status in (400, 422) else []):
            problem = problems.Problem(kind, Message("The text differs from problem to problem."), told)
            status, sent, body = problems.render(problem, DEFAULT, f"urn:uuid:{IDENTIFIER}")
            yield Answer(str(status), sent["Content-Type"], json.loads(body))
