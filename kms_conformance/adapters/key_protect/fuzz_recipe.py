"""Which values of a Key Protect request become placeholders in the corpus.

Without them nearly every request would end at 404 or at a nonce that fits no token. Nothing that is wrong on purpose is
repaired: only components that keep the schema are touched, and a part of those stays as it was generated.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kms_conformance.contract.corpus import placeholder

if TYPE_CHECKING:
    from kms_conformance.fuzz.generate import (
        Parts,
    )  # Schemathesis takes a second to load, and a replay needs none of it

KEYS: Mapping[str, int] = {
    "root": 26,
    "standard": 10,
    "imported": 10,
    "rotated": 8,
    "disabled": 7,
    "deleted": 7,
    "expired": 6,
    "alias": 6,
    "dual": 4,
    "ringed": 4,
    "registered": 4,
    "imported-standard": 3,
    "nobody": 3,
}
"""Kinds of keys that a request may name, and how often; ``nobody`` is an id that was never given."""

WRITES = frozenset(
    {
        "actionOnKey",
        "patchKey",
        "deleteKey",
        "restoreKey",
        "purgeKey",
        "rotateKey",
        "setKeyForDeletion",
        "unsetKeyForDeletion",
        "enableKey",
        "disableKey",
        "syncAssociatedResources",
        "putPolicy",
        "createRegistration",
        "replaceRegistration",
        "updateRegistration",
        "deleteRegistration",
        "createKeyAlias",
        "deleteKeyAlias",
    }
)
"""Operations that change the key they name: they get copies of their own, so that the others keep their states."""

_REGISTERED = {"id": "made:registration:0", "resource_crn": "made:registration:1"}
_CERTIFIED = {"adapter_id": "made:kmip_certificate:0", "cert_id": "made:kmip_certificate:1"}
MADE: Mapping[str, Mapping[str, str]] = {
    "deleteKeyAlias": {"id": "made:alias:0", "alias": "made:alias:1"},
    "deleteKeyRing": {"key_ring_id": "made:ring:0"},
    "replaceRegistration": _REGISTERED,
    "updateRegistration": _REGISTERED,
    "deleteRegistration": _REGISTERED,
    "getKmipClientCertificate": _CERTIFIED,
    "deleteKmipClientCertificate": _CERTIFIED,
    "deleteKmipAdapter": {"adapter_id": "made:kmip_adapter:0"},
}
"""Path parameters that name what earlier requests of the corpus have made, so that it can be changed and removed."""

AAD = ["kms", "conformance"]
_NEVER = frozenset({("deleteKmipAdapter", "adapter_id"), ("deleteKmipClientCertificate", "cert_id")})
_SHORTEST, _LONGEST = 2, 90
_KEPT = 0.12


class KeyProtectRecipe:
    """The recipe of the Key Protect contract."""

    def insert_placeholders(self, parts: Parts, rng: random.Random) -> None:
        """Put placeholders into a request."""
        self._headers(parts, rng)
        kind = self._path(parts, rng) if "path" in parts.valid or parts.path_parameters else ""
        if parts.has_body and "body" in parts.valid:
            self._body(parts, kind or "root", rng)
        if parts.operation == "getKmipAdapters" and "crk_id" in parts.query and "query" in parts.valid:
            parts.query["crk_id"] = placeholder("key:root")
        parts.who = rng.choices(("", "reader", "outsider", "-"), (94, 3, 1, 2))[0]

    def names(self, operation: str, path: str) -> set[str]:
        """Return the placeholders that requests of an operation may get."""
        needed = {"ring"}
        if "{id}" in path:
            needed |= {
                f"{'free' if operation in WRITES else 'key'}:{kind}" for kind in KEYS if kind != "nobody"
            }
        if "{adapter_id}" in path:
            needed |= {"adapter", "certificate"}
        if "{resource_crn}" in path:
            needed.add("crn")
        if operation in {"createKmipAdapter", "getKmipAdapters"} or "Registration" in operation:
            needed |= {"key:root", "key:standard", "key:deleted"}
        if operation in {"createKey", "createKeyWithPoliciesOverrides", "rotateKey", "restoreKey"}:
            needed |= {
                f"parcel-{part}:{number}" for part in ("payload", "nonce", "iv") for number in range(4)
            }
        return needed

    def _headers(self, parts: Parts, rng: random.Random) -> None:
        # A wrong token or instance hides everything behind it, so only a few of them stay.
        odd = rng.random() < 0.04  # noqa: PLR2004 - one in twenty-five
        if not odd or "header" in parts.valid:
            parts.headers.pop("authorization", None)
        if not odd:
            parts.headers["bluemix-instance"] = placeholder(_instance_of(parts.operation))
        if "correlation-id" in parts.headers and rng.random() < 0.8:  # noqa: PLR2004 - four in five
            del parts.headers["correlation-id"]
        if "x-kms-key-ring" in parts.headers:
            chosen = rng.choices(("drop", "ring", "keep"), (70, 20, 10))[0]
            if chosen == "drop":
                del parts.headers["x-kms-key-ring"]
            elif chosen == "ring":
                parts.headers["x-kms-key-ring"] = placeholder("ring")

    def _path(self, parts: Parts, rng: random.Random) -> str:
        """Fill the path; return the kind of key that it names."""
        kind = ""
        made = MADE.get(parts.operation, {}) if "path" in parts.valid and rng.random() < 0.5 else {}  # noqa: PLR2004 - half
        for name in parts.path_parameters:
            if name in made:
                parts.path_parameters[name] = placeholder(made[name])
                continue
            fitting = None if (parts.operation, name) in _NEVER else _PATHS.get(name)
            if fitting is None or ("path" not in parts.valid and rng.random() < 0.5) or rng.random() < _KEPT:  # noqa: PLR2004
                continue
            if name == "id":
                kind = rng.choices(list(KEYS), list(KEYS.values()))[0]
                fresh = parts.operation in WRITES
                parts.path_parameters[name] = placeholder(
                    f"{'free' if fresh and kind != 'nobody' else 'key'}:{kind}"
                )
            else:
                parts.path_parameters[name] = fitting(parts.path_parameters[name], rng)
        return kind

    def _body(self, parts: Parts, kind: str, rng: random.Random) -> None:
        body = parts.body
        if not isinstance(body, dict):
            return
        if "ciphertext" in body or parts.operation in {"unwrapKey", "rewrapKey"}:
            _ciphertext(body, kind, rng)
        if parts.operation == "actionOnKey":
            _old_action(parts, kind, rng)
        elif parts.operation in {"rotateKey", "wrapKey"}:
            _material(body, rng)
        if "keyRingID" in body and rng.random() > _KEPT:
            body["keyRingID"] = placeholder("ring")
        for resource in body.get("resources") or ():
            if isinstance(resource, dict):
                _resource(resource, parts.operation, rng)


def _instance_of(operation: str) -> str:
    """Return the placeholder of the instance: requests that change a whole instance get one of their own."""
    return "instance:spare" if operation in {"putInstancePolicy", "getAllowedIPPort"} else "instance"


def _prefixed(value: Any, longest: int) -> Any:
    """Return a valid name with the suite's prefix, no longer than it may be; anything else as it is."""
    if not isinstance(value, str) or not _SHORTEST <= len(value) <= longest:
        return value
    return placeholder(f"name:{len(value)}:{longest}") + value


