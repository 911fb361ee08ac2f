"""The walks through a key's life: every step has an operation of the shared model, and can be told."""

from __future__ import annotations

import pytest

from kms_conformance.adapters.key_protect.life_export import case_file, curl_script
from kms_conformance.adapters.key_protect.life_walk import ACTS, KINDS, OPERATIONS, WAITS
from kms_conformance.adapters.key_protect.model import OPERATIONS as KNOWN


def test_every_act_is_an_operation_of_the_model() -> None:
    """Each act, by whichever user, is one of the operations that the shared model knows."""
    assert {act.removesuffix(" as approver") for act in ACTS} == set(OPERATIONS)
    assert set(OPERATIONS.values()) <= set(KNOWN)


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_can_be_told(kind: str) -> None:
    """Each step has its line in the script and in the case file, and the case file is Python."""
    steps = [*ACTS, *WAITS, "metadata"]
    script = curl_script(kind, steps, "success", "500")
    assert script.count("\n") >= len(steps)
    compile(case_file(kind, steps, "life-cycle-walk", "success"), "case", "exec")
    compile(case_file(kind, steps, "life-cycle-walk", "409 KEY_ACTION_INVALID_STATE_ERR"), "case", "exec")
