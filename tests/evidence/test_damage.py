"""Damage to a ciphertext: one letter, wherever it says something."""

from __future__ import annotations

import base64
import json

import pytest

from kms_conformance.evidence.damage import tampered


def inner(text: str) -> bytes:
    """Return what is encrypted."""
    return base64.b64decode(json.loads(base64.b64decode(text))["ciphertext"])


@pytest.mark.parametrize("octets", range(30, 36))
def test_the_end_is_the_very_end(octets: int) -> None:
    """What is changed stands in the last two octets, however the text is padded: a shortened tag would hide it else."""
    parts = {"ciphertext": base64.b64encode(bytes(range(octets))).decode(), "iv": "AAAA", "version": "4.0.0"}
    whole = base64.b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode()
    before, after = inner(whole), inner(tampered(whole, "end"))
    assert len(before) == len(after)
    assert next(place for place in range(octets) if before[place] != after[place]) >= octets - 2
