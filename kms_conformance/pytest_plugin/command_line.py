"""The ``--kms-*`` options of pytest's command line, and what they mean for a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kms_conformance.run.options import FuzzOptions
    from kms_conformance.target.target import Target

FUZZ_OPTIONS = ("no_fuzz", "fuzz_time", "max_examples", "seed", "replay", "example_database")
_RUN_OPTIONS = ("target", "report_dir", "profile", "edition", "max_wait", "journal", "baseline", "shard")
OPTIONS = tuple(f"kms_{name}" for name in (*_RUN_OPTIONS, *FUZZ_OPTIONS))
"""The names under which pytest keeps the values of the options; each asks for cases."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ``--kms-*`` options."""
    group = parser.getgroup("kms", "KMS conformance")
    group.addoption(
        "--kms-target",
        metavar="FILE",
        help="the endpoint to judge (target.toml); without: the embedded reference",
    )
    group.addoption(
        "--kms-report-dir", metavar="DIR", help="where to write results.json, report.html and the rest"
    )
    group.addoption(
        "--kms-profile",
        choices=["gate", "nightly", "certify"],
        help="which rows are required (default: gate)",
    )
    group.addoption(
        "--kms-edition", choices=["page", "service"], help="as documented (default) or as observed since"
    )
    group.addoption(
        "--kms-max-wait",
        type=float,
        metavar="SECONDS",
        help="longest single wait; 0: cases that wait are not tested",
    )
    group.addoption(
        "--kms-baseline", metavar="FILE", help="known deviations (YAML), which do not fail the run"
    )
    group.addoption(
        "--kms-no-fuzz", action="store_true", default=None, help="leave fuzzing out; the report says so"
    )
    group.addoption("--kms-fuzz-time", type=float, metavar="SECONDS", help="generate requests for so long")
    group.addoption(
        "--kms-max-examples", type=int, metavar="N", help="generated requests for each operation and kind"
    )
    group.addoption("--kms-seed", type=int, metavar="N", help="seed of what is generated")
    group.addoption("--kms-replay", metavar="ID", help="try one finding of the fuzzer again")
    group.addoption(
        "--kms-example-database",
        metavar="URL",
        help="where generated findings are kept: a folder or redis://HOST",
    )
    group.addoption(
        "--kms-shard", metavar="I/N", help="run one part of N; `kms-conformance merge` makes one run of all"
    )
    group.addoption("--kms-journal", metavar="FILE", help="where to write down what is created")


def contracts(config: pytest.Config, target: Target | None) -> tuple[str, ...]:
    """Return the contracts to judge: those whose folders are asked for by name, else what the target has tables for."""
    from kms_conformance.contract.case_index import folders  # noqa: PLC0415 - inert sessions stay light
    from kms_conformance.target.target import contracts_by_default  # noqa: PLC0415 - same

    default = contracts_by_default(target)
    places = [str(argument).partition("::")[0].replace("/", ".").rstrip(".") for argument in config.args]
    if any(place.endswith("scenarios") for place in places):
        return default
    steps = {step for place in places for step in place.rpartition("scenarios.")[2].split(".")}
    named = [contract for contract in contracts_by_default(None) if steps.intersection(folders(contract))]
    return tuple(named) or default[:1]


def fuzzing(config: pytest.Config) -> FuzzOptions:
    """Return how to fuzz."""
    from kms_conformance.run.options import fuzz_options  # noqa: PLC0415 - inert sessions stay light

    flags = {name: config.getoption(f"kms_{name}") for name in FUZZ_OPTIONS}
    return fuzz_options(flags, config.getoption("kms_profile") or "gate")


def shard(config: pytest.Config) -> str:
    """Return the part that is to run, ``""`` for all."""
    from kms_conformance.outputs.shards import read_shard  # noqa: PLC0415 - inert sessions stay light

    part = str(config.getoption("kms_shard") or "")
    read_shard(part)
    return part


def report_dir(config: pytest.Config) -> Path | None:
    """Return where the reports go."""
    told = config.getoption("kms_report_dir")
    return Path(told) if told else None
