"""Histories drawn: who asked when, and was answered when."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.judging.histories import TimedExchange, lanes
from kms_conformance.outputs import history

BEGIN = 1_800_000_000.0


def seen(operation: str, sent: float, lasted: float, *, answered: bool = True) -> TimedExchange:
    """Return an exchange; sent and lasted are in seconds."""
    return TimedExchange(
        Exchange(
            id=operation,
            case="a case",
            step=operation,
            operation=operation,
            identity="<manager>",
            sent=Sent("POST", "http://kms.example/", "/", {}),
            answer=Received(204, {}),
            started=BEGIN + sent,
            duration=lasted,
        ),
        0.0,
        answered,
    )


HISTORY = [
    seen("createKey", 0.0, 0.25),
    seen("rotateKey", 0.5, 1.0),
    seen("disableKey", 0.75, 0.25),
    seen("deleteKey", 1.25, 9.0, answered=False),
]


def test_lanes_hold_one_request_at_a_time() -> None:
    """Requests that overlap are of different clients; a client that is free asks again."""
    assert lanes(HISTORY) == [1, 1, 2, 2]
    assert lanes([HISTORY[2], HISTORY[1], HISTORY[0]]) == [2, 1, 1]


def test_text_shows_what_overlaps() -> None:
    """Each moment has a column, so a bar that begins under another one overlaps it; one that has no end is open."""
    assert history.text(HISTORY) == [
        "client 1  createKey (<manager>)   |==|                    204, 0.0 to 250.0 ms",
        "client 1  rotateKey (<manager>)         |===========|     204, 500.0 to 1500.0 ms",
        "client 2  disableKey (<manager>)           |==|           204, 750.0 to 1000.0 ms",
        "client 2  deleteKey (<manager>)                  |=====>  not answered yet, 1250.0 ms",
    ]
    assert history.text([]) == []


def test_svg_is_well_formed_and_escaped() -> None:
    """The drawing has a bar for each request, at the places of its moments, and no markup of a server's words."""
    drawn = history.svg(HISTORY)
    root = ET.fromstring(drawn)
    bars = [bar for bar in root.iter() if bar.tag == "rect"]
    assert len(bars) == len(HISTORY)
    ends = [(float(bar.get("x", "")), float(bar.get("x", "")) + float(bar.get("width", ""))) for bar in bars]
    assert ends[0][1] < ends[1][0] < ends[2][0] < ends[2][1] < ends[3][0] < ends[1][1] < ends[3][1]
    assert "<manager>" not in drawn
    assert "style=" not in drawn
    assert history.svg([]) == ""
