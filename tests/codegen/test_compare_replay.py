"""Traffic of every changed contract against the server built for this one: `breaks now` is what really fails.

Requests: generated bodies against the server's own check, and one call over the wire for each media type, credential
and (left out) body that the changed contract allows. Answers: those that real servers gave, in every status that they
have, and those to some of the generated bodies, against the changed contract.
"""

import concurrent.futures
import contextlib
import datetime
import random
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from app.contract import JSON, Operation
from app.problems import Problem
from app.validation import check
from codegen.compare import BREAKS_NOW, compare
from codegen.comparison import answers, documents
from models import database, memberships, programs
from models.clock import system_clock
from tests import support
from tests.codegen.compare_mutations import MUTATIONS, OLD, Mutation
from tests.codegen.compare_traffic import Answer, Document
from tests.support import CONTRACT, GUEST, HOTEL, OPERATIONS

BODIES, SENT_BODIES, FEWEST_BODIES = 60, 3, 10
SLOW_SECONDS, DEADLINE = 1.5, 1.0
PAIRS = 40
LONGEST = "Ł" * 255
FULL = GUEST | {"firstName": LONGEST, "lastName": LONGEST, "email": "full@example.com"}
FUTURE = datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC)
ORIGINAL = Document(OLD)
Recorded = dict[str, list[Answer]]


def say(server: support.Server, recorded: Recorded, name: str, body: object, **options: object) -> dict:
    response = server.call(name, body, **options)
    recorded.setdefault(support.operation(name).operation_id, []).append(Answer(response))
    return response.json()


def usual_answers(server: support.Server, recorded: Recorded) -> None:
    """Memberships in every status, with the least and the most that they hold, and every refusal."""

    def enroll(customer: dict) -> str:
        answer = say(server, recorded, support.ENROLL, {"mewsEnterpriseId": HOTEL, "customer": customer})
        return answer["membership"]["providerMembershipId"]

    def link(identifier: str, is_linked: bool) -> None:
        body = {"mewsEnterpriseId": HOTEL, "providerMembershipId": identifier, "isLinked": is_linked}
        say(server, recorded, support.LINK, body)

    with database.session():
        programs.Program.update(visible_statuses=[status.value for status in programs.Status]).execute()
    least = {"firstName": "Ada", "lastName": "Li"}
    enrolled, canceled, full = enroll(least | {"email": "1@example.com"}), enroll(least), enroll(FULL)
    support.set_policy(requires_confirmation=True)
    pending, declined = enroll(least | {"email": "2@example.com"}), enroll(least | {"email": "3@example.com"})
    support.alter(full, tier="Platinum", points=2**40, expires_at=FUTURE, deeplink_url="https://provider.example/x")
    support.alter(full, membership_number="OLD 17/Ž")
    with database.session():
        program = programs.find_program(None)
        memberships.change_status(program, canceled, programs.Status.CANCELED, system_clock())
        memberships.change_status(program, declined, programs.Status.DECLINED, system_clock())
    enroll(FULL)
    enroll(least)
    everyone = [enrolled, canceled, full, pending, declined]
    for identifier in everyone:
        link(identifier, False)
        link(identifier, True)
    link("unknown", True)
    for asked in ([*everyone, "unknown"], [f"unknown {number}" for number in range(answers.most_listed())]):
        say(server, recorded, support.LIST, {"mewsEnterpriseId": HOTEL, "providerMembershipIds": asked})
    for found in ({"lastName": "Li", "firstName": "Ada"}, {"email": "full@example.com"}, {"email": "no@example.com"}):
        say(server, recorded, support.SEARCH, {"mewsEnterpriseId": HOTEL, "memberFilter": found})
    say(server, recorded, support.SEARCH, {"mewsEnterpriseId": HOTEL, "memberFilter": {}})
    for operation_id in OPERATIONS:
        say(server, recorded, operation_id, {})
        say(server, recorded, operation_id, {}, token="wrong")
    support.set_policy(requires_confirmation=False)


