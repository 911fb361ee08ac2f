"""What a run has done when its first request leaves: nothing that can wait."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import clean_environment

_SPY = """
import json, os, sys
from kms_conformance.transport.deadline import DeadlineTransport
def first(self, request):
    print(json.dumps(sorted(sys.modules)), flush=True)
    os._exit(0)
DeadlineTransport.handle_request = first
from kms_conformance.cli import main
main()
"""
_MOST = 1_000
"""Modules that are loaded by then, those of Python and of pytest included."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return the modules that are loaded when the first request of a run leaves."""
    asked = [
        "run",
        "--base-url",
        "http://127.0.0.1:9",
        "--instance",
        "00000000-0000-4000-8000-000000000001",
        "--token",
        "none",
    ]
    folder: Path = tmp_path_factory.mktemp("first")
    ended = subprocess.run(
        [sys.executable, "-c", _SPY, *asked],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return set(json.loads(ended.stdout))


def test_no_case_is_collected_before_the_first_request(loaded: set[str]) -> None:
    """Cases are collected once the endpoint is known to be there."""
    assert [
        name for name in loaded if ".scenarios." in name and name.rpartition(".")[2].startswith("test_")
    ] == []


def test_what_a_fuzzer_needs_is_loaded_later(loaded: set[str]) -> None:
    """Neither the fuzzer's libraries nor the reference are loaded: they take longer than the first answer."""
    assert loaded & {"hypothesis", "schemathesis", "kms_reference.server", "uvicorn", "starlette"} == set()


def test_few_modules(loaded: set[str]) -> None:
    """No more is loaded than the checks before a run need; what a report needs stays bounded."""
    assert "httpx" in loaded
    assert len(loaded) < _MOST
