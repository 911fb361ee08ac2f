"""Whether a concurrent history fits some order of its operations, by a sequential specification. Pure.

The search is Wing and Gong's (Testing and Verifying Concurrent Objects, 1993) with Lowe's memoisation (Testing for
Linearizability, 2017): what has been tried is a set of operations and the state after them. A history of several things
is searched for each by itself (Horn and Kroening, Faster Linearizability Checking via P-Compositionality, 2015).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic, TypeVar

Op = TypeVar("Op")
Reply = TypeVar("Reply")
State = TypeVar("State", bound=Hashable)
UNANSWERED = math.inf
"""The time of the answer of an operation that was not answered, or not within the history."""
MOST_STEPS = 200_000
"""Applications of the specification after which a search gives up."""
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Timed(Generic[Op, Reply]):
    """An operation of a history: who asked, and when it was sent and answered, in seconds on one clock.

    Without an ``answer`` it may have happened at any moment after it was sent, or not at all.
    """

    id: str
    client: str
    operation: Op
    answer: Reply | None
    sent: float
    answered: float = UNANSWERED


Specification = Callable[[State, Op, Reply | None], State | None]
"""The state after an operation with this answer, ``None`` where the answer is not allowed in that state.

For an operation without an answer: the state after it, had it happened.
"""


class Fit(Enum):
    """The result of a search for a fitting order."""

    FITS = "fits an order"
    VIOLATES = "fits no order"
    UNDECIDED = "is undecided"


@dataclass(frozen=True, slots=True)
class SearchResult(Generic[State]):
    """The result of a search: an order that fits, else the longest that does, and the states after these."""

    fit: Fit
    order: tuple[str, ...]
    states: tuple[State, ...]


@dataclass(slots=True)
class Search(Generic[Op, Reply, State]):
    """A search with its bounds: ``most_steps`` applications of the specification, and ``seconds`` of this machine's time.

    Where a bound ends it, the history is undecided.
    """

    specification: Specification[State, Op, Reply]
    most_steps: int = MOST_STEPS
    seconds: float = SECONDS

    def __call__(self, history: Sequence[Timed[Op, Reply]], initial: State) -> SearchResult[State]:
        """Look for an order of the history that begins in ``initial``."""
        end, steps = time.monotonic() + self.seconds, 0
        must = sum(1 << number for number, one in enumerate(history) if one.answered != UNANSWERED)
        longest = SearchResult(Fit.VIOLATES, (), (initial,))
        tried: set[tuple[int, State]] = {(0, initial)}
        path: list[int] = []
        states: list[State] = [initial]
        open_choices: list[Iterator[int]] = [_next(history, 0, must)]
        while open_choices:
            done = sum(1 << number for number in path)
            if done & must == must:
                return SearchResult(Fit.FITS, tuple(history[number].id for number in path), tuple(states))
            if len(path) > len(longest.order):
                longest = SearchResult(
                    Fit.VIOLATES, tuple(history[number].id for number in path), tuple(states)
                )
            for number in open_choices[-1]:
                if steps >= self.most_steps or time.monotonic() > end:
                    return replace(longest, fit=Fit.UNDECIDED)
                steps += 1
                after = self.specification(states[-1], history[number].operation, history[number].answer)
                if after is None or (done | 1 << number, after) in tried:
                    continue
                tried.add((done | 1 << number, after))
                path.append(number)
                states.append(after)
                open_choices.append(_next(history, done | 1 << number, must))
                break
            else:
                open_choices.pop()
                if path:
                    path.pop()
                    states.pop()
        return longest


def _next(history: Sequence[Timed[Op, Reply]], done: int, must: int) -> Iterator[int]:
    """Yield the operations that may come next: those sent before any of the others was answered."""
    left = [number for number in range(len(history)) if not done >> number & 1]
    first = min((history[number].answered for number in left if must >> number & 1), default=UNANSWERED)
    for number in left:
        if history[number].sent <= first:
            yield number


def parts(
    history: Sequence[Timed[Op, Reply]], things: Callable[[Timed[Op, Reply]], Iterable[Hashable]]
) -> list[list[Timed[Op, Reply]]]:
    """Return the history in parts that have no thing in common, each in its order; what names no thing is a part of its own."""
    groups: list[tuple[set[Hashable], list[int]]] = []
    for number, one in enumerate(history):
        named, numbers = set(things(one)), [number]
        apart = []
        for names, members in groups:
            if names & named:
                named |= names
                numbers += members
            else:
                apart.append((names, members))
        groups = [*apart, (named, numbers)]
    return [
        [history[number] for number in sorted(numbers)]
        for _, numbers in sorted(groups, key=lambda part: min(part[1]))
    ]


Violates = Callable[[Sequence[Timed[Op, Reply]]], bool]


def shortest(
    history: Sequence[Timed[Op, Reply]],
    violates: Violates[Op, Reply],
    droppable: Callable[[Timed[Op, Reply]], bool],
) -> list[Timed[Op, Reply]]:
    """Return the shortest history that can be taken from one that violates, and still violates.

    First it ends at the earliest answer that fits no order: what is sent later is dropped, what is answered later has no
    answer yet. Then it loses clients, and then operations, that are ``droppable``: without which a history that fits
    an order still does (reads, and refusals that change nothing), or any where the history is run again.
    """
    best = list(_cut(history, violates))
    for client in sorted({one.client for one in best}):
        fewer = [one for one in best if one.client != client or not droppable(one)]
        if len(fewer) < len(best) and violates(fewer):
            best = fewer
    again = True
    while again:
        again = False
        for one in [one for one in best if droppable(one)]:
            fewer = [other for other in best if other is not one]
            if violates(fewer):
                best, again = fewer, True
    return best


def _cut(history: Sequence[Timed[Op, Reply]], violates: Violates[Op, Reply]) -> Sequence[Timed[Op, Reply]]:
    """Return the shortest beginning that violates. Each beginning of a history that fits an order fits one, so halving finds it."""
    ends = sorted({one.answered for one in history if one.answered != UNANSWERED})
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        if violates(until(history, ends[middle])):
            high = middle
        else:
            low = middle + 1
    return until(history, ends[low]) if ends else history


def until(history: Sequence[Timed[Op, Reply]], moment: float) -> list[Timed[Op, Reply]]:
    """Return what was known of a history at a moment: what was answered until then, and what was under way."""
    return [
        one if one.answered <= moment else replace(one, answer=None, answered=UNANSWERED)
        for one in history
        if one.answered <= moment or one.sent < moment
    ]
