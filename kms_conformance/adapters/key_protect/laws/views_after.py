"""Views under which a key has a past that leaves nothing behind, by the ids of ``views.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kms_conformance.adapters.key_protect.adapter import KeyProtect
from kms_conformance.adapters.key_protect.keys import KEY
from kms_conformance.adapters.key_protect.laws.under_view import KEY_PATH, CaseRequest, UnderView
from kms_conformance.evidence.exchange import JSON
from kms_conformance.run.answer import Answer


class WithPast(UnderView):
    """Asks in the usual way for keys that have been asked for something else before, which leaves nothing behind."""

    def otherwise(self, request: CaseRequest) -> CaseRequest | None:
        """Ask as ever; what differs is what was asked before."""
        match = KEY_PATH.fullmatch(request.path)
        return request if match is not None and match["key"] in self.case.view_notes else None

    def create_key(self, body: JSON = None, **members: Any) -> Answer:
        """Create a key and let it have its past."""
        answer = super().create_key(body, **members)
        made = answer.body.get("resources") if answer.ok and isinstance(answer.body, dict) else None
        for entry in made or () if not self.case.cleaning else ():
            if isinstance(entry, dict) and entry.get("id") in self.case.own_things:
                self.live(KeyProtect(self.case), entry)
                self.case.view_notes[str(entry["id"])] = self.view
        return answer

    def live(self, usual: KeyProtect, key: Mapping[str, Any]) -> None:
        """Ask a new key for what leaves nothing behind."""
        raise NotImplementedError


class AfterRefusals(WithPast):
    """Asks for keys that have refused what their state, their kind or their policies do not allow."""

    view = "after-refusals"

    def live(self, usual: KeyProtect, key: Mapping[str, Any]) -> None:
        """Ask for what an active key without policies refuses; whether it does is a promise of its own."""
        key_id = str(key["id"])
        for answer in (
            usual.enable(key_id),
            usual.request("POST", f"/keys/{key_id}/restore", content_type=KEY),
            usual.set_for_deletion(key_id),
            usual.unset_for_deletion(key_id),
            usual.unwrap(key_id, usual.key_material(64)),
            usual.rotate(key_id, usual.key_material(7)),
        ):
            answer.not_judged()


class AfterUse(WithPast):
    """Asks for keys that were used and looked at, and whose alias and whose namesake are gone."""

    view = "after-use"

    def live(self, usual: KeyProtect, key: Mapping[str, Any]) -> None:
        """Give the key an alias and take it back, use it, and make and delete another key of its name."""
        key_id, alias = str(key["id"]), self.short_name("was")
        usual.create_alias(key_id, alias).not_judged()
        usual.get_metadata(alias).not_judged()
        usual.delete_alias(key_id, alias).not_judged()
        usual.wrap(key_id, usual.key_material()).not_judged()
        twin = usual.create_key(
            name=str(key.get("name")), extractable=bool(key.get("extractable"))
        ).not_judged()
        if twin.ok:
            usual.delete_key(str(twin["resources.0.id"])).not_judged()
