"""How much memory a run takes, and how often Python looks for unreachable cycles while it is prepared and its cases run."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_YOUNG, _MIDDLE, _OLD = 10_000, 10, 1_000
_LIBRARY = "libc.so.6"
_ARENA_MAX = -8
"""``M_ARENA_MAX`` of ``malloc.h``."""


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


def few_arenas() -> None:
    """Have all threads take their memory from one place, where the C library is glibc.

    It gives each thread a place of its own otherwise, and what one has freed no other one uses: with many cases at once a
    tenth more memory, for nothing, as Python runs one thread at a time.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(_LIBRARY).mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Give memory that was freed back to the system, where the C library is glibc: a tenth, once the last case has ended."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(_LIBRARY).malloc_trim(0)
