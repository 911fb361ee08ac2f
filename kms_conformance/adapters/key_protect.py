"""Key Protect's documented requests as methods; what a case of its contract calls ``kms``.

Every method that can create something writes it to the journal before the request leaves, and registers how to
remove it. Method names follow the API reference; each returns an :class:`Answer` unless its name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Self
from urllib.parse import quote

from kms_conformance.client import Request
from kms_conformance.exchange import JSON
from kms_conformance.kit import Answer, CaseRun, Inconclusive
from kms_conformance.material import Parcel, key_material, pack
from kms_conformance.redaction import Secret

ROOT = "/api/v2"
TYPE = "application/vnd.ibm.kms."
KEY, ACTION, POLICY = f"{TYPE}key+json", f"{TYPE}key_action+json", f"{TYPE}policy+json"
LONGEST_NAME = 90
_GONE = {404, 410}


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


@dataclass(frozen=True, slots=True)
class View:
    """Who asks and how: the identity, a literal authorization value, more headers, another address."""

    identity: str = "manager"
    token: str | None = ""
    headers: tuple[tuple[str, str | None], ...] = ()
    base_url: str = ""


class KeyProtect:
    """The ``kms`` of a case: one instance, seen by one identity."""

    def __init__(self, case: CaseRun, view: View = View()) -> None:  # noqa: B008 - immutable
        self.case, self._view = case, view

    # --- who asks -------------------------------------------------------------------------------------------------

    def as_identity(self, name: str) -> Self:
        """Return the same instance as seen by another identity of the target."""
        return type(self)(self.case, replace(self._view, identity=name, token=""))

    def current_token(self) -> Secret:
        """Return the token of the present identity."""
        return self.case.bench.client.tokens.of(self._view.identity)

    def with_authorization(self, value: str | None) -> Self:
        """Return the same instance with a literal ``authorization`` header, or without one."""
        return type(self)(self.case, replace(self._view, token=value))

    def with_headers(self, **headers: str | None) -> Self:
        """Return the same instance with more headers (``_`` for ``-``); ``None`` leaves one out."""
        named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        return type(self)(self.case, replace(self._view, headers=self._view.headers + named))

    def in_ring(self, ring: str) -> Self:
        """Return the same instance with the key-ring header."""
        return self.with_headers(x_kms_key_ring=ring)

    # --- the raw request ------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        body: JSON = None,
        *,
        params: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        raw: bytes | None = None,
        step: str = "",
    ) -> Answer:
        """Send any request below ``/api/v2``."""
        headers: dict[str, str] = {"bluemix-instance": self.case.instance}
        if body is not None or raw is not None:
            headers["content-type"] = content_type or "application/json"
        for name, value in self._view.headers:
            headers.pop(name, None)
            if value is not None:
                headers[name] = value
        operation = self.case.bench.contract.operation_of(method, ROOT + path)
        return self.case.send(
            Request(
                method=method,
                path=ROOT + path,
                headers=headers,
                params=params or {},
                body=body,
                raw=raw,
                identity=self._view.identity,
                token=self._view.token,
                operation=operation,
                step=step or operation or f"{method} {path}",
                base_url=self._view.base_url,
            )
        )

    # --- time -----------------------------------------------------------------------------------------------------

    def wait(self, seconds: float, why: str) -> None:
        """Let time pass; the only way to wait."""
        self.case.wait(seconds, why)

    def later(self, seconds: float) -> str:
        """Return the moment ``seconds`` from now on the instance's clock, as the API writes dates."""
        return (self.case.now() + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def harmless(self, value: str) -> str:
        """Declare a value harmless although it travels in a secret member: reports show it in clear."""
        return self.case.bench.redactor.allow(value)

    # --- keys -----------------------------------------------------------------------------------------------------

    def name(self, what: str = "key") -> str:
        """Return a new name under the suite's prefix, unique to run and case."""
        number = len(self.case.exchanges)
        stem = f"kmsct-{self.case.bench.run}-{what}-{self.case.info.id.rsplit('.', 1)[-1]}"
        return f"{stem[: LONGEST_NAME - 6]}-{number}"

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

    def create_key(self, body: JSON = None, *, path: str = "/keys", raw: bytes | None = None, **members: Any) -> Answer:
        """Create a key from members, or send ``body`` as it is."""
        if body is None and raw is None:
            body = self.key_body(self.key_resource(**members))
        resources = body.get("resources") if isinstance(body, dict) else None
        names = [entry.get("name", "") for entry in resources or () if isinstance(entry, dict)]
        rows = [self._intend("key", str(name)) for name in names or [self.name()]]
        answer = self.request("POST", path, body, content_type=KEY, raw=raw, step="create key")
        made = answer.body.get("resources") if answer.ok and isinstance(answer.body, dict) else None
        ids = [entry.get("id") for entry in made or () if isinstance(entry, dict)]
        for row, key_id in zip(rows, ids, strict=False):
            self._made_key(row, str(key_id))
        if answer.reply is not None and not answer.ok:
            for row in rows:
                self.case.bench.journal.gone(row)
        return answer

    def create_root_key(self, **members: Any) -> Key:
        """Create a root key; the case is inconclusive when that fails."""
        return self._key(self.create_key(extractable=False, **members))

    def create_standard_key(self, **members: Any) -> Key:
        """Create a standard key; the case is inconclusive when that fails."""
        return self._key(self.create_key(extractable=True, **members))

    def import_root_key(self, material: Secret | None = None, **members: Any) -> Key:
        """Import a root key from material of our own; the case is inconclusive when that fails."""
        material = material or key_material()
        return replace(self._key(self.create_key(extractable=False, payload=material, **members)), material=material)

    def import_standard_key(self, material: Secret | None = None, **members: Any) -> Key:
        """Import a standard key; the case is inconclusive when that fails."""
        material = material or key_material()
        return replace(self._key(self.create_key(extractable=True, payload=material, **members)), material=material)

    def get_key(self, key: Key | str) -> Answer:
        """Retrieve a key."""
        return self.request("GET", f"/keys/{_step(key)}")

    def get_metadata(self, key: Key | str) -> Answer:
        """Retrieve a key's metadata."""
        return self.request("GET", f"/keys/{_step(key)}/metadata")

    def list_keys(self, **params: Any) -> Answer:
        """List keys."""
        return self.request("GET", "/keys", params=params)

    def count_keys(self, **params: Any) -> Answer:
        """Ask for the number of keys (``HEAD``)."""
        return self.request("HEAD", "/keys", params=params)

    def list_versions(self, key: Key | str, **params: Any) -> Answer:
        """List a key's versions."""
        return self.request("GET", f"/keys/{_step(key)}/versions", params=params)

    def patch_key(self, key: Key | str, ring: str) -> Answer:
        """Move a key to another ring."""
        return self.request("PATCH", f"/keys/{_step(key)}", {"keyRingID": ring}, content_type=KEY)

    def delete_key(self, key: Key | str, *, force: bool | None = None) -> Answer:
        """Delete a key."""
        params = {} if force is None else {"force": str(force).lower()}
        answer = self.request("DELETE", f"/keys/{_step(key)}", params=params)
        if answer.ok:
            self._gone_key(str(key))
        return answer

    def restore_key(self, key: Key | str, body: JSON = None, **members: Any) -> Answer:
        """Restore a deleted key; ``members`` make the page's form with key material."""
        if members:
            body = {"metadata": {"collectionType": KEY, "collectionTotal": 1}, "resources": [members]}
        answer = self.request("POST", f"/keys/{_step(key)}/restore", body, content_type=KEY)
        if answer.ok:
            self._made_key(self._intend("key", "", ref=str(key)), str(key))
        return answer

    def purge_key(self, key: Key | str) -> Answer:
        """Purge a deleted key."""
        return self.request("DELETE", f"/keys/{_step(key)}/purge")

    # --- actions --------------------------------------------------------------------------------------------------

    def action(self, key: Key | str, name: str, body: JSON = None) -> Answer:
        """Perform an action in the present form, ``/actions/<name>``."""
        return self.request("POST", f"/keys/{_step(key)}/actions/{name}", body, content_type=ACTION, step=f"{name} key")

    def old_action(self, key: Key | str, name: str, body: JSON = None) -> Answer:
        """Perform an action in the old form, ``?action=<name>``."""
        return self.request("POST", f"/keys/{_step(key)}", body, params={"action": name}, content_type=ACTION, step=f"{name} key (old form)")

    def wrap(self, key: Key | str, plaintext: str | None = None, aad: list[str] | None = None) -> Answer:
        """Wrap a plaintext, or let the service make one."""
        return self.action(key, "wrap", _given(plaintext=plaintext, aad=aad))

    def unwrap(self, key: Key | str, ciphertext: str, aad: list[str] | None = None) -> Answer:
        """Unwrap a ciphertext."""
        return self.action(key, "unwrap", _given(ciphertext=ciphertext, aad=aad))

    def rewrap(self, key: Key | str, ciphertext: str, aad: list[str] | None = None) -> Answer:
        """Rewrap a ciphertext under the newest version."""
        return self.action(key, "rewrap", _given(ciphertext=ciphertext, aad=aad))

    def rotate(self, key: Key | str, payload: str | None = None, parcel: Parcel | None = None) -> Answer:
        """Rotate a key, with new material where it was imported."""
        return self.action(key, "rotate", parcel.members() if parcel else _given(payload=payload))

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

    # --- policies -------------------------------------------------------------------------------------------------

    def put_policy(self, key: Key | str, *, query: str | None = None, **policies: Mapping[str, Any]) -> Answer:
        """Set policies of a key: ``dualAuthDelete={"enabled": True}`` or ``rotation={"interval_month": 3}``."""
        resources = [{"type": POLICY, kind: value} for kind, value in policies.items()]
        body = {"metadata": {"collectionType": POLICY, "collectionTotal": len(resources)}, "resources": resources}
        return self.request("PUT", f"/keys/{_step(key)}/policies", body, params=_params(policy=query), content_type=POLICY)

    def get_policies(self, key: Key | str, policy: str | None = None) -> Answer:
        """Read the policies of a key."""
        return self.request("GET", f"/keys/{_step(key)}/policies", params=_params(policy=policy))

    def policy_body(self, *resources: Mapping[str, Any], total: int | None = None) -> dict[str, Any]:
        """Return the body of an instance-policy request."""
        counted = len(resources) if total is None else total
        return {"metadata": {"collectionType": POLICY, "collectionTotal": counted}, "resources": list(resources)}

    def put_instance_policies(self, body: JSON, query: str | None = None) -> Answer:
        """Send an instance-policy request as it is."""
        return self.request("PUT", "/instance/policies", body, params=_params(policy=query), content_type=POLICY)

    def get_instance_policies(self, policy: str | None = None) -> Answer:
        """Read the policies of the instance."""
        return self.request("GET", "/instance/policies", params=_params(policy=policy))

    def instance_policy_control(self) -> Answer:
        """Show that instance policies work here at all, without changing one.

        Where the target allows instance policies, the dual-authorisation policy is written back as it is; elsewhere
        it is only read.
        """
        read = self.get_instance_policies("dualAuthDelete").needed(200)
        if not (self.case.bench.target.fresh or self.case.bench.target.allow.get("instance_policies")):
            return read
        resources = read.body.get("resources") if isinstance(read.body, dict) else None
        enabled = bool(resources and resources[0].get("policy_data", {}).get("enabled"))
        same = {"policy_type": "dualAuthDelete", "policy_data": {"enabled": enabled}}
        return self.put_instance_policies(self.policy_body(same), "dualAuthDelete").needed()

    # --- import tokens --------------------------------------------------------------------------------------------

    def create_import_token(self, body: JSON = None, **members: Any) -> Answer:
        """Create the instance's import token; it replaces the one before."""
        return self.request("POST", "/import_token", members or body)

    def get_import_token(self) -> Answer:
        """Retrieve the import token; uses up one retrieval."""
        return self.request("GET", "/import_token")

    def import_token(self, expiration: int = 900, retrievals: int = 10) -> Answer:
        """Create and retrieve an import token; the case is inconclusive when that fails."""
        self.create_import_token(expiration=expiration, maxAllowedRetrievals=retrievals).needed()
        return self.get_import_token().needed()

    def parcel(self, token: Answer, material: str, iv: bytes | None = None) -> Parcel:
        """Pack key material for a retrieved import token."""
        try:
            return pack(material, token["payload"], token["nonce"], iv)
        except ValueError as wrong:
            raise Inconclusive(f"the import token cannot be used: {type(wrong).__name__}") from None

    # --- the journal ----------------------------------------------------------------------------------------------

    def _intend(self, kind: str, name: str, ref: str = "") -> int:
        bench = self.case.bench
        return bench.journal.intend(bench.target.base_url, self.case.instance, kind, name, ref=ref)

    def _key(self, answer: Answer) -> Key:
        answer.needed()
        resource = answer["resources.0"]
        if not isinstance(resource, dict):
            raise Inconclusive("create key: the answer holds no key")
        return Key(str(answer["resources.0.id"]), str(resource.get("name", "")), bool(resource.get("extractable")))

    def _made_key(self, row: int, key_id: str) -> None:
        self.case.bench.journal.created(row, key_id)
        self.case.kept[key_id] = row
        self.case.clean_up.append(lambda: self._remove_key(key_id))

    def _gone_key(self, key_id: str) -> None:
        row = self.case.kept.pop(key_id, None)
        if row is not None:
            self.case.bench.journal.gone(row)

    def _remove_key(self, key_id: str) -> None:
        """Delete a key that the case has left; with dual authorisation, by two identities."""
        if key_id not in self.case.kept:
            return
        owner = type(self)(self.case)
        answer = owner.delete_key(key_id, force=True)
        if answer.status in _GONE:
            self._gone_key(key_id)
        elif not answer.ok and "approver" in self.case.bench.target.identities and owner.set_for_deletion(key_id).ok:
            owner.as_identity("approver").delete_key(key_id, force=True)


def _step(value: object) -> str:
    """Return a value as one step of a path."""
    return quote(str(value), safe="")


def _given(**members: Any) -> dict[str, Any] | None:
    """Return the members that are not ``None``; no body at all when none is."""
    return {name: value for name, value in members.items() if value is not None} or None


def _params(**params: Any) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}
