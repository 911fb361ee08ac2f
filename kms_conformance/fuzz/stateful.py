"""The stateful tier: Hypothesis walks, and makes the walk that went wrong as short as it can."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import hypothesis
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from kms_conformance.fuzz.examples import example_database

if TYPE_CHECKING:
    from kms_conformance.evidence.exchange import Exchange
    from kms_conformance.run.case import CaseRun

LONGEST = 24
"""Steps of a walk."""
WALKS = 8
"""Walks for each example that the run is asked for: a walk costs less than a generated request."""
_UNBOUND, _TRIES = 100_000, 80
_TIERS_SHARE = 8


class WalkInProgress(Protocol):
    """A walk under way; ``taken`` are its steps so far."""

    taken: list[str]

    def step(self, name: str) -> None:
        """Take a step; raise :class:`DisallowedAnswerError` when the answer is not one that the model allows."""

    def promising(self) -> Sequence[str]:
        """Return the steps that lead somewhere: those that the model expects to succeed."""

    def end(self) -> None:
        """Note that the walk is over."""

    def close(self) -> None:
        """Forget a walk that is not reported."""


Walk = TypeVar("Walk", bound=WalkInProgress)


class DisallowedAnswerError(AssertionError):
    """An answer that the model does not allow."""

    def __init__(self, what: str, expected: str, got: str, exchange: Exchange) -> None:
        super().__init__(f"{what}: expected {expected}, got {got}")
        self.what, self.expected, self.got, self.exchange = what, expected, got, exchange


class _Stop(KeyboardInterrupt):
    """The time is up; Hypothesis lets this through at once."""


class Walker(Generic[Walk]):
    """Walks of one kind; ``begin`` starts one."""

    def __init__(self, case: CaseRun, kind: str, steps: Sequence[str], begin: Callable[[], Walk]) -> None:
        self._case, self._kind, self._steps, self._begin = case, kind, tuple(steps), begin
        self._shortest: tuple[Walk, DisallowedAnswerError] | None = None
        self._length = LONGEST + 1
        self.steps = 0

    def run(self) -> tuple[Walk, DisallowedAnswerError] | None:
        """Walk; return the shortest walk that went wrong and how, ``None`` when none did."""
        options = self._case.context.fuzz
        label = f"{self._case.info.id} {self._kind}"
        until = float("inf") if options.seconds is None else time.monotonic() + options.seconds / _TIERS_SHARE
        walker = self
        numbers = hypothesis.strategies.integers(0, 99)
        blind = hypothesis.strategies.sampled_from([False, False, False, True])

        class Machine(RuleBasedStateMachine):
            def __init__(self) -> None:
                super().__init__()
                if time.monotonic() > until:
                    raise _Stop
                self.walk = walker._begin()
                self.taken = 0
                self.failed = False

            @rule(step=hypothesis.strategies.sampled_from(self._steps), number=numbers, blind=blind)  # type: ignore[misc, unused-ignore]  # Hypothesis's decorators are untyped
            def go(self, step: str, number: int, *, blind: bool) -> None:
                # Blind steps meet the refusals; the others go where a blind walk hardly ever comes.
                likely = () if blind else self.walk.promising()
                step = likely[number % len(likely)] if likely else step
                self.taken += 1
                walker.steps += 1
                try:
                    self.walk.step(step)
                except DisallowedAnswerError as failure:
                    self.failed = True
                    walker._note(self.walk, self.taken, failure)
                    raise

            def teardown(self) -> None:
                walker._end(self.walk, failed=self.failed)

        test: Any = hypothesis.seed(
            int.from_bytes(sha256(f"{options.seed} {label}".encode()).digest()[:6], "big")
        )(Machine)
        settings = hypothesis.settings(
            max_examples=options.examples * WALKS if options.seconds is None else _UNBOUND,
            # Walks are shortened by leaving steps out, which knows more of them than a shrinker of numbers does.
            phases=[hypothesis.Phase.reuse, hypothesis.Phase.generate],
            stateful_step_count=LONGEST,
            deadline=None,
            database=example_database(options.database),
            suppress_health_check=list(hypothesis.HealthCheck),
            print_blob=False,
            verbosity=hypothesis.Verbosity.quiet,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # What went wrong is noted; an endpoint that changes its mind is no error of the suite.
            expected = (
                _Stop,
                DisallowedAnswerError,
                BaseExceptionGroup,
                hypothesis.errors.HypothesisException,
            )
            with contextlib.suppress(*expected):
                run_state_machine_as_test(test, settings=settings)
        return self._shortened()

    def _shortened(self) -> tuple[Walk, DisallowedAnswerError] | None:
        """Leave steps out of the shortest walk as long as it still goes wrong."""
        tries, going = _TRIES, True
        while going and self._shortest is not None:
            going = False
            taken = list(self._shortest[0].taken)
            for place in reversed(range(len(taken) - 1)):
                tries -= 1
                if tries < 0:
                    break
                if self._fails(taken[:place] + taken[place + 1 :]):
                    going = True
                    break
        return self._shortest

    def _fails(self, steps: Sequence[str]) -> bool:
        walk = self._begin()
        failed = False
        try:
            for step in steps:
                self.steps += 1
                walk.step(step)
        except DisallowedAnswerError as failure:
            failed = len(walk.taken) < self._length
            self._note(walk, len(walk.taken), failure)
        self._end(walk, failed=failed)
        return failed

    def _note(self, walk: Walk, length: int, failure: DisallowedAnswerError) -> None:
        if length < self._length:
            if self._shortest is not None:
                self._shortest[0].close()
            self._shortest, self._length = (walk, failure), length

    def _end(self, walk: Walk, *, failed: bool) -> None:
        walk.end()
        if not failed or self._shortest is None or self._shortest[0] is not walk:
            walk.close()
