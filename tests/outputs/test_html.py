"""The HTML report: self-contained, escaped, complete."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_conformance.contract.severity import Row, Verdict
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs import html, html_blocks, html_case

VOID = {"meta", "input", "br", "link", "img"}


class Page(HTMLParser):
    """Reads a page and fails when its elements do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that the innermost element ends."""
        assert self.open.pop() == tag

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each element of a name."""
        return [attributes for name, attributes in self.elements if name == tag]


def running(page: Page) -> list[dict[str, str | None]]:
    """Return the script elements that a browser runs: blocks of data are of another type."""
    return [attributes for attributes in page.named("script") if attributes.get("type") != "text/plain"]


def test_page_needs_nothing_else(realistic: Callable[[int, int], Run]) -> None:
    """No element loads anything, and the policy allows only the page's own script."""
    text = html.render(realistic(40, 2))
    page = Page(text)
    loading = {"link", "img", "iframe", "object", "embed", "video", "audio", "source", "base", "form"}
    assert not loading & {tag for tag, _ in page.elements}
    assert not [attributes for _, attributes in page.elements if "src" in attributes]
    assert not re.search(r"url\(|@import", text)
    (script,) = re.findall(r"<script>(.*)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text


def test_verdict_comes_first(realistic: Callable[[int, int], Run]) -> None:
    """The first heading is the verdict; each level of heading follows its parent."""
    page = Page(html.render(realistic(40, 2)))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_links_inside_the_page_lead_somewhere(realistic: Callable[[int, int], Run]) -> None:
    """Every ``#...`` has its element, and no id stands twice."""
    page = Page(html.render(realistic(40, 2)))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {
        str(attributes["href"])[1:]
        for attributes in page.named("a")
        if str(attributes["href"]).startswith("#")
    }
    assert links <= set(ids)


def test_hostile_text_does_not_act() -> None:
    """What a server sends is text, wherever it ends up; escape sequences and direction marks show."""
    text = "<script>alert(1)</script>\" onclick='x' \x1b[31m\u202e"
    finding = Finding(text, Verdict.FAILED, text, text, text, text, text)
    case = CaseResult(
        text, text, text, Verdict.FAILED, (text,), text, text, findings=(finding,), rule=text, nodeid=text
    )
    row = Row(text, text, text, text, text, text, text, link="https://docs.example.test/")
    page = html.render(Run(Profile.GATE, (case,), (row,), text, text, meta={"target": {"base_url": text}}))
    assert running(Page(page)) == [{}]
    for shown in (page, html_blocks.whole(page)):
        assert running(Page(shown)) == [{}]
        assert not [attributes for _, attributes in Page(shown).elements if "onclick" in attributes]
    assert "\\x1b[31m\\u202e" in page


def test_every_section_is_there(realistic: Callable[[int, int], Run]) -> None:
    """Sections that no case touched are told too, with the rows they hold."""
    run = realistic(8, 1)
    untouched = Row("lonely", "demo", "far-away", "MUST", "documented", "Nobody tests this.")
    left_out = Row(
        "left-out", "demo", "left-out", "MUST", "documented", "No.", excluded="No way to provoke it."
    )
    text = html_blocks.whole(html.render(replace(run, rows=(*run.rows, untouched, left_out))))
    assert "far away" in text
    assert "Nobody tests this." in text
    assert "Excluded: No way to provoke it." in text


def test_thousand_cases_stay_small(realistic: Callable[[int, int], Run]) -> None:
    """Long bodies are cut, with a word where the whole is."""
    run = realistic(1, 1)
    exchange = run.cases[0].exchanges[0]
    assert exchange.answer is not None
    long = replace(exchange, answer=replace(exchange.answer, body={"text": "x" * 100_000}))
    text = html.render(replace(run, cases=(replace(run.cases[0], exchanges=(long,)),)))
    assert len(text) < 60_000
    assert "the whole is in transcript.har" in html_blocks.whole(text)


def test_curl_lines_are_for_what_is_sent_again(realistic: Callable[[int, int], Run]) -> None:
    """A case that passed shows its requests, but no curl lines; any other shows one with each exchange."""
    case = realistic(1, 1).cases[0]
    for verdict in Verdict:
        changed = replace(case, verdict=verdict, findings=())
        text = html_blocks.whole(html.render(replace(realistic(1, 1), cases=(changed,))))
        assert text.count("<h4>Request</h4>") == len(case.exchanges)
        assert text.count("curl -sS") == (0 if verdict is Verdict.PASSED else len(case.exchanges))


@pytest.mark.parametrize("text", ["</pre><script>x</script>", "&lt;b&gt;", "\"onclick='x'"])
def test_bodies_are_text(realistic: Callable[[int, int], Run], text: str) -> None:
    """What stands in a body comes out as it was, though quotation marks are not escaped there."""
    run = realistic(1, 1)
    exchange = run.cases[0].exchanges[0]
    assert exchange.answer is not None
    changed = replace(exchange, answer=replace(exchange.answer, body={"text": text}))
    page = html_blocks.whole(html.render(replace(run, cases=(replace(run.cases[0], exchanges=(changed,)),))))
    (answer,) = re.findall(r"<h4>Answer</h4><pre>(.*?)</pre>", page, re.DOTALL)
    assert json.dumps(text) in unescape(answer)
    assert len(running(Page(page))) == 1


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_pretty_is_what_json_would_say(body: object) -> None:
    """The fast printer prints what the library's does."""
    assert html_case.pretty(body) == json.dumps(body, indent=2, ensure_ascii=False)


def test_first_screen_is_verdict_and_causes(realistic: Callable[[int, int], Run]) -> None:
    """Verdict, a bar with what did not run in it, the causes; how the run was made comes after them."""
    run = replace(realistic(40, 2), partial="7 cases were left out by the selection", not_run=7)
    text = html.render(run)
    places = [
        text.index(part)
        for part in ("<h1>", 'class="not-run" style="flex-grow:7"', 'id="failures"', 'id="run"')
    ]
    assert places == sorted(places)
    assert "Partial run: 7 cases were left out by the selection" in text
    assert "What this run has left behind" in text


def test_failures_come_first(realistic: Callable[[int, int], Run]) -> None:
    """The list of cases begins with what failed and ends with what passed."""
    verdicts = re.findall(
        r'class="case" id="case-\d+" data-verdict="([a-z-]+)"', html.render(realistic(40, 2))
    )
    assert verdicts[0] == "failed"
    assert verdicts[-1] == "passed"
    assert verdicts == sorted(verdicts, key=verdicts.index)


def test_latency_is_a_table(realistic: Callable[[int, int], Run]) -> None:
    """Each operation has its percentiles and the number of its answers."""
    text = html.render(realistic(40, 2))
    assert '<th scope="row">createKey</th><td class="number">76</td><td class="number">12 ms</td>' in text


def test_blocks_hold_what_is_opened(realistic: Callable[[int, int], Run]) -> None:
    """The evidence of passed cases is packed, that of the others is not; unpacked, everything is there."""
    run = realistic(40, 2)
    text = html.render(run)
    unpacked = html_blocks.whole(text)
    for case in run.cases:
        shown = case.verdict in {Verdict.FAILED, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.WARNED}
        for exchange in case.exchanges:
            assert (f'id="{exchange.id}"' in text) is shown
            assert f'id="{exchange.id}"' in unpacked


def test_damaged_block(realistic: Callable[[int, int], Run]) -> None:
    """A block that is cut off, or followed by something, cannot be unpacked."""
    text = html.render(realistic(4, 1))
    start = text.index('id="index-block">') + len('id="index-block">')
    for damage in (text[: start + 40] + text[start + 44 :], f"{text[:start]}AAAA{text[start + 4 :]}"):
        with pytest.raises(ValueError, match=r"block|Incorrect|Error|Expecting|padding"):
            html_blocks.whole(damage)


def test_search_by_everything(realistic: Callable[[int, int], Run]) -> None:
    """A case is found by code, status, level, evidence class, method, path, operation and exchange."""
    run = realistic(40, 2)
    rows = {(result.row.contract, result.row.id): result for result in run.requirements}
    case = run.cases[1]
    exchange = case.exchanges[0]
    assert exchange.answer is not None
    row = rows[case.contract, case.requirements[0]].row
    words = (exchange.id, exchange.sent.method, str(exchange.answer.status), exchange.operation)
    text = html_case.search_text(case, rows)
    assert all(
        f" {str(word).lower()} " in text for word in (*words, row.level, row.evidence, case.verdict.value)
    )


def test_deviations_are_marked(realistic: Callable[[int, int], Run]) -> None:
    """The answer that deviates is open, its status marked, and what was expected stands beside it."""
    run = realistic(40, 2)
    text = html.render(run)
    failed = [case for case in run.cases if case.verdict is Verdict.FAILED]
    assert text.count("<ins>expected ") >= len(failed)
    for case in failed:
        place = text.index(f'id="{case.findings[0].exchange}"')
        assert text[place : place + 60].count(" open>") == 1
        assert "<mark>HTTP " in text[place : text.index("</details>", place)]


def test_many_failures(realistic: Callable[[int, int], Run]) -> None:
    """Where very much has failed, the page stays small: later cases are packed like those that passed."""
    run = realistic(40, 2)
    case = next(case for case in run.cases if case.verdict is Verdict.FAILED)
    many = tuple(replace(case, id=f"{case.id}.{number:03}") for number in range(500))
    text = html.render(replace(run, cases=many))
    inside = len({exchange.id for exchange in case.exchanges})
    assert text.count("<ins>expected ") < len(many)
    assert 0 < text.count('class="exchange') <= html.MOST_SHOWN
    assert html_blocks.whole(text).count('class="exchange') == inside * len(many)
    assert "those that deviate beyond the first" in text
