"""The timeline: cases that ran at the same time lie in different lanes."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs import timeline


def case(name: str, started: float, duration: float, waited: float = 0.0) -> CaseResult:
    """Return a case of a time."""
    return CaseResult(
        name, name, "demo", Verdict.PASSED, (), started=started, duration=duration, waited=waited
    )


def test_lanes() -> None:
    """A lane is used again as soon as it is free; a case that did not run has none."""
    cases = [
        case("a", 1, 5),
        case("b", 2, 1),
        case("c", 3, 9),
        case("d", 4, 1),
        case("e", 6, 1),
        case("f", 0, 0),
    ]
    assert [(one.id, lane) for one, lane in timeline.lanes(cases)] == [
        ("a", 0),
        ("b", 1),
        ("c", 1),
        ("d", 2),
        ("e", 0),
    ]


def test_drawing(realistic: Callable[[int, int], Run]) -> None:
    """One path for each verdict, however many cases there are; none for a run without cases."""
    text = timeline.svg(realistic(400, 1))
    assert text.count("<path ") <= 8
    ET.fromstring(text)
    assert timeline.svg(Run(Profile.GATE, (), ())) == ""


def test_waits() -> None:
    """What a case has waited is drawn inside its bar, and never longer than it."""
    text = timeline.svg(Run(Profile.GATE, (case("a", 1, 10, waited=90),), (), started=1, finished=11))
    assert text.count('class="waits"') == 1
    assert "h1000.0" in text
