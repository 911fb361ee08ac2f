"""What a killed run has left behind, removed or put back from its journal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Self

from kms_conformance.adapters.key_protect.base import step
from kms_conformance.adapters.key_protect.keys import Keys
from kms_conformance.adapters.key_protect.network import Network
from kms_conformance.adapters.key_protect.registrations import Registrations
from kms_conformance.evidence.dates import moment_of
from kms_conformance.run.adapter import GONE
from kms_conformance.run.answer import Answer
from kms_conformance.run.journal import JournalEntry

_NAMED = {"ring", "kmip_adapter"}
_ADAPTERS = "/kmip_adapters"
_LISTED = (("key", "/keys", "name"), ("ring", "/key_rings", "id"), ("kmip_adapter", _ADAPTERS, "name"))
_PAGE, _MOST = 200, 100_000
"""Things on a page, and how many are looked at: a list that never ends is none."""
OURS = re.compile(
    r"kmsct-[0-9a-f]{8}-(?:"
    r"[a-z]+-[^/]+-[0-9a-f]{6}[0-9]{3}"  # of a key
    r"|[A-Za-z0-9_-]{1,8}-[0-9a-f]{8}-[0-9]+"  # of an alias, a ring, an adapter, a key of a drawn sequence
    r")"
)
"""Names of the full shape that the suite gives: run, kind, case, digest and number."""


def _seconds(date: object) -> float:
    moment = moment_of(date)
    return 0.0 if moment is None else moment.timestamp()


class UnsureError(Exception):
    """What a row names may be somebody else's, so it is left alone."""


