"""Searching for an order of a concurrent history: what fits is accepted, what does not is refused and made short."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kms_conformance.laws.linearizability import UNANSWERED, Fit, Search, Timed, parts, shortest, until

Action = tuple[str, int]
History = list[Timed[Action, int]]
INITIAL = 0


def register(state: int, operation: Action, answer: int | None) -> int | None:
    """Say what a register of one number allows: a read answers what was written last."""
    kind, value = operation
    if kind == "write":
        return value
    return state if answer in {None, state} else None


SEARCH: Search[Action, int, int] = Search(register)


def violates(history: Sequence[Timed[Action, int]]) -> bool:
    """Whether no order fits."""
    return SEARCH(history, INITIAL).fit is Fit.VIOLATES


def reads(one: Timed[Action, int]) -> bool:
    """Whether an operation changes nothing."""
    return one.operation[0] == "read"


def run_of(actions: list[Action], seed: int, clients: int = 3) -> History:
    """Return a history that was run one after the other, whose operations were sent earlier and answered later."""
    source, state, history = random.Random(seed), INITIAL, []
    free = [0.0] * clients
    for number, (kind, value) in enumerate(actions):
        moment = number + 1.0
        client = min(range(clients), key=lambda one: (free[one] > moment, source.random()))
        sent = max(free[client], moment - source.random() * 2)
        sent = min(moment, sent)  # where its client is still busy, it waits no longer than the moment itself
        answered = moment + source.random() * 2
        state = value if kind == "write" else state
        history.append(Timed(str(number), str(client), (kind, value), state, sent, answered))
        free[client] = answered
    return history


def orders(history: History) -> bool:
    """Tell whether some order fits by trying all permutations: the plain definition, to compare with."""
    for chosen in itertools.permutations(history):
        place = {one.id: number for number, one in enumerate(chosen)}
        if any(a.answered < b.sent and place[a.id] > place[b.id] for a in history for b in history):
            continue
        state: int | None = INITIAL
        for one in chosen:
            state = register(state, one.operation, one.answer) if state is not None else None
        if state is not None:
            return True
    return False


ACTIONS = st.lists(st.tuples(st.sampled_from(("read", "write")), st.integers(1, 4)), min_size=1, max_size=10)


@given(ACTIONS, st.integers(0, 2**32))
def test_a_history_run_in_an_order_is_accepted(actions: list[Action], seed: int) -> None:
    """A history whose operations took effect one after the other, each while it was under way, fits an order."""
    history = run_of(actions, seed)
    result = SEARCH(history, INITIAL)
    assert result.fit is Fit.FITS
    assert sorted(result.order) == sorted(one.id for one in history)


SMALL = st.lists(
    st.tuples(st.sampled_from(("read", "write")), st.integers(0, 2), st.integers(0, 6), st.integers(0, 3)),
    max_size=5,
)


@given(SMALL)
@settings(max_examples=300)
def test_the_search_agrees_with_trying_all_orders(drawn: list[tuple[str, int, int, int]]) -> None:
    """The search says of any small history what the definition says."""
    history = [
        Timed(str(number), str(number), (kind, value), value, float(sent), sent + 0.5 + lasts)
        for number, (kind, value, sent, lasts) in enumerate(drawn)
    ]
    assert (SEARCH(history, INITIAL).fit is Fit.FITS) is orders(history)


@given(ACTIONS, st.integers(0, 2**32), st.integers(0, 9))
def test_a_register_that_answers_an_older_value_is_refused(
    actions: list[Action], seed: int, place: int
) -> None:
    """A read after everything else, of a value that nobody wrote, fits no order, and the shortest history has only it."""
    history = run_of(actions, seed)
    last = max(one.answered for one in history) + 1
    history.insert(place % (len(history) + 1), Timed("bad", "0", ("read", 0), 9, last, last + 1))
    assert violates(history)
    short = shortest(history, violates, reads)
    assert [one.id for one in short if reads(one)] == ["bad"]
    assert violates(short)


@given(ACTIONS, st.integers(0, 2**32))
def test_a_shortest_history_loses_nothing_more(actions: list[Action], seed: int) -> None:
    """From a lost write follows a history that fits an order as soon as it ends earlier or loses one more operation."""
    history = run_of(actions, seed)
    last = max(one.answered for one in history) + 1
    history += [
        Timed("w", "0", ("write", 7), 7, last, last + 3),
        Timed("v", "1", ("write", 8), 8, last + 1, last + 2),
        Timed("r", "1", ("read", 0), 8, last + 4, last + 5),
        Timed("s", "2", ("read", 0), 7, last + 6, last + 7),
        Timed("t", "2", ("read", 0), 7, last + 8, last + 9),
    ]
    assert violates(history)
    short = shortest(history, violates, reads)
    assert violates(short)
    assert [one.id for one in short if reads(one)] == ["r", "s"]
    for one in short:
        assert not reads(one) or not violates([other for other in short if other is not one])
    ends = sorted(one.answered for one in short if one.answered != UNANSWERED)
    assert not violates(until(short, ends[-2]))


@given(ACTIONS, st.integers(0, 2**32), st.integers(0, 20))
def test_what_was_not_answered_may_have_happened_or_not(
    actions: list[Action], seed: int, moment: int
) -> None:
    """Each beginning of a history that fits an order fits one."""
    assert not violates(until(run_of(actions, seed), float(moment)))


def test_an_unanswered_write_may_be_read() -> None:
    """A write whose answer never came may be seen or not, but not seen and then gone."""
    write: Timed[Action, int] = Timed("w", "0", ("write", 5), None, 0.0)
    seen = Timed("r", "1", ("read", 0), 5, 1.0, 2.0)
    unseen = replace(seen, answer=0)
    gone = Timed("s", "1", ("read", 0), 0, 3.0, 4.0)
    assert not violates([write, seen])
    assert not violates([write, unseen])
    assert violates([write, seen, gone])


def test_a_search_that_takes_too_long_says_nothing() -> None:
    """A bound on steps or seconds leaves the history undecided."""
    history = [Timed(str(n), str(n), ("write", n), n, 0.0, 1.0) for n in range(8)]
    history.append(Timed("r", "9", ("read", 0), 99, 2.0, 3.0))
    assert Search(register, most_steps=20)(history, INITIAL).fit is Fit.UNDECIDED
    assert Search(register, seconds=-1)(history, INITIAL).fit is Fit.UNDECIDED
    assert Search(register)(history, INITIAL).fit is Fit.VIOLATES


def test_things_are_searched_apart() -> None:
    """Operations that name a common thing, also by way of others, stay together in their order."""
    named = {"a": "1", "b": "2", "c": "3", "d": "23", "e": ""}
    history = [Timed(name, "0", ("read", 0), 0, float(n), n + 0.5) for n, name in enumerate(named)]
    separate = parts(history, lambda one: named[one.id])
    assert [[one.id for one in part] for part in separate] == [["a"], ["b", "c", "d"], ["e"]]


def test_fewest_clients_stay() -> None:
    """Whoever has only read what follows from the rest leaves the shortest history as a whole."""
    history: History = [
        Timed("w", "a", ("write", 1), 1, 0.0, 1.0),
        Timed("x", "b", ("read", 0), 1, 2.0, 3.0),
        Timed("y", "c", ("read", 0), 1, 2.0, 3.0),
        Timed("z", "d", ("read", 0), 0, 4.0, 5.0),
    ]
    assert [one.id for one in shortest(history, violates, reads)] == ["w", "z"]
