"""Checks of names that several commands take."""

from __future__ import annotations

from importlib import import_module

from kms_conformance.contract.contract import known_contracts
from kms_conformance.errors import BadValueError, did_you_mean


def check_names(flag: str, fuzz_options: tuple[str, ...], registry: str) -> None:
    """Refuse a name that the reference does not know; raise :class:`BadValueError`."""
    if not fuzz_options:
        return
    module, _, name = registry.partition(":")
    known = getattr(import_module(module), name)
    for choice in fuzz_options:
        if choice not in known:
            near = did_you_mean(choice, known)
            hint = f"did you mean {near!r}?" if near else "`kms-conformance serve --list` shows all."
            raise BadValueError(flag, choice, "the reference knows no such name", hint)


def check_contracts(contracts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the contracts if all are known; raise :class:`BadValueError` otherwise."""
    known = known_contracts()
    for contract in contracts:
        if contract not in known:
            raise BadValueError(
                "contract", contract, "there is no such contract", f"known: {', '.join(known)}."
            )
    return contracts
