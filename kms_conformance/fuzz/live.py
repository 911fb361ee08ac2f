"""The live tier: Schemathesis makes requests of one operation while the run goes on.

Hypothesis drives it: it makes a failing request small, keeps it in its example database, and tries it first the next
time. What a request names is drawn from things that the case keeps alive.
"""

from __future__ import annotations

import copy
import random
import time
import warnings
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
from schemathesis import GenerationMode

from kms_conformance.evidence import steady_clock
from kms_conformance.fuzz.examples import example_database
from kms_conformance.fuzz.generate import Parts, parts_of, recipe_of, schemathesis_operations, written
from kms_conformance.fuzz.requests import CaseFuzzer, FilledRequest, FuzzFixtures, Key
from kms_conformance.run.eligibility import held_back
from kms_conformance.run.outcomes import Inconclusive, NotApplicable, NotTested
from kms_conformance.transport.outage import TRIES, delay
from kms_conformance.transport.pipeline import SendResult, SerialSender

if TYPE_CHECKING:
    from kms_conformance.run.case import CaseRun

KINDS = ("valid", "invalid")
TURNS = 4
"""Requests for each one that Schemathesis makes: making takes the time, and each names other things in other states."""
_UNBOUND = 100_000
# Making a failing request small stops here: the example database has it, and its cause is known.
_FAILED = 80
# So many requests are made although the time is up, where none could be sent: the first ones may lack a permission.
_TRIED = 40


class _Stop(KeyboardInterrupt):
    """The time is up, or nobody answers; Hypothesis does not catch this."""


