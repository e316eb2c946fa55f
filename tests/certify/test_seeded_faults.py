"""The proof that the kit judges: it finds the fault of each seeded server by its requirement, and none where none is.

Each takes more than a second of computing. So the usual tests have the commonest mistakes, some on Postgres too,
and play only what looks at a mistake: whatever finds it there finds it in a whole run. SOAK=1 has each mistake on both
databases, in whole runs.
"""

import contextlib
import functools
import os
import pathlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from certify import requirements
from certify.play import Options
from certify.report import Report
from certify.requirements import Flow
from certify.run import certify_server
from certify.scenario import SCENARIOS, Scenario
from certify.specification import Specification
from models import database, programs, tokens
from models.clock import system_clock
from tests import support
from tests.certify.faults import FAULTS
from tests.certify.front import front
from tests.certify.innocents import INNOCENTS

OTHER_HOTEL = "11111111-2222-4333-8444-555555555555"
GENERATED = {name for name, found in requirements.load().items() if found.flow is Flow.GENERATED}
# So many that a slow machine gets to what one request in thousands shows.
GENERATED_SECONDS = 180
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
    "names_of_all_programs",
    "one_membership_in_all_programs",
    "first_program_lists_all",
    "unlink_in_any_program",
    "other_languages_crash_at_links",
    "search_in_english_only",
    "redirect_to_a_slash",
    "stranger_beside",
    "full_list_forgets",
]
# What a database has a part in.
COMMON_ON_POSTGRES = [
    "second_membership",
    "race",
    "accents_mangled",
    "everybody_twice",
    "order_of_the_database",
    "unlink_deletes",
    "hotel_ignored",
    "list_of_any_program",
]
COMMON_WAYS = [
    "json_in_ascii",
    "charset_beside_the_media_type",
    "memberships_with_all_that_is_optional",
    "busy_at_times",
    "confirmed_when_it_is_listed",
]
SOAK = bool(os.environ.get("SOAK"))
# Of databases and names of faults, and of those that only generated requests meet.
BY_SCENARIOS = [name for name, seeded in FAULTS.items() if seeded.requirement not in GENERATED]
ON_BOTH = [(engine, name) for engine in ("sqlite", "postgres") for name in BY_SCENARIOS]
COMMON = [("sqlite", name) for name in COMMON_FAULTS] + [("postgres", name) for name in COMMON_ON_POSTGRES]
WAYS = [(engine, name) for engine in ("sqlite", "postgres") for name in INNOCENTS]


@dataclass(frozen=True)
class Provider:
    """A server with two valid tokens, and what its provider says of it; with two programs, a hotel of the other one."""

    server: support.Server
    second_token: str
    other_hotel: str

    def certify(
        self, server: support.Server, *, time_budget: float = 0, scenarios: list[Scenario] = SCENARIOS, **says: Any
    ) -> Report:
        """Certify the server or a front of it by every requirement.

        Args:
            server: which one.
            time_budget: seconds for generated requests.
            scenarios: that are played.
            says: what its provider says of it (`certify.play.Options`).
        """
        options = Options(server.url, server.token, self.second_token, support.HOTEL, self.other_hotel, **says)
        return certify_server(
            options,
            specification(options.absent),
            time_budget=time_budget,
            strict=True,
            seed=1,
            scenarios=scenarios,
        )


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
def start(
    make_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, str], Provider]]:
    """A function that runs a provider's server on a database of an engine, once for all tests."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def run(engine: str, other_hotel: str) -> Provider:
            log = tmp_path_factory.mktemp("log") / "provider.log"
            return stack.enter_context(running_provider(make_database(engine), log, other_hotel=other_hotel))

        yield run


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """SQLite, unless a test names another."""
    return getattr(request, "param", "sqlite")


@pytest.fixture
def provider(start: Callable[[str, str], Provider], engine: str) -> Provider:
    return start(engine, OTHER_HOTEL)


@pytest.fixture
def provider_of_one_program(start: Callable[[str, str], Provider], engine: str) -> Provider:
    """Where any hotel is taken: generated requests name one at random."""
    return start(engine, "")


def missed(report: Report) -> dict[str, list[str]]:
    """What was found, by requirement."""
    return {row.requirement.name: [found.told for found in row.findings] for row in report.rows if row.record.missed}


def looking_at(requirement: str) -> list[Scenario]:
    """The scenarios that judge a requirement; where every answer is looked at for it, those of its flow."""
    flow = requirements.load()[requirement].flow
    named = [scenario for scenario in SCENARIOS if requirement in scenario.judges]
    return named or [scenario for scenario in SCENARIOS if scenario.flow is flow]


@pytest.mark.parametrize(("engine", "name"), ON_BOTH if SOAK else COMMON, indirect=["engine"])
def test_a_seeded_fault_is_found_by_its_requirement(provider, name):
    seeded = FAULTS[name]
    with front(provider.server, seeded.fault) as spoilt:
        for scenarios in [SCENARIOS] if SOAK else [looking_at(seeded.requirement), SCENARIOS]:
            report = provider.certify(spoilt, scenarios=scenarios, **seeded.says)
            if seeded.requirement in missed(report):
                break
    assert seeded.requirement in missed(report)
    assert report.exit_code == 1


if SOAK:  # three minutes each

    @pytest.mark.parametrize("engine", ["sqlite", "postgres"], indirect=True)
    @pytest.mark.parametrize("name", [name for name in FAULTS if name not in BY_SCENARIOS])
    def test_a_fault_that_generated_requests_meet_is_found_by_its_requirement(provider_of_one_program, name):
        with front(provider_of_one_program.server, FAULTS[name].fault) as spoilt:
            report = provider_of_one_program.certify(spoilt, time_budget=GENERATED_SECONDS)
        assert FAULTS[name].requirement in missed(report)
        assert report.exit_code == 1


@pytest.mark.parametrize(
    ("engine", "name"), WAYS if SOAK else [("sqlite", name) for name in COMMON_WAYS], indirect=["engine"]
)
def test_what_the_contract_leaves_open_raises_no_alarm(provider, name):
    with front(provider.server, INNOCENTS[name]) as peculiar:
        report = provider.certify(peculiar)
    assert missed(report) == {}
    assert report.exit_code == 0


@pytest.fixture
def set_policy(provider: Provider) -> Iterator[Callable[..., None]]:
    """A function that changes the policy of the provider's programs until the test ends."""
    support.use_database(provider.server.database_url)
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


def test_every_requirement_has_a_server_that_breaks_it():
    assert {seeded.requirement for seeded in FAULTS.values()} == set(requirements.load())
