"""The walk of model and reference against each other: it agrees, and it finds what is broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def model_check(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the tool."""
    command = [sys.executable, "-m", "tools.model_check", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_model_and_reference_agree() -> None:
    """A short walk in each edition ends without a difference."""
    done = model_check("--steps", "400", "--seed", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "edition page: 400 steps" in done.stdout
    assert "edition service: 400 steps" in done.stdout


def test_a_broken_reference_is_told_by_a_short_history() -> None:
    """A planted fault is a difference; its history has been made short."""
    done = model_check("--steps", "3000", "--edition", "page", "--defect", "wrap-on-disabled-key")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "expected 409 KEY_ACTION_INVALID_STATE_ERR" in done.stdout
    steps = [
        line for line in done.stdout.splitlines() if line.lstrip()[:2].rstrip(".").isdigit() and ": " in line
    ]
    assert 2 < len(steps) < 8, done.stdout
