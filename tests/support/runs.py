"""Runs in this process: the cases as pytest runs them, and the verdict object that comes out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.verdict import Run
from kms_conformance.pytest_plugin.plugin import State
from kms_conformance.run.case import CaseRun
from kms_conformance.run.context import CaseInfo, Context
from kms_conformance.run.options import Options
from kms_conformance.run.session import Session
from kms_conformance.target.target import Target, build_target
from kms_reference.server import Server

GREEN = {Verdict.PASSED, Verdict.WARNED}


class Silent:
    """Takes what the plugin tells a progress display."""

    def start(self, total: int) -> None:
        """Take the number of cases."""

    def case_done(self, results: object) -> None:
        """Take a result."""

    def waiting(self, number: int, until: float) -> None:
        """Take the number of waiting cases."""

    def stop(self) -> None:
        """Take the end."""


def target_of(url: str, token: str = "a-token-of-nobody", **limits: float) -> Target:
    """Return a target whose only identity has a literal token, and where nobody waits."""
    return build_target(
        {
            "base_url": url,
            "instance": "fresh",
            "identities": {"manager": {"token": token}},
            "limits": {"max_wait": 0, "patience": 0.3, **limits},
        },
        {},
    )


def served_target(server: Server, *, control: bool = True, **changes: Any) -> Target:
    """Return the target of a reference in this process, with all its identities."""
    document: dict[str, Any] = {
        "base_url": server.base_url,
        "instance": "fresh",
        "iam": {"url": server.iam_url},
        "identities": {name: {"api_key": key} for name, key in server.api_keys.items()},
        "capabilities": {"import_tokens": True},
    }
    if control:
        document["control"] = {"url": server.control_url}
    return replace(build_target(document, {}), **changes)


def run_cases(
    target: Target | None, *arguments: str, place: str = "", watcher: Silent | None = None, **options: Any
) -> Run:
    """Run the installed cases (or those of a file) without the preflight, and return the verdict object."""
    session = Session(Options(**options), target)
    state = State(lambda: session, options.get("report_dir"), progress_reporter=watcher or Silent())
    quiet = ["-p", "no:terminal", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", os.getcwd(), "-s"]  # noqa: PTH109 - pytest takes text
    where = [place] if place else ["--pyargs", "kms_conformance.scenarios.key_protect"]
    pytest.main([*quiet, "--import-mode=importlib", *arguments, *where], plugins=[state])
    assert state.run is not None
    return state.run


def promised(run: Run) -> list[str]:
    """Return the ids of the cases that are green and cover a MUST."""
    levels: Mapping[str, str] = {
        row_id: row.level for row_id, row in load_contract("key_protect").requirements.items()
    }
    return [
        case.id
        for case in run.cases
        if case.verdict in GREEN and any(levels[row] == "MUST" for row in case.requirements)
    ]


def session_and_context(target: Target) -> tuple[Session, Context]:
    """Return a session on a target and what its cases share."""
    session = Session(Options(), target)
    return session, session.context("key_protect")


def case_of(
    context: Context, *covers: str, instance: str = "00000000-0000-4000-8000-000000000000", **info: Any
) -> CaseRun:
    """Return a case under way."""
    declared = CaseInfo(
        id="tests.case", title="a case", contract="key_protect", covers=covers or ("list-keys",), **info
    )
    return CaseRun(context, declared, instance)


def write_case(folder: Path, text: str, name: str = "test_own") -> Path:
    """Write a module of cases with the fixture that they need beside it; return the module."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "conftest.py").write_text(
        'from kms_conformance.api import case_fixture\n\nkms = case_fixture("key_protect")\n',
        encoding="utf-8",
    )
    path = folder / f"{name}.py"
    path.write_text("import time\n\nfrom kms_conformance.api import *\n\n" + text, encoding="utf-8")
    return path
