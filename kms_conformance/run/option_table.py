"""The options of a run: one table feeds the command line and pytest's ``--kms-*`` options.

It imports nothing of the suite, as both read it at every start.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HOME = Path(".kms-conformance")
"""Where a run keeps what the next one needs, below the working directory."""
REPORTS = Path("reports") / "out"


@dataclass(frozen=True, slots=True)
class RunOption:
    """An option: ``--profile`` on the command line, ``--kms-profile`` in pytest.

    ``kind`` is the type of its value, ``bool`` for a switch. ``default`` and ``variable`` (of the environment) are the
    command line's alone: in pytest, an option that is given says that cases are wanted. ``at_least``, ``at_most``
    and ``above`` bound a number.
    """

    name: str
    help: str
    kind: type = str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    default: str | Path | None = None
    variable: str = ""
    at_least: int | None = None
    at_most: int | None = None
    above: float | None = None

    @property
    def flag(self) -> str:
        """The option as it is written, without dashes before it."""
        return self.name.replace("_", "-")


TARGET_OPTIONS = (
    RunOption("target", "Target file (TOML).", metavar="FILE", variable="KMS_TARGET"),
    RunOption(
        "max_wait",
        "Longest single wait; 0: cases that wait are not tested. [KMS_MAX_WAIT]",
        kind=float,
        metavar="SECONDS",
    ),
)
"""Of those that describe the target, the ones that pytest has too."""

RUN_OPTIONS = (
    RunOption("profile", "Which rows are required.", choices=("gate", "nightly", "certify"), default="gate"),
    RunOption(
        "edition",
        "An edition of the contract: page (the default), as documented, or service, as observed since.",
        metavar="NAME",
    ),
    RunOption(
        "report_dir",
        "Where the reports go.",
        kind=Path,
        metavar="DIR",
        default=REPORTS,
        variable="KMS_REPORT_DIR",
    ),
    RunOption(
        "baseline",
        "Known deviations (YAML), which do not fail the run.",
        kind=Path,
        metavar="FILE",
        variable="KMS_BASELINE",
    ),
    RunOption(
        "journal",
        "Where created things are written down.",
        kind=Path,
        metavar="FILE",
        default=HOME / "journal.sqlite",
    ),
    RunOption(
        "jobs",
        "Cases under way at once (default: as many as the round trip asks for).",
        kind=int,
        metavar="N",
        at_least=1,
        at_most=64,
    ),
    RunOption(
        "mode",
        "What may be sent: read-only (nothing that changes anything), safe (own things only), full (what [allow] permits)."
        " Default: safe, and full on this machine.",
        choices=("read-only", "safe", "full"),
        variable="KMS_MODE",
    ),
    RunOption("shard", "Run one part of N; `kms-conformance merge` makes one run of all.", metavar="I/N"),
    RunOption(
        "shard_durations",
        "Cut shards by these seconds of each case (JSON), not by their number; the same file for every shard.",
        kind=Path,
        metavar="FILE",
    ),
)

FUZZ_OPTIONS = (
    RunOption("no_fuzz", "Leave fuzzing out; the report says so.", kind=bool),
    RunOption(
        "fuzz_time",
        "Generate requests for so long (default with nightly and certify: as many as --max-examples).",
        kind=float,
        metavar="SECONDS",
        above=0,
    ),
    RunOption(
        "max_examples",
        "Generated requests for each operation and kind.",
        kind=int,
        metavar="N",
        at_least=1,
    ),
    RunOption("seed", "Seed of what is generated.", kind=int, metavar="N"),
    RunOption("replay", "Try one finding again: its id or its file, as the report names it.", metavar="ID"),
    RunOption(
        "example_database",
        "Where generated findings are kept between runs: a folder or redis://HOST. [KMS_EXAMPLE_DATABASE]",
        metavar="URL",
        variable="KMS_EXAMPLE_DATABASE",
    ),
)
