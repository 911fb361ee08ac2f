"""The policies that the owner of an instance has set, and which requests each of them changes.

Sources: the pages on dual authorisation, rotation and key-creation policies of an instance (sections "instance policies"
and "key policies" of the API reference).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kms_conformance.adapters.key_protect.first_reads import read_resources
from kms_conformance.contract.contract import Contract
from kms_conformance.evidence.exchange import JSON
from kms_conformance.run.premises import Change, Setting, SettingsOf
from kms_conformance.target.target import Target
from kms_conformance.transport.client import Client, Request

_CASE = "preflight"
_CREATES = frozenset({"createKey", "createKeyWithPoliciesOverrides"})
_POLICIES_OF_KEYS = ("getPolicy", "putPolicy")
_OLD_FORM = "actionOnKey"
_ACTIONS: Mapping[str, str] = {
    "rotate": "rotateKey",
    "restore": "restoreKey",
    "setKeyForDeletion": "setKeyForDeletion",
    "unsetKeyForDeletion": "unsetKeyForDeletion",
}
"""Actions by the name that they have in the old form, ``POST /keys/{id}?action=NAME``."""


def read_policies(client: Client, contract: Contract, instance: str) -> dict[str, JSON]:
    """Return the policies that are enabled, by kind; none where they cannot be read."""
    resources = read_resources(
        client, contract, instance, "/instance/policies", step="read the policies of the instance", case=_CASE
    )
    policies: dict[str, JSON] = {}
    for resource in resources or ():
        kind, data = (
            (resource.get(name) for name in ("policy_type", "policy_data"))
            if isinstance(resource, dict)
            else (None, None)
        )
        if isinstance(kind, str) and isinstance(data, dict) and data.get("enabled") is True:
            attributes = data.get("attributes")
            policies[kind] = attributes if isinstance(attributes, dict) else {}
    return policies


def settings(policies: dict[str, JSON], target: Target) -> Sequence[Setting]:
    """Return what each policy changes for the requests of cases."""
    return [
        _MAKERS[kind](data if isinstance(data, dict) else {}, target)
        if kind in _MAKERS
        else Setting(kind, f"{kind} on", data)
        for kind, data in policies.items()
    ]


SETTINGS = SettingsOf(read_policies, settings)


# --- one function for each policy ---------------------------------------------------------------------------------


def _dual_auth(data: Mapping[str, Any], target: Target) -> Setting:
    """Every new key needs two users to be deleted; one that is not active any more cannot be deleted at all."""
    changes = [
        Change(_is("deleteKey"), "one identity alone deletes no key"),
        Change(_is("setKeyForDeletion", "unsetKeyForDeletion"), "every key can be set for deletion"),
        Change(_is(*_POLICIES_OF_KEYS), "every new key has a policy"),
    ]
    if not target.allow.get("dual_auth_litter"):
        if "approver" not in target.identities:
            changes.insert(
                0, Change(_is(*_CREATES), "nobody here could delete the key; add [identities.approver]")
            )
        why = "nobody could delete a key that has expired; [allow] dual_auth_litter permits it"
        changes.insert(0, Change(_makes_expiring_key, why))
    return Setting("dualAuthDelete", "dualAuthDelete on", dict(data), tuple(changes))


def _rotation(data: Mapping[str, Any], _: Target) -> Setting:
    """Every new root key has a policy of rotation, and gets new material in time."""
    description = f"a rotation policy ({data.get('interval_month', '?')} months)"
    return Setting(
        "rotation", description, dict(data), (Change(_is(*_POLICIES_OF_KEYS), "new root keys have a policy"),)
    )


def _key_access(data: Mapping[str, Any], _: Target) -> Setting:
    """Forbid some kinds of new keys; an import may need an import token."""
    forbidden = frozenset(
        name
        for name in ("create_root_key", "create_standard_key", "import_root_key", "import_standard_key")
        if data.get(name) is False
    )
    changes = [Change(_makes_one_of(forbidden), f"it refuses {_listed(forbidden)}")] if forbidden else []
    if data.get("enforce_token") is True:
        changes.append(Change(_brings_open_material, "material comes in with an import token only"))
    details = [f"no {name.replace('_', ' ')}" for name in sorted(forbidden)]
    details += ["import token enforced"] if data.get("enforce_token") is True else []
    description = f"keyCreateImportAccess on{' (' + ', '.join(details) + ')' if details else ''}"
    return Setting("keyCreateImportAccess", description, dict(data), tuple(changes))


_MAKERS: Mapping[str, Callable[[Mapping[str, Any], Target], Setting]] = {
    "dualAuthDelete": _dual_auth,
    "rotation": _rotation,
    "keyCreateImportAccess": _key_access,
}


# --- which requests -------------------------------------------------------------------------------------------------


def _is(*operations: str) -> Callable[[Request], bool]:
    named = frozenset(operations)
    return lambda request: _operation(request) in named


def _operation(request: Request) -> str:
    """Return the operation of a request, whatever form it has."""
    if request.operation == _OLD_FORM:
        return _ACTIONS.get(str(request.params.get("action")), _OLD_FORM)
    return request.operation or ""


def _resources(request: Request) -> Iterator[Mapping[str, Any]]:
    """Yield the resources of a body; a body that was written by hand counts where it is JSON."""
    body = request.body
    if body is None and request.raw is not None:
        try:
            body = json.loads(request.raw)
        except (ValueError, RecursionError):
            return
    resources = body.get("resources") if isinstance(body, dict) else None
    for resource in resources or ():
        if isinstance(resource, dict):
            yield resource


def _makes_expiring_key(request: Request) -> bool:
    return _operation(request) in _CREATES | {"restoreKey"} and any(
        resource.get("expirationDate") for resource in _resources(request)
    )


def _makes_one_of(forbidden: frozenset[str]) -> Callable[[Request], bool]:
    def concerns(request: Request) -> bool:
        return request.operation in _CREATES and any(
            _kind_of(resource) in forbidden for resource in _resources(request)
        )

    return concerns


def _kind_of(resource: Mapping[str, Any]) -> str:
    """Return the right that a new key needs; one that does not say so is a standard key."""
    way = "import" if resource.get("payload") else "create"
    return f"{way}_{'root' if resource.get('extractable') is False else 'standard'}_key"


def _brings_open_material(request: Request) -> bool:
    """Tell whether material comes in without an import token, or into a standard key, for which there is none."""
    operation = _operation(request)
    if operation in _CREATES | {"restoreKey"}:
        return any(
            resource.get("payload")
            and not (resource.get("encryptedNonce") and not resource.get("extractable"))
            for resource in _resources(request)
        )
    body = request.body if isinstance(request.body, dict) else {}
    return operation == "rotateKey" and bool(body.get("payload")) and not body.get("encryptedNonce")


def _listed(names: frozenset[str]) -> str:
    return " and ".join(name.replace("_", " ") for name in sorted(names))
