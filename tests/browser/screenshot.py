"""Takes the README's picture of the front desk: `python -m tests.browser.screenshot FILE`, or `make screenshot`."""

import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.screens import launch
from tests.cli.commands import SECONDS, environment
from tests.frontdesk.desks import ROOT, address_in
from tests.support import free_port

SIZE = {"width": 1280, "height": 760}


def main(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "app", "demo", "--port", str(free_port())]
            demo = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=output, stderr=output)
        try:
            take(address_in(log, demo), file)
        finally:
            demo.terminate()
            demo.wait(timeout=SECONDS)


def take(url: str, file: Path) -> None:
    """Link one of the John Smiths of New York, and refresh him."""
    details = {"Email": "john.smith2@example.com", "First name": "John", "Last name": "Smith", "City": "New York"}
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport=SIZE, color_scheme="light", base_url=url)
        page.goto("/customers/new")
        for label, text in details.items():
            page.get_by_label(label).fill(text)
        page.get_by_label("Country").select_option("United States")
        page.get_by_role("button", name="Next").click()
        page.locator(".choice", has_text=details["Email"]).nth(1).click()
        page.get_by_role("button", name="Confirm").click()
        page.get_by_text("The membership is linked").wait_for()
        page.evaluate("document.activeElement.blur()")
        page.screenshot(path=file)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
