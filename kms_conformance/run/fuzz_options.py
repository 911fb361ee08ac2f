"""How a run fuzzes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kms_conformance.errors import BadValueError

SEED = 1
EXAMPLES = 40
_ID = re.compile(r"c\d+")


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

    def document(self) -> dict[str, Any]:
        """Return the options as simple values."""
        return asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> FuzzOptions:
        """Read options back from :meth:`document`."""
        return cls(**values)


USUAL = FuzzOptions()
"""What a gate does without any flag: the sample, nothing generated."""


def chosen(flags: Mapping[str, Any], profile: str) -> FuzzOptions:
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
    if not name or (Path(name).is_file() if name.endswith(".json") else _ID.fullmatch(name)):
        return name
    why = "there is no such file" if name.endswith(".json") else "that is neither an id nor a JSON file"
    raise BadValueError("--replay", name, why, "give the id or the file that the report names.")
