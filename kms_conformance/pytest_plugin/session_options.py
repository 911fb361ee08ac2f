"""What the ``--kms-*`` options of pytest's command line mean for a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from kms_conformance.contract.case_index import packages
from kms_conformance.contract.contract import known_contracts, load_contract
from kms_conformance.judging.verdict import Profile
from kms_conformance.outputs.baseline import read_baseline
from kms_conformance.outputs.shards import read_durations, read_shard
from kms_conformance.run.jobs import MOST_JOBS
from kms_conformance.run.option_table import FUZZ_OPTIONS, HOME
from kms_conformance.run.options import FuzzOptions, Options, fuzz_options
from kms_conformance.run.session import Session
from kms_conformance.target.target import Target, contracts_by_default, read_target


def session_of(config: pytest.Config) -> Session:
    """Return the session that the options of pytest's command line describe."""
    baseline = config.getoption("kms_baseline")
    path = config.getoption("kms_target")
    durations = config.getoption("kms_shard_durations")
    target = read_target(path) if path else None
    contracts = _contracts(config, target)
    options = Options(
        profile=Profile(config.getoption("kms_profile") or "gate"),
        edition=_edition(config, contracts),
        contracts=contracts,
        report_dir=report_dir(config),
        journal=Path(config.getoption("kms_journal") or HOME / "journal.sqlite"),
        max_wait=config.getoption("kms_max_wait"),
        baseline=read_baseline(Path(baseline)) if baseline else None,
        fuzz=_fuzzing(config),
        shard=_shard(config),
        shard_durations=read_durations(Path(durations)) if durations else {},
        jobs=_jobs(config),
        mode=config.getoption("kms_mode") or "",
        command_line=("pytest", *map(str, config.invocation_params.args)),
    )
    return Session(options, target)


def _contracts(config: pytest.Config, target: Target | None) -> tuple[str, ...]:
    """Return the contracts to judge: those whose folders are asked for by name, else what the target has tables for."""
    default = contracts_by_default(target)
    places = [str(argument).partition("::")[0].replace("/", ".").rstrip(".") for argument in config.args]
    general = {package for contract in known_contracts() for package in packages(contract)}
    if any(place.endswith("scenarios") and place not in general for place in places):
        return default
    named = [
        contract
        for contract in known_contracts()
        if any(_below(place, package) for place in places for package in packages(contract))
    ]
    return tuple(named) or default[:1]


def _below(place: str, package: str) -> bool:
    """Tell whether a place, written with dots, lies in a package; in a checkout packages have other names."""
    last = package.rpartition(".")[2]
    if last == "scenarios":
        return f".{package}." in f".{place}."
    return last in place.rpartition("scenarios.")[2].split(".")


def _edition(config: pytest.Config, contracts: tuple[str, ...]) -> str:
    """Return the edition to judge by; raise :class:`pytest.UsageError` where no contract has the one asked for."""
    editions = list(
        dict.fromkeys(name for contract in contracts for name in load_contract(contract).editions)
    )
    asked = str(config.getoption("kms_edition") or editions[0])
    if asked not in editions:
        raise pytest.UsageError(f"--kms-edition: no contract has {asked!r}; known: {', '.join(editions)}")
    return asked


def _fuzzing(config: pytest.Config) -> FuzzOptions:
    """Return how to fuzz."""
    flags = {option.name: config.getoption(f"kms_{option.name}") for option in FUZZ_OPTIONS}
    return fuzz_options(flags, config.getoption("kms_profile") or "gate")


def _jobs(config: pytest.Config) -> int | None:
    """Return how many cases may be under way at once, ``None`` for as many as the round trip asks for."""
    jobs: int | None = config.getoption("kms_jobs")
    if jobs is not None and not 1 <= jobs <= MOST_JOBS:
        raise pytest.UsageError(f"--kms-jobs {jobs}: from 1 to {MOST_JOBS} cases can be under way at once")
    return jobs


def _shard(config: pytest.Config) -> str:
    """Return the part that is to run, ``""`` for all."""
    part = str(config.getoption("kms_shard") or "")
    read_shard(part)
    return part


def report_dir(config: pytest.Config) -> Path | None:
    """Return where the reports go."""
    folder = config.getoption("kms_report_dir")
    return Path(folder) if folder else None
