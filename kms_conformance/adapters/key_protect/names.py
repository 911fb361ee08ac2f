"""Aliases of keys, and key rings."""

from __future__ import annotations

from typing import Any

from kms_conformance.adapters.key_protect.base import Base, chosen, step
from kms_conformance.adapters.key_protect.keys import Key
from kms_conformance.run.answer import Answer


class Names(Base):
    """Requests on aliases and key rings."""

    def create_alias(self, key: Key | str, alias: str) -> Answer:
        """Give a key an alias."""
        path = f"/keys/{step(key)}/aliases/{step(alias)}"
        return self._create("alias", alias, path, {"method": "POST", "path": path})

    def delete_alias(self, key: Key | str, alias: str) -> Answer:
        """Take an alias off a key."""
        return self._delete(f"/keys/{step(key)}/aliases/{step(alias)}")

    def list_rings(self, **params: Any) -> Answer:
        """List key rings."""
        return self.request("GET", "/key_rings", params=chosen(**params))

    def create_ring(self, ring: str) -> Answer:
        """Create a key ring."""
        path = f"/key_rings/{step(ring)}"
        return self._create("ring", ring, path, {"method": "POST", "path": path})

    def new_ring(self) -> str:
        """Create a key ring under a name of our own and return its id; the case is inconclusive when that fails."""
        ring = self.short_name("ring")
        self.create_ring(ring).needed()
        return ring

    def delete_ring(self, ring: str, *, force: bool | None = None) -> Answer:
        """Delete a key ring."""
        return self._delete(f"/key_rings/{step(ring)}", chosen(force=force))

    def _remove(self, path: str, remover: str) -> None:
        super()._remove(path, remover)
        if path.startswith("/key_rings/") and path in self.case.own_things:
            # Our keys in it are deleted by now; a ring of deleted keys goes by force.
            type(self)(self.case)._delete(path, chosen(force=True))  # noqa: SLF001 - our own kind
