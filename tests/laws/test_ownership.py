"""Law 4 on an instance that others use: what they change in between is no difference between two answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Self

import pytest

from kms_conformance.laws.ownership import Ownership
from kms_conformance.run.outcomes import Inconclusive


@dataclass
class Shown:
    """An answer that shows so many things; ``judged`` is false once it is left out of the verdict."""

    body: int
    judged: bool = True

    def not_judged(self) -> Self:
        """Leave it out."""
        self.judged = False
        return self


@dataclass
class Listing:
    """A system whose list has so many things at each request; ``sent`` are its answers."""

    numbers: Iterator[int]
    fresh: bool = False
    is_one_by_one: bool = True
    sent: list[Shown] = field(default_factory=list)

    @property
    def case(self) -> Any:
        """The case that asks."""
        target = SimpleNamespace(fresh=self.fresh)
        return SimpleNamespace(context=SimpleNamespace(target=target), is_one_by_one=self.is_one_by_one)

    def send_request(self, _: str) -> Shown:
        """Answer with the next number."""
        self.sent.append(Shown(next(self.numbers)))
        return self.sent[-1]


def compared(listing: Listing) -> tuple[Shown, Shown]:
    """Return the two answers that the law compares."""
    law = object.__new__(Ownership)
    law.system = listing  # type: ignore[assignment]
    pair: Any = law._at_rest("right", "other")
    return pair


def test_asks_again_where_others_change_the_list() -> None:
    """Answers between which somebody has made something are left out, and those at rest are compared."""
    listing = Listing(iter([3, 4, 4, 5, 5, 5]))
    same, answer = compared(listing)
    assert (same.body, answer.body) == (5, 5)
    assert [one.judged for one in listing.sent] == [False, False, False, True, True, False]


def test_a_difference_at_rest_counts() -> None:
    """Where the right request shows the same before and after, another answer in between is the endpoint's."""
    same, answer = compared(Listing(iter([3, 9, 3])))
    assert (same.body, answer.body) == (3, 9)


def test_never_at_rest() -> None:
    """Where the list changes all the time, nothing can be said."""
    with pytest.raises(Inconclusive, match="others on the instance"):
        compared(Listing(iter(range(100))))


def test_waits_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tries there is a pause that grows up to a second; a record that is played again has none."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    compared(Listing(iter([0, 1, 2] * 15 + [7, 7, 7]), is_one_by_one=False))
    assert pauses == sorted(pauses)
    assert (len(pauses), min(pauses) > 0, max(pauses)) == (15, True, 1.0)
    compared(Listing(iter([0, 1, 2] * 15 + [7, 7, 7])))
    assert len(pauses) == 15


def test_an_instance_of_our_own() -> None:
    """On an instance of our own two requests are enough."""
    listing = Listing(iter([3, 3]), fresh=True)
    compared(listing)
    assert len(listing.sent) == 2
