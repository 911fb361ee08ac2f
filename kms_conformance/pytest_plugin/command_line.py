"""The ``--kms-*`` options of pytest's command line, and what they mean for a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kms_conformance.run.option_table import FUZZ_OPTIONS, RUN_OPTIONS, TARGET_OPTIONS

if TYPE_CHECKING:
    from kms_conformance.run.options import FuzzOptions
    from kms_conformance.target.target import Target

ALL_OPTIONS = (*TARGET_OPTIONS, *RUN_OPTIONS, *FUZZ_OPTIONS)
OPTIONS = tuple(f"kms_{option.name}" for option in ALL_OPTIONS)
"""The names under which pytest keeps the values of the options; each asks for cases."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ``--kms-*`` options."""
    group = parser.getgroup("kms", "KMS conformance")
    for option in ALL_OPTIONS:
        flag, text = f"--kms-{option.flag}", option.help.replace("%", "%%")
        if option.kind is bool:
            group.addoption(flag, action="store_true", default=None, help=text)
        elif option.choices:
            group.addoption(flag, choices=option.choices, help=text)
        else:
            # A path stays text: an empty one is as good as none.
            kind = option.kind if option.kind in {int, float} else str
            group.addoption(flag, type=kind, metavar=option.metavar, help=text)


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

    flags = {option.name: config.getoption(f"kms_{option.name}") for option in FUZZ_OPTIONS}
    return fuzz_options(flags, config.getoption("kms_profile") or "gate")


def shard(config: pytest.Config) -> str:
    """Return the part that is to run, ``""`` for all."""
    from kms_conformance.outputs.shards import read_shard  # noqa: PLC0415 - inert sessions stay light

    part = str(config.getoption("kms_shard") or "")
    read_shard(part)
    return part


def report_dir(config: pytest.Config) -> Path | None:
    """Return where the reports go."""
    folder = config.getoption("kms_report_dir")
    return Path(folder) if folder else None
