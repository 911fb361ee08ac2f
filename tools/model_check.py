"""Walk the model of Key Protect and the embedded reference against each other, and tell the first difference.

    python -m tools.model_check [--steps 20000] [--edition page] [--edition service] [--seed 1]

Both were written apart from each other from the same sources, so a difference is a mistake of one of them, or something
that no source fixes and one of them insists on. A walk with a difference is made as short as it can be and is printed.
Exit code 0: no difference, 1: a difference, 2: the reference does not start.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kms_conformance.adapters.key_protect.model import (
    OPERATIONS,
    Answer,
    Instance,
    Operation,
    Timing,
    apply,
    observe,
    with_object,
)
from kms_conformance.adapters.key_protect.walks import Walker, waited
from kms_conformance.adapters.key_protect.walks.edges import edge_of
from kms_conformance.adapters.key_protect.walks.steps import (
    EDGE,
    EDGE_OF_SAME,
    MAKE_OBJECT,
    request_for,
    steps_of,
)
from tools.reference_client import Endpoint, Packer, certificates, read_target

LENGTH = 80
"""Steps of one walk; each walk has an instance of its own."""
_START = 60.0
_REPLAYS = 300


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One step: an operation, ``wait`` or ``makeObject``, and the seed of all that is chosen in it."""

    name: str
    seed: int


@dataclasses.dataclass(slots=True)
class Difference:
    """A step whose answer the model does not allow, with what went before it."""

    mismatches: tuple[str, ...]
    last: str
    history: list[str]


@dataclasses.dataclass(slots=True)
class Walk:
    """One walk on an instance of its own."""

    endpoint: Endpoint
    edition: str
    packer: Packer
    counts: Counter[str]
    state: Instance = dataclasses.field(init=False)
    walker: Walker = dataclasses.field(init=False)
    history: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.endpoint.fresh_instance()
        # A removed alias or a moved key may show up late on a real service; here both sides are exact.
        self.state = Instance(edition=self.edition, timing=Timing(alias=0.0, ring=0.0, expiry=0.0))
        self.walker = Walker(certificates=certificates(), pack=self.packer.pack)

    def take(self, step: Step) -> Difference | None:
        """Take one step; a step that has nothing to act on does nothing."""
        source = random.Random(step.seed)  # noqa: S311 - a walk, not a secret
        if step.name.startswith("wait"):
            _, _, given_seconds = step.name.partition(" ")
            seconds = float(given_seconds) if given_seconds else waited(source)
            self.endpoint.advance(seconds)
            self.history.append(f"wait {seconds:g} s")
            return None
        if step.name == MAKE_OBJECT:
            self._make_object(source)
            return None
        now, name, walker = self.endpoint.now(), step.name, self.walker
        if name in {EDGE, EDGE_OF_SAME}:
            edge = edge_of(source, self.state, now, walker.last if name == EDGE_OF_SAME else "")
            if edge is None:
                return None
            seconds, name, key = edge
            walker = dataclasses.replace(walker, focus=key)
            self.endpoint.advance(seconds)
            self.history.append(f"wait {seconds:g} s")
            now = self.endpoint.now()
        operation = request_for(name, source, self.state, walker, now)
        if operation is None:
            return None
        answer = self.endpoint.send(operation)
        self.history.append(sentence(operation, answer))
        self._count(operation, answer)
        seen = observe(self.state, operation, now, answer)
        if seen.mismatches:
            prediction, _ = apply(self.state, operation, now)
            open_points = f"not fixed: {prediction.unspecified}" if prediction.unspecified else ""
            return Difference((*seen.mismatches, *filter(None, [open_points])), operation.name, self.history)
        self.state = seen.state
        self.walker = self.walker.saw(operation, self.state, answer)
        return None

    def _count(self, operation: Operation, answer: Answer) -> None:
        self.counts["requests"] += 1
        self.counts[f"{operation.name} {'refused' if answer.refused else 'done'}"] += 1

    def _make_object(self, source: random.Random) -> None:
        if not self.state.adapters:
            return
        adapter = source.choice(self.state.adapters)
        made = self.endpoint.make_object(adapter.id)
        if made:
            self.history.append(f"a KMIP client makes an object in {adapter.id}")
            self.state = with_object(self.state, adapter.id, made)


def sentence(operation: Operation, answer: Answer) -> str:
    """Return a step of a history as a line."""
    asked = " ".join(
        f"{name}={value}"
        for name, value in (
            *operation.path.items(),
            *operation.query.items(),
            ("ring", operation.ring),
            ("prefer", operation.prefer),
        )
        if value is not None
    )
    body = "" if operation.body is None else f" {json.dumps(operation.body)[:400]}"
    shown = "" if answer.body is None else f" {json.dumps(answer.body)[:1500]}"
    return (
        f"{operation.caller.name}: {operation.name} {asked}{body}\n      -> {answer.status} {answer.code}"
        f"{shown if not answer.refused else ''}"
    )


