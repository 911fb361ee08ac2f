"""A browser for the tests that need one: Chromium as the system has it, headless, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(name="browser", scope="module")
def browser_fixture() -> Iterator[Browser]:
    """Yield the browser; tests are left out where the system has none.

    Of a module only: as long as it is open, an event loop runs in this thread, and nothing else can run one.
    """
    place = next(filter(None, map(shutil.which, _NAMES)), None)
    if place is None:
        pytest.skip("no Chromium is installed: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=place, args=["--no-sandbox"])
        yield browser
        browser.close()
