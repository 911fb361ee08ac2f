"""Checks of names that several commands take."""

from __future__ import annotations

from importlib import import_module

from kms_conformance.contract.contract import load_contract
from kms_conformance.errors import BadValueError, did_you_mean
from kms_conformance.system import system_of


def check_names(flag: str, fuzz_options: tuple[str, ...], registry: str) -> None:
    """Refuse a name that the reference does not know; raise :class:`BadValueError`."""
    if not fuzz_options:
        return
    module, _, name = registry.partition(":")
    switches = getattr(import_module(module), name)
    for choice in fuzz_options:
        if choice not in switches:
            near = did_you_mean(choice, switches)
            hint = f"did you mean {near!r}?" if near else "`kms-conformance serve --list` shows all."
            raise BadValueError(flag, choice, "the reference knows no such name", hint)


def check_contracts(contracts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the contracts if all are known; raise :class:`UnknownSystemError` otherwise."""
    for contract in contracts:
        system_of(contract)
    return contracts


def check_reference(contracts: tuple[str, ...]) -> None:
    """Refuse a run without a target by a contract that the embedded reference does not serve."""
    for contract in contracts:
        if not system_of(contract).reference:
            why, advice = "the embedded reference does not serve it", "add --target or --base-url."
            raise BadValueError("contract", contract, why, advice)


def check_edition(edition: str, contracts: tuple[str, ...]) -> str:
    """Return the edition that is asked for, or the usual one; raise :class:`BadValueError` where no contract has it."""
    editions = list(
        dict.fromkeys(name for contract in contracts for name in load_contract(contract).editions)
    )
    if edition and edition not in editions:
        advice = f"known: {', '.join(editions)}."
        raise BadValueError("--edition", edition, "no contract has such an edition", advice)
    return edition or editions[0]
