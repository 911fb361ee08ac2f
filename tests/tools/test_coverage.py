"""The pages are covered: by what a run really emitted, in a page that is not stale; a changed source page shows."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kms_conformance.contract.contract import load_contract
from kms_conformance.system import default_systems
from tools.coverage import Coverage, State, coverage_of, main, render
from tools.outline import HEAD, Piece, changes, find_page, outline, pieces, section_of

pytestmark = pytest.mark.xdist_group("whole-runs")
ROOT = Path(__file__).resolve().parents[2]
PAGES = Path(os.environ.get("KMS_SOURCE_PAGES") or ROOT.parent / "shared" / "seeds")
PAGE = ROOT / "docs" / "coverage.md"
SOURCES = [
    (contract, source["role"])
    for contract in default_systems()
    for source in load_contract(contract).about["sources"]
]


@pytest.fixture(scope="module", name="results")
def results_fixture(whole_runs: tuple[Path, list[Any]]) -> list[Any]:
    """Return results.json of a real run of each contract's cases, as the make target has it."""
    return whole_runs[1]


@pytest.fixture(scope="module", name="covered")
def covered_fixture(results: list[Any]) -> tuple[Coverage, ...]:
    """Return the coverage of every contract."""
    return coverage_of(results)


def test_pages_are_covered(covered: tuple[Coverage, ...]) -> None:
    """No section and no row is untracked, and at least 95 % of the rows are tested or excluded with a reason."""
    assert {coverage.contract.id for coverage in covered} == set(default_systems())
    assert [gap for coverage in covered for gap in coverage.gaps] == []


def test_page_is_not_stale(covered: tuple[Coverage, ...]) -> None:
    """docs/coverage.md is what the run gives; `make coverage-page` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == render(covered)


def test_coverage_follows_what_was_emitted(results: list[Any]) -> None:
    """A row whose cases did not run to a verdict is untested; one that no case covers is untracked; both show."""
    changed = json.loads(json.dumps(results))
    document = next(document for document in changed if document["contracts"][0]["id"] == "key_protect")
    rows = [row for row in document["requirements"] if row["cases"] and not row["excluded"]]
    for case in document["cases"]:
        if case["id"] in rows[0]["cases"]:
            case["verdict"] = "not-tested"
    gone = next(row for row in rows[1:] if not set(row["cases"]) & set(rows[0]["cases"]))
    gone["cases"] = []
    (coverage,) = coverage_of([document])
    states = {promise.row.id: promise.state for promise in coverage.promises}
    assert states[rows[0]["id"]] is State.UNTESTED
    assert states[gone["id"]] is State.UNTRACKED
    assert f"key_protect: row {gone['id']} has neither a case nor a reason" in coverage.gaps


def test_empty_section_and_small_share_are_gaps(covered: tuple[Coverage, ...]) -> None:
    """A section of the page without any row is a gap, and so is a share below 95 %."""
    coverage = covered[0]
    anchor = str(coverage.contract.about["sections"][0]["anchor"])
    assert (
        f"{coverage.contract.id}: section {anchor} has no row"
        in replace(coverage, sections={**coverage.sections, anchor: ()}).gaps
    )
    promises = tuple(replace(promise, state=State.UNTESTED) for promise in coverage.promises)
    assert any(
        "are asked for" in gap
        for gap in replace(
            coverage,
            sections={
                anchor: promises,
                **{
                    str(section["anchor"]): promises[:1]
                    for section in coverage.contract.about["sections"][1:]
                },
            },
        ).gaps
    )


def test_command_says_what_is_missing(
    results: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The module prints the page and ends with 1 and a line for each gap."""
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results[0]))
    assert main([str(path)]) == 0
    results[0]["requirements"][0]["cases"], kept = [], results[0]["requirements"][0]["cases"]
    path.write_text(json.dumps(results[0]))
    results[0]["requirements"][0]["cases"] = kept
    assert main([str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("# Coverage of the source pages")
    assert "has neither a case nor a reason" in captured.err


# --- the source pages ------------------------------------------------------------------------------------------------


def source_text(contract: str, role: str) -> tuple[str, str]:
    """Return text and SHA-256 of a source page, whether it has changed or not; skip where the pages are not here."""
    if not PAGES.is_dir():
        pytest.skip("the source pages are not here: set KMS_SOURCE_PAGES to their folder")
    page = find_page(outline(contract)[role], PAGES)
    if page is None:
        pytest.skip(f"no file among the source pages looks like {contract}, {role}")
    return page[1], hashlib.sha256(page[0].read_bytes()).hexdigest()


@pytest.mark.parametrize(("contract", "role"), SOURCES)
def test_source_page_is_the_one_that_was_read(contract: str, role: str) -> None:
    """The page has the digest that the contract names; if not, this says which of its sections have changed."""
    text, digest = source_text(contract, role)
    source = next(source for source in load_contract(contract).about["sources"] if source["role"] == role)
    changed = changes(outline(contract)[role], text)
    assert digest == source["file_sha256"], f"the page has changed: {'; '.join(changed) or 'blanks only'}"
    assert changed == []


@pytest.mark.parametrize(("contract", "role"), SOURCES)
def test_outline_has_every_section(contract: str, role: str) -> None:
    """Each section of the contract is a piece of its page."""
    loaded = load_contract(contract)
    names = [piece.name for piece in outline(contract)[role]]
    anchors = [str(section["anchor"]) for section in loaded.about["sections"]]
    assert [
        section_of(loaded, name, names) for name in names if name in anchors or name.startswith("number-")
    ] == anchors


@pytest.mark.parametrize(("contract", "role"), SOURCES)
def test_changed_page_names_its_section(contract: str, role: str, tmp_path: Path) -> None:
    """One word more in a section, a section more, one less: each is found and named; blanks do not count."""
    text, _ = source_text(contract, role)
    page_outline = outline(contract)[role]
    assert changes(page_outline, text.replace("\n\n", "\n \n\n")) == []
    name = page_outline[-1].name
    changed = f"{text.rstrip()} more\n"
    assert changes(page_outline, changed) == [f"{name} has another text"]
    (tmp_path / "other.txt").write_text("nothing alike")
    (tmp_path / "page.txt").write_text(changed)
    copy = find_page(page_outline, tmp_path)
    assert copy is not None
    assert copy[0].name == "page.txt"


def test_pieces() -> None:
    """A page is cut at its anchors, headings included; without anchors, at its numbered headings."""
    page = "head\n\n## One\n{: #one}\n\ntext\n\n## Two\n{: #two}\n"
    assert [piece.name for piece in pieces(page)] == [HEAD, "one", "two"]
    assert [piece.name for piece in pieces("head\n1-one\ntext\n3-no\n2-two\n")] == [
        HEAD,
        "number-1",
        "number-2",
    ]
    page_pieces = pieces(page)
    assert changes(page_pieces, page.replace("## Two", "## Other")) == ["two has another text"]
    assert changes(page_pieces, page + "\n## Three\n{: #three}\n") == ["three is new"]
    assert changes((*page_pieces, Piece("three", "0")), page) == ["three is gone"]
    swapped = "head\n\n## Two\n{: #two}\n\n## One\n{: #one}\n\ntext\n"
    assert changes(page_pieces, swapped) == ["the sections stand in another order"]
