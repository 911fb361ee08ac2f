"""What a target declares it lacks is not fuzzed."""

from __future__ import annotations

import pytest

from kms_conformance.adapters.key_protect.fuzz_features import feature_of, features_of, without
from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.corpus import shipped_corpus
from kms_conformance.target.schema import target_schema

DECLARABLE = set(target_schema()["properties"]["capabilities"]["propertyNames"]["enum"])


def test_features_are_what_a_target_can_declare() -> None:
    """Every operation is part of what every endpoint has, or of a capability of the target file."""
    found = {feature_of(operation) for operation in load_contract("key_protect").operations} - {""}
    assert found <= DECLARABLE
    assert found >= {"registrations", "import_tokens", "kmip", "key_rings", "aliases", "instance_policies"}


@pytest.mark.parametrize(
    "feature", ["registrations", "import_tokens", "kmip", "key_rings", "aliases", "dual_auth"]
)
def test_corpus_without_a_feature(feature: str) -> None:
    """Without a feature most requests are left, and none of them names what only the feature can make."""
    corpus = shipped_corpus("key_protect", whole=False)
    assert corpus is not None
    left = [entry for entry in corpus.entries if feature not in features_of(entry)]
    names = {name for entry in left for name in entry.placeholders()}
    assert len(corpus.entries) / 2 < len(left) < len(corpus.entries)
    assert without(names, {feature}) == names
