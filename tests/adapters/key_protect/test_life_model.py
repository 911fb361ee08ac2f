"""The model of a key's life, against sequences that the sources show."""

from __future__ import annotations

import pytest

from kms_conformance.adapters.key_protect.life_export import case_file, curl_script
from kms_conformance.adapters.key_protect.life_model import Life, after, allowed
from kms_conformance.adapters.key_protect.life_walk import ACTS, KINDS, WAITS

HOUR = 3600.0


def lived(life: Life, *steps: str | float) -> Life:
    """Return a key after steps that succeeded and waits."""
    for step in steps:
        life = life.later(step) if isinstance(step, int | float) else after(life, step, 204)
    return life


@pytest.mark.parametrize(
    ("life", "step", "status", "code"),
    [
        (Life("root"), "wrap", 200, ""),
        (Life("standard"), "wrap", 400, "KEY_ROOT_REQ_ERR"),
        (lived(Life("root"), "disable"), "wrap", 409, "KEY_ACTION_INVALID_STATE_ERR"),
        (lived(Life("root"), "disable"), "enable", 409, "REQ_TOO_EARLY_ERR"),
        (lived(Life("root"), "disable", 40), "enable", 204, ""),
        (lived(Life("root"), "rotate"), "rotate", 409, "KEY_ROTATION_NOT_PERMITTED"),
        (lived(Life("root"), "rotate", HOUR + 5), "rotate", 204, ""),
        (lived(Life("root"), "delete"), "delete", 410, "*"),
        (lived(Life("imported"), "delete"), "restore", 409, "REQ_TOO_EARLY_ERR"),
        (lived(Life("imported"), "delete", 40), "restore", 201, ""),
        (lived(Life("imported"), "delete", 31 * 24 * HOUR), "restore", 400, "KEY_RESTORE_EXPIRED"),
        (lived(Life("root"), "delete"), "purge", 409, "REQ_TOO_EARLY_ERR"),
        (lived(Life("root"), "delete", 5 * HOUR, "purge"), "metadata", 404, "*"),
        (lived(Life("root"), "require_two"), "delete", 409, "AUTHORIZATIONS_NOT_MET"),
        (Life("root"), "set_for_deletion", 409, "NOT_DUAL_AUTH_ERR"),
        (Life("root", expires=10.0, now=2 * HOUR), "wrap", 409, "KEY_ACTION_INVALID_STATE_ERR"),
    ],
)
def test_answer_is_allowed(life: Life, step: str, status: int, code: str) -> None:
    """What the sources show is allowed."""
    assert (status, code) in allowed(life, step)


def test_two_users_delete() -> None:
    """With dual authorisation the second user deletes, the first one does not, and after a week nobody does."""
    life = lived(Life("root"), "require_two", "set_for_deletion")
    assert (204, "") in allowed(life, "delete", "approver")
    assert (204, "") not in allowed(life, "delete", "manager")
    assert (204, "") not in allowed(life.later(8 * 24 * HOUR), "delete", "approver")


def test_refusal_changes_nothing() -> None:
    """A step that was refused leaves the key as it was."""
    life = Life("root")
    assert after(life, "disable", 409) == life


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_can_be_told(kind: str) -> None:
    """Each step has its line in the script and in the case file, and the case file is Python."""
    steps = [*ACTS, *WAITS, "metadata"]
    script = curl_script(kind, steps, "success", "500")
    assert script.count("\n") >= len(steps)
    compile(case_file(kind, steps, "life-cycle-walk", "success"), "case", "exec")
    compile(case_file(kind, steps, "life-cycle-walk", "409 KEY_ACTION_INVALID_STATE_ERR"), "case", "exec")
