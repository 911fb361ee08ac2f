"""Waits that a case has reckoned from a clock: judged again they are the recorded ones, as far as clocks agree."""

from __future__ import annotations

import pytest

from kms_conformance.verification.replay_client import ReplayClient


def client() -> ReplayClient:
    """Return as much of a client as compares notes."""
    made = ReplayClient.__new__(ReplayClient)
    made.reckoned = 0.0
    return made


def test_a_wait_until_a_moment_is_the_recorded_one() -> None:
    """The case reckons with the clock as it is when it is judged; by how much it is off, is counted."""
    recorded = [["wait", 3588.2], ["damage", "end"], ["wait", 31.0]]
    one = client()
    assert one._with_waits_of(recorded, [["wait", 3588.9], ["damage", "end"], ["wait", 30.5]]) == recorded
    assert one.reckoned == pytest.approx(1.2)


@pytest.mark.parametrize("notes", [[["wait", 3602.0]], [["damage", "end"]], []])
def test_another_wait_is_none(notes: list[list[object]]) -> None:
    """What is off by more than clocks are, is another wait, and so is anything else."""
    one = client()
    assert one._with_waits_of([["wait", 3588.2]], notes) == notes
    assert one.reckoned == 0.0
