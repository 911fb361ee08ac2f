"""How often Python looks for unreachable cycles while a run is prepared and while its cases run."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG, _MIDDLE, _OLD = 10_000, 10, 1_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """Have the collector look at what is young only, and at that more seldom than usual.

    Modules, contracts and cases are loaded by the hundred thousand objects, and all of them live as long as the run: going
    through what is there again and again takes a seventh of the start.
    """
    before = gc.get_threshold()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def fewer_collections() -> Iterator[None]:
    """Have the collector leave alone what lives as long as the run: modules, contracts, evidence.

    A run keeps all it has seen and makes next to no cycles, so going through it again and again finds nothing and takes a
    tenth of the run's own work. What is young is still gone through.
    """
    gc.freeze()
    try:
        with rare_collections():
            yield
    finally:
        # The evidence lives on until the reports are written.
        gc.freeze()