class LeftOver(Keys, Network, Registrations):
    """Clean-up after somebody else."""

    settles = 31.0
    """Seconds after which a key that was disabled can be enabled again, and so be deleted by two."""

    def named_like_ours(self) -> list[JournalEntry]:
        """Return the keys, rings and adapters whose names have the full shape that only this suite gives.

        Raises :class:`UnsureError` where they cannot be listed.
        """
        entries: list[JournalEntry] = []
        for kind, path, member in _LISTED:
            entries += [
                JournalEntry(
                    0,
                    name[6:14],
                    self.case.context.target.base_url,
                    self.case.instance,
                    kind,
                    name,
                    ref,
                    "created",
                    at,
                    "",
                )
                for name, ref, at in self._listed(path, member)
                if OURS.fullmatch(name)
            ]
        return entries

    def _listed(self, path: str, member: str) -> Iterator[tuple[str, str, float]]:
        """Yield name, reference and time of creation (seconds since the epoch) of what a list shows."""
        for start in range(0, _MOST, _PAGE):
            answer = self.request("GET", path, params={"limit": _PAGE, "offset": start})
            resources = (
                answer.body.get("resources", []) if answer.ok and isinstance(answer.body, dict) else None
            )
            if not isinstance(resources, list):
                if answer.status in GONE or start:
                    return
                raise UnsureError(f"{path} cannot be listed ({answer.exchange.outcome})")
            for entry in resources:
                if isinstance(entry, dict):
                    name, entry_id = str(entry.get(member)), str(entry.get("id"))
                    ref = entry_id if path == "/keys" else f"{path}/{step(name)}"
                    yield name, ref, _seconds(entry.get("creationDate", entry.get("created_at")))
            if len(resources) < _PAGE:
                return

    def undo(self, entry: JournalEntry) -> bool:
        """Remove or put back what a row of the journal describes; return whether nothing is left of it.

        The ways in are tried one after the other, as the thing may be the policy that locks us out. Raises
        :class:`UnsureError` where a thing of that name may be somebody else's, and where that cannot be seen.
        """
        if entry.kind == "fault":
            return self.mended(entry.name, json.loads(entry.detail))
        return any(way.undo_here(entry) for way in (self, *self.other_ways_in()))

    def undo_here(self, entry: JournalEntry) -> bool:
        """Do what :meth:`undo` does, by this way in only."""
        if entry.kind == "policy":
            return self.put_back_policy(entry.name, json.loads(entry.detail))
        if entry.kind != "key":
            return self._removed(entry)
        ids = [entry.ref] if entry.ref else self._ids_of(entry.name)
        if ids and not entry.ref and not self._is_own(entry):
            raise UnsureError(f"{len(ids)} of this name are there, and whose they are cannot be told")
        for key_id in ids:
            self.case.own_things.setdefault(key_id, 0)
            self._remove_key(key_id)
            if key_id in self.case.own_things and self._registrations_removed(key_id):
                self._remove_key(key_id)
        return not any(key_id in self.case.own_things for key_id in ids)

    def _registrations_removed(self, key_id: str) -> bool:
        """Remove what our service has registered for a key of ours, as it may prevent the deletion; tell whether any went.

        A journal names registrations themselves. Where it is lost, the resource's name has the full shape of ours.
        """
        answer = self.list_registrations(key_id, limit=_PAGE)
        resources = answer.body.get("resources") if answer.ok and isinstance(answer.body, dict) else None
        names = [
            str(entry.get("resourceCrn"))
            for entry in (resources if isinstance(resources, list) else ())
            if isinstance(entry, dict)
        ]
        ours = [name for name in names if OURS.fullmatch(name.rpartition(":")[2])]
        answers = [self._of_service().delete_registration(key_id, name) for name in ours]
        return any(answer.ok for answer in answers)

    def _of_service(self) -> Self:
        """Return this adapter in the name of the service that writes registrations, where the target has one."""
        writer = self.writer_of_registrations
        return self.as_identity(writer) if writer else self

    def _removed(self, entry: JournalEntry) -> bool:
        """Remove a thing that its path names."""
        if entry.ref == _ADAPTERS:
            return self._all_adapters_removed()
        if entry.kind in _NAMED and entry.state == "intended" and not self._is_own(entry):
            raise UnsureError(
                "its creation was never answered, and the name is not one that only this run gives"
            )
        if entry.kind == "kmip_adapter":
            answer = self._adapter_deleted(entry.ref)
        else:
            remover = self._of_service() if entry.kind == "registration" else self
            answer = remover.request("DELETE", entry.ref)
        if not answer.ok and entry.kind == "ring":
            answer = self.request("DELETE", entry.ref, params={"force": "true"})
        return answer.ok or answer.status in GONE

    def _all_adapters_removed(self) -> bool:
        """Remove what was made without a name and never answered: only on an instance of our own can it be told."""
        if not self.case.context.target.fresh:
            raise UnsureError("the endpoint was to name it and did not answer, so that its name is not known")
        for _, ref, _ in list(self._listed(_ADAPTERS, "name")):
            self._adapter_deleted(ref)
        return not any(True for _ in self._listed(_ADAPTERS, "name"))

    def _adapter_deleted(self, ref: str) -> Answer:
        """Delete an adapter, with what KMIP clients have made through it where that keeps it; return the last answer."""
        answer = self.request("DELETE", ref)
        if not answer.ok:
            self._destroy_objects(ref)
            answer = self.request("DELETE", ref)
        return answer

    def _destroy_objects(self, adapter: str) -> None:
        """Destroy what KMIP clients have made through an adapter of ours: it is not deleted before that."""
        answer = self.request("GET", f"{adapter}/kmip_objects", params={"limit": _PAGE})
        resources = answer.body.get("resources") if isinstance(answer.body, dict) else None
        for made in resources or ():
            if isinstance(made, dict):
                path = f"{adapter}/kmip_objects/{made.get('id')}"
                self.request("DELETE", path, params={"force": "true"})

    def _is_own(self, entry: JournalEntry) -> bool:
        """Tell whether nobody but its run can have given a name; on an instance of our own everything is ours."""
        return self.case.context.target.fresh or entry.name.startswith(f"kmsct-{entry.run[:8]}-")

    def _ids_of(self, name: str) -> list[str]:
        """Return the ids of the keys of a name: an answer with the id may have been lost."""
        if not name:
            return []
        answer = self.list_keys(search=name, limit=200)
        body = answer.body if answer.ok and isinstance(answer.body, dict) else None
        resources = None if body is None else body.get("resources", [])
        if not isinstance(resources, list):
            raise UnsureError(f"keys cannot be listed ({answer.exchange.outcome})")
        return [str(key.get("id")) for key in resources if isinstance(key, dict) and key.get("name") == name]
