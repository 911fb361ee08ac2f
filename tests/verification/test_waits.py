"""Waits that a case has reckoned from a clock: judged again they are the recorded ones, as far as clocks agree."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from kms_conformance.verification.replay_client import ReplayClient

RECORDED = [["wait", 3588.2], ["damage", "end"], ["wait", 31.0]]


def client(recorded: list[Any], *, noted: int = 0) -> ReplayClient:
    """Return as much of a client as knows the next exchange, after which ``noted`` things were done already."""
    made = ReplayClient.__new__(ReplayClient)
    made.left = [SimpleNamespace(notes={"before": json.dumps(recorded)})] if recorded else []  # type: ignore[list-item]
    made._between = threading.local()
    made._between.notes = RECORDED[:noted]
    return made


@pytest.mark.parametrize(("noted", "reckoned", "waited"), [(0, 3588.9, 3588.2), (2, 30.5, 31.0)])
def test_a_wait_until_a_moment_is_the_recorded_one(noted: int, reckoned: float, waited: float) -> None:
    """The case reckons with the clock as it is when it is judged, and waits as long as it did."""
    assert client(RECORDED, noted=noted).wait_of_record(reckoned) == waited


@pytest.mark.parametrize(("noted", "reckoned"), [(0, 3602.0), (1, 3588.2), (3, 31.0)])
def test_another_wait_is_none(noted: int, reckoned: float) -> None:
    """What is off by more than clocks are, is another wait, and so is one where something else was done, or nothing."""
    assert client(RECORDED, noted=noted).wait_of_record(reckoned) == reckoned


def test_no_record_is_left() -> None:
    """A wait after the last exchange is the case's own."""
    assert client([]).wait_of_record(5.0) == 5.0
