"""Generated requests: Schemathesis makes valid and invalid data for every operation."""

import pytest

from kms_conformance.api import covers, fuzz_operation, impact, operations

MARKS = {
    "putInstancePolicy": impact("instance", where_allowed=True),
    **dict.fromkeys(
        (
            "createKey",
            "createKeyWithPoliciesOverrides",
            "restoreKey",
            "rotateKey",
            "actionOnKey",
            "postImportToken",
            "getImportToken",
        ),
        impact("import-token", where_allowed=True),
    ),
}
OPERATIONS = [pytest.param(name, marks=MARKS.get(name, ())) for name in operations("key_protect")]


@covers(
    "fuzz-any-request", "fuzz-success-status", "fuzz-refusal-status", "fuzz-known-code", "fuzz-time-bound"
)
@pytest.mark.parametrize("kind", ["valid", "invalid"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation(kms, operation, kind):
    """Every answer to a generated request keeps the rules of every answer."""
    fuzz_operation(kms, operation, kind)
