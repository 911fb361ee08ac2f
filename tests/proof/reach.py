"""Which cases a defect or a variation can reach at all: those that, on the plain reference, pass the place that it changes.

That is a rule that it replaces, a name that the reference asks for, a span of time that it reads, what is done to an
instance after a reply, or a change to a finished reply. One run of all cases without any of them notes, case by case,
which rules were asked in a way that a change would answer otherwise, which names were asked for, which spans were
read, and which changes would have changed a reply. Up to the first of these a broken reference does what the unbroken
one does, so a case that meets none of them can neither notice the defect nor mind the variation, and its cell of the
matrix is known without a run. Where a case sends requests at the same moment, it counts that a rule was asked, whatever it
was asked. (Cases have instances of their own; what counts the replies of a whole server reaches
every case.) `test_matrix.py` takes samples.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any
from unittest import mock

from cases import UNORDERED, Case, law_of, run_cases
from in_process import reference, without_sockets

from kms_reference.rules import Draft, Mutator, RefusedError, RuleLike, Rules, as_stated
from kms_reference.switches import After, Change, Switch

Reach = Mapping[str, frozenset[str]]


class _Notes:
    """What the case under way has met of some switches."""

    def __init__(self, switches: Mapping[str, Switch]) -> None:
        self.switches = switches
        self.names: set[str] = set()
        self.spans: set[str] = set()
        self.loosely = False
        """Whether asking a rule counts by itself: requests at the same moment may find another state the next time."""
        self.by_rule: dict[RuleLike, list[tuple[str, Change]]] = defaultdict(list)
        for name, switch in switches.items():
            for change in switch.changes:
                self.by_rule[change.rule].append((name, change))
        self._mutators = {
            name: switch.mutate for name, switch in switches.items() if switch.mutate is not None
        }

    def taken(self) -> frozenset[str]:
        """Return the names of the switches that were met, and begin anew."""
        met = frozenset(
            name
            for name, switch in self.switches.items()
            if name in self.names or switch.counting is not None or self.spans & set(switch.times)
        )
        self.names, self.spans = set(), set()
        return met

    def hit(self, ruled: RuleLike, refusal: RefusedError | None, *args: Any, **kwargs: Any) -> None:
        """Note the switches that would change a call of a rule which the rule answers with a refusal or without."""
        for name, change in self.by_rule[ruled]:
            if name not in self.names and (self.loosely or change.hits(refusal, *args, **kwargs)):
                self.names.add(name)

    def mutate(self, draft: Draft) -> None:
        """Note which changes would change a reply, on copies of it."""
        text = repr(draft.body)
        for name, change in self._mutators.items():
            if name not in self.names and _changes(change, draft, text):
                self.names.add(name)


def _changes(change: Mutator, draft: Draft, text: str) -> bool:
    copy = replace(draft, headers=dict(draft.headers), body=deepcopy(draft.body))
    try:
        change(copy)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        return True  # it broke on this reply, so it would have been there
    # Members in another order are equal, and another text.
    return copy != draft or repr(copy.body) != text


def _noting(notes: _Notes) -> Rules:
    """Return rules that are all kept, and note what they are asked."""
    return Rules(
        replaced={ruled: _noting_rule(ruled, notes) for ruled in notes.by_rule},
        after=tuple(
            _noting_deed(name, switch.after, notes) for name, switch in notes.switches.items() if switch.after
        ),
        mutators=(notes.mutate,),
    )


def _noting_rule(ruled: RuleLike, notes: _Notes) -> RuleLike:
    stated = as_stated(ruled)

    def ask(*args: Any, **kwargs: Any) -> Any:
        # Most changes look at the arguments as the rule is asked, before it does anything.
        notes.hit(ruled, None, *args, **kwargs)
        try:
            return stated(*args, **kwargs)
        except RefusedError as refusal:
            notes.hit(ruled, refusal, *args, **kwargs)
            raise

    if not inspect.iscoroutinefunction(stated):
        return ask

    async def ask_later(*args: Any, **kwargs: Any) -> Any:
        notes.hit(ruled, None, *args, **kwargs)
        return await stated(*args, **kwargs)

    return ask_later


def _noting_deed(name: str, deed: After, notes: _Notes) -> After:
    return replace(deed, change=lambda _: notes.names.add(name))


@contextmanager
def _noted(notes: _Notes) -> Iterator[None]:
    before: Callable[..., bool] = Rules.varies

    def varies(self: Rules, name: str) -> bool:
        notes.names.add(name)
        return before(self, name)

    def seconds(self: Rules, name: str, default: float) -> float:
        notes.spans.add(name)
        return self.times.get(name, default)

    with (
        mock.patch.object(Rules, "varies", varies),
        mock.patch.object(Rules, "seconds", seconds),
        mock.patch("kms_reference.server.rules_of", return_value=_noting(notes)),
    ):
        yield


def reach_of(contract: str, cases: Mapping[str, Case], switches: Mapping[str, Switch]) -> Reach:
    """Return, by defect or variation, the ids of the cases that it can reach.

    The reference is as after a restart, which changes nothing but what a defect of restarts asks for.

    Raises :class:`RuntimeError` when the unbroken reference does not pass: nothing follows from such a run.
    """
    met: dict[str, frozenset[str]] = {}
    notes = _Notes(switches)
    with without_sockets(), _noted(notes), reference(restarted=True) as (target, _):
        for case_id, case in cases.items():
            notes.loosely = law_of(case_id) == UNORDERED
            run = run_cases(target, {case_id: case}, contract)
            if any(
                result.findings or not result.checks
                for result in run.cases
                if result.verdict != "not-applicable"
            ):
                messages = "; ".join(f"{result.id}: {result.message}" for result in run.cases)
                raise RuntimeError(f"the unbroken reference does not pass: {messages}")
            met[case_id] = notes.taken()
    return {name: frozenset(case_id for case_id, names in met.items() if name in names) for name in switches}