def faults_of_the_server(url: str, token: str, recorded: Recorded) -> None:
    """The answers of a server whose loyalty system is slow or fails: 408, 429 and 500."""
    body = {"mewsEnterpriseId": HOTEL, "customer": {"firstName": "Ada", "lastName": str(SLOW_SECONDS)}}
    slow = {"backend": "tests.http.slow_backend:make", "request_deadline": DEADLINE, "concurrency": 1, "queue_limit": 1}
    with (
        support.threaded(url, token, system_clock, **slow) as server,
        concurrent.futures.ThreadPoolExecutor() as threads,
    ):
        late = [threads.submit(say, server, recorded, support.ENROLL, body) for _ in range(2)]
        time.sleep(DEADLINE / 2)
        say(server, recorded, support.SEARCH, {"mewsEnterpriseId": HOTEL, "memberFilter": {"email": "a@example.com"}})
        assert {answer.result()["status"] for answer in late} == {408, 429}  # one runs for too long, one waits for it
    with support.threaded(url, token, system_clock, backend="tests.http.slow_backend:make_failing") as server:
        say(server, recorded, support.SEARCH, {"mewsEnterpriseId": HOTEL, "memberFilter": {"email": "a@example.com"}})


@pytest.fixture(scope="module")
def replayed(make_database: Callable[[str], str]) -> Iterator[tuple[support.Server, Recorded]]:
    url = make_database("sqlite")
    token, recorded = support.prepare(url), Recorded()
    faults_of_the_server(url, token, recorded)
    with support.threaded(url, token, system_clock) as server:
        usual_answers(server, recorded)
        yield server, recorded


def usual_body(operation: Operation) -> dict:
    bodies = {
        support.SEARCH: {"mewsEnterpriseId": HOTEL, "memberFilter": {"email": "full@example.com"}},
        support.ENROLL: {"mewsEnterpriseId": HOTEL, "customer": FULL},
        support.LIST: {"mewsEnterpriseId": HOTEL, "providerMembershipIds": ["unknown"]},
        support.LINK: {"mewsEnterpriseId": HOTEL, "providerMembershipId": "unknown", "isLinked": False},
    }
    return next(body for name, body in bodies.items() if support.operation(name) == operation)


def generated(document: Document, described: dict) -> list:
    content = document.resolve(described.get("requestBody", {})).get("content", {})
    bodies = document.bodies(content[JSON]["schema"], BODIES) if JSON in content else []
    assert len(bodies) >= FEWEST_BODIES or JSON not in content
    return bodies


def is_refused(operation: Operation, body: object) -> bool:
    try:
        check(CONTRACT, operation, body)
    except Problem:
        return True
    return False


def credentials(document: Document, described: dict) -> Iterator[str | None]:
    schemes = document.document["components"]["securitySchemes"]
    for alternative in described.get("security", document.document["security"]) or [{}]:
        named = [schemes[name] for name in alternative]
        yield "token" if any((scheme["type"], scheme.get("scheme")) == ("http", "bearer") for scheme in named) else None


def envelopes(document: Document, described: dict, body: dict) -> Iterator[dict]:
    """How a request may be wrapped: httpx's options for each media type and credential, with and without a body."""
    wanted = document.resolve(described.get("requestBody", {}))
    found = [document.resolve(parameter) for parameter in described.get("parameters", [])]
    headers = {parameter["name"]: "en" for parameter in found if parameter["in"] == "header"}
    params = {parameter["name"]: "1" for parameter in found if parameter["in"] == "query"}
    for token in credentials(document, described):
        common = {"params": params} | ({"token": None} if token is None else {})
        if not wanted.get("required", False):
            yield common | {"content": b"", "headers": headers}
        for media_type in wanted.get("content", {}):
            content = httpx.Request("POST", "http://x", json=body).content if "json" in media_type else b"a,b"
            yield common | {"content": content, "headers": headers | {"Content-Type": media_type}}


