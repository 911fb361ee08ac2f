"""Adapters: a system's documented requests as methods, and the steps by which all of them keep the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from kms_conformance.system import first_system
from kms_conformance.transport.client import Request

if TYPE_CHECKING:
    from kms_conformance.evidence.exchange import JSON
    from kms_conformance.run.answer import Answer
    from kms_conformance.run.case import CaseRun
    from kms_conformance.run.journal import JournalEntry

GONE = frozenset({404, 410})
"""Statuses of a thing that is not there any more."""
_FAULT = 500


class Adapter(Protocol):
    """What the engine needs of an adapter; which methods cases call, each system decides.

    An adapter may also have ``server_now() -> datetime``, the date by the endpoint's own clock: with it, cases that wait
    longer than a run may are begun in one nightly run and finished in a later one.
    """

    case: CaseRun

    def undo(self, entry: JournalEntry) -> bool:
        """Remove or put back what a row of the journal describes; return whether nothing is left of it."""


class SystemAdapter:
    """Base of adapters: it sends requests, and writes what they make to the journal before they leave.

    A request that makes something goes through three steps: a row says what is intended; the answer confirms the row with
    the thing's reference, or deletes it where the thing was refused; the removal of the thing closes the row. After
    no answer, or a server error, nobody knows whether it was made: the row stays, and a later run looks for the thing. :meth:`creates` takes all steps;
    the single ones are for requests that make several things, and for changes that are put back.
    """

    def __init__(self, case: CaseRun) -> None:
        self.case = case

    # --- requests -------------------------------------------------------------------------------------------------

    def send(
        self,
        method: str,
        path: str,
        body: JSON = None,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        raw: bytes | None = None,
        identity: str = "",
        token: str | None = "",
        base_url: str = "",
        step: str = "",
    ) -> Answer:
        """Send a request; its operation follows from the contract. See :class:`Request` for the arguments."""
        sent = dict(headers or {})
        if body is not None or raw is not None:
            sent.setdefault("content-type", "application/json")
        operation = self.case.context.contract.operation_of(method, path, sent, body)
        return self.case.send(
            Request(
                method=method,
                path=path,
                headers=sent,
                params=params or {},
                body=body,
                raw=raw,
                identity=identity,
                token=token,
                base_url=base_url,
                operation=operation,
                step=step or operation or f"{method} {path}",
            )
        )

    # --- the journal ----------------------------------------------------------------------------------------------

    def creates(
        self,
        kind: str,
        name: str,
        send: Callable[[], Answer],
        *,
        ref: str | Callable[[Answer], str],
        remove: Callable[[str], object],
        known: str = "",
    ) -> Answer:
        """Send the request that makes a thing, journalled before it leaves.

        ``ref`` is what :meth:`undo` needs to find the thing, or how the answer says it; ``known`` is a reference that is
        there beforehand. ``remove`` is called with the reference when the case ends, unless :meth:`forget` was called.
        """
        row = self.intend(kind, name, ref=known)
        answer = send()
        if answer.ok:
            self.confirm(row, ref if isinstance(ref, str) else ref(answer), remove)
        elif was_refused(answer):
            self.strike(row)
        return answer

    def intend(self, kind: str, name: str, ref: str = "", detail: str = "") -> int:
        """Write down what is about to be made or changed; return the row's number."""
        context = self.case.context
        return context.journal.intend(
            context.target.base_url, self.case.instance, self._kind(kind), name, ref=ref, detail=detail
        )

    def confirm(self, row: int, ref: str, remove: Callable[[str], object]) -> None:
        """Write down that the thing is there, and remove it when the case ends."""
        self.case.context.journal.created(row, ref)
        self.keep(row, ref, remove)

    def keep(self, row: int, ref: str, remove: Callable[[str], object]) -> None:
        """Call ``remove`` with a reference when the case ends, unless :meth:`forget` was called before."""
        self.case.own_things[ref] = row

        def clean_up() -> None:
            if ref in self.case.own_things:
                remove(ref)

        self.case.clean_up.append(clean_up)

    def strike(self, row: int) -> None:
        """Write down that a thing was refused, so that nothing was made."""
        self.case.context.journal.refused(row)

    def forget(self, ref: str) -> None:
        """Write down that a thing is not there any more, or that a change was put back."""
        row = self.case.own_things.pop(ref, None)
        if row is not None:
            self.case.context.journal.gone(row)

    def _kind(self, kind: str) -> str:
        """Return a kind as the journal has it: it names the system, unless that is the first one."""
        system = self.case.context.contract.id
        return kind if system == first_system().id else f"{system}:{kind}"


def was_refused(answer: Answer) -> bool:
    """Tell whether an answer means that nothing was made: after no answer or a server error that is unknown."""
    return answer.reply is not None and not answer.ok and answer.status < _FAULT
