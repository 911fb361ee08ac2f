"""What runs have left behind: removed, or put back as it was, by what the journal says.

Called for dead runs at the start of a run and by ``sweep``; for the own run at its end, because an answer that was lost,
a refused deletion or Ctrl-C in the middle of a clean-up leave something; and for what a dead run has changed on a whole
instance, before a case that notes how the instance was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from http import HTTPStatus

from kms_conformance.contract.contract import Contract
from kms_conformance.errors import SuiteError
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.run.adapter import Adapter
from kms_conformance.run.case import CaseRun
from kms_conformance.run.context import CaseInfo, Context
from kms_conformance.run.journal import Thing
from kms_conformance.run.locks import InstanceLocks
from kms_conformance.system import first_system, named_object

_NO_ANSWERS = 3
"""So many requests in a row without an answer, and nothing more is removed."""


def adapter_of(contract: Contract, view: str = "") -> Callable[[CaseRun], Adapter]:
    """Return the adapter class of the contract's system, or the one that asks in another way."""
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


def abandoned(contexts: Sequence[Context]) -> Iterator[tuple[Context, Thing]]:
    """Yield what dead runs have left, newest first, with the context of the contract that it belongs to."""
    for context in contexts:
        for thing in context.journal.abandoned(context.target.base_url):
            if _owner(thing) == context.contract.id:
                yield context, thing


def own(contexts: Sequence[Context]) -> Iterator[tuple[Context, Thing]]:
    """Yield what this run has left, newest first."""
    for context in contexts:
        for thing in context.journal.own(context.target.base_url):
            if _owner(thing) == context.contract.id:
                yield context, thing


def put_right(left: Sequence[tuple[Context, Thing]]) -> list[str]:
    """Undo each thing; return a line for each that resists."""
    lines = ((thing, undo(context, thing)) for context, thing in left)
    return [
        f"{thing.kind} {thing.name or thing.ref} in instance {thing.instance}: {why}"
        for thing, why in lines
        if why
    ]


def put_back_shared(context: Context, instance: str) -> None:
    """Put back what dead runs have changed on a whole instance; the caller holds it alone."""
    for owner, thing in abandoned([context]):
        if thing.instance == instance and _kind(thing) in context.contract.system.shared:
            undo(owner, thing, held=True)


def undo(context: Context, thing: Thing, *, held: bool = False) -> str:
    """Remove a thing or put it back; return why that was not possible, ``""`` when nothing is left of it."""
    if context.client.silent >= _NO_ANSWERS:
        return "the endpoint does not answer"
    info = CaseInfo("recovery", "Clean-up", context.contract.id, ())
    case = CaseRun(context, info, thing.instance, cleaning=True)
    turns = InstanceLocks(
        context.target.base_url, thing.instance, shared=not context.target.fresh and not held
    )
    try:
        with turns.hold(alone=_kind(thing) in context.contract.system.shared):
            done = bool(adapter_of(context.contract)(case).undo(replace(thing, kind=_kind(thing))))
    except SuiteError as error:
        return error.sentence
    except Exception as error:  # noqa: BLE001 - one thing that resists must not keep the others
        return str(error) or type(error).__name__
    if done:
        context.journal.gone(thing.id)
        return ""
    failures = [exchange.outcome for exchange in case.exchanges if not _succeeded(exchange)]
    return f"it is still there ({failures[0]})" if failures else "it is still there"


def _succeeded(exchange: Exchange) -> bool:
    return exchange.answer is not None and exchange.answer.status < HTTPStatus.MULTIPLE_CHOICES


def _kind(thing: Thing) -> str:
    return thing.kind.rpartition(":")[2]


def _owner(thing: Thing) -> str:
    """Return the system of a thing: ``<system>:<kind>``, or the first one."""
    owner, colon, _ = thing.kind.partition(":")
    return owner if colon else first_system().id
