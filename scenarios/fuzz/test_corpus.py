"""The corpus: thousands of requests that are the same for every endpoint, replayed in seconds."""

import pytest

from kms_conformance.api import covers, impact, replay_corpus

token, policies = impact("import-token", where_allowed=True), impact("instance", where_allowed=True)
GROUPS = (
    pytest.param("keys", marks=token),
    pytest.param("key-actions", marks=token),
    pytest.param("policies", marks=policies),
    pytest.param("import-tokens", marks=token),
    "registrations",
    "aliases",
    "key-rings",
    "kmip",
)


@covers(
    "fuzz-any-request", "fuzz-success-status", "fuzz-refusal-status", "fuzz-known-code", "fuzz-time-bound"
)
@pytest.mark.parametrize("group", GROUPS)
def test_replay(kms, group):
    """Every answer to a request of the corpus keeps the rules of every answer."""
    replay_corpus(kms, group)
