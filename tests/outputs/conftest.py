"""Realistic runs, and the strategies for random ones, which are registered when their module is imported."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import random_runs  # noqa: F401 - registers the strategies
from realistic_run import realistic_run

from kms_conformance.judging.verdict import Run


@pytest.fixture(name="realistic", scope="session")
def realistic_fixture() -> Callable[[int, int], Run]:
    """Return the maker of realistic runs: ``realistic(cases, exchanges_each)``."""
    return realistic_run
