"""What several folders of tests share: how a command is run, and a reference to run it against."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kms_reference.server import Server
from kms_reference.target import write_target

# Modules that hold no tests (servers, proxies, commands) are imported by name from the tests that use them.
sys.path.append(str(Path(__file__).parent / "engine"))


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that runs the real command line in an empty directory."""
    from commands import run_command  # noqa: PLC0415 - found by the path above

    return partial(run_command, tmp_path)


@pytest.fixture(scope="session")
def reference() -> Iterator[Server]:
    """Give an unbroken reference on a real socket; each test uses instances of its own."""
    with Server() as server:
        yield server


@pytest.fixture
def target_file(reference: Server, tmp_path: Path) -> Path:
    """Return the target file of the reference."""
    path = tmp_path / "target.toml"
    write_target(path, reference)
    return path
