"""Schemathesis at work: every operation, valid and invalid data."""

import pytest

from kms_conformance.api import covers, fuzz_operation, operations


@covers(
    "fuzz-any-request", "fuzz-success-status", "fuzz-refusal-status", "fuzz-known-code", "fuzz-time-bound"
)
@pytest.mark.parametrize("kind", ["valid", "invalid"])
@pytest.mark.parametrize("operation", operations("key_protect"))
def test_operation(kms, operation, kind):
    """Whatever the shape of a request, its answer keeps the rules of every answer."""
    fuzz_operation(kms, operation, kind)
