"""Lawful variations with many seeds: whatever a run draws, none of them raises an alarm.

`python tests/proof/seeds.py --seeds 20` serves the reference with several variations at once, each of them once for each
seed, and runs the cases that draw values by the seed of a run: effects, several clients, and walks through a key's life.
Where they raise an alarm, each of them is run alone. It writes a line for each run, and ends with 1 after an alarm.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import random
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import click
from cases import collected, law_of
from in_process import reference, without_sockets

from kms_conformance.contract.severity import Verdict
from kms_conformance.fuzz.entrypoints import walk
from kms_conformance.judging.verdict import Run
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.options import USUAL, Options
from kms_conformance.run.session import Session
from kms_conformance.target.target import Target
from kms_conformance.verification.installed import InstalledCase
from kms_reference.variations import SYSTEM_VARIATIONS

CONTRACT = "key_protect"
_OF_THE_TRANSPORT = {"chunked", "connection-close"}
"""Only a socket has them."""
_APART = (
    {"quotes-apostrophe", "quotes-double", "quotes-none"},
    {"summary-older-style", "summary-newer-style"},
    {"message-final-period", "message-no-final-period", "message-colons", "message-periods"},
    {"members-sorted", "members-reversed"},
    {"media-type-charset", "media-type-vendor", "media-type-upper-case"},
    {"more-info-other", "more-info-missing"},
    {
        "json-as-go-writes-it",
        "json-as-java-writes-it",
        "json-by-numbers",
        "json-with-blanks",
        "replies-compressed",
    },
    {"replies-compressed", "gateway-now-and-then"},
    {"replies-compressed", "rate-limited-now-and-then"},
    {"replies-compressed", "control-characters-stopped"},
    {"fractional-seconds", "dates-in-nanoseconds", "dates-with-zero-offset"},
    {"unauthorized-other-wording", "unauthorized-with-reason", "router-before-authentication"},
    {"key-ring-untold", "unset-members-null"},
    {"members-chosen-otherwise", "unset-members-null"},
)
"""Variations of which a server can have one only."""
_LAST = (
    "json-as-go-writes-it",
    "json-as-java-writes-it",
    "json-by-numbers",
    "json-with-blanks",
    "rate-limited-now-and-then",
    "gateway-now-and-then",
)
"""What a gateway says instead comes after what the service writes."""
_WALKS = ("root", "imported", "standard", "expiring")
_ALARMS = {Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.ERROR}
"""A warning leaves the verdict alone: it says that no source forbids what was seen, or allows it only by guessing."""
_EXAMPLES = 2


@dataclass(frozen=True)
class Drawn:
    """One run: which variations were served together, with which seed, and what was an alarm."""

    names: tuple[str, ...]
    seed: int
    alarms: tuple[str, ...]


def drawing_cases(seed: int, share: int) -> Mapping[str, InstalledCase]:
    """Return the cases whose requests depend on the seed of a run; of those of effects one in ``share``."""
    cases: dict[str, InstalledCase] = {
        name: case
        for name, case in collected(CONTRACT).items()
        if "concurrency[clients-" in name
        or (law_of(name) == "effects" and zlib.crc32(f"{seed} {name}".encode()) % share == 0)
    }
    for kind in _WALKS:
        info = CaseInfo(
            id=f"fuzz.stateful.life[{kind}]", title="a walk", contract=CONTRACT, covers=("life-cycle-walk",)
        )
        cases[info.id] = InstalledCase(info, lambda kms, kind=kind: walk(kms.case, kind))  # type: ignore[misc]
    return cases


def groups(seed: int, together: int) -> Iterator[tuple[str, ...]]:
    """Yield all variations in groups that one server can have at once, other ones for each seed."""
    left = [name for name in SYSTEM_VARIATIONS[CONTRACT] if name not in _OF_THE_TRANSPORT]
    random.Random(seed).shuffle(left)
    while left:
        chosen: list[str] = []
        for name in left:
            if len(chosen) < together and not any(name in apart and apart & set(chosen) for apart in _APART):
                chosen.append(name)
        left = [name for name in left if name not in chosen]
        yield tuple(sorted(chosen, key=lambda name: _LAST.index(name) if name in _LAST else -1))


def drawn(names: Sequence[str], seed: int, share: int) -> Drawn:
    """Run the drawing cases against a reference with these variations."""
    with without_sockets(), reference(variation=tuple(names)) as (target, _):
        run = _run(target, seed, share)
    gc.collect()
    alarms = [
        f"{case.id}: {case.verdict.value}: {case.message or '; '.join(one.got for one in case.findings[:2])}"
        for case in run.cases
        if case.verdict in _ALARMS
    ]
    return Drawn(tuple(names), seed, tuple(alarms))


def _run(target: Target, seed: int, share: int) -> Run:
    fuzz = replace(USUAL, seed=seed, generate=True, examples=_EXAMPLES)
    cases = drawing_cases(seed, share)
    session = Session(Options(contracts=(CONTRACT,), fuzz=fuzz), target)
    try:
        session.expects(len(cases))
        for case in cases.values():
            session.run_case(session.open(case.info), case.body)
        return session.outcome()
    finally:
        session.close()


def main() -> int:
    """Run as the command line asks; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds (default: 20)")
    parser.add_argument("--first", type=int, default=1, help="the first seed (default: 1)")
    parser.add_argument("--together", type=int, default=9, help="variations at once (default: 9)")
    parser.add_argument("--groups", type=int, default=0, help="how many groups for each seed (default: all)")
    parser.add_argument("--share", type=int, default=1, help="one in so many cases of effects (default: 1)")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin no run after so many minutes")
    options = parser.parse_args()
    begun, pairs, alarms = time.monotonic(), 0, 0
    gc.disable()
    for seed in range(options.first, options.first + options.seeds):
        for names in itertools.islice(groups(seed, options.together), options.groups or None):
            if options.minutes and time.monotonic() - begun > options.minutes * 60:
                click.echo(f"stopped before seed {seed} was done: {pairs} pairs, {alarms} alarms")
                return 1 if alarms else 0
            result = drawn(names, seed, options.share)
            pairs += len(names)
            click.echo(f"seed {seed}: {', '.join(names)}: {len(result.alarms)} alarms")
            for alarm in result.alarms:
                alarms += 1
                click.echo(f"  together: {alarm}")
            for one in [drawn([name], seed, options.share) for name in names] if result.alarms else []:
                for alarm in one.alarms:
                    click.echo(f"  {one.names[0]}: {alarm}")
            with contextlib.suppress(AttributeError):
                sys.stdout.flush()
    click.echo(f"{pairs} pairs of variation and seed, {alarms} alarms, {time.monotonic() - begun:.0f} s")
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main())
