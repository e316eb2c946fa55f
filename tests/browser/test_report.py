"""The kit's report on a narrow and on a wide screen: nothing stands out at the right, and axe finds nothing."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from certify.play import Options
from certify.rendering import write_html
from certify.run import certify_server
from certify.specification import Specification
from tests import support
from tests.browser.screens import PICTURES, SIZES, Screen
from tests.certify.front import front
from tests.certify.test_certify_reports import indiscreet

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(loyalty: support.Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on a server with many mistakes."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    with front(loyalty, indiscreet) as spoilt:
        write_html(certify_server(Options(spoilt.url, spoilt.token), Specification()), path)
    return path


@pytest.mark.parametrize("size", SIZES)
def test_the_report_fits_the_screen(browser: Browser, report: Path, size: str):
    PICTURES.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(viewport=SIZES[size])
    try:
        page = context.new_page()
        page.goto(report.as_uri())
        Screen(page, f"report-{size}").shows("Not passed: ", "whole")
    finally:
        context.close()
