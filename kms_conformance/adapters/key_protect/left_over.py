"""What a killed run has left behind, removed or put back from its journal."""

from __future__ import annotations

import json

from kms_conformance.adapters.key_protect.base import GONE
from kms_conformance.adapters.key_protect.keys import Keys
from kms_conformance.adapters.key_protect.network import Network
from kms_conformance.journal import Thing


class LeftOver(Keys, Network):
    """Clean-up after somebody else."""

    def undo(self, thing: Thing) -> bool:
        """Remove or put back what a row of the journal describes; return whether nothing is left of it.

        The ways in are tried one after the other, as the thing may be the policy that locks us out.
        """
        return any(way.undo_here(thing) for way in (self, *self.other_ways_in()))

    def undo_here(self, thing: Thing) -> bool:
        """Do what :meth:`undo` does, by this way in only."""
        if thing.kind == "policy":
            return self.put_back_policy(thing.name, json.loads(thing.detail))
        if thing.kind != "key":
            remover = self.as_identity("service") if thing.kind == "registration" else self
            answer = remover.request("DELETE", thing.ref)
            if not answer.ok and thing.kind == "ring":
                answer = self.request("DELETE", thing.ref, params={"force": "true"})
            return answer.ok or answer.status in GONE
        ids = [thing.ref] if thing.ref else self._ids_of(thing.name)
        for key_id in ids:
            self.case.kept.setdefault(key_id, 0)
            self._remove_key(key_id)
        return not any(key_id in self.case.kept for key_id in ids)

    def _ids_of(self, name: str) -> list[str]:
        """Return the ids of the keys of a name: an answer with the id may have been lost."""
        found = self.list_keys(search=name, limit=200) if name else None
        resources = (
            found.body.get("resources") if found is not None and isinstance(found.body, dict) else None
        )
        return [
            str(key.get("id")) for key in resources or () if isinstance(key, dict) and key.get("name") == name
        ]