def _alias(value: Any, rng: random.Random) -> str:
    return placeholder("alias") if rng.random() < 0.1 else str(_prefixed(str(value), _LONGEST))  # noqa: PLR2004 - one in ten


def _ring(value: Any, rng: random.Random) -> str:
    return placeholder("ring") if rng.random() < 0.1 else str(_prefixed(str(value), 100))  # noqa: PLR2004 - same


def _one(name: str) -> Callable[[Any, random.Random], str]:
    return lambda _, __: placeholder(name)


_PATHS: Mapping[str, Callable[[Any, random.Random], str]] = {
    "id": _one("key:root"),
    "alias": _alias,
    "key_ring_id": _ring,
    "adapter_id": _one("adapter"),
    "cert_id": _one("certificate"),
    "resource_crn": _one("crn"),
}


def _ciphertext(body: dict[str, Any], kind: str, rng: random.Random) -> None:
    chosen = rng.choices(("own", "aad", "other", "broken", "keep"), (52, 14, 10, 12, 12))[0]
    body.pop("aad", None) if chosen in {"own", "other"} else None
    if chosen == "own":
        body["ciphertext"] = placeholder(f"ciphertext:{kind}")
    elif chosen == "aad":
        body["ciphertext"], body["aad"] = placeholder(f"ciphertext-aad:{kind}"), list(AAD)
    elif chosen == "other":
        body["ciphertext"] = placeholder(f"ciphertext:{rng.choice(('root', 'imported', 'rotated'))}")
    elif chosen == "broken":
        body["ciphertext"] = placeholder(f"broken-ciphertext:{kind}")


