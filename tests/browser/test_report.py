"""The kit's report on a narrow and on a wide screen: nothing stands out at the right, and axe finds nothing."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from certify.play import Options
from certify.rendering import write_html
from certify.requirements import Flow
from certify.run import certify_server
from certify.scenario import SCENARIOS
from certify.specification import Specification
from tests import support
from tests.browser.screens import PICTURES, SIZES
from tests.certify.front import front
from tests.certify.test_certify_reports import indiscreet

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(loyalty: support.Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on a server with many mistakes, by scenarios that have every kind of row."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    scenarios = [scenario for scenario in SCENARIOS if scenario.flow in (Flow.LIST, Flow.LINK)]
    with front(loyalty, indiscreet) as spoilt:
        found = certify_server(Options(spoilt.url, spoilt.token), Specification(), scenarios=scenarios)
    write_html(found, path)
    return path


@pytest.mark.parametrize("size", SIZES)
def test_the_report_fits_the_screen(browser: Browser, report: Path, size: str):
    PICTURES.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(viewport=SIZES[size])
    try:
        page = context.new_page()
        page.goto(report.as_uri())
        for place, heading in enumerate(("Summary", "Findings", "All requirements", "Left behind")):
            page.get_by_role("heading", name=heading).scroll_into_view_if_needed()
            page.screenshot(path=PICTURES / f"report-{size}-{place}.png")
        room = page.evaluate("document.documentElement.clientWidth")
        assert page.evaluate("document.documentElement.scrollWidth") <= room == SIZES[size]["width"]
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    finally:
        context.close()
