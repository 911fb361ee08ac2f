"""Which cases a defect or a variation can reach at all: those that, on the plain reference, pass the place that it changes.

Both are a name that the reference asks for, a span of time that it reads, or a change to a finished reply. One run
of all cases without any of them notes, case by case, which names were asked for, which spans were read, and which
changes would have changed a reply. Up to the first of these a broken reference does what the unbroken one does, so a
case that meets none of them can neither notice the defect nor mind the variation, and its cell of the matrix is known
without a run. (Cases have instances of their own, and what a whole server counts, it asks for on every request.)
`test_matrix.py` takes samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from cases import Case, run_cases
from in_process import reference, without_sockets

from kms_reference.defects import DEFECTS
from kms_reference.hpcs_tke.defects import ActiveDefects as TkeActive
from kms_reference.iks.defects import ActiveDefects as IksActive
from kms_reference.rules import Draft, Mutator, Rules
from kms_reference.variations import VARIATIONS

Reach = Mapping[str, frozenset[str]]


@dataclass
class _Notes:
    """What the case under way has met."""

    names: set[str] = field(default_factory=set)
    spans: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)

    def taken(self) -> _Notes:
        """Return what was noted, and begin anew."""
        taken = replace(self)
        self.names, self.spans, self.changes = set(), set(), set()
        return taken

    def mutate(self, draft: Draft) -> None:
        """Note which changes would change a reply, on copies of it."""
        text = repr(draft.body)
        for name, change in _CHANGES.items():
            if name not in self.changes and _changes(change, draft, text):
                self.changes.add(name)


_CHANGES: Mapping[str, Mutator] = {
    name: switch.mutate for name, switch in {**DEFECTS, **VARIATIONS}.items() if switch.mutate is not None
}


def _changes(change: Mutator, draft: Draft, text: str) -> bool:
    copy = replace(draft, headers=dict(draft.headers), body=deepcopy(draft.body))
    try:
        change(copy)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        return True  # it broke on this reply, so it would have been there
    # Members in another order are equal, and another text.
    return copy != draft or repr(copy.body) != text


@contextmanager
def _noted(notes: _Notes) -> Iterator[None]:
    def asked(before: Callable[..., bool]) -> Callable[..., bool]:
        def ask(self: Any, name: str) -> bool:
            notes.names.add(name)
            return before(self, name)

        return ask

    def seconds(self: Rules, name: str, default: float) -> float:
        notes.spans.add(name)
        return self.times.get(name, default)

    with (
        mock.patch.object(Rules, "broken", asked(Rules.broken)),
        mock.patch.object(Rules, "varies", asked(Rules.varies)),
        mock.patch.object(Rules, "seconds", seconds),
        mock.patch.object(TkeActive, "__call__", asked(TkeActive.__call__)),
        mock.patch.object(IksActive, "__call__", asked(IksActive.__call__)),
    ):
        yield


def reach_of(contract: str, cases: Mapping[str, Case], switches: Mapping[str, Any]) -> Reach:
    """Return, by defect or variation, the ids of the cases that it can reach.

    The reference is as after a restart, which changes nothing but what a defect of restarts asks for.

    Raises :class:`RuntimeError` when the unbroken reference does not pass: nothing follows from such a run.
    """
    met: dict[str, _Notes] = {}
    notes = _Notes()
    with without_sockets(), _noted(notes), reference(restarted=True) as (target, app):
        app.world.rules = replace(app.world.rules, mutators=(notes.mutate,))
        for case_id, case in cases.items():
            run = run_cases(target, {case_id: case}, contract)
            if any(
                result.findings or not result.checks
                for result in run.cases
                if result.verdict != "not-applicable"
            ):
                told = "; ".join(f"{result.id}: {result.message}" for result in run.cases)
                raise RuntimeError(f"the unbroken reference does not pass: {told}")
            met[case_id] = notes.taken()
    return {
        name: frozenset(case_id for case_id, seen in met.items() if _reaches(name, switch, seen))
        for name, switch in switches.items()
    }


def _reaches(name: str, switch: Any, seen: _Notes) -> bool:
    times = getattr(switch, "times", {})
    return name in seen.names or name in seen.changes or bool(seen.spans & set(times))
