"""What several folders of tests share: how a command is run, and a reference to run it against."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from kms_reference.server import Server
from kms_reference.target import write_target

# Modules that hold no tests (servers, proxies, commands, the matrix) are imported by name from the tests that use them.
sys.path += [str(Path(__file__).parent / folder) for folder in ("support", "proof")]

# How long an example takes says something of the machine.
settings.register_profile(
    "any-machine", settings.get_profile(settings.get_current_profile_name()), deadline=None
)
settings.load_profile("any-machine")


def pytest_collection_finish() -> None:
    """Have the collector leave alone what lives as long as the session: modules, and some thousand items."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that runs the real command line in an empty directory."""
    from commands import run_command  # noqa: PLC0415 - found by the path above

    return partial(run_command, tmp_path)


@pytest.fixture(scope="session")
def reference() -> Iterator[Server]:
    """Yield an unbroken reference on a real socket; each test uses instances of its own."""
    with Server() as server:
        yield server


@pytest.fixture(scope="session", name="whole_runs")
def whole_runs_fixture(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """Return a folder with the report of a real run of each contract's cases, by its name, and their results.json.

    Tests that ask for it belong to the group ``whole-runs``, so that one worker has them all.
    """
    from coverage_page import results_of_runs  # noqa: PLC0415 - found by the path above

    folder = tmp_path_factory.mktemp("whole-runs")
    return folder, results_of_runs(folder)


@pytest.fixture
def target_file(reference: Server, tmp_path: Path) -> Path:
    """Return the target file of the reference."""
    path = tmp_path / "target.toml"
    write_target(path, reference)
    return path
