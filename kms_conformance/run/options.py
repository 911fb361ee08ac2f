"""How to run and how to fuzz: what the command line, pytest's options and the workers of a run agree on."""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kms_conformance.errors import BadValueError
from kms_conformance.judging.verdict import Profile
from kms_conformance.outputs.baseline import Entry
from kms_conformance.system import first_system, system_of

SEED = 1
EXAMPLES = 40
_CORPUS_ID = re.compile(r"c\d+")
_CHALLENGE = re.compile(r"[A-Za-z0-9._-]{8,64}")


@dataclass(frozen=True, slots=True)
class FuzzOptions:
    """How a run fuzzes.

    ``on`` is off with ``--no-fuzz``. ``whole`` replays the whole corpus instead of its sample. ``generate`` adds the tiers
    that make requests during the run; ``examples`` is how many they make for each operation and kind, ``seconds`` how
    long they may take in all (``None``: as long as that needs). ``replay`` is the id of the one finding to try again;
    ``database`` an example database: ``""`` keeps it beside the journal.
    """

    on: bool = True
    whole: bool = False
    generate: bool = False
    seconds: float | None = None
    examples: int = EXAMPLES
    seed: int = SEED
    replay: str = ""
    database: str = ""
    findings: str = ""

    def placed(self, journal: Path | None, report_dir: Path | None) -> FuzzOptions:
        """Return the options with an example database beside the journal, and findings below the reports."""
        database = self.database or (str(journal.parent / "examples") if journal is not None else "")
        return replace(
            self, database=database, findings=str(report_dir / "findings") if report_dir is not None else ""
        )


USUAL = FuzzOptions()
"""The default: the sample is replayed, nothing is generated."""


@dataclass(frozen=True)
class Options:
    """How to run.

    ``max_wait`` overrides the target's; ``journal`` ``None`` keeps it in memory; ``baseline`` holds the deviations that
    do not fail the run, ``None`` where no baseline was given; ``jobs`` is how many cases are under way at once, ``None``:
    as many as the round trip asks for; ``mode`` is one of :data:`~kms_conformance.target.target.MODES`, ``""`` the usual
    one of the target; ``shard_durations`` are the seconds by case id that shards are cut by; ``command_line`` is as in ``sys.argv``; ``challenge`` is the certifier's text that
    every request has to carry, ``product`` what the reports say is judged. A certification takes no baseline:
    :class:`BadValueError`.
    """

    profile: Profile = Profile.GATE
    edition: str = "page"
    contracts: tuple[str, ...] = field(default_factory=lambda: (first_system().id,))
    report_dir: Path | None = None
    journal: Path | None = None
    max_wait: float | None = None
    defects: tuple[str, ...] = ()
    variations: tuple[str, ...] = ()
    baseline: tuple[Entry, ...] | None = None
    fuzz: FuzzOptions = USUAL
    shard: str = ""
    shard_durations: Mapping[str, float] = field(default_factory=dict)
    jobs: int | None = None
    mode: str = ""
    command_line: tuple[str, ...] = ()
    challenge: str = ""
    product: Mapping[str, str] = field(default_factory=dict)
    run: str = ""
    key: str = ""
    worker: str = ""

    def __post_init__(self) -> None:
        if self.baseline is not None and self.profile is Profile.CERTIFY:
            count = f"{len(self.baseline)} entries"
            advice = "leave the baseline out, or choose another profile."
            raise BadValueError("--baseline", count, "the profile certify accepts no known deviation", advice)
        if self.challenge and _CHALLENGE.fullmatch(self.challenge) is None:
            why = "it has to be 8 to 64 letters, digits, dots, hyphens and underscores"
            raise BadValueError(
                "--challenge", self.challenge, why, "ask the certifier for the text as it was given."
            )
        experimental = [name for name in self.contracts if not system_of(name).certifiable]
        if experimental and self.profile is Profile.CERTIFY:
            advice = "choose another profile, or name other contracts with --contract."
            raise BadValueError(
                "--contract", ",".join(experimental), "an experimental contract certifies nothing", advice
            )

    def settled(self) -> Options:
        """Return the options with a run id and a redaction key, made once a run."""
        return replace(
            self, run=self.run or new_run_id(self.challenge), key=self.key or secrets.token_hex(32)
        )


def new_run_id(challenge: str = "") -> str:
    """Return an id for a run; with a challenge it begins with the challenge's mark, and so do the names of keys."""
    own = uuid.uuid4().hex[:8]
    return f"{challenge_mark(challenge)}-{own}" if challenge else own


def challenge_mark(challenge: str) -> str:
    """Return the eight hexadecimal digits that stand for a challenge in ids and names."""
    return hashlib.sha256(challenge.encode()).hexdigest()[:8]


def fuzz_options(flags: Mapping[str, Any], profile: str) -> FuzzOptions:
    """Return what flags and profile say about fuzzing: a gate replays the sample and generates nothing unless asked.

    Raises :class:`BadValueError` where ``--replay`` names neither a request of the corpus nor a file.
    """
    asked = flags.get("fuzz_time") is not None or flags.get("max_examples") is not None
    thorough = profile != "gate"
    seed = flags.get("seed")
    on = not flags.get("no_fuzz")
    return FuzzOptions(
        on=on,
        whole=thorough,
        generate=on and not flags.get("replay") and (thorough or asked),
        seconds=flags.get("fuzz_time"),
        examples=flags.get("max_examples") or EXAMPLES,
        seed=SEED if seed is None else seed,
        replay=_replay(flags.get("replay") or ""),
        database=flags.get("example_database") or "",
    )


def _replay(name: str) -> str:
    if not name or (Path(name).is_file() if name.endswith(".json") else _CORPUS_ID.fullmatch(name)):
        return name
    why = "there is no such file" if name.endswith(".json") else "that is neither an id nor a JSON file"
    raise BadValueError("--replay", name, why, "give the id or the file that the report names.")
