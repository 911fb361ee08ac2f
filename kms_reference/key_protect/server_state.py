"""Everything one server knows: its switches, its token issuer, its instances and its data file."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

from kms_reference.key_protect.iam import Issuer, new_identities
from kms_reference.key_protect.instance import Instance
from kms_reference.key_protect.model import StoreError
from kms_reference.key_protect.rsa_pairs import PairPool
from kms_reference.key_protect.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kms_reference.rules import Rules

ClockKind = Literal["virtual", "real"]
REGION: Final = "us-south"

_log = logging.getLogger(__name__)


class ServerState:
    """The whole state behind one base URL. Used by the server's event loop only."""

    def __init__(self, rules: Rules, clock: ClockKind = "virtual", data: Path | None = None) -> None:
        self.rules = rules
        self.clock = clock
        self.instances: dict[str, Instance] = {}
        self.restarted = False
        """Whether the data file held state already."""
        self.crypto_ready: Callable[[str], bool] = lambda _: True
        """Whether an instance (by id) can use its master key; crypto units, where there are any, replace this."""
        self._store: Store | None = None
        if data is None:
            self.issuer = Issuer(new_identities(), rules)
            return
        self._store = Store(data)
        issuer_row = self._store.setting("issuer")
        if issuer_row is None:
            self.issuer = Issuer(new_identities(), rules)
            self._store.set_setting("issuer", self.issuer.to_row())
        else:
            self.restarted = True
            self.issuer = Issuer.from_row(issuer_row, rules)
            self.instances = self._store.load(rules)

    @cached_property
    def pairs(self) -> PairPool:
        """Where import tokens get their RSA pairs from."""
        return PairPool()

    def instance(self, instance_id: str) -> Instance:
        """Return the instance by UUID; it is made on first use."""
        canonical = instance_id.lower()
        existing = self.instances.get(canonical)
        if existing is None:
            existing = self.instances[canonical] = Instance(canonical, self.rules)
        return existing

    def save(self, instance: Instance) -> None:
        """Write an instance's changes to the data file, when there is one. Raises StoreError."""
        if self._store is not None:
            self._store.save((instance,))

    def close(self) -> None:
        """Write what is left and close the data file."""
        if self._store is not None:
            try:
                self._store.save(self.instances.values())
            except StoreError as error:
                _log.error("the data file cannot be written: %s", error)
            self._store.close()
            self._store = None
