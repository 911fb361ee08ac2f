"""How an instance names those who ask: known once an answer has shown it, and the same from then on.

One identity has one name, and two persons have two; the second person and the one that purges may be the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from kms_conformance.adapters.key_protect.model.attempt import Attempt
from kms_conformance.adapters.key_protect.model.facts import Equal, NoneOf, Optional, Rule
from kms_conformance.adapters.key_protect.model.operation import APPROVER, PURGER
from kms_conformance.adapters.key_protect.model.prediction import Learn
from kms_conformance.adapters.key_protect.model.state import Instance

_MAYBE_ONE = frozenset({APPROVER.name, PURGER.name})


def called(attempt: Attempt, who: str) -> Rule:
    """Return what a member that names a caller shows, where it is shown."""
    names = dict(attempt.state.callers)
    if who in names:
        return Optional(Equal(names[who]))
    others = {name for other, name in names.items() if not {who, other} <= _MAYBE_ONE}
    return Optional(NoneOf(frozenset(others)))


def learn_names(*members: tuple[str, str]) -> tuple[Learn, ...]:
    """Return how an answer is taken that shows callers: pairs of a path and the caller who stands there."""
    return tuple((path, _taker(who)) for path, who in members if who)


def _taker(who: str) -> Any:
    def take(state: Instance, value: Any) -> Instance:
        if not isinstance(value, str) or any(who == known for known, _ in state.callers):
            return state
        return replace(state, callers=(*state.callers, (who, value)))

    return take


def below(prefix: str, facts: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return pairs of member and caller with the path of what they stand in."""
    return tuple((f"{prefix}.{member}", who) for member, who in facts)
