"""Chromium, and front desks as in tests/frontdesk."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.screens import Keyboard, Mouse, Screen, launch, screen
from tests.frontdesk.conftest import desk, loyalty, partner, scripted_desk, scripted_partner  # noqa: F401


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


# Each way to use it, each size and each colour scheme meets each of the others.
@pytest.fixture(
    params=[
        (Mouse, "wide", "light"),
        (Mouse, "narrow", "dark"),
        (Keyboard, "wide", "dark"),
        (Keyboard, "narrow", "light"),
    ],
    ids=lambda values: f"{values[0].__name__.lower()}-{values[1]}-{values[2]}",
)
def way(request: pytest.FixtureRequest) -> tuple[type[Mouse], str, str]:
    return request.param


@pytest.fixture
def shown(browser: Browser, way: tuple[type[Mouse], str, str], request: pytest.FixtureRequest) -> Iterator[Screen]:
    """The front desk before our server."""
    _, size, scheme = way
    url = request.getfixturevalue("desk").url
    with screen(browser, url, picture_name(request), size, scheme) as opened:
        yield opened


@pytest.fixture
def hand(shown: Screen, way: tuple[type[Mouse], str, str]) -> Mouse:
    return way[0](shown.page)


@pytest.fixture
def open_screen(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Screen]]:
    """A function that opens a front desk at a URL, by default on a wide screen in light."""
    opened = []

    def run(url: str, size: str = "wide", scheme: str = "light", **options: object) -> Screen:
        opened.append(screen(browser, url, picture_name(request), size, scheme, **options))
        return opened[-1].__enter__()

    yield run
    for context in opened:
        context.__exit__(None, None, None)


def picture_name(request: pytest.FixtureRequest) -> str:
    return re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_")).strip("-")
