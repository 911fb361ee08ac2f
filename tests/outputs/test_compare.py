"""Comparing two runs: each difference in its own list, and nothing told that differs between any two runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kms_conformance.cli.compare import command
from kms_conformance.contract.schemas import SCHEMA_FILES
from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import BadValueError, StoredRunError
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs import har, results
from kms_conformance.outputs.compare import compare, demand_alike, summary_line
from kms_conformance.outputs.compare_text import lines, markdown
from kms_conformance.outputs.stored import Answer, read_run

Realistic = Callable[[int, int], Run]
LISTS = (
    "newly_failing",
    "fixed",
    "other_verdict",
    "new",
    "gone",
    "changed_answers",
    "new_groups",
    "gone_groups",
)


def stored(run: Run, place: Path) -> Path:
    """Write what comparing reads."""
    place.mkdir(parents=True)
    results.write(run, place)
    har.write(run, place)
    return place


def compared(before: Run, after: Run, folder: Path) -> dict[str, Any]:
    """Compare two runs by way of the disk."""
    document = compare(read_run(stored(before, folder / "before")), read_run(stored(after, folder / "after")))
    assert SCHEMA_FILES.complaint("compare", document) is None
    return document


def changed(run: Run, place: int, **members: Any) -> Run:
    """Return a run of which one case is another."""
    cases = list(run.cases)
    cases[place] = replace(cases[place], **members)
    return replace(run, cases=tuple(cases))


def first(run: Run, verdict: Verdict) -> tuple[int, CaseResult]:
    """Return place and result of the first case of a verdict."""
    return next((place, case) for place, case in enumerate(run.cases) if case.verdict is verdict)


def test_same(realistic: Realistic, tmp_path: Path) -> None:
    """A run is the same as itself, under any id, at any time."""
    run = realistic(40, 2)
    other = replace(run, started=run.started + 9, meta={**run.meta, "run_id": "00000000"})
    document = compared(run, other, tmp_path)
    assert document["same"] is True
    assert summary_line(document) == "no verdict, no cause and no answer differs"
    assert [name for name in LISTS if document[name]] == []


def test_verdicts(realistic: Realistic, tmp_path: Path) -> None:
    """A case that fails now, one that is mended and one that is not tested any more stand in a list each."""
    run = realistic(40, 2)
    failing, fixed = first(run, Verdict.PASSED), first(run, Verdict.FAILED)
    after = changed(run, failing[0], verdict=Verdict.FAILED, message="it broke")
    after = changed(after, fixed[0], verdict=Verdict.PASSED, findings=(), message="")
    skipped = next(place for place, case in enumerate(after.cases) if case.verdict is Verdict.WARNED)
    after = changed(after, skipped, verdict=Verdict.NOT_TESTED, findings=())
    document = compared(run, after, tmp_path)
    assert [entry["case"] for entry in document["newly_failing"]] == [failing[1].id]
    assert document["newly_failing"][0]["was"] == "passed"
    assert [entry["case"] for entry in document["fixed"]] == [fixed[1].id]
    assert [entry["case"] for entry in document["other_verdict"]] == [run.cases[skipped].id]
    assert document["same"] is False


def test_new_gone_and_renamed(realistic: Realistic, tmp_path: Path) -> None:
    """A case with another name that says and promises the same is the same case; others are new or gone."""
    run = realistic(40, 2)
    cases = [replace(case, title=f"{case.title} {number}") for number, case in enumerate(run.cases)]
    run = replace(run, cases=tuple(cases))
    moved = replace(cases[3], id="elsewhere.case", exchanges=(), expectations=())
    added = replace(cases[4], id="added", title="something else", rule="new", exchanges=(), expectations=())
    after = replace(run, cases=(*cases[:3], moved, *cases[4:20], *cases[21:], added))
    document = compared(run, after, tmp_path)
    assert document["renamed"] == [{"before": cases[3].id, "after": "elsewhere.case"}]
    assert [entry["case"] for entry in document["new"]] == ["added"]
    assert [entry["case"] for entry in document["gone"]] == [cases[20].id]


def test_changed_answers(realistic: Realistic, tmp_path: Path) -> None:
    """The same change of an answer is one entry, however many cases have seen it; ids in messages change nothing."""
    run = realistic(40, 2)

    def answered(case: CaseResult, text: str) -> CaseResult:
        body = {"resources": [{"reasons": [{"message": text}]}]}
        exchange = case.exchanges[0]
        assert exchange.answer is not None
        answer = replace(exchange.answer, status=409, code="X_ERR", body=body, is_json=True)
        return replace(case, exchanges=(replace(exchange, answer=answer),))

    places = [place for place, case in enumerate(run.cases) if case.exchanges][:2]
    before, after = run, run
    for number, place in enumerate(places):
        key = f"{number}b7c4a0e-1111-4222-8333-444455556666"
        before = changed(before, place, exchanges=answered(run.cases[place], f"key {key} is gone").exchanges)
        text = f"key 9{key[1:]} is lost"
        after = changed(after, place, exchanges=answered(run.cases[place], text).exchanges)
    (entry,) = compared(before, after, tmp_path)["changed_answers"]
    assert entry["before"] == "409 X_ERR: key <id> is gone"
    assert entry["after"] == "409 X_ERR: key <id> is lost"
    assert entry["times"] == 2
    assert entry["exchange"] == run.cases[places[0]].exchanges[0].id


def test_slower(realistic: Realistic, tmp_path: Path) -> None:
    """An operation that takes twice as long is told, and is no difference."""
    run = realistic(40, 4)
    slow = tuple(
        replace(
            case,
            exchanges=tuple(replace(one, duration=one.duration * 3 + 1) for one in case.exchanges),
        )
        for case in run.cases
    )
    document = compared(run, replace(run, cases=slow), tmp_path)
    assert document["slower"]
    assert all(entry["p50_after_s"] > entry["p50_before_s"] for entry in document["slower"])
    assert document["same"] is True


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("profile", "certify"),
        ("edition", "service"),
        ("contracts", [{"id": "other", "edition": "", "sha256": "0" * 64}]),
    ],
)
def test_other_measures(realistic: Realistic, tmp_path: Path, member: str, value: Any) -> None:
    """Runs judged by another contract, profile or edition are refused."""
    place = stored(realistic(8, 1), tmp_path / "run")
    other = tmp_path / "other"
    other.mkdir()
    record = json.loads((place / results.NAME).read_text())
    (other / results.NAME).write_text(json.dumps({**record, member: value}))
    with pytest.raises(BadValueError, match=f"the two runs differ in {member}"):
        demand_alike(read_run(place), read_run(other))
    arguments = [str(place), str(other)]
    assert isinstance(CliRunner().invoke(command, arguments).exception, BadValueError)
    assert CliRunner().invoke(command, [*arguments, "--anyway"]).exit_code == 0


def test_command(realistic: Realistic, tmp_path: Path) -> None:
    """The command ends with 0 for the same and 16 for another run, as text, JSON or Markdown."""
    run = realistic(40, 2)
    place, case = first(run, Verdict.PASSED)
    one = str(stored(run, tmp_path / "one"))
    two = str(stored(changed(run, place, verdict=Verdict.FAILED, message="a | b\x1b[31m"), tmp_path / "two"))
    assert CliRunner().invoke(command, [one, one]).exit_code == 0
    for form in ("text", "json", "markdown"):
        ended = CliRunner().invoke(command, [one, two, "--format", form])
        assert ended.exit_code == 16, ended.output
        assert case.id in ended.output.replace("\\", "")
        assert "\x1b" not in ended.output


def test_text_is_cut_and_says_so(realistic: Realistic, tmp_path: Path) -> None:
    """Long lists are cut on the terminal and in Markdown, with the number of what is left out."""
    run = realistic(60, 1)
    worse = replace(run, cases=tuple(replace(case, verdict=Verdict.ERROR, message="m") for case in run.cases))
    document = compared(run, worse, tmp_path)
    text = list(lines(document))
    assert any(line.endswith("more (--format json has all)") for line in text)
    assert len(list(lines(document, whole=True))) > len(text)
    assert "- and " in markdown(document)


def test_text_is_as_wide_as_asked(realistic: Realistic, tmp_path: Path) -> None:
    """No line is longer than the window, sections are told by their titles, and the numbers are not cut off."""
    run = realistic(40, 2)
    document = compared(run, run, tmp_path)
    group = {"contract": "key_protect", "section": "wire", "severity": "failed", "expected": "word " * 90}
    document["new_groups"] = [{**group, "got": "204", "cases": 2, "exchange": "x1"}]
    answer = {"operation": "rotateKey", "before": "word " * 90, "after": "204", "cases": ["a"]}
    document["changed_answers"] = [{**answer, "times": 3, "exchange": "x1"}]
    text = list(lines(document, width=60))
    assert max(map(len, text)) <= 60
    assert any(line.startswith("  failed, 2 cases, statements about every answer:") for line in text)
    assert any(line.startswith("  rotateKey, 3 times: word") for line in text)
    assert sum(line.startswith("    word") for line in text) == 4


def test_answers_as_written(realistic: Realistic, tmp_path: Path) -> None:
    """Answers are read alike from the form that a run writes and from any other JSON of the same meaning."""
    run = realistic(40, 3)
    place = stored(run, tmp_path / "run")
    quick = read_run(place).exchanges
    text = (place / har.NAME).read_text()
    (place / har.NAME).write_text(json.dumps(json.loads(text), indent=2))
    assert read_run(place).exchanges == quick
    assert len(quick) == sum(len(case.exchanges) for case in run.cases)
    assert {one.answer.status for one in quick} == {201, 400}


def test_words_of_an_answer() -> None:
    """An answer is told by status, code and message; silence says so."""
    assert Answer(409, "X_ERR", "gone").text == "409 X_ERR: gone"
    assert Answer(0, "", "").text == "no answer"


def test_unreadable(realistic: Realistic, tmp_path: Path) -> None:
    """A directory without a run, a record of an older form, and a transcript that is none, are refused."""
    with pytest.raises(StoredRunError):
        read_run(tmp_path)
    (tmp_path / results.NAME).write_text("{}")
    with pytest.raises(StoredRunError):
        read_run(tmp_path)
    place = stored(realistic(8, 1), tmp_path / "run")
    transcript = place / har.NAME
    transcript.unlink(missing_ok=True)
    assert read_run(place).exchanges == []
    for wrong in ("[1]", '{"log":{\n"entries":[\n{"_kms": {"case": "a"\n]}}\n'):
        transcript.write_text(wrong)
        with pytest.raises(StoredRunError):
            assert read_run(place).exchanges
    record = json.loads((place / results.NAME).read_text())
    del record["latency"]
    (place / results.NAME).write_text(json.dumps({**record, "schema_version": "1.0"}))
    with pytest.raises(StoredRunError, match=r"of the form 1\.0, lacks latency"):
        read_run(place)


def test_requests_at_the_same_moment(realistic: Realistic, tmp_path: Path) -> None:
    """Which of several clients was first is no change: cases whose requests overlap are left out."""
    run = realistic(40, 2)
    place = next(place for place, case in enumerate(run.cases) if len(case.exchanges) == 2)
    first, second = run.cases[place].exchanges
    together = tuple(replace(one, started=first.started, duration=0.5) for one in (first, second))
    assert second.answer is not None
    other = replace(together[1], answer=replace(second.answer, status=503, code="X_ERR"))
    before = changed(run, place, exchanges=together)
    document = compared(before, changed(run, place, exchanges=(together[0], other)), tmp_path)
    assert document["changed_answers"] == []
