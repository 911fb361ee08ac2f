"""What to do with a request that nobody has answered: send it again, call it unsure, or let it be judged."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kms_conformance.evidence.exchange import OUTAGE, READS, UNSURE, Exchange
from kms_conformance.transport.outage import (
    TRIES,
    Presence,
    Silences,
    State,
    delay,
    is_away,
    is_lost,
    is_refused,
)
from kms_conformance.transport.request import Request

if TYPE_CHECKING:
    from kms_conformance.target.target import Target

_REFUSALS = 9
"""So often a request is sent again that found no connection, while others find one."""


class Unanswered:
    """Decides for one client; safe between threads.

    ``probe`` is the preflight of the contract: its requests are harmless. ``status_of`` sends one and returns its status, 0
    where no complete answer came; ``was_away`` is called when the endpoint is back. Nothing is done before ``patient``.
    """

    def __init__(
        self,
        target: Target,
        probe: Mapping[str, Any],
        status_of: Callable[[Request], int],
        was_away: Callable[[], None],
    ) -> None:
        self._target, self._probe, self._status_of, self._was_away = target, probe, status_of, was_away
        self._silences = Silences()
        self._last_read: Request | None = None
        self.presence = Presence(target.patience, self._ask)
        self.patient = False

    def look(self, request: Request, exchange: Exchange, begun: float, times: int) -> tuple[Exchange, bool]:
        """Return the exchange, noted as unsure where it says nothing of the endpoint, and whether to send the request again.

        ``begun`` is when it left (seconds since the epoch), ``times`` how often it has left by now.
        """
        answer = exchange.answer
        if not self.patient:
            return exchange, False
        if answer is not None and not is_away(answer.status):
            self._answers(request)
            return exchange, False
        if answer is None and not is_lost(exchange.trouble):
            self.presence.answered()  # by what is wrong, which is judged
            return exchange, False
        again, unsure = self._settle(request, exchange, begun, times)
        if unsure and not again:
            exchange = replace(exchange, notes={**exchange.notes, OUTAGE: UNSURE})
        return exchange, again

    def is_gone(self, status: int, trouble: str, begun: float) -> bool | None:
        """Wait where an answer of other means says that the endpoint may be away; tell whether it is gone for good.

        ``None``: the answer, or its absence in a connection that came about, says no such thing.
        """
        if not self.patient or not (is_lost(trouble) if trouble else is_away(status)):
            return None
        state = self.presence.settle(begun)
        if state is State.BACK:
            self._was_away()
        return state is State.GONE if trouble or state is not State.THERE else None

    def _settle(self, request: Request, exchange: Exchange, begun: float, times: int) -> tuple[bool, bool]:
        """Return whether to send a request again, and whether its silence says nothing."""
        state = self.presence.settle(begun)
        if state is State.GONE:
            return False, True
        if state is State.BACK:
            self._was_away()
        if is_refused(exchange.trouble):
            time.sleep(0 if state is State.BACK else delay(times))
            return times < _REFUSALS, True  # nothing was sent
        if exchange.answer is not None and state is State.THERE:
            return False, False  # a gateway's answer to this one request
        what = _name(request)
        if request.method not in READS:
            return False, not self._silences.counts(what, begun)
        if times < TRIES and not self._silences.never(what):
            time.sleep(delay(times))
            return True, False
        self._silences.counts(what, begun)
        return False, False

    def _answers(self, request: Request) -> None:
        self.presence.answered()
        self._silences.answered(_name(request))
        if request.method in READS:
            self._last_read = request

    def _ask(self) -> int:
        """Send harmless requests until one is answered; return its status, 0 where none was."""
        status = 0
        for request in self._harmless():
            status = self._status_of(request)
            if status and not is_away(status):
                break
        return status

    def _harmless(self) -> list[Request]:
        """Return the requests of the preflight, of two operations where it has two; else the last one that was read."""
        if not self._probe:
            return [self._last_read] if self._last_read is not None else []
        probe = self._probe
        instance = str(uuid.uuid4()) if self._target.fresh else self._target.instance
        headers = {name: value.format(instance=instance) for name, value in probe.get("headers", {}).items()}
        paths = [
            probe[name].format(uuid.uuid4(), instance=instance) for name in ("list", "miss") if name in probe
        ]
        method = str(probe.get("method", "GET"))
        return [Request(method, path, headers=headers, body=probe.get("body")) for path in paths]


def _name(request: Request) -> str:
    return request.operation or f"{request.method} {request.path}"
