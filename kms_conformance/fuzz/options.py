"""How a run fuzzes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SEED = 1
EXAMPLES = 40


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

    def document(self) -> dict[str, Any]:
        """Return the options as simple values."""
        return asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> FuzzOptions:
        """Read options back from :meth:`document`."""
        return cls(**values)
