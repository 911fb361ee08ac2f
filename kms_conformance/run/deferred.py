"""Deferred cases: those that wait longer than a run, begun in one run and finished in a later one."""

from __future__ import annotations

import os
import threading
import uuid
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from typing import Any

from kms_conformance.judging.verdict import Profile
from kms_conformance.run.case import CaseRun
from kms_conformance.run.cleanup import adapter_of, clean_up
from kms_conformance.run.clock import RealClock
from kms_conformance.run.journal import DeferredCase
from kms_conformance.run.locks import InstanceLocks
from kms_conformance.run.outcomes import NotTested
from kms_conformance.run.recording import Cipher, OtherKeyError, Recording, StaleError, begin
from kms_conformance.target.target import Target

LOST = "the deferred case is lost, the next nightly run begins it anew"


class DeferredCases:
    """Begins and finishes deferred cases; only the nightly profile begins any."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._cipher: Cipher | None = None
        self._lock = threading.Lock()

    def lock(self, case: CaseRun) -> AbstractContextManager[None]:
        """Hold a case that may be deferred: two runs with one journal must not both begin or finish it."""
        place = str(case.context.journal.path)
        return InstanceLocks(place, case.info.id, shared=_can_be_deferred(case)).hold(alone=True)

    def take_up(self, case: CaseRun, system: Any) -> None:
        """Give a case that waits too long for one run its recording: a new one, or that of an earlier run.

        Raises :class:`NotTested` when the case is deferred and not yet due.
        """
        context, info = case.context, case.info
        journal, target = context.journal, context.target
        if not _can_be_deferred(case) or not hasattr(system, "server_now"):
            return
        deferred = [
            entry
            for entry in journal.deferred(target.base_url, info.id)
            if target.fresh or entry.instance == case.instance
        ]
        for entry in deferred:
            if not entry.due:
                # A run was killed before the case's wait; what it had made is swept.
                journal.forget_deferred(entry.id)
        waiting = [entry for entry in deferred if entry.due]
        if waiting:
            self._load(case, waiting[0])
        if case.recording is None:
            if self._profile is not Profile.NIGHTLY:
                return
            cipher, run = self._journal_cipher(target), f"{context.run}-{uuid.uuid4().hex[:6]}"
            case.recording = begin(
                journal, cipher, info.id, base_url=target.base_url, instance=case.instance, run=run
            )
        run = case.recording.case.run
        case.context = replace(context, run=run, journal=journal.tagged(run))
        case.server_now = system.server_now

    def _load(self, case: CaseRun, entry: DeferredCase) -> None:
        """Give a case the recording of an earlier run; does nothing where it is lost and the case may start again."""
        journal = case.context.journal
        cipher = self._journal_cipher(case.context.target)
        case.instance = entry.instance
        _demand_due(case, entry.due)
        try:
            case.recording = Recording.load(journal, entry, cipher)
        except OtherKeyError as error:
            raise NotTested(f"the deferred case cannot be finished: {error}") from None
        except StaleError as error:
            journal.forget_deferred(entry.id)  # what it had made is swept
            if self._profile is not Profile.NIGHTLY:
                raise NotTested(f"{LOST}: {error}") from None

    def _journal_cipher(self, target: Target) -> Cipher:
        """Return what encrypts the journal; its key comes from a secret that the operator has on every machine."""
        principal = target.principal
        secret = os.environ.get("KMS_JOURNAL_KEY") or (principal.api_key if principal else None)
        if not secret:
            raise NotTested(
                "give KMS_JOURNAL_KEY, or an API key instead of a token: the journal is encrypted under it"
            )
        with self._lock:
            if self._cipher is None:
                self._cipher = Cipher(str(secret))
            return self._cipher


def _demand_due(case: CaseRun, due: str) -> None:
    """Ask the server for its date; raise :class:`NotTested` when a deferred case is not yet due."""
    probe = CaseRun(case.context, case.info, case.instance)
    try:
        system: Any = adapter_of(case.context.contract)(probe)
        now = system.server_now()
    finally:
        clean_up(probe)
    if now < datetime.fromisoformat(due):
        raise NotTested(f"due {datetime.fromisoformat(due):%Y-%m-%d}")


def _can_be_deferred(case: CaseRun) -> bool:
    """Tell whether a case waits longer than a run may, and leaves nothing that cannot stay for days."""
    context, info = case.context, case.info
    return (
        type(context.clock) is RealClock
        and info.waits > context.target.max_wait
        and set(info.impact) <= context.contract.system.impacts_that("may_stay")
        and context.journal.path is not None
    )
