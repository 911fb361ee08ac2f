"""Realistic runs; importing their maker also registers the strategies for random ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from random_runs import realistic_run

from kms_conformance.judging.verdict import Run


@pytest.fixture(name="realistic", scope="session")
def realistic_fixture() -> Callable[[int, int], Run]:
    """Return the maker of realistic runs: ``realistic(cases, exchanges_each)``."""
    return realistic_run
