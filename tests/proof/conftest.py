"""Lets the tests of this folder import the modules beside them that hold no tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session", name="whole_runs")
def whole_runs_fixture(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """Return a folder with the report of a real run of each contract's cases, by its name, and their results.json.

    Tests that ask for it belong to the group ``whole-runs``, so that one worker has them all.
    """
    from coverage_page import results_of_runs  # noqa: PLC0415 - found by the path above

    folder = tmp_path_factory.mktemp("whole-runs")
    return folder, results_of_runs(folder)
