"""A target that is one shared instance of the reference, and sessions on it."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from kms_conformance.judging.results import CaseResult
from kms_conformance.run.case import CaseRun
from kms_conformance.run.cleanup import adapter_of
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.options import Options
from kms_conformance.run.session import Session
from kms_conformance.target.target import Target, build_target
from kms_reference.server import Server
from kms_reference.target import target_text

# Where the cases are collected: shared with the proofs.
sys.path.append(str(Path(__file__).resolve().parents[1] / "proof"))

INFO = CaseInfo("key_protect.made.up", "A case made up for a test", "key_protect", ("list-keys",), waits=1e9)


@dataclass
class Instance:
    """One instance of the reference that all cases share, as an operator's staging instance is."""

    server: Server
    target: Target
    journal: Path

    def session(self) -> Session:
        """Return a new session with the same journal."""
        return Session(Options(journal=self.journal), self.target)

    def run(self, session: Session, body: Callable[[Any], None]) -> CaseResult:
        """Run a made-up case."""
        return session.run_case(session.open(INFO), body)

    def abandon(self, session: Session, body: Callable[[Any], None]) -> None:
        """Run a made-up case and end the session without any clean-up, as ``kill -9`` does."""
        body(self.system(session))
        session.close()

    def system(self, session: Session) -> Any:
        """Return the ``kms`` of a case that nobody cleans up."""
        context = session.context("key_protect")
        return adapter_of(context.contract)(CaseRun(context, INFO, self.target.instance))


@pytest.fixture
def instance(reference: Server, tmp_path: Path) -> Instance:
    """Return a shared instance with nothing in it."""
    document = tomllib.loads(target_text(reference).replace('"fresh"', f'"{uuid4()}"'))
    return Instance(reference, build_target(document, {}, "a test"), tmp_path / "journal.sqlite")


@pytest.fixture
def session(instance: Instance) -> Iterator[Session]:
    """Return a session on the shared instance."""
    started = instance.session()
    yield started
    started.close()
