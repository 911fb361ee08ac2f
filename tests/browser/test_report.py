"""The report in a browser: it finds, opens, steps and prints, asks nobody for anything, and is quick when it is large."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from realistic_run import realistic_run

from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs import html

pytestmark = pytest.mark.xdist_group("browser")
SMALL, LARGE = (60, 3), (2000, 10)


@dataclass
class Opened:
    """A report in a browser, with everything that it asked for and complained of."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def mostly_green(run: Run) -> Run:
    """Return a run in which no more than 60 cases have not passed."""
    cases = (
        case
        if place < SMALL[0]
        else replace(case, verdict=Verdict.PASSED, findings=(), message="", missing="")
        for place, case in enumerate(run.cases)
    )
    return replace(run, cases=tuple(cases))


@pytest.fixture(name="reports", scope="module")
def reports_fixture(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], Path]:
    """Write a small and a large report."""
    folder = tmp_path_factory.mktemp("reports")
    places = {}
    for size in (SMALL, LARGE):
        place = folder / f"{size[0]}"
        place.mkdir()
        places[size] = html.write(mostly_green(realistic_run(*size)), place)
    return places


@pytest.fixture(name="opened")
def opened_fixture(browser: Browser, reports: dict[tuple[int, int], Path]) -> Iterator[Callable[..., Opened]]:
    """Return what opens a report; what it asked for and complained of is looked at in the end."""
    made: list[Opened] = []

    def opens(size: tuple[int, int] = SMALL, anchor: str = "", **options: Any) -> Opened:
        opened = Opened(browser.new_page(**options))
        opened.page.on("request", lambda request: opened.asked.append(request.url))
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.goto(f"{reports[size].as_uri()}{anchor}")
        made.append(opened)
        return opened

    yield opens
    for opened in made:
        opened.page.close()
        assert {url.partition("#")[0] for url in opened.asked} <= {
            place.as_uri() for place in reports.values()
        }
        assert opened.complaints == []


def shown(page: Page) -> list[str]:
    """Return the verdicts of the cases that are shown."""
    texts: list[str] = page.evaluate(
        "[...document.querySelectorAll('.case')].filter((item) => !item.hidden).map((item) => item.dataset.verdict)"
    )
    return texts


def searched(page: Page, text: str) -> list[str]:
    """Search, wait until the list has answered, and return the verdicts of what is shown."""
    before = page.inner_text("#shown")
    page.fill("#find", text)
    page.wait_for_function("(before) => document.getElementById('shown').textContent !== before", arg=before)
    return shown(page)


def test_search(opened: Callable[..., Opened]) -> None:
    """A case is found by its exchange, by a status, and by what makes no sense not at all."""
    run, page = realistic_run(*SMALL), opened().page
    exchange = run.cases[5].exchanges[1]
    assert searched(page, f" {exchange.id}") == [run.cases[5].verdict.value]
    assert 0 < len(searched(page, "400 documented")) <= len(run.cases)
    assert searched(page, "no such thing") == []


def test_only_failed(opened: Callable[..., Opened]) -> None:
    """One click leaves nothing but what failed, Escape brings everything back."""
    page = opened().page
    everything = shown(page)
    page.click("#only")
    page.wait_for_function("document.getElementById('shown').textContent !== ''")
    assert set(shown(page)) == {"failed"}
    page.keyboard.press("Escape")
    page.wait_for_function("document.getElementById('shown').textContent === ''")
    assert shown(page) == everything


def test_passed_case_is_unpacked(opened: Callable[..., Opened]) -> None:
    """A case that passed shows its exchanges when it is opened, and so does a link to one of them."""
    run = realistic_run(*SMALL)
    case = next(case for case in run.cases if case.verdict is Verdict.PASSED)
    page = opened().page
    place = f"#case-{run.cases.index(case) + 1}"
    page.click(f"{place} > summary")
    page.wait_for_selector(f"{place} .exchange")
    page = opened(anchor=f"#{case.exchanges[0].id}").page
    page.wait_for_selector(f"#{case.exchanges[0].id}[open]")
    assert "GET" in page.inner_text(f"#{case.exchanges[0].id}") or "POST" in page.inner_text(
        f"#{case.exchanges[0].id}"
    )


def test_keyboard(opened: Callable[..., Opened]) -> None:
    """The slash goes to the search, n and p from failure to failure."""
    page = opened().page
    page.keyboard.press("n")
    first = page.evaluate("document.activeElement.closest('.case').id")
    page.keyboard.press("n")
    assert page.evaluate("document.activeElement.closest('.case').id") != first
    page.keyboard.press("p")
    assert page.evaluate("document.activeElement.closest('.case').id") == first
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find"


def test_without_script(opened: Callable[..., Opened]) -> None:
    """Failures are complete without JavaScript."""
    run, page = realistic_run(*SMALL), opened(java_script_enabled=False).page
    text = page.content()
    for case in run.cases:
        if case.verdict is Verdict.FAILED:
            assert all(f'id="{exchange.id}"' in text for exchange in case.exchanges)


@pytest.mark.parametrize("width", [320, 390])
def test_phone(opened: Callable[..., Opened], width: int) -> None:
    """On a narrow screen nothing is wider than the screen, not even an opened failure."""
    page = opened(viewport={"width": width, "height": 800}).page
    page.keyboard.press("n")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(opened: Callable[..., Opened], scheme: str) -> None:
    """axe-core finds no serious violation, in light or dark."""
    axe = (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    page = opened(color_scheme=scheme).page
    page.keyboard.press("n")
    page.evaluate(axe)
    violations = page.evaluate("axe.run().then((result) => result.violations)")
    grave = {
        rule["id"]: rule["nodes"][0]["html"]
        for rule in violations
        if rule["impact"] in {"serious", "critical"}
    }
    assert grave == {}


def test_print(opened: Callable[..., Opened]) -> None:
    """The printed report has a cover and numbered pages, and opens failures for it and closes them again."""
    page = opened().page
    printed = page.pdf(prefer_css_page_size=True)
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 30
    assert page.evaluate("document.querySelectorAll('.case[open]').length") == 0
    page.emulate_media(media="print")
    assert page.is_visible(".signatures")
    assert not page.is_visible("#filter")


def test_size(opened: Callable[..., Opened], reports: dict[tuple[int, int], Path]) -> None:
    """2,000 cases with 20,000 exchanges are under 8 MB and 15,000 elements, and the search stays exact."""
    page = opened(LARGE).page
    assert reports[LARGE].stat().st_size < 8_000_000
    assert page.evaluate("document.querySelectorAll('*').length") < 15_000
    run = mostly_green(realistic_run(*LARGE))
    assert searched(page, f" {run.cases[7].exchanges[0].id}") == [run.cases[7].verdict.value]
