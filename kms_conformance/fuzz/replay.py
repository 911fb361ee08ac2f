"""The corpus tier: the requests of a corpus, filled in, sent many at a time, and every answer judged.

Only findings become evidence. A finding is one row, one operation and one cause, however often it was met; the request
that shows it is made as small as it can be while it still does, and is kept with its exchange and a curl line.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from kms_conformance.contract.corpus import Entry
from kms_conformance.fuzz.requests import Aim, Key, Shot, Supply
from kms_conformance.fuzz.shrink import smallest
from kms_conformance.judging.results import Finding
from kms_conformance.run.outcomes import NotApplicable, NotTested
from kms_conformance.transport.outage import TRIES, delay
from kms_conformance.transport.pipeline import Flight, Landed, Outgoing, Single, in_flight
from kms_conformance.transport.retry import IN_A_ROW, from_gateway

if TYPE_CHECKING:
    from kms_conformance.run.case import CaseRun

MOST_FINDINGS = 40
"""Findings that one case reports; what goes beyond is counted."""
_TRIES, _ALL_TRIES = 40, 400


@dataclass(slots=True)
class Found:
    """A finding and the request that shows it; ``times`` is how often it was met."""

    finding: Finding
    shot: Shot
    landed: Landed
    times: int = 1


@dataclass(slots=True)
class Tally:
    """What a replay has seen. ``left_out`` requests may not go to this target."""

    sent: int = 0
    succeeded: int = 0
    left_out: int = 0
    found: dict[Key, Found] = field(default_factory=dict)
    stopped: str = ""


@dataclass(slots=True)
class _Job:
    entry: Entry
    shot: Shot | None = None


class Replay:
    """One case's replay. ``connections`` requests are under way at a time, by default as many as keep the line full."""

    def __init__(self, case: CaseRun, supply: Supply, connections: int | None = None) -> None:
        self.case, self.supply = case, supply
        self.tally = Tally()
        self._aim = Aim(case, supply)
        self._target, self._client = case.context.target, case.context.client
        self._connections = connections or in_flight(
            self._client.round_trip, self._target.requests_per_second
        )
        self._lost: list[tuple[Shot, Landed]] = []
        self._gun = Single(
            self._target.base_url, self._target.timeout, self._client.take_turn, self._client.traffic.waits
        )
        self._tries = _ALL_TRIES

    def run(self, entries: Sequence[Entry]) -> Tally:
        """Replay requests, make what was found small, and hand it to the case.

        Raises :class:`NotTested` when the endpoint stopped answering before anything was found, and
        :class:`NotApplicable` when the target lacks what all of them are about.
        """
        lacking = {self.supply.lacks(entry.operation) for entry in entries}
        if lacking and "" not in lacking:
            raise NotApplicable(f"the target declares capabilities.{min(lacking)} = false")
        barred = [self.supply.barred(entry) for entry in entries]
        allowed = [entry for entry, why in zip(entries, barred, strict=True) if not why]
        self.tally.left_out = len(entries) - len(allowed)
        self.supply.stock({name for entry in allowed for name in entry.placeholders()})
        self._aim.tidy()
        try:
            self._fly(allowed)
            self._ask_again()
            self._report()
        finally:
            self._gun.close()
        self.case.checks_not_kept += self.tally.sent
        if not allowed:
            needs = " or ".join(sorted(set(barred)))
            raise NotTested(f"no request of the corpus may go to this target; needs {needs}")
        if self.tally.stopped:
            raise NotTested(self.tally.stopped)
        return self.tally

    # --- sending ---------------------------------------------------------------------------------------------------

    def _fly(self, entries: Sequence[Entry]) -> None:
        flight: Flight[_Job] = Flight(
            self._target.base_url, self._target.timeout, self._connections, self._client.traffic.waits
        )
        turn = self._turn if self._target.requests_per_second else self._unlimited
        flight.run((_Job(entry) for entry in entries), self._write, self._landed, turn)

    async def _turn(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._client.take_turn)

    async def _unlimited(self) -> None:
        self._client.take_turn()

    def _write(self, job: _Job) -> Outgoing:
        job.shot = shot = self._aim.fill(job.entry)
        self.supply.leaving(shot)
        return shot.outgoing

    def _landed(self, job: _Job, landed: Landed) -> bool:
        assert job.shot is not None
        gone = self._client.unanswered.is_gone(landed.status, landed.trouble, time.time() - landed.duration)
        if gone is not None:
            self._lost.append((job.shot, landed))
            self.supply.landed(job.shot, 0, None)
            if gone:
                self.tally.stopped = "the endpoint went away"
            return not self.tally.stopped
        self._sort(job.shot, landed)
        if self.case.context.stopping.is_set():
            self.tally.stopped = "the run was stopped during this case"
        return not self.tally.stopped

    def _sort(self, shot: Shot, landed: Landed) -> None:
        """Take in an answer and keep what is wrong with it."""
        for key, finding in self._take(shot, landed).items():
            known = self.tally.found.get(key)
            if known is None:
                self.tally.found[key] = Found(finding, shot, landed)
            else:
                known.times += 1

    def _ask_again(self) -> None:
        """Send again what nobody has answered; what is never answered, although the endpoint is there, is judged as it is."""
        never: Counter[str] = Counter()
        for shot, first in self._lost:
            if self.tally.stopped:
                return
            name, landed = shot.operation or shot.entry.operation, first
            for tried in range(1, TRIES):
                if never[name] >= TRIES:
                    break
                time.sleep(delay(tried))
                self.supply.leaving(shot)
                begun = time.time()
                landed = self._gun.ask(shot.outgoing)
                gone = self._client.unanswered.is_gone(landed.status, landed.trouble, begun)
                if gone:
                    self.tally.stopped = "the endpoint went away"
                    return
                if gone is None:
                    break
            never[name] = never[name] + 1 if landed.trouble else 0
            self._sort(shot, landed)

    def _take(self, shot: Shot, landed: Landed) -> dict[Key, Finding]:
        """Take in an answer and return what is wrong with it."""
        self.tally.sent += 1
        self.case.context.client.count()
        self.tally.succeeded += HTTPStatus.OK <= landed.status < HTTPStatus.MULTIPLE_CHOICES
        self.supply.landed(shot, landed.status, self._aim.body_of(landed), again=landed.again)
        return self._aim.judge(shot, landed)

    # --- what was found --------------------------------------------------------------------------------------------

    def _report(self) -> None:
        # Equal inputs must give equal reports, whatever order the answers came in.
        ordered = sorted(self.tally.found.items(), key=lambda item: (-item[1].finding.severity.rank, item[0]))
        if not ordered:
            return
        for key, found in ordered[:MOST_FINDINGS]:
            if self._gone_again(self._gun, key, found):
                continue
            shot, landed = self._smallest(self._gun, key, found)
            times = f"{found.times} times" if found.times > 1 else "once"
            self._aim.report(shot, landed, key, f"corpus request {found.shot.entry.id}, {times}")

    def _gone_again(self, gun: Single, key: Key, found: Found) -> bool:
        """Tell whether what was found is an answer of a gateway (E71) that does not come three times in a row."""
        if not from_gateway(found.landed.status, found.landed.content):
            return False
        for _ in range(IN_A_ROW - 1):
            self.supply.leaving(found.shot)
            if key not in self._take(found.shot, gun.ask(found.shot.outgoing)):
                return True
        return False

    def _smallest(self, gun: Single, key: Key, found: Found) -> tuple[Shot, Landed]:
        """Return the smallest request that still shows a finding, and its answer; or what was seen first."""
        best = (found.shot, found.landed)
        if found.landed.trouble or self.tally.stopped:
            return best

        def shows(shot: Shot) -> bool:
            nonlocal best
            self._tries -= 1
            if self._tries < 0:
                return False
            self.supply.leaving(shot)
            landed = gun.ask(shot.outgoing)
            shown = key in self._take(shot, landed)
            if shown:
                best = (shot, landed)
            return shown

        if shows(found.shot):
            smallest(self._aim, found.shot, shows, _TRIES)
        return best
