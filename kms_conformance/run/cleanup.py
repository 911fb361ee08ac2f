"""What runs have left behind: removed, or put back as it was, by what the journal says.

Called for dead runs at the start of a run and by ``sweep``; for the own run at its end, because an answer that was lost,
a refused deletion or Ctrl-C in the middle of a clean-up leave something; and for what a dead run has changed on a whole
instance, before a case that notes how the instance was.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from http import HTTPStatus

from kms_conformance.contract.contract import Contract
from kms_conformance.errors import SuiteError
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.run.adapter import Adapter
from kms_conformance.run.case import CaseRun
from kms_conformance.run.context import CaseInfo, Context
from kms_conformance.run.journal import JournalEntry
from kms_conformance.run.locks import InstanceLocks
from kms_conformance.system import first_system, named_object

_NO_ANSWERS = 3
"""So many requests in a row without an answer, and nothing more is removed."""


def adapter_of(contract: Contract, view: str = "") -> Callable[[CaseRun], Adapter]:
    """Return the adapter class of the contract's system, or that of the view under which the case runs."""
    adapter: Callable[[CaseRun], Adapter]
    adapter = named_object(contract.system.views)[view] if view else named_object(contract.system.adapter)
    return adapter


def clean_up(case: CaseRun) -> None:
    """Remove what a case has made; a failure to do so leaves it to the journal."""
    if case.context.target.embedded:
        return  # the reference and all it holds end with the run
    try:
        with contextlib.suppress(Exception):
            case.finish()
    except KeyboardInterrupt:
        # Ctrl-C that falls into a clean-up must not cut it short; a second one may.
        with contextlib.suppress(Exception):
            case.finish()
        raise


def abandoned(contexts: Sequence[Context]) -> Iterator[tuple[Context, JournalEntry]]:
    """Yield what dead runs have left, newest first, with the context of the contract that it belongs to."""
    for context in contexts:
        for entry in context.journal.abandoned(context.target.base_url):
            if owner_of(entry) == context.contract.id:
                yield context, entry


def own(contexts: Sequence[Context]) -> Iterator[tuple[Context, JournalEntry]]:
    """Yield what this run has left, newest first."""
    for context in contexts:
        for entry in context.journal.own(context.target.base_url):
            if owner_of(entry) == context.contract.id:
                yield context, entry


def named_like_ours(contexts: Sequence[Context], instance: str) -> Iterator[tuple[Context, JournalEntry]]:
    """Yield what bears a name of the full shape that only this suite gives, whether the journal knows it or not.

    Only the adapters that have ``named_like_ours`` can tell.
    """
    for context in contexts:
        case = CaseRun(
            context, CaseInfo("recovery", "Clean-up", context.contract.id, ()), instance, cleaning=True
        )
        find = getattr(adapter_of(context.contract)(case), "named_like_ours", None)
        living = set(context.journal.living())
        for entry in find() if find is not None else ():
            if entry.run not in living:
                yield context, entry


def put_right(left: Sequence[tuple[Context, JournalEntry]], *, wait: bool = True) -> list[str]:
    """Undo each thing; return a line for each that could not be removed or put back.

    Some services refuse a removal for a documented time (``settles`` of the adapter, in seconds): with ``wait``, what was
    refused is tried once more after that time.
    """
    first = [(context, entry, undo(context, entry)) for context, entry in left]
    again = _tried_again([(context, entry) for context, entry, why in first if why]) if wait else {}
    lines = ((entry, why and again.get(entry.id, why)) for _, entry, why in first)
    return [
        f"{entry.kind} {entry.name or entry.ref} in instance {entry.instance}: {why}"
        for entry, why in lines
        if why
    ]


def _tried_again(refused: Sequence[tuple[Context, JournalEntry]]) -> dict[int, str]:
    """Wait, and undo things once more; return the outcome for each that was waited for."""
    waited: set[tuple[str, str]] = set()
    came: dict[int, str] = {}
    for context, entry in refused:
        seconds = float(getattr(adapter_of(context.contract), "settles", 0.0))
        if not seconds or context.client.silent >= _NO_ANSWERS or seconds > context.target.max_wait:
            continue
        is_real = context.clock.overlaps
        place = (context.contract.id, "" if is_real else entry.instance)
        if place not in waited:
            try:
                # A real clock does not wait any more once the cases are done.
                time.sleep(seconds) if is_real else context.clock.wait(entry.instance, seconds)
            except SuiteError:
                continue
        waited.add(place)
        came[entry.id] = undo(context, entry)
    return came


def put_back_shared(context: Context, instance: str, *, held: bool) -> None:
    """Put back what dead runs have changed on a whole instance; ``held``: the caller holds it alone."""
    for owner, entry in _abandoned_shared(context, instance):
        undo(owner, entry, held=held)


def holds_shared(context: Context, instance: str) -> bool:
    """Tell whether dead runs have changed something on a whole instance that nobody has put back yet."""
    return any(True for _ in _abandoned_shared(context, instance))


def _abandoned_shared(context: Context, instance: str) -> Iterator[tuple[Context, JournalEntry]]:
    for owner, entry in abandoned([context]):
        if entry.instance == instance and _kind(entry) in context.contract.system.shared:
            yield owner, entry


def undo(context: Context, entry: JournalEntry, *, held: bool = False) -> str:
    """Remove a thing or put it back; return why that was not possible, ``""`` when nothing is left of it."""
    if context.client.silent >= _NO_ANSWERS:
        return "the endpoint does not answer"
    info = CaseInfo("recovery", "Clean-up", context.contract.id, ())
    case = CaseRun(context, info, entry.instance, cleaning=True)
    turns = InstanceLocks(
        context.target.base_url, entry.instance, shared=not context.target.fresh and not held
    )
    try:
        with turns.hold(alone=_kind(entry) in context.contract.system.shared):
            done = bool(adapter_of(context.contract)(case).undo(replace(entry, kind=_kind(entry))))
    except SuiteError as error:
        return error.sentence
    except Exception as error:  # noqa: BLE001 - one thing that refused must not keep the others
        return str(error) or type(error).__name__
    if done:
        context.journal.gone(entry.id)
        return ""
    failures = [exchange.outcome for exchange in case.exchanges if not _succeeded(exchange)]
    return f"it is still there ({failures[0]})" if failures else "it is still there"


def _succeeded(exchange: Exchange) -> bool:
    return exchange.answer is not None and exchange.answer.status < HTTPStatus.MULTIPLE_CHOICES


def _kind(entry: JournalEntry) -> str:
    return entry.kind.rpartition(":")[2]


def owner_of(entry: JournalEntry) -> str:
    """Return the system of a thing: ``<system>:<kind>``, or the first one."""
    owner, colon, _ = entry.kind.partition(":")
    return owner if colon else first_system().id
