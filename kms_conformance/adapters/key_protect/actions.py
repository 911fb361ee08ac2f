"""What is done with a key, and the policies of keys and of the instance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from kms_conformance.adapters.key_protect.base import TYPE, Base, chosen, collection, given, step
from kms_conformance.adapters.key_protect.keys import Key
from kms_conformance.adapters.key_protect.material import WrappedMaterial
from kms_conformance.evidence.damage import DAMAGES
from kms_conformance.evidence.exchange import JSON
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.answer import Answer
from kms_conformance.run.outcomes import NotTested

ACTION, POLICY = f"{TYPE}key_action+json", f"{TYPE}policy+json"
_INHERITED = ("dualAuthDelete", "rotation")
_OFF: Mapping[str, Any] = {"enabled": False}


class Actions(Base):
    """Actions on keys, and policies."""

    def action(self, key: Key | str, name: str, body: JSON = None) -> Answer:
        """Perform an action in the present form, ``/actions/<name>``."""
        return self.request(
            "POST", f"/keys/{step(key)}/actions/{name}", body, content_type=ACTION, step=f"{name} key"
        )

    def old_action(self, key: Key | str, name: str, body: JSON = None) -> Answer:
        """Perform an action in the old form, ``?action=<name>``."""
        return self.request(
            "POST",
            f"/keys/{step(key)}",
            body,
            params={"action": name},
            content_type=ACTION,
            step=f"{name} key (old form)",
        )

    def wrap(self, key: Key | str, plaintext: str | None = None, aad: list[str] | None = None) -> Answer:
        """Wrap a plaintext, or let the service make one."""
        return self.action(key, "wrap", given(plaintext=plaintext, aad=aad))

    def damaged(self, ciphertext: str, how: str) -> Secret:
        """Return the ciphertext as one of :data:`DAMAGES` leaves it; a script that sends the sequence again has to know."""
        made = Secret(DAMAGES[how](ciphertext))
        remember = self.case.context.redactor.remember
        self.case.context.client.note(
            "damage", how, remember(ciphertext, "ciphertext"), remember(made, "ciphertext")
        )
        return made

    def unwrap(self, key: Key | str, ciphertext: str, aad: list[str] | None = None) -> Answer:
        """Unwrap a ciphertext."""
        return self.action(key, "unwrap", given(ciphertext=ciphertext, aad=aad))

    def rewrap(self, key: Key | str, ciphertext: str, aad: list[str] | None = None) -> Answer:
        """Rewrap a ciphertext under the newest version."""
        return self.action(key, "rewrap", given(ciphertext=ciphertext, aad=aad))

    def rotate(
        self, key: Key | str, payload: str | None = None, wrapped: WrappedMaterial | None = None
    ) -> Answer:
        """Rotate a key, with new material where it was imported."""
        return self.action(key, "rotate", wrapped.members() if wrapped else given(payload=payload))

    def enable(self, key: Key | str) -> Answer:
        """Enable a key."""
        return self.action(key, "enable")

    def disable(self, key: Key | str) -> Answer:
        """Disable a key."""
        return self.action(key, "disable")

    def set_for_deletion(self, key: Key | str) -> Answer:
        """Authorise a deletion."""
        return self.action(key, "setKeyForDeletion")

    def unset_for_deletion(self, key: Key | str) -> Answer:
        """Withdraw the authorisation of a deletion."""
        return self.action(key, "unsetKeyForDeletion")

    def sync(self, key: Key | str) -> Answer:
        """Ask the services that use a key to follow its state."""
        return self.action(key, "sync")

    # --- policies of a key ----------------------------------------------------------------------------------------

    def put_policy(
        self, key: Key | str, *, query: str | None = None, **policies: Mapping[str, Any]
    ) -> Answer:
        """Set policies of a key: ``dualAuthDelete={"enabled": True}`` or ``rotation={"interval_month": 3}``."""
        body = collection(POLICY, *({"type": POLICY, kind: value} for kind, value in policies.items()))
        return self.request(
            "PUT", f"/keys/{step(key)}/policies", body, params=chosen(policy=query), content_type=POLICY
        )

    def get_policies(self, key: Key | str, policy: str | None = None) -> Answer:
        """Read the policies of a key."""
        return self.request("GET", f"/keys/{step(key)}/policies", params=chosen(policy=policy))

    # --- policies of the instance ---------------------------------------------------------------------------------

    def policy_body(self, *resources: Mapping[str, Any], total: int | None = None) -> dict[str, Any]:
        """Return the body of an instance-policy request."""
        return collection(POLICY, *resources, total=total)

    def put_instance_policies(self, body: JSON, query: str | None = None) -> Answer:
        """Send an instance-policy request as it is."""
        return self.request(
            "PUT", "/instance/policies", body, params=chosen(policy=query), content_type=POLICY
        )

    def get_instance_policies(self, policy: str | None = None) -> Answer:
        """Read the policies of the instance."""
        return self.request("GET", "/instance/policies", params=chosen(policy=policy))

    def get_allowed_ip_port(self) -> Answer:
        """Ask for the port of the private endpoint."""
        return self.request("GET", "/instance/allowed_ip_port")

    def set_instance_policy(self, kind: str, *, enabled: bool = True, **attributes: Any) -> Answer:
        """Change one policy of the instance; it is put back when the case ends (see :meth:`set_instance_policies`)."""
        data = {"enabled": enabled, **({"attributes": attributes} if attributes else {})}
        return self.set_instance_policies({"policy_type": kind, "policy_data": data}, query=kind)

    def set_instance_policies(self, *resources: Mapping[str, Any], query: str | None = None) -> Answer:
        """Change policies of the instance.

        What they are now is read first and written to the journal (kind ``policy``, detail: what to put back); the
        clean-up puts it back and reads it again to see that it is equal.
        """
        self._note_policies([str(resource["policy_type"]) for resource in resources])
        return self.put_instance_policies(self.policy_body(*resources), query)

    def instance_policy_control(self) -> Answer:
        """Show that instance policies work here at all, without changing one.

        Where the target allows instance policies, the dual-authorisation policy is written back as it is; elsewhere
        it is only read.
        """
        read = self.get_instance_policies("dualAuthDelete").needed(200)
        if not (self.case.context.target.fresh or self.case.context.target.allow.get("instance_policies")):
            return read
        same = {"policy_type": "dualAuthDelete", "policy_data": _data_of(read, "dualAuthDelete")}
        return self.put_instance_policies(self.policy_body(same), "dualAuthDelete").needed()

    def policy_as_it_is(self, kind: str) -> dict[str, Any]:
        """Return a policy of the instance as a resource that changes nothing.

        A request that has to be refused carries it: where it is accepted instead, the instance is as before.
        """
        read = self.get_instance_policies(kind).needed(200)
        return {"policy_type": kind, "policy_data": _data_of(read, kind)}

    def demand_no_inherited_policies(self) -> None:
        """Raise :class:`NotTested` where the instance gives its new keys policies."""
        if self.case.context.target.fresh:
            return
        read = self.get_instance_policies().needed(200)
        given = [kind for kind in _INHERITED if _data_of(read, kind)["enabled"]]
        if given:
            raise NotTested(
                f"the instance gives new keys its {' and '.join(given)} policy: switch it off there"
            )

    def put_back_policy(self, kind: str, was: Mapping[str, Any]) -> bool:
        """Give the instance the policy data that it had; return whether it has them now, as read back."""
        if self._has_policy(kind, was):
            return True
        resource = {"policy_type": kind, "policy_data": was}
        answer = self.put_instance_policies(self.policy_body(resource), kind)
        if not answer.ok and kind == "allowedNetwork" and not was["enabled"]:
            # Older services want the attribute even when the policy is switched off.
            data = {**was, "attributes": {"allowed_network": "public-and-private"}}
            self.put_instance_policies(self.policy_body({**resource, "policy_data": data}), kind)
        return self._has_policy(kind, was)

    def _note_policies(self, kinds: list[str]) -> None:
        new = [kind for kind in kinds if f"policy:{kind}" not in self.case.own_things]
        if not new:
            return
        now = self.get_instance_policies().needed(200)
        for kind in new:
            was = _data_of(now, kind)
            self.case.own_things[f"policy:{kind}"] = self.intend(
                "policy", kind, detail=json.dumps(was, sort_keys=True)
            )
            self.case.clean_up.append(partial(self._restore_policy, kind, was))

    def _restore_policy(self, kind: str, was: Mapping[str, Any]) -> None:
        if self.put_back_policy(kind, was):
            self.forget(f"policy:{kind}")

    def _has_policy(self, kind: str, was: Mapping[str, Any]) -> bool:
        read = self.get_instance_policies(kind)
        return read.ok and _data_of(read, kind) == was


def _data_of(read: Answer, kind: str) -> dict[str, Any]:
    """Return what a policy must be put back to; a policy that was never set and one that is off are the same."""
    resources = read.body.get("resources") if isinstance(read.body, dict) else None
    for resource in resources or ():
        if isinstance(resource, dict) and resource.get("policy_type") == kind:
            data = resource.get("policy_data")
            if isinstance(data, dict) and data.get("enabled") is True:
                attributes = data.get("attributes")
                return {"enabled": True, **({"attributes": attributes} if attributes else {})}
    return dict(_OFF)
