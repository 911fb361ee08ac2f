"""How to run: what the command line, pytest's options and the workers of a run agree on."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kms_conformance.errors import BadValueError
from kms_conformance.judging.verdict import Profile
from kms_conformance.outputs.baseline import Entry, as_documents, entries_of
from kms_conformance.run.fuzz_options import USUAL, FuzzOptions


@dataclass(frozen=True)
class Options:
    """How to run.

    ``max_wait`` overrides the target's; ``journal`` ``None`` keeps it in memory; ``baseline`` holds the deviations that
    do not fail the run, ``None`` where no baseline was given. A certification takes none: :class:`BadValueError`.
    """

    profile: Profile = Profile.GATE
    edition: str = "page"
    contracts: tuple[str, ...] = ("key_protect",)
    report_dir: Path | None = None
    journal: Path | None = None
    max_wait: float | None = None
    defects: tuple[str, ...] = ()
    variations: tuple[str, ...] = ()
    baseline: tuple[Entry, ...] | None = None
    fuzz: FuzzOptions = USUAL
    shard: str = ""
    run: str = ""
    key: str = ""
    worker: str = ""

    def __post_init__(self) -> None:
        if self.baseline is not None and self.profile is Profile.CERTIFY:
            told = f"{len(self.baseline)} entries"
            advice = "leave the baseline out, or choose another profile."
            raise BadValueError("--baseline", told, "the profile certify accepts no known deviation", advice)

    def settled(self) -> Options:
        """Return the options with a run id and a redaction key, made once a run."""
        return replace(self, run=self.run or uuid.uuid4().hex[:8], key=self.key or secrets.token_hex(32))


def as_mapping(options: Options) -> Mapping[str, Any]:
    """Return options as simple values, for workers in other processes."""
    return {
        **options.__dict__,
        "profile": str(options.profile),
        "report_dir": str(options.report_dir) if options.report_dir else None,
        "journal": str(options.journal) if options.journal else None,
        "contracts": list(options.contracts),
        "defects": list(options.defects),
        "variations": list(options.variations),
        "baseline": None if options.baseline is None else as_documents(options.baseline),
        "fuzz": options.fuzz.document(),
    }


def from_mapping(values: Mapping[str, Any]) -> Options:
    """Read options back from :func:`as_mapping`."""
    return Options(
        **{
            **values,
            "profile": Profile(values["profile"]),
            "report_dir": Path(values["report_dir"]) if values["report_dir"] else None,
            "journal": Path(values["journal"]) if values["journal"] else None,
            "contracts": tuple(values["contracts"]),
            "defects": tuple(values["defects"]),
            "variations": tuple(values["variations"]),
            "baseline": None if values["baseline"] is None else entries_of(values["baseline"]),
            "fuzz": FuzzOptions.of(values["fuzz"]),
        }
    )
