"""The corpus: thousands of requests that are the same for every endpoint, replayed in seconds."""

import pytest

from kms_conformance.api import covers, replay_corpus

GROUPS = ("keys", "key-actions", "policies", "import-tokens", "registrations", "aliases", "key-rings", "kmip")


@covers(
    "fuzz-any-request", "fuzz-success-status", "fuzz-refusal-status", "fuzz-known-code", "fuzz-time-bound"
)
@pytest.mark.parametrize("group", GROUPS)
def test_replay(kms, group):
    """Whatever the shape of a request, its answer keeps the rules of every answer."""
    replay_corpus(kms, group)
