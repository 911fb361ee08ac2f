"""Registrations: which cloud resources use a key. A service writes them, users read them."""

from __future__ import annotations

import uuid
from typing import Any

from kms_conformance.adapters.key_protect.base import TYPE, Base, chosen, collection, step
from kms_conformance.adapters.key_protect.keys import Key
from kms_conformance.redaction.pseudonyms import MARK
from kms_conformance.run.answer import Answer

INPUT = f"{TYPE}registration_input+json"


class Registrations(Base):
    """Requests on registrations; those that write are made ``as_identity("service")``."""

    def crn(self) -> str:
        """Return the name of a bucket that nobody has, as the resource of a registration."""
        random_bytes = self.case.random_bytes
        # An account of nobody, so it is shown as it is: it begins as pseudonyms do.
        account, instance = (
            MARK + random_bytes(16).hex()[len(MARK) :],
            uuid.UUID(bytes=random_bytes(16), version=4),
        )
        return f"crn:v1:bluemix:public:cloud-object-storage:global:a/{account}:{instance}:bucket:{self.short_name('Bucket')}"

    @property
    def writer_of_registrations(self) -> str:
        """The identity that writes registrations, ``""`` where the target names none for it: then whoever asks does."""
        return "service" if "service" in self.case.context.target.identities else ""

    def create_registration(self, key: Key | str, crn: str, **members: Any) -> Answer:
        """Register a resource that uses a key."""
        path = f"/keys/{step(key)}/registrations/{step(crn)}"
        request = {"method": "POST", "path": path, "body": collection(INPUT, members), "content_type": INPUT}
        remover = self.writer_of_registrations or self._view.identity
        return self._create("registration", crn, path, request, remover=remover)

    def replace_registration(self, key: Key | str, crn: str, **members: Any) -> Answer:
        """Write a registration anew; members that are not given go back to their defaults."""
        return self._write("PUT", key, crn, members)

    def update_registration(self, key: Key | str, crn: str, **members: Any) -> Answer:
        """Change members of a registration."""
        return self._write("PATCH", key, crn, members)

    def delete_registration(self, key: Key | str, crn: str) -> Answer:
        """Remove a registration."""
        return self._delete(f"/keys/{step(key)}/registrations/{step(crn)}")

    def list_registrations(self, key: Key | str | None = None, **params: Any) -> Answer:
        """List the registrations of a key, or of all keys."""
        path = "/keys/registrations" if key is None else f"/keys/{step(key)}/registrations"
        return self.request("GET", path, params=chosen(**params))

    def _write(self, method: str, key: Key | str, crn: str, members: dict[str, Any]) -> Answer:
        path = f"/keys/{step(key)}/registrations/{step(crn)}"
        return self.request(method, path, collection(INPUT, members), content_type=INPUT)