def drawn(source: random.Random, length: int) -> list[Step]:
    """Return a walk's steps, each with a seed of its own."""
    return [Step(name, source.getrandbits(32)) for name in steps_of(source, length)]


def walk(begin: Callable[[], Walk], steps: Sequence[Step]) -> tuple[Difference | None, int]:
    """Return the first difference of a walk, if any, and how many steps it took."""
    one = begin()
    for place, step in enumerate(steps, 1):
        difference = one.take(step)
        if difference is not None:
            return difference, place
    return None, len(steps)


def shrunk(
    begin: Callable[[], Walk], steps: Sequence[Step], difference: Difference
) -> tuple[Difference, list[Step]]:
    """Return the shortest walk that was found to end in a difference of the same operation."""
    best, left, size, tries = difference, list(steps), max(1, len(steps) // 2), _REPLAYS
    while size and tries:
        place = 0
        while place < len(left) and tries:
            fewer = [*left[:place], *left[place + size :]]
            tries -= 1
            again, taken = walk(begin, fewer)
            if again is not None and again.last == best.last:
                best, left = again, fewer[:taken]
            else:
                place += size
        size //= 2
    return best, left


@contextmanager
def reference(edition: str, defects: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Start the reference on a free loopback port and give what its target file says."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "target.toml")
        command = [sys.executable, "-m", "kms_conformance", "serve", "--port", "0", "--edition", edition]
        command += ["--write-target", str(target), *(part for name in defects for part in ("--defect", name))]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # noqa: S603 - our own command
        try:
            end = time.monotonic() + _START
            while not target.exists() or not target.read_text(encoding="utf-8").strip():
                if process.poll() is not None or time.monotonic() > end:
                    process.kill()
                    _, errors = process.communicate()
                    message = errors.decode(errors="replace").strip().splitlines()
                    sys.stderr.write(f"the reference did not start: {message[-1:] or 'it said nothing'}\n")
                    raise SystemExit(2)
                time.sleep(0.05)
            yield read_target(target)
        finally:
            process.kill()
            process.communicate()


def check(edition: str, options: argparse.Namespace) -> int:
    """Walk in one edition; return the number of differences."""
    source, counts, differences, taken = random.Random(options.seed), Counter[str](), 0, 0  # noqa: S311 - walks
    started = time.monotonic()
    with reference(edition, options.defect) as target:
        endpoint, packer = Endpoint(target), Packer()

        def begin() -> Walk:
            return Walk(endpoint, edition, packer, counts)

        seen: set[str] = set()
        while taken < options.steps and differences < options.differences:
            steps = drawn(source, min(LENGTH, options.steps - taken))
            difference, length = walk(begin, steps)
            taken += length
            if difference is None:
                continue
            cause = f"{difference.last} {difference.mismatches[0].split(' not ')[0][:60]}"
            if cause in seen:
                continue
            seen.add(cause)
            differences += 1
            shortest, _ = shrunk(begin, steps[:length], difference) if options.shrink else (difference, [])
            print_difference(edition, shortest, options.seed)
    seconds = time.monotonic() - started
    successes = {name.partition(" ")[0] for name in counts if name.endswith(" done")}
    never = sorted(set(OPERATIONS) - successes)
    print(
        f"edition {edition}: {taken} steps, {counts['requests']} requests, {differences} differences, {seconds:.0f} s"
        + (f"; never succeeded: {', '.join(never)}" if never else "")
    )
    if options.counts:
        for name, number in sorted(counts.items()):
            print(f"  {number:6} {name}")
    return differences


def print_difference(edition: str, difference: Difference, seed: int) -> None:
    """Print a walk that ends in a difference."""
    print(f"\nDIFFERENCE in edition {edition} (seed {seed}): {difference.last}")
    for line in difference.mismatches:
        print(f"  {line}")
    for number, line in enumerate(difference.history, 1):
        print(f"  {number:3}. {line}")


def main() -> int:
    """Walk in each edition and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20_000, help="steps in each edition (default: 20000)")
    parser.add_argument("--edition", action="append", choices=["page", "service"], help="default: both")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--defect", action="append", default=[], help="break the reference in a named way")
    parser.add_argument("--differences", type=int, default=1, help="differences to look for (default: 1)")
    parser.add_argument(
        "--no-shrink", dest="shrink", action="store_false", help="print walks as they were found"
    )
    parser.add_argument("--counts", action="store_true", help="print how often each operation was asked")
    options = parser.parse_args()
    differences = sum(check(edition, options) for edition in options.edition or ["page", "service"])
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
