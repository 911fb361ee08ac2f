"""What a system says of requests that hold frames of its own: how a reproduction makes them anew (:attr:`System.reproduction`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from kms_conformance.evidence.exchange import Exchange
from kms_conformance.outputs.repro_model import packed_modules
from kms_conformance.system import named_object, systems

Recipes = list[dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class FramesOfSystem:
    """``recipes`` tells of each request of a case how its body is made anew, ``None`` where it is sent as it was.

    It takes the exchanges, and the number of the group of each: those that were sent before any of them was answered. It
    raises :class:`ValueError`, with a sentence, where the record does not tell. ``speaker`` is ``module:Class``, of Python alone,
    of what a script makes the bodies with, reads the answers and cleans up.
    """

    recipes: Callable[[Sequence[Exchange], Sequence[int]], Recipes]
    speaker: str


def frames_of(contract: str) -> FramesOfSystem | None:
    """Return what a contract's system says of its frames, ``None`` where its requests hold none."""
    system = systems().get(contract)
    if system is None or not system.reproduction:
        return None
    found: FramesOfSystem = named_object(system.reproduction)
    return found


@cache
def packed_speaker(place: str) -> tuple[str, ...]:
    """Return the modules of a speaker as a script brings them along."""
    return packed_modules(place)
