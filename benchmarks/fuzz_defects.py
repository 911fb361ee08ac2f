"""Which tier of the fuzzer finds which planted defect, and how long it takes.

Usage: ``python benchmarks/fuzz_defects.py [NAME...]``. Each defect is switched on in a reference of its own; the tiers
are tried in turn, the cheapest first, until one finds something: the sample, the whole corpus, walks, live generation.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import replace

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.corpus import shipped_corpus
from kms_conformance.contract.severity import Verdict
from kms_conformance.fuzz import entrypoints as tiers
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.options import USUAL, Options
from kms_conformance.run.session import Session
from kms_reference.defects import FUZZ_DEFECTS

LONGEST = 300.0
EXAMPLES = 60
WALKS = ("root", "imported", "standard", "expiring")
_BAD = {Verdict.FAILED, Verdict.WARNED}


class Hunt:
    """The hunt for one defect."""

    def __init__(self, name: str) -> None:
        self.fuzz = replace(USUAL, generate=True, examples=EXAMPLES)
        self.session = Session(Options(defects=(name,), fuzz=self.fuzz))
        self.session.target  # noqa: B018 - starts the reference

    def tried(self, number: str, body: object, *, whole: bool = False) -> bool:
        """Run one fuzz case; tell whether it found something."""
        context = self.session.context("key_protect")
        self.session._contexts.put(replace(context, fuzz=replace(self.fuzz, whole=whole)))
        case = self.session.open(
            CaseInfo(
                id=f"fuzz.{number}",
                title=number,
                contract="key_protect",
                covers=("fuzz-any-request", "life-cycle-walk"),
            )
        )
        return self.session.run_case(case, lambda kms: body(kms.case)).verdict in _BAD  # type: ignore[operator]

    def tier(self) -> str:  # noqa: C901 - the tiers, one after the other
        """Return the first tier that finds the defect, ``""`` when none does in time."""
        until = time.monotonic() + LONGEST
        corpus = shipped_corpus("key_protect", whole=False)
        assert corpus is not None
        groups = list(corpus.about["groups"])

        def replay(group: str) -> object:
            return lambda case: tiers.replay_group(case, group)

        def walk(kind: str) -> object:
            return lambda case: tiers.walk(case, kind)

        def live(operation: str, kind: str) -> object:
            return lambda case: tiers.fuzz_operation(case, operation, kind)

        if any(self.tried(group, replay(group)) for group in groups):
            return "sample"
        if any(self.tried(group, replay(group), whole=True) for group in groups):
            return "corpus"
        if any(self.tried(kind, walk(kind)) for kind in WALKS):
            return "walks"
        for operation in load_contract("key_protect").operations:
            for kind in ("valid", "invalid"):
                if time.monotonic() > until:
                    return ""
                if self.tried(f"{operation}.{kind}", live(operation, kind)):
                    return "live"
        return ""


def main() -> None:
    """Print the table."""
    names = sys.argv[1:] or list(FUZZ_DEFECTS)
    tiers: Counter[str] = Counter()
    print("| defect | found by | seconds |\n|---|---|---:|")
    for name in names:
        hunt = Hunt(name)
        begun = time.monotonic()
        try:
            tier = hunt.tier()
        finally:
            hunt.session.close()
        tiers[tier or "nobody"] += 1
        print(f"| {name} | {tier or 'nobody'} | {time.monotonic() - begun:.1f} |", flush=True)
    print(
        "\n" + ", ".join(f"{number} by {tier}" for tier, number in tiers.most_common()) + f", of {len(names)}"
    )


if __name__ == "__main__":
    main()
