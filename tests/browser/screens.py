"""Chromium at a front desk: screens of several sizes and colours, hands that use a mouse or the keyboard alone."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from axe_playwright_python.base import AxeResults
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

ROOT = Path(__file__).parents[2]
CHROMIUM = ROOT / ".venv" / "browser" / "chromium"
PICTURES = ROOT / "build" / "screenshots"
# It asks nobody for anything, and needs no graphics. Without a sandbox, which root cannot have; all pages are our own.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {"wide": {"width": 1360, "height": 900}, "narrow": {"width": 360, "height": 740}}
AXE = Axe()
# It leaves empty attributes behind, which htmx would carry over to the next page, and the page's own policy refuses.
VIOLATIONS = """
axe.run({resultTypes: ["violations"]}).then(({violations}) => {
  document.querySelectorAll('[style=""]').forEach((element) => element.removeAttribute("style"));
  return {violations};
})
"""
SECONDS = 15
MOST_TABS = 100


def launch(playwright: Playwright) -> Browser:
    assert CHROMIUM.exists(), "run `make test-browser`, which gets Chromium"
    return playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)


@dataclass
class Screen:
    """A page in the browser; `shows` says what must be there, keeps a picture of it, and asks axe about it."""

    page: Page
    name: str
    errors: list[str] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)

    def shows(self, text: str, picture: str) -> None:
        self.waits_for(text)
        self.page.screenshot(path=PICTURES / f"{self.name}-{picture}.png", full_page=True)
        found = self._violations()
        assert found.violations_count == 0, found.generate_report()
        width, room = self.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert width <= room, f"{width - room} pixels stand out at the right"

    def _violations(self) -> AxeResults:
        """Ask axe, which stays in the page. Its own `run` also brings all that it checked, and takes twice as long."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.axe_script)
        return AxeResults(self.page.evaluate(VIOLATIONS))

    def waits_for(self, text: str) -> None:
        expect(self.page.get_by_text(text).filter(visible=True).first).to_be_visible(timeout=SECONDS * 1000)


@contextlib.contextmanager
def screen(browser: Browser, url: str, name: str, size: str, scheme: str, **options: object) -> Iterator[Screen]:
    """Open a front desk. At the end, nothing may have failed in the page, and nobody else may have been asked."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme, base_url=url, **options)  # type: ignore[arg-type]
    page = context.new_page()
    opened = Screen(page, name)
    page.on("console", lambda message: opened.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: opened.errors.append(str(error)))
    page.on("request", lambda request: opened.addresses.add(re.match(r"\w+://[^/]+", request.url)[0]))
    page.goto("/")
    yield opened
    context.close()
    assert not opened.errors, opened.errors
    assert opened.addresses == {url}, opened.addresses


class Mouse:
    """Points at things and clicks."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, name: str) -> None:
        """Press a button, follow a link or open what is folded."""
        self._named(name).click()

    def fill(self, label: str, text: str) -> None:
        self.page.get_by_label(label).click()
        self._type(text)

    def select(self, label: str, text: str) -> None:
        self.page.get_by_label(label).select_option(text)

    def choose(self, text: str) -> None:
        self.page.locator(".choice", has_text=text).click()

    def _type(self, text: str) -> None:
        """Type in place of what is there."""
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.type(text)

    def _named(self, name: str) -> Locator:
        button = self.page.get_by_role("button", name=name, exact=True)
        link = self.page.get_by_role("link", name=name, exact=True)
        folded = self.page.locator("summary").filter(has_text=re.compile(rf"^\s*{re.escape(name)}\s*$"))
        return button.or_(link).or_(folded).first


class Keyboard(Mouse):
    """Touches no mouse: goes from one thing to the next with the Tab key."""

    def press(self, name: str) -> None:
        self._reach(self._named(name))
        self.page.keyboard.press("Enter")

    def fill(self, label: str, text: str) -> None:
        self._reach(self.page.get_by_label(label))
        self._type(text)

    def select(self, label: str, text: str) -> None:
        self._reach(self.page.get_by_label(label))
        self.page.keyboard.type(text)

    def choose(self, text: str) -> None:
        choices = self.page.locator("[name=choice]")
        wanted = self.page.locator(".choice", has_text=text).locator("input")
        self._reach(choices.first)
        self.page.keyboard.press("Space")
        for _ in range(choices.count()):
            if wanted.is_checked():
                return
            self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"the arrow keys do not lead to {text}")

    def _reach(self, wanted: Locator) -> None:
        wanted.wait_for()
        for _ in range(MOST_TABS):
            if wanted.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the Tab key does not lead to {wanted}")
