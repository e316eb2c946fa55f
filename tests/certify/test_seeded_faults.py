"""The proof that the kit judges: it finds the fault of each seeded server by its requirement, and none where none is.

Each takes more than a second of computing, so the usual tests have the commonest mistakes, and SOAK=1 has all of them.
"""

import contextlib
import functools
import json
import os
import pathlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from certify import requirements
from certify.play import Options
from certify.report import Report, Result
from certify.requirements import Flow
from certify.run import certify_server
from certify.specification import Specification
from models import database, programs, tokens
from models.clock import system_clock
from tests import support
from tests.certify.faults import FAULTS
from tests.certify.front import front
from tests.certify.innocents import INNOCENTS
from tests.cli.commands import Loyalty

OTHER_HOTEL = "11111111-2222-4333-8444-555555555555"
LANGUAGES = ("en", "cs", "fr", "de", "es")
GENERATED = {name for name, found in requirements.load().items() if found.flow is Flow.GENERATED}
GENERATED_SECONDS = 60
COMMON_FAULTS = [
    "created",
    "another_wrapper",
    "points_as_text",
    "internal_field",
    "second_membership",
    "another_order_of_fields",
    "race",
    "other_scripts_crash",
    "accents_mangled",
    "nobody_is_404",
    "everybody_twice",
    "unknown_left_out",
    "order_of_the_database",
    "any_number_taken",
    "slow_with_many",
    "unlink_deletes",
    "nothing_to_unlink",
    "unknown_link_crashes",
    "about_blank",
    "pointer_counts_from_one",
    "pointer_without_number_sign",
    "first_field_only",
    "problems_as_plain_json",
    "open_to_all",
    "wrong_token_forbidden",
    "refusal_without_content",
    "one_token_at_a_time",
    "hotel_ignored",
    "redirect_to_a_slash",
]
COMMON_WAYS = [
    "json_in_ascii",
    "charset_beside_the_media_type",
    "memberships_with_all_that_is_optional",
    "busy_at_times",
]
SOAK = bool(os.environ.get("SOAK"))


@dataclass(frozen=True)
class Provider:
    """A server with two valid tokens, and what its provider says of it; with two programs, a hotel of the other one."""

    server: support.Server
    second_token: str
    other_hotel: str

    def certify(self, server: support.Server, *, time_budget: float = 0, **says: Any) -> Report:
        """Certify the server or a front of it by every requirement.

        Args:
            server: which one.
            time_budget: seconds for generated requests.
            says: what its provider says of it (`certify.play.Options`).
        """
        options = Options(server.url, server.token, self.second_token, support.HOTEL, self.other_hotel, **says)
        return certify_server(options, specification(options.absent), time_budget=time_budget, strict=True, seed=1)


@functools.cache
def specification(absent: tuple[Flow, ...]) -> Specification:
    return Specification(absent=absent)


@contextlib.contextmanager
def running_provider(database_url: str, log: pathlib.Path, *, other_hotel: str = OTHER_HOTEL) -> Iterator[Provider]:
    """Run a provider's server; without another hotel it has one program, which takes any."""
    token = support.prepare(database_url)
    if other_hotel:
        support.add_program("other", other_hotel)
    with database.session():
        default = programs.find_program(programs.DEFAULT_PROGRAM)
        programs.add_enterprise(default, uuid.UUID(support.HOTEL), system_clock())
        second_token, _ = tokens.create("second", system_clock())
    with support.gunicorn(database_url, token, log) as server:
        yield Provider(server, second_token, other_hotel)


@pytest.fixture(scope="module")
def provider(make_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running_provider(make_database("sqlite"), tmp_path_factory.mktemp("log") / "provider.log") as running:
        yield running


@pytest.fixture(scope="module")
def provider_of_one_program(
    make_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Provider]:
    """Where any hotel is taken: generated requests name one at random."""
    log = tmp_path_factory.mktemp("log") / "provider.log"
    with running_provider(make_database("sqlite"), log, other_hotel="") as running:
        yield running


def missed(report: Report) -> dict[str, list[str]]:
    """What was found, by requirement."""
    return {row.requirement.name: [found.told for found in row.findings] for row in report.rows if row.record.missed}


@pytest.mark.parametrize("name", FAULTS if SOAK else COMMON_FAULTS)
def test_a_seeded_fault_is_found_by_its_requirement(request, name):
    seeded = FAULTS[name]
    is_generated = seeded.requirement in GENERATED
    provider = request.getfixturevalue("provider_of_one_program" if is_generated else "provider")
    with front(provider.server, seeded.fault) as spoilt:
        report = provider.certify(spoilt, time_budget=GENERATED_SECONDS if is_generated else 0, **seeded.says)
    assert seeded.requirement in missed(report)
    assert report.exit_code == 1


@pytest.mark.parametrize("name", INNOCENTS if SOAK else COMMON_WAYS)
def test_what_the_contract_leaves_open_raises_no_alarm(provider, name):
    with front(provider.server, INNOCENTS[name]) as peculiar:
        report = provider.certify(peculiar)
    assert missed(report) == {}
    assert report.exit_code == 0


def test_our_server_keeps_every_requirement(database_url, tmp_path):
    with running_provider(database_url, tmp_path / "provider.log") as running:
        report = running.certify(running.server, languages=LANGUAGES)
    assert missed(report) == {}
    not_looked_at = {row.requirement.name for row in report.rows if row.result is not Result.PASSED}
    assert not_looked_at == GENERATED | {"absent-feature-is-not-served"}


@pytest.fixture
def set_policy(provider: Provider) -> Iterator[Callable[..., None]]:
    """A function that changes the policy of the provider's programs until the test ends."""
    with database.session():
        kept = programs.find_program(programs.DEFAULT_PROGRAM)
    yield support.set_policy
    support.set_policy(requires_confirmation=kept.requires_confirmation, required_fields=kept.required_fields)


@pytest.mark.parametrize(
    "policy",
    [
        {"requires_confirmation": True},
        {"required_fields": ["email", "first_name", "phone_number"]},
    ],
    ids=str,
)
def test_whatever_the_program_asks_of_members_raises_no_alarm(provider, set_policy, policy):
    set_policy(**policy)
    report = provider.certify(provider.server)
    assert missed(report) == {}
    assert report.exit_code == 0


def test_the_command_says_so(provider, tmp_path):
    with front(provider.server, FAULTS["second_membership"].fault) as spoilt:
        loyalty = Loyalty(tmp_path, LOYALTY_TOKEN=spoilt.token)
        result = loyalty("certify", "--base-url", spoilt.url, "--time-budget", "0", "--json")
    results = {found["name"]: found["result"] for found in json.loads(result.stdout)["requirements"]}
    assert (result.code, results["enroll-repeat-returns-existing"]) == (1, "failed")


def test_every_requirement_has_a_server_that_breaks_it():
    assert {seeded.requirement for seeded in FAULTS.values()} == set(requirements.load())
