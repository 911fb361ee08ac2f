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
from kms_conformance.evidence import steady_clock
from kms_conformance.fuzz.checks import TIME_BOUND
from kms_conformance.fuzz.requests import CaseFuzzer, FilledRequest, FuzzFixtures, Key
from kms_conformance.fuzz.shrink import smallest
from kms_conformance.judging.results import Finding
from kms_conformance.run.eligibility import held_back
from kms_conformance.run.outcomes import NotApplicable, NotTested
from kms_conformance.target.target import FULL
from kms_conformance.transport.outage import TRIES, delay
from kms_conformance.transport.pipeline import Outgoing, ParallelSender, SendResult, SerialSender, in_flight
from kms_conformance.transport.retry import IN_A_ROW, from_gateway

if TYPE_CHECKING:
    from kms_conformance.run.case import CaseRun

MOST_FINDINGS = 40
"""Findings that one case reports; further ones are counted."""
_TRIES, _ALL_TRIES = 40, 400


@dataclass(slots=True)
class Counterexample:
    """A finding and the request that shows it; ``times`` is how often it was met."""

    finding: Finding
    request: FilledRequest
    result: SendResult
    times: int = 1


@dataclass(slots=True)
class Tally:
    """What a replay has seen. ``left_out`` requests may not go to this target."""

    sent: int = 0
    succeeded: int = 0
    left_out: int = 0
    found: dict[Key, Counterexample] = field(default_factory=dict)
    stopped: str = ""


@dataclass(slots=True)
class _Job:
    entry: Entry
    request: FilledRequest | None = None


