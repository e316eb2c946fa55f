"""The figures of resilience tests: each test tells its own, and they are shown as a table when all have run."""

from collections.abc import Callable

import pytest

FIGURES = "figures"


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """A function that takes figures by name (rounds=10, lost=0), for the table at the end of the run."""

    def record(**figures: object) -> None:
        record_property(FIGURES, figures)

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    told = [(report.nodeid, value) for report in reports for name, value in report.user_properties if name == FIGURES]
    if told:
        terminalreporter.section("figures")
    for test, figures in told:
        terminalreporter.line(f"{test}: {', '.join(f'{name} {value}' for name, value in figures.items())}")
