"""The page of many runs: every night in it, unsteady cases by their changes, small enough for a month."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner

from kms_conformance.cli.trend import command
from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs import results
from kms_conformance.outputs.stored import StoredRun, read_run
from kms_conformance.outputs.trend import flaky, render

Realistic = Callable[[int, int], Run]
DAY = 86_400.0


def night(run: Run, place: Path, number: int, verdict: Verdict) -> StoredRun:
    """Return a stored run of a night, in which the first case has a verdict."""
    first = replace(run.cases[0], verdict=verdict, message="<b>x</b>")
    moved = {"started": run.started + number * DAY, "finished": run.finished + number * DAY}
    place.mkdir()
    results.write(replace(run, cases=(first, *run.cases[1:]), **moved), place)
    return read_run(place)


def nights(run: Run, folder: Path, *verdicts: Verdict) -> list[StoredRun]:
    """Return a night for each verdict of the first case."""
    return [night(run, folder / f"n{number:02}", number, verdict) for number, verdict in enumerate(verdicts)]


def test_flaky(realistic: Realistic, tmp_path: Path) -> None:
    """A case that changes every night scores 1, one that broke once far less, and nights without a verdict do not count."""
    good, bad, none = Verdict.PASSED, Verdict.FAILED, Verdict.NOT_TESTED
    run = realistic(8, 1)
    (case,) = flaky(nights(run, tmp_path, good, bad, good, none, bad))
    assert (case.case, case.score) == (run.cases[0].id, 1.0)
    assert case.verdicts == ("passed", "failed", "passed", "not-tested", "failed")
    for number, verdicts in enumerate([(good, good, bad, bad, bad), (bad, bad, bad)]):
        place = tmp_path / f"more{number}"
        place.mkdir()
        changes = flaky(nights(run, place, *verdicts))
        assert [entry.score for entry in changes] == ([0.25] if number == 0 else [])


def test_page(realistic: Realistic, tmp_path: Path) -> None:
    """The page shows every night in the order of time, escapes what servers say, and asks the network for nothing."""
    stored = nights(realistic(40, 2), tmp_path, *[Verdict.PASSED, Verdict.FAILED] * 3)
    page = render(stored[::-1])
    assert page.count("<tr><th") >= len(stored)
    assert "<b>x</b>" not in page
    assert not re.search(r'(src|href)="(?!https://docs\.)', page)
    assert "<script" not in page
    places = [page.index(f">{run.record['finished'][:16].replace('T', ' ')}<") for run in stored]
    assert places == sorted(places, reverse=True)
    assert page.count("<polyline") >= 1


def test_size_of_a_month(realistic: Realistic, tmp_path: Path) -> None:
    """Thirty nights of several hundred cases stay far under a megabyte."""
    verdicts = [Verdict.PASSED, Verdict.FAILED] * 15
    page = render(nights(realistic(300, 2), tmp_path, *verdicts))
    assert len(page.encode()) < 1_000_000


def test_command(realistic: Realistic, tmp_path: Path) -> None:
    """The command writes the page of the directories that it is given."""
    stored = nights(realistic(8, 1), tmp_path, Verdict.PASSED, Verdict.PASSED)
    output = tmp_path / "trend.html"
    ended = CliRunner().invoke(command, [*(str(run.directory) for run in stored), "--output", str(output)])
    assert ended.exit_code == 0, ended.output
    assert "None: every case has ended alike in each run." in output.read_text()