class Replay:
    """One case's replay. ``connections`` requests are under way at a time, by default as many as keep the line full."""

    def __init__(self, case: CaseRun, fixtures: FuzzFixtures, connections: int | None = None) -> None:
        self.case, self.fixtures = case, fixtures
        self.tally = Tally()
        self._fuzzer = CaseFuzzer(case, fixtures)
        self._target, self._client = case.context.target, case.context.client
        self._connections = connections or in_flight(
            self._client.round_trip, self._target.requests_per_second
        )
        self._lost: list[tuple[FilledRequest, SendResult]] = []
        self._sender = SerialSender(
            self._target.base_url,
            self._target.timeout,
            self._client.take_turn,
            self._client.traffic.waits,
            self._target.connection,
        )
        self._tries = _ALL_TRIES

    def run(self, entries: Sequence[Entry]) -> Tally:
        """Replay requests, make what was found small, and hand it to the case.

        Raises :class:`NotTested` when the endpoint stopped answering before anything was found, and
        :class:`NotApplicable` when the target lacks what all of them are about.
        """
        lacking = {self.fixtures.missing_capability(entry.operation) for entry in entries}
        if lacking and "" not in lacking:
            raise NotApplicable(f"the target declares capabilities.{min(lacking)} = false")
        missing_permission = [
            self.fixtures.missing_permission(entry) or self._held_back(entry) for entry in entries
        ]
        allowed = [entry for entry, why in zip(entries, missing_permission, strict=True) if not why]
        self.tally.left_out = len(entries) - len(allowed)
        self.fixtures.prepare({name for entry in allowed for name in entry.placeholders()})
        self._fuzzer.tidy()
        try:
            self._send_all(allowed)
            self._ask_again()
            self._report()
        finally:
            self._sender.close()
        self.case.checks_not_kept += self.tally.sent
        if not allowed:
            needs = " or ".join(sorted(set(missing_permission)))
            raise NotTested(f"no request of the corpus may go to this target; needs {needs}")
        if self.tally.stopped:
            raise NotTested(self.tally.stopped)
        return self.tally

    def _held_back(self, entry: Entry) -> str:
        return f"--mode {FULL}" if held_back(entry.method, entry.operation, self._target) else ""

    # --- sending ---------------------------------------------------------------------------------------------------

    def _send_all(self, entries: Sequence[Entry]) -> None:
        sender: ParallelSender[_Job] = ParallelSender(
            self._target.base_url,
            self._target.timeout,
            self._connections,
            self._client.traffic.waits,
            self._target.connection,
        )
        turn = self._turn if self._target.requests_per_second else self._unlimited
        sender.run((_Job(entry) for entry in entries), self._write, self._on_result, turn)

    async def _turn(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._client.take_turn)

    async def _unlimited(self) -> None:
        self._client.take_turn()

    def _write(self, job: _Job) -> Outgoing:
        job.request = request = self._fuzzer.fill(job.entry)
        self.fixtures.before_sending(request)
        return request.outgoing

    def _on_result(self, job: _Job, result: SendResult) -> bool:
        assert job.request is not None
        gone = self._client.unanswered.is_gone(
            result.status, result.trouble, steady_clock.now() - result.duration
        )
        if gone is not None:
            self._lost.append((job.request, result))
            self.fixtures.after_answer(job.request, 0, None)
            if gone:
                self.tally.stopped = "the endpoint went away"
            return not self.tally.stopped
        self._sort(job.request, result)
        if self.case.context.stopping.is_set():
            self.tally.stopped = "the run was stopped during this case"
        return not self.tally.stopped

    def _sort(self, request: FilledRequest, result: SendResult) -> None:
        """Judge an answer and keep its findings."""
        for key, finding in self._take(request, result).items():
            earlier = self.tally.found.get(key)
            if earlier is None:
                self.tally.found[key] = Counterexample(finding, request, result)
            else:
                earlier.times += 1

    def _ask_again(self) -> None:
        """Send again what nobody has answered; what is never answered, although the endpoint is there, is judged as it is."""
        never: Counter[str] = Counter()
        for request, first in self._lost:
            if self.tally.stopped:
                return
            name, result = request.operation or request.entry.operation, first
            for tried in range(1, TRIES):
                if never[name] >= TRIES:
                    break
                time.sleep(delay(tried))
                self.fixtures.before_sending(request)
                begun = steady_clock.now()
                result = self._sender.ask(request.outgoing)
                gone = self._client.unanswered.is_gone(result.status, result.trouble, begun)
                if gone:
                    self.tally.stopped = "the endpoint went away"
                    return
                if gone is None:
                    break
            never[name] = never[name] + 1 if result.trouble else 0
            self._sort(request, result)

    def _take(self, request: FilledRequest, result: SendResult) -> dict[Key, Finding]:
        """Take in an answer and return what is wrong with it."""
        self.tally.sent += 1
        client = self.case.context.client
        client.count()
        # Whatever else it has taken, it was awaited together with all those that were under way.
        client.traffic.answered(min(result.duration, client.round_trip) / self._connections)
        self.tally.succeeded += HTTPStatus.OK <= result.status < HTTPStatus.MULTIPLE_CHOICES
        self.fixtures.after_answer(request, result.status, self._fuzzer.body_of(result), again=result.again)
        return self._fuzzer.judge(request, result)

    # --- what was found --------------------------------------------------------------------------------------------

    def _report(self) -> None:
        # Equal inputs must give equal reports, whatever order the answers came in.
        ordered = sorted(self.tally.found.items(), key=lambda item: (-item[1].finding.severity.rank, item[0]))
        if not ordered:
            return
        for key, example in ordered[:MOST_FINDINGS]:
            if self._is_passing_outage(self._sender, key, example) or self._is_in_time_alone(key, example):
                continue
            request, result = self._smallest(self._sender, key, example)
            times = f"{example.times} times" if example.times > 1 else "once"
            self._fuzzer.report(request, result, key, f"corpus request {example.request.entry.id}, {times}")

    def _is_passing_outage(self, sender: SerialSender, key: Key, example: Counterexample) -> bool:
        """Tell whether what was found is an answer of a gateway (E71) that does not come three times in a row."""
        if not from_gateway(example.result.status, example.result.content):
            return False
        for _ in range(IN_A_ROW - 1):
            self.fixtures.before_sending(example.request)
            if key not in self._take(example.request, sender.ask(example.request.outgoing)):
                return True
        return False

    def _is_in_time_alone(self, key: Key, example: Counterexample) -> bool:
        """Tell whether an answer that came late comes in time where its request is sent alone.

        What many requests at once wait for may be our own machine, the way, or each other.
        """
        if example.finding.requirement != TIME_BOUND:
            return False
        for _ in range(TRIES):
            self.fixtures.before_sending(example.request)
            if key not in self._take(example.request, self._sender.ask(example.request.outgoing)):
                return True
        return False

    def _smallest(
        self, sender: SerialSender, key: Key, example: Counterexample
    ) -> tuple[FilledRequest, SendResult]:
        """Return the smallest request that still shows a finding, and its answer; or what was seen first."""
        best = (example.request, example.result)
        if example.result.trouble or self.tally.stopped:
            return best

        def shows(request: FilledRequest) -> bool:
            nonlocal best
            self._tries -= 1
            if self._tries < 0:
                return False
            self.fixtures.before_sending(request)
            result = sender.ask(request.outgoing)
            shown = key in self._take(request, result)
            if shown:
                best = (request, result)
            return shown

        if shows(example.request):
            smallest(self._fuzzer, example.request, shows, _TRIES)
        return best
