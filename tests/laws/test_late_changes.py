"""What the sources allow to show late raises no alarm, whether or not the case can wait for it; what never comes does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cases import collected, run_cases
from in_process import reference, without_sockets

from kms_conformance.judging.verdict import RunVerdict

CASE = "key_protect.laws.effects[standard-generated-active]"


def verdict(*, control: bool, **switches: str) -> RunVerdict:
    """Return the verdict of the case on a reference with a defect or a variation, with or without a clock to move."""
    with without_sockets(), reference(**switches) as (target, _):
        chosen = target if control else replace(target, control_url="", max_wait=60.0)
        return run_cases(chosen, {CASE: collected("key_protect")[CASE]}, "key_protect").verdict


@pytest.mark.parametrize("control", [True, False])
@pytest.mark.parametrize("variation", ["removed-aliases-linger", "moves-show-late"])
def test_what_may_be_late(variation: str, *, control: bool) -> None:
    """A move that shows after nine minutes, an alias that is gone after four."""
    assert verdict(control=control, variation=variation) is RunVerdict.CONFORMANT


def test_what_never_comes() -> None:
    """A key that is still in its former ring when the time of a move is over."""
    assert verdict(control=True, defect="key-not-moved") is RunVerdict.NON_CONFORMANT
