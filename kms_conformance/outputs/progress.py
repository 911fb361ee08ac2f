"""The line that moves while a run is under way."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from kms_conformance.judging.results import CaseResult
from kms_conformance.outputs.text import duration_text

QUIET = 2.0
EVERY = 2.0
RAREST = 30.0


class Progress:
    """Shows how far a run is: one live line on a terminal, elsewhere a plain line at most every two seconds.

    A run of less than two seconds shows nothing. Safe between threads. ``now`` gives seconds since the epoch, ``pace``
    what bounds the run and the seconds that are left, ``None`` for what nobody knows.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        now: Callable[[], float] = time.time,
        pace: Callable[[], tuple[str, float | None]] = lambda: ("", None),
    ) -> None:
        self._pace = pace
        self._stream = stream or sys.stderr
        self._now = now
        self._tty = self._stream.isatty()
        self._lock = threading.RLock()
        self._total = 0
        self._counts: Counter[str] = Counter()
        self._waiting, self._until = 0, 0.0
        self._started = self._last_line = 0.0
        self._live: Live | None = None
        self._timer: threading.Timer | None = None
        self._running = False

    def start(self, total: int) -> None:
        """Begin; ``total`` cases are to come."""
        with self._lock:
            self._total, self._started, self._running = total, self._now(), True
            self._last_line = self._started
            if self._tty:
                self._timer = threading.Timer(QUIET, self._show)
                self._timer.daemon = True
                self._timer.start()

    def case(self, result: CaseResult) -> None:
        """Count a case that is done."""
        with self._lock:
            self._counts[result.verdict.value] += 1
            self._changed()

    def waiting(self, number: int, until: float) -> None:
        """Say that ``number`` cases wait as their rules demand, the longest until ``until`` (seconds since the epoch)."""
        with self._lock:
            self._waiting, self._until = number, until
            self._changed()

    def stop(self) -> None:
        """End; the live line goes away."""
        with self._lock:
            self._running = False
            timer, live = self._timer, self._live
            self._timer = self._live = None
        if timer is not None:
            timer.cancel()
        if live is not None:
            live.stop()

    def line(self) -> str:
        """Return how far the run is, in one line."""
        with self._lock:
            done = self._counts.total()
            counts = ", ".join(
                f"{number} {name}" for name, number in self._counts.items() if name != "passed"
            )
            parts = [f"{done}/{self._total} cases", *([counts] if counts else [])]
            waits = self._until - self._now()
            if self._waiting and waits > 0:
                parts.append(f"{self._waiting} waiting, {duration_text(max(waits, 1))} left")
            bound, left = self._pace()
            only_waits = bool(self._waiting) and self._waiting >= self._total - done
            if bound:
                parts.append(f"bound by {'waits' if only_waits else bound}")
            if left is not None and not only_waits and done < self._total:
                left = max(left, waits if self._waiting else 0)
                ends = time.strftime("%H:%M:%S", time.localtime(self._now() + left))
                parts.append(f"ends at about {ends}")
            parts.append(duration_text(self._now() - self._started))
            return "; ".join(parts)

    def _changed(self) -> None:
        """Print a plain line where there is no terminal, and not too often."""
        now = self._now()
        so_far = now - self._started
        # A log of an hour's run should not have 1,800 lines: the longer it takes, the rarer they come.
        gap = min(max(EVERY, so_far / 10), RAREST)
        if self._tty or not self._running or so_far < QUIET or now - self._last_line < gap:
            return
        self._last_line = now
        self._stream.write(self.line() + "\n")
        self._stream.flush()

    def _show(self) -> None:
        with self._lock:
            if not self._running:
                return
            console = Console(file=self._stream, force_terminal=True, highlight=False, markup=False)
            # No redirection: what others print is theirs, and a test runner has its own capture.
            self._live = Live(
                get_renderable=lambda: Text(self.line(), no_wrap=True, overflow="ellipsis"),
                console=console,
                transient=True,
                refresh_per_second=4,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
