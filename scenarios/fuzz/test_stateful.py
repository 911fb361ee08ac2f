"""Walks through a key's life, held against a model of it."""

import pytest

from kms_conformance.api import covers, walk


@covers("life-cycle-walk")
@pytest.mark.parametrize("kind", ["root", "imported", "standard", "expiring"])
def test_life(kms, kind):
    """After any sequence of actions and waits, a key answers as its state says."""
    walk(kms, kind)
