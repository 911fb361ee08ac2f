"""What a run tells while it goes on: the cases that have finished, in whatever order."""

from __future__ import annotations

from pathlib import Path

from runs import Silent, run_cases, served_target, write_case

from kms_conformance.contract.severity import Verdict
from kms_reference.server import Server


class Noted(Silent):
    """Leaves a file once it has been told of so many cases."""

    def __init__(self, cases: int, note: Path) -> None:
        self._cases, self._note = cases, note

    def case_done(self, results: object) -> None:
        """Count the cases."""
        assert isinstance(results, dict)
        if len(results) >= self._cases:
            self._note.touch()


def test_finished_cases_are_told_while_an_earlier_one_runs(reference: Server, tmp_path: Path) -> None:
    """With several cases at once, two that have finished are told although the first in the order has not."""
    note = tmp_path / "told"
    path = write_case(
        tmp_path / "cases",
        f'''
import pathlib
import time

TOLD = pathlib.Path({str(note)!r})


@covers("list-keys")
@pytest.mark.parametrize("number", range(3))
def test_one(kms, number):
    """A case; the first one ends once the others are told."""
    kms.list_keys(limit=1).succeeds(200)
    until = time.monotonic() + 60
    while number == 0 and not TOLD.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
''',
    )
    path.write_text("import pytest\n" + path.read_text())
    run = run_cases(served_target(reference), place=str(path), jobs=2, watcher=Noted(2, note))
    assert [case.verdict for case in run.cases] == [Verdict.PASSED] * 3, [case.message for case in run.cases]
