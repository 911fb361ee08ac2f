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
            if owner_of(thing) == context.contract.id:
                yield context, thing


def own(contexts: Sequence[Context]) -> Iterator[tuple[Context, Thing]]:
    """Yield what this run has left, newest first."""
    for context in contexts:
        for thing in context.journal.own(context.target.base_url):
            if owner_of(thing) == context.contract.id:
                yield context, thing


def named_like_ours(contexts: Sequence[Context], instance: str) -> Iterator[tuple[Context, Thing]]:
    """Yield what bears a name of the full shape that only this suite gives, whether the journal knows it or not.

    Only the adapters that have ``named_like_ours`` can tell.
    """
    for context in contexts:
        case = CaseRun(
            context, CaseInfo("recovery", "Clean-up", context.contract.id, ()), instance, cleaning=True
        )
        find = getattr(adapter_of(context.contract)(case), "named_like_ours", None)
        living = set(context.journal.living())
        for thing in find() if find is not None else ():
            if thing.run not in living:
                yield context, thing


def put_right(left: Sequence[tuple[Context, Thing]], *, wait: bool = True) -> list[str]:
    """Undo each thing; return a line for each that resists.

    What resists may yield after a documented while (``settles`` of the adapter, in seconds), so it is tried once more then if there is time to ``wait``.
    """
    first = [(context, thing, undo(context, thing)) for context, thing in left]
    again = _after_a_while([(context, thing) for context, thing, why in first if why]) if wait else {}
    lines = ((thing, why and again.get(thing.id, why)) for _, thing, why in first)
    return [
        f"{thing.kind} {thing.name or thing.ref} in instance {thing.instance}: {why}"
        for thing, why in lines
        if why
    ]


def _after_a_while(resists: Sequence[tuple[Context, Thing]]) -> dict[int, str]:
    """Wait, and undo things once more; return what came of those for which there was a wait."""
    waited: set[tuple[str, str]] = set()
    came: dict[int, str] = {}
    for context, thing in resists:
        seconds = float(getattr(adapter_of(context.contract), "settles", 0.0))
        if not seconds or context.client.silent >= _NO_ANSWERS or seconds > context.target.max_wait:
            continue
        is_real = context.clock.overlaps
        place = (context.contract.id, "" if is_real else thing.instance)
        if place not in waited:
            try:
                # A real clock does not wait any more once the cases are done.
                time.sleep(seconds) if is_real else context.clock.wait(thing.instance, seconds)
            except SuiteError:
                continue
        waited.add(place)
        came[thing.id] = undo(context, thing)
    return came


def put_back_shared(context: Context, instance: str, *, held: bool) -> None:
    """Put back what dead runs have changed on a whole instance; ``held``: the caller holds it alone."""
    for owner, thing in _abandoned_shared(context, instance):
        undo(owner, thing, held=held)


def holds_shared(context: Context, instance: str) -> bool:
    """Tell whether dead runs have changed something on a whole instance that nobody has put back yet."""
    return any(True for _ in _abandoned_shared(context, instance))


def _abandoned_shared(context: Context, instance: str) -> Iterator[tuple[Context, Thing]]:
    for owner, thing in abandoned([context]):
        if thing.instance == instance and _kind(thing) in context.contract.system.shared:
            yield owner, thing


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


def owner_of(thing: Thing) -> str:
    """Return the system of a thing: ``<system>:<kind>``, or the first one."""
    owner, colon, _ = thing.kind.partition(":")
    return owner if colon else first_system().id
