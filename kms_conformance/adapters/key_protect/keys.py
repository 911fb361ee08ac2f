"""Keys: create, import, read, list, move, delete, restore, purge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from kms_conformance.adapters.key_protect.base import TYPE, Base, chosen, step
from kms_conformance.evidence.dates import moment_of
from kms_conformance.evidence.exchange import JSON
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.adapter import GONE, was_refused
from kms_conformance.run.answer import Answer
from kms_conformance.run.outcomes import Inconclusive

KEY = f"{TYPE}key+json"


@dataclass(frozen=True, slots=True)
class Key:
    """A key that a case has made. ``material`` is known for imported keys only."""

    id: str
    name: str
    extractable: bool
    material: Secret | None = None

    def __str__(self) -> str:
        """Return the id, so that a key stands in a path."""
        return self.id


class Keys(Base):
    """Requests on keys."""

    def key_body(self, *resources: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
        """Return the body of a create-key request; metadata members may be overridden or, as ``None``, left out."""
        described = {"collectionType": KEY, "collectionTotal": len(resources), **metadata}
        return {
            "metadata": {name: value for name, value in described.items() if value is not None},
            "resources": list(resources),
        }

    def key_resource(self, *, extractable: bool = False, **members: Any) -> dict[str, Any]:
        """Return one key resource; members given as ``None`` are left out."""
        resource = {"type": KEY, "name": self.name(), "extractable": extractable, **members}
        return {name: value for name, value in resource.items() if value is not None}

    def create_key(
        self,
        body: JSON = None,
        *,
        path: str = "/keys",
        raw: bytes | None = None,
        params: Mapping[str, Any] | None = None,
        **members: Any,
    ) -> Answer:
        """Create a key from members, or send ``body`` as it is."""
        if body is None and raw is None:
            body = self.key_body(self.key_resource(**members))
        resources = body.get("resources") if isinstance(body, dict) else None
        names = [entry.get("name", "") for entry in resources or () if isinstance(entry, dict)]
        rows = [self.intend("key", str(name)) for name in names or [self.name()]]
        answer = self.request("POST", path, body, params=params, content_type=KEY, raw=raw, step="create key")
        made = answer.body.get("resources") if answer.ok and isinstance(answer.body, dict) else None
        ids = [entry.get("id") for entry in made or () if isinstance(entry, dict)]
        for row, key_id in zip(rows, ids, strict=False):
            self._made_key(row, str(key_id))
        if was_refused(answer):
            for row in rows:
                self.strike(row)
        return answer

    def create_key_with_policies(self, **members: Any) -> Answer:
        """Create a key whose policies are given with it and replace those of the instance."""
        return self.create_key(path="/keys_with_policy_overrides", **members)

    def create_root_key(self, **members: Any) -> Key:
        """Create a root key; the case is inconclusive when that fails."""
        return self._key(self.create_key(extractable=False, **members))

    def create_standard_key(self, **members: Any) -> Key:
        """Create a standard key; the case is inconclusive when that fails."""
        return self._key(self.create_key(extractable=True, **members))

    def import_root_key(self, material: Secret | None = None, **members: Any) -> Key:
        """Import a root key from material of our own; the case is inconclusive when that fails."""
        material = material or self.key_material()
        return replace(
            self._key(self.create_key(extractable=False, payload=material, **members)), material=material
        )

    def import_standard_key(self, material: Secret | None = None, **members: Any) -> Key:
        """Import a standard key; the case is inconclusive when that fails."""
        material = material or self.key_material()
        return replace(
            self._key(self.create_key(extractable=True, payload=material, **members)), material=material
        )

    def get_key(self, key: Key | str) -> Answer:
        """Retrieve a key."""
        return self.request("GET", f"/keys/{step(key)}")

    def get_metadata(self, key: Key | str) -> Answer:
        """Retrieve a key's metadata."""
        return self.request("GET", f"/keys/{step(key)}/metadata")

    def list_keys(self, **params: Any) -> Answer:
        """List keys."""
        return self.request("GET", "/keys", params=params)

    def count_keys(self, **params: Any) -> Answer:
        """Ask for the number of keys (``HEAD``)."""
        return self.request("HEAD", "/keys", params=params)

    def list_versions(self, key: Key | str, **params: Any) -> Answer:
        """List a key's versions."""
        return self.request("GET", f"/keys/{step(key)}/versions", params=chosen(**params))

    def patch_key(self, key: Key | str, ring: str) -> Answer:
        """Move a key to another ring."""
        return self.request("PATCH", f"/keys/{step(key)}", {"keyRingID": ring}, content_type=KEY)

    def delete_key(self, key: Key | str, *, force: bool | None = None) -> Answer:
        """Delete a key."""
        answer = self.request("DELETE", f"/keys/{step(key)}", params=chosen(force=force))
        if answer.ok:
            self.forget(str(key))
        return answer

    def server_now(self) -> datetime:
        """Return the instance's own date, read from a key that is made for it and deleted at once."""
        key = self.create_root_key()
        created = self.get_metadata(key).needed()["resources.0.creationDate"]
        self.delete_key(key).needed()
        moment = moment_of(created)
        if moment is None:
            raise Inconclusive("the key's creationDate is no date")
        return moment

    def restore_key(self, key: Key | str, body: JSON = None, **members: Any) -> Answer:
        """Restore a deleted key; ``members`` make the page's form with key material."""
        if members:
            body = {"metadata": {"collectionType": KEY, "collectionTotal": 1}, "resources": [members]}
        return self.creates(
            "key",
            "",
            lambda: self.request("POST", f"/keys/{step(key)}/restore", body, content_type=KEY),
            ref=str(key),
            known=str(key),
            remove=self._remove_key,
        )

    def purge_key(self, key: Key | str) -> Answer:
        """Purge a deleted key."""
        return self.request("DELETE", f"/keys/{step(key)}/purge")

    def _key(self, answer: Answer) -> Key:
        answer.needed()
        resource = answer["resources.0"]
        if not isinstance(resource, dict):
            raise Inconclusive("create key: the answer holds no key")
        return Key(
            str(answer["resources.0.id"]), str(resource.get("name", "")), bool(resource.get("extractable"))
        )

    def _made_key(self, row: int, key_id: str) -> None:
        self.confirm(row, key_id, self._remove_key)

    def _remove_key(self, key_id: str) -> None:
        """Delete a key that the case has left; with dual authorisation, by two identities."""
        if key_id not in self.case.own_things:
            return
        owner = type(self)(self.case)
        answer = owner.delete_key(key_id, force=True)
        if answer.status in GONE:
            self.forget(key_id)
        elif not answer.ok and "approver" in self.case.context.target.identities:
            # Two can remove a key only while it is active.
            for action in ("setKeyForDeletion", "enable", "setKeyForDeletion"):
                done = owner.request("POST", f"/keys/{step(key_id)}/actions/{action}")
                if action == "enable" and not done.ok:
                    break
                if action != "enable" and owner.as_identity("approver").delete_key(key_id, force=True).ok:
                    break
