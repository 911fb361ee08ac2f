"""What the owner of a shared instance has set there, and which requests that changes.

A setting of the owner is no fault of the endpoint. A system declares, in one place, how its settings are read and which
requests have another outcome under each; a case that is about to send such a request is inconclusive before it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from kms_conformance.run.outcomes import Inconclusive
from kms_conformance.system import named_object

if TYPE_CHECKING:
    from kms_conformance.contract.contract import Contract
    from kms_conformance.evidence.exchange import JSON
    from kms_conformance.target.target import Target
    from kms_conformance.transport.client import Client, Request


@dataclass(frozen=True, slots=True)
class Change:
    """What a setting changes for certain requests: ``concerns`` tells which, ``why`` says it in a few words."""

    concerns: Callable[[Request], bool]
    why: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of the owner: its name, how it is described (``"dualAuthDelete on"``), and what it changes.

    ``data`` are simple values from which :data:`Premises.changes` makes the same setting in another process.
    """

    name: str
    description: str
    data: JSON = None
    changes: tuple[Change, ...] = ()


ReadSettings: TypeAlias = Callable[["Client", "Contract", str], "dict[str, JSON]"]
"""Reads the settings of an instance by harmless requests: their data by name, none where they cannot be read."""
MakeSettings: TypeAlias = Callable[["dict[str, JSON]", "Target"], Sequence[Setting]]
"""Makes settings of their data, for one target: what may stay behind and who is there may matter."""


@dataclass(frozen=True, slots=True)
class SettingsOf:
    """What a system brings, named by :attr:`System.premises`: how its settings are read, and what they change."""

    read: ReadSettings
    make: MakeSettings


@dataclass(frozen=True, slots=True)
class Premises:
    """The settings of one instance that change something."""

    settings: tuple[Setting, ...] = ()

    def has(self, name: str) -> bool:
        """Tell whether a setting is on."""
        return any(setting.name == name for setting in self.settings)

    def demand(self, request: Request) -> None:
        """Raise :class:`Inconclusive` where a setting changes the outcome of a request."""
        for setting in self.settings:
            for change in setting.changes:
                if change.concerns(request):
                    raise Inconclusive(f"the instance has {setting.description}: {change.why}")

    def document(self) -> dict[str, JSON]:
        """Return the data of the settings, for another process of the run."""
        return {setting.name: setting.data for setting in self.settings}


NO_PREMISES = Premises()
"""Of an instance of our own, and of a system whose instances have no settings."""


def read_premises(client: Client, contract: Contract, instance: str) -> Premises:
    """Ask an instance for the settings of its owner; nothing is changed."""
    if not contract.system.premises or client.target.fresh or client.target.embedded:
        return NO_PREMISES
    brings: SettingsOf = named_object(contract.system.premises)
    return premises_of(brings.read(client, contract, instance), contract, client.target)


def premises_of(data: dict[str, JSON], contract: Contract, target: Target) -> Premises:
    """Make the premises of the data that another process of the run has read."""
    if not contract.system.premises or not data:
        return NO_PREMISES
    brings: SettingsOf = named_object(contract.system.premises)
    return Premises(tuple(brings.make(data, target)))