def _old_action(parts: Parts, kind: str, rng: random.Random) -> None:
    """Give the old form, which takes any body, one that its action can use."""
    action, body = parts.query.get("action"), parts.body
    if action in ("unwrap", "rewrap"):
        body["ciphertext"] = ""
        _ciphertext(body, kind, rng)
    elif action == "wrap" and rng.random() < 0.7:  # noqa: PLR2004 - seven in ten
        body["plaintext"] = placeholder("material:32")
    elif action == "rotate" and rng.random() < 0.5:  # noqa: PLR2004 - every second
        body["payload"] = placeholder("material:32")


def _material(resource: dict[str, Any], rng: random.Random) -> None:
    """Give key material a length that keys have; most of it comes without an import token."""
    if "plaintext" in resource and rng.random() < 0.6:  # noqa: PLR2004 - six in ten
        resource["plaintext"] = placeholder(f"material:{_size(rng, (1, 16, 18, 32, 35, 4000))}")
    if "payload" not in resource:
        return
    chosen = rng.choices(("plain", "parcel", "keep"), (62, 10, 28))[0]
    if chosen == "keep":
        return
    for name in ("encryptedNonce", "iv", "encryptionAlgorithm"):
        resource.pop(name, None)
    if chosen == "plain":
        resource["payload"] = placeholder(f"material:{_size(rng, (16, 24, 32))}")
    else:
        number = rng.randrange(4)
        resource["payload"] = placeholder(f"parcel-payload:{number}")
        resource["encryptedNonce"] = placeholder(f"parcel-nonce:{number}")
        resource["iv"] = placeholder(f"parcel-iv:{number}")


def _size(rng: random.Random, sizes: Sequence[int]) -> int:
    return rng.choice(sizes)


def _resource(resource: dict[str, Any], operation: str, rng: random.Random) -> None:
    longest = _LONGEST if operation.startswith("createKey") else 40
    if "name" in resource:
        resource["name"] = _prefixed(resource["name"], longest)
    if isinstance(resource.get("aliases"), list):
        resource["aliases"] = [_prefixed(alias, _LONGEST) for alias in resource["aliases"]]
    if "expirationDate" in resource:
        moment = rng.choices(("later", "much-later", "earlier", "keep"), (60, 15, 10, 15))[0]
        if moment != "keep":
            resource["expirationDate"] = placeholder(moment)
    if isinstance(resource.get("profile_data"), dict) and rng.random() > _KEPT:
        kind = rng.choices(("root", "standard", "deleted", "nobody"), (70, 10, 10, 10))[0]
        resource["profile_data"]["crk_id"] = placeholder(f"key:{kind}")
    if "certificate" in resource and rng.random() < 0.7:  # noqa: PLR2004 - seven in ten
        resource["certificate"] = placeholder("pem")
    if "keyVersionId" in resource and rng.random() < 0.7:  # noqa: PLR2004 - seven in ten
        resource["keyVersionId"] = placeholder("key:root")
    _material(resource, rng)
