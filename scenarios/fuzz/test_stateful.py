"""Sequences of actions on one key, compared with a model of its states."""

import pytest

from kms_conformance.api import covers, walk


@covers("life-cycle-walk")
@pytest.mark.parametrize("kind", ["root", "imported", "standard", "expiring"])
def test_life(kms, kind):
    """After any sequence of actions and waits, a key answers as its state says."""
    walk(kms, kind)
