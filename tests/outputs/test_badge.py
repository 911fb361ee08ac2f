"""The badge: verdict, edition and day, in an SVG that asks for nothing."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

from kms_conformance.judging.verdict import Run
from kms_conformance.outputs import badge


def test_badge(realistic: Callable[[int, int], Run]) -> None:
    """It is XML, says what it has to, and holds no address but the namespace."""
    text = badge.render(realistic(40, 2))
    words = " ".join(ET.fromstring(text).itertext())
    assert "demo page" in words
    assert "non-conformant 2025-10-09" in words
    assert text.count("http") == 1