class LiveFuzz:
    """One operation and one kind of data."""

    def __init__(self, case: CaseRun, fixtures: FuzzFixtures, operation: str, kind: str) -> None:
        self.case, self.fixtures, self.kind = case, fixtures, kind
        self._name = operation
        self._contract = case.context.contract
        self._options = case.context.fuzz
        self._fuzzer = CaseFuzzer(case, fixtures)
        self._recipe = recipe_of(self._contract)
        self._found: dict[Key, tuple[FilledRequest, SendResult]] = {}
        self._tried = self._sent = self._failed = 0
        self._withheld = ""
        self._gone = False
        self._silent: set[str] = set()
        self._until = float("inf")
        target, client = case.context.target, case.context.client
        self._sender = SerialSender(
            target.base_url, target.timeout, client.take_turn, client.traffic.waits, target.connection
        )

    def run(self) -> None:
        """Make requests until their number or the time is up, then hand what was found to the case."""
        lacking = self.fixtures.missing_capability(self._name)
        if lacking:
            raise NotApplicable(f"the target declares capabilities.{lacking} = false")
        path = self._contract.operations[self._name].path
        self.fixtures.prepare(self._recipe.names(self._name, path))
        self._fuzzer.tidy()
        if self._options.seconds is not None:
            items = len(self._contract.operations) * len(KINDS)
            self._until = time.monotonic() + self._options.seconds / items
        try:
            self._generate()
        finally:
            self._sender.close()
        if not self._sent:
            self._explain()
        for key, (request, result) in sorted(self._found.items(), key=lambda item: item[0]):
            self._fuzzer.report(request, result, key, f"generated ({self.kind}), {self._kept(request)}")
        self.case.checks_not_kept += self._sent

    def _explain(self) -> None:
        """Say why no request was sent: no case is without a check and without a reason."""
        if self._gone:
            raise Inconclusive("the endpoint went away before it answered a request")
        raise NotTested(
            self._withheld or "--fuzz-time: more seconds; in those given no request could be made"
        )

    def _kept(self, request: FilledRequest) -> str:
        """Keep a generated request where ``--replay`` finds it; return its name."""
        line = request.entry.line()
        name = f"finding-{sha256(line.encode()).hexdigest()[:8]}.json"
        if self._options.findings:
            folder = Path(self._options.findings)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(line, encoding="ascii")
        return name

    def _generate(self) -> None:

        mode = GenerationMode.POSITIVE if self.kind == "valid" else GenerationMode.NEGATIVE
        operation = _operations(self._contract.id)[self._name]
        label = f"{self._name} {self.kind}"

        # Settings stand above the seed, which would else switch the example database off.
        @hypothesis.settings(
            max_examples=self._options.examples if self._options.seconds is None else _UNBOUND,
            deadline=None,
            database=example_database(self._options.database),
            suppress_health_check=list(hypothesis.HealthCheck),
            print_blob=False,
            verbosity=hypothesis.Verbosity.quiet,
        )
        @hypothesis.seed(int.from_bytes(sha256(f"{self._options.seed} {label}".encode()).digest()[:6], "big"))
        @hypothesis.given(
            case=operation.as_strategy(generation_mode=mode),
            seed=hypothesis.strategies.integers(0, 2**32 - 1),
        )
        def attempt(case: Any, seed: int) -> None:
            self._attempt(case, seed)

        # All operations share this function; its examples must not share a place in the database.
        attempt._hypothesis_internal_database_key = label.encode()  # type: ignore[attr-defined]  # noqa: SLF001 - Hypothesis has no public way
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                attempt()
            except (_Stop, AssertionError, BaseExceptionGroup, hypothesis.errors.HypothesisException):
                # What failed is in ``_found``; an endpoint that changes its mind is no error of the suite.
                return

    def _attempt(self, case: Any, seed: int) -> None:
        # One request at least is sent, however long the first one takes to make.
        late = time.monotonic() > self._until and (self._sent or self._tried >= _TRIED)
        if late or self._failed >= _FAILED:
            raise _Stop
        self._tried += 1
        generated = parts_of(self._name, case)
        for turn in range(TURNS):
            self._send(copy.deepcopy(generated), seed + turn)

    def _asked(self, request: FilledRequest) -> SendResult:
        """Send a request, again where nobody answers; stop where the endpoint is gone."""
        client = self.case.context.client
        for tried in range(1, TRIES + 1):
            begun = steady_clock.now()
            result = self._sender.ask(request.outgoing)
            gone = client.unanswered.is_gone(result.status, result.trouble, begun)
            if gone:
                self._gone = True
                raise _Stop
            if gone is None or self._name in self._silent:
                break
            result.again = True
            time.sleep(delay(tried))
        else:
            self._silent.add(self._name)
        return result

    def _send(self, parts: Parts, seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311 - Hypothesis chooses the number and makes it small
        self._recipe.insert_placeholders(parts, rng)
        twisted = self.kind == "valid" and parts.has_body and seed % 4 == 1
        entry = written(
            "twisted" if twisted else self.kind, self._contract.operations[self._name].path, parts, rng
        )
        if entry is None:
            return
        withheld = self.fixtures.missing_permission(entry) or held_back(
            entry.method, entry.operation, self.case.context.target
        )
        if withheld:
            self._withheld = withheld
            return
        request = self._fuzzer.fill(entry)
        self.fixtures.before_sending(request)
        result = self._asked(request)
        self._sent += 1
        self.case.context.client.count()
        self.fixtures.after_answer(request, result.status, self._fuzzer.body_of(result), again=result.again)
        for key in self._fuzzer.judge(request, result):
            earlier = self._found.get(key)
            if earlier is None or len(entry.line()) < len(earlier[0].entry.line()):
                self._found[key] = (request, result)
            self._failed += 1
            raise _fault(key)


@cache
def _operations(contract_id: str) -> dict[str, Any]:
    return dict(schemathesis_operations(contract_id))


@cache
def _kind_of_fault(key: Key) -> type[AssertionError]:
    return type("Fault", (AssertionError,), {"__doc__": " ".join(key)})


def _fault(key: Key) -> AssertionError:
    """Return an error of a class of its own for each finding: Hypothesis tells failures apart by their class."""
    return _kind_of_fault(key)(" ".join(key))