def failures(document: Document, operation: Operation, server: support.Server, recorded: Recorded) -> Iterator[str]:
    """What fails between Mews under a changed contract and the server."""
    described = document.operation(operation.path, operation.method)
    if described is None:  # nobody calls it any more
        return
    name, given = operation.operation_id, [*recorded[operation.operation_id]]
    bodies = generated(document, described)
    yield from (f"refused: {body}" for body in bodies if is_refused(operation, body))
    control = server.call(name, usual_body(operation)).status_code
    for envelope in envelopes(document, described, usual_body(operation)):
        status = server.call(name, **envelope).status_code
        if status != control:
            yield f"{status} (and not {control}): {envelope}"
    given += [Answer(server.call(name, body)) for body in bodies[:SENT_BODIES]]
    for answer in given:
        yield from document.faults(operation.path, operation.method, answer)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.operation_id)
def test_nothing_fails_under_the_contract_itself(operation, replayed):
    assert list(failures(ORIGINAL, operation, *replayed)) == []


def test_the_recorded_answers_have_every_status_of_the_contract(replayed):
    _, recorded = replayed
    told = {answer.status for answers in recorded.values() for answer in answers}
    documented = {status for item in OLD["paths"].values() for one in item.values() for status in one["responses"]}
    assert told == documented


def pairs() -> list[Mutation]:
    """Two changes at once, chosen at random, of those that do not get in each other's way."""
    choice, found = random.Random(1), []
    while len(found) < PAIRS:
        first, second = choice.sample(MUTATIONS, 2)
        both = Mutation(f"{first.name}, and {second.name}", together(first, second), first.verdict, "")
        with contextlib.suppress(LookupError, AttributeError, TypeError, documents.NotOpenAPI):
            documents.check(both.applied(), both.name)
            found.append(both)
    return found


def together(first: Mutation, second: Mutation) -> Callable[[dict], object]:
    return lambda document: (first.change(document), second.change(document))


@pytest.mark.parametrize("mutation", [*MUTATIONS, *pairs()], ids=lambda mutation: mutation.name)
def test_breaks_now_is_what_really_fails(mutation: Mutation, replayed):
    new = mutation.applied()
    document = Document(new)
    failed = [
        failure
        for operation in OPERATIONS.values()
        if document.spelled_out(operation.path, operation.method)
        != ORIGINAL.spelled_out(operation.path, operation.method)
        for failure in failures(document, operation, *replayed)
    ]
    breaks = compare(OLD, new).exit_code == BREAKS_NOW
    assert bool(failed) == breaks, failed[:3]


def objects(node: object, place: str = "") -> Iterator[tuple[str, set[str]]]:
    """Every object of a body, as a place (those of another status are at another) and the names that it has."""
    if isinstance(node, list):
        for item in node:
            yield from objects(item, f"{place}/*")
    elif isinstance(node, dict):
        place = f"{place} {node.get('status', '')}"
        yield place, set(node)
        for name, value in node.items():
            yield from objects(value, f"{place}/{name}")


def test_the_server_always_sends_what_the_samples_always_have(replayed):
    _, recorded = replayed
    always: dict[tuple[str, str], set[str]] = {}
    for sample in answers.samples():
        for place, names in objects(sample.body):
            key = (f"{sample.status} {sample.media_type}", place)
            always[key] = always.get(key, names) & names
    for answer in (answer for given in recorded.values() for answer in given):
        for place, names in objects(answer.body):
            assert always[f"{answer.status} {answer.media_type}", place] <= names
        assert answers.headers(answer.status).keys() <= answer.headers.keys()
    pointed = {"providerMembershipId", "membershipNumber", "points", "status"}
    assert always["200 application/json", " /membership enrolled"] == pointed
    assert always["200 application/json", " /membership pending"] == {"providerMembershipId", "status"}
