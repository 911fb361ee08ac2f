"""Which operations a walk asks for, one after the other: anything, and now and then what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random

from kms_conformance.adapters.key_protect.model.operation import Operation
from kms_conformance.adapters.key_protect.model.state import Instance
from kms_conformance.adapters.key_protect.walks import Walker, choose, pick

OPENING = ("createKeyRing", "createKey", "createKey", "createKey")
"""What a walk begins with: there is something to act on."""
_OF_NO_KEY = frozenset(
    {
        "createKey",
        "getImportToken",
        "putInstancePolicy",
        "getInstancePolicy",
        "getRegistrationsAllKeys",
        "getKeys",
        "deleteKeyRing",
        "createKmipAdapter",
        "getKmipAdapter",
        "addKmipClientCertificate",
        "getKmipClientCertificate",
        "getKmipClientCertificates",
        "deleteKmipClientCertificate",
        "getKmipObjects",
    }
)
"""Operations in :data:`FOLLOWS` that make a key, or ask about none."""
MAKE_OBJECT = "makeObject"
"""The step in which a KMIP client makes an object: no operation of the API does."""
FOLLOWS: Mapping[str, Sequence[Sequence[str]]] = {
    "createKey": (("edge",), ("wrapKey", "edge", "unwrapKey"), ()),
    "createKeyWithPoliciesOverrides": (("edge",), ("setKeyForDeletion", "edge"), ("getPolicy",)),
    "deleteKey": (
        ("edge",),
        ("edge", "getKeyMetadata"),
        ("wait 31", "restoreKey", "getKeyMetadata"),
        ("wait 14460", "purgeKey"),
        ("restoreKey", "edge"),
    ),
    "disableKey": (("edge",), ("wait 31", "enableKey"), ("wrapKey", "unwrapKey"), ("enableKey", "edge")),
    "wrapKey": (("unwrapKey",), ("rotateKey", "unwrapKey"), ("rewrapKey",)),
    "rotateKey": (
        ("getKeyVersions",),
        ("unwrapKey",),
        ("wrapKey",),
        ("edge",),
        ("wait 3700", "rotateKey", "getKeyVersions"),
        ("disableKey", "wait 31", "enableKey", "rotateKey"),
        ("deleteKey", "wait 31", "restoreKey", "rotateKey"),
    ),
    "postImportToken": (("getImportToken", "createKey"), ("getImportToken", "rotateKey", "createKey")),
    "setKeyForDeletion": (
        ("deleteKey",),
        ("getKeyMetadata", "unsetKeyForDeletion"),
        ("edge",),
        ("edge", "deleteKey"),
    ),
    "syncAssociatedResources": (("edge",), ()),
    "getKmipAdapter": (("createKmipAdapter", "getKmipAdapter"), ()),
    "createKmipAdapter": (
        ("getKmipAdapter",),
        ("addKmipClientCertificate", "getKmipClientCertificates"),
        (MAKE_OBJECT, "getKmipObjects"),
    ),
    "addKmipClientCertificate": (("getKmipClientCertificate",), ("deleteKmipClientCertificate",)),
    "createKeyAlias": (("getKeyMetadata",), ("deleteKeyAlias", "getKey")),
    "createRegistration": (
        ("getRegistrations",),
        ("updateRegistration", "getRegistrations"),
        ("replaceRegistration", "updateRegistration", "replaceRegistration", "getRegistrations"),
    ),
    "updateRegistration": (("getRegistrationsAllKeys",), ("replaceRegistration", "getRegistrations")),
    "replaceRegistration": (
        ("getRegistrations",),
        ("updateRegistration", "replaceRegistration", "getRegistrations"),
    ),
    "deleteRegistration": (("getRegistrations",), ("deleteKey", "getKeyMetadata")),
    "putPolicy": (
        ("getPolicy",),
        ("getKeyMetadata",),
        ("putPolicy", "getPolicy"),
        ("edge",),
        ("edge", "getKeyVersions", "edge"),
        ("setKeyForDeletion", "edge", "deleteKey"),
        ("setKeyForDeletion", "deleteKey", "deleteKey"),
        ("setKeyForDeletion", "unsetKeyForDeletion", "deleteKey"),
        ("setKeyForDeletion", "deleteKey", "wait 31", "restoreKey", "deleteKey"),
    ),
    "putInstancePolicy": (
        ("createKey", "getKeyMetadata"),
        ("createKey", "putInstancePolicy", "createKey", "getKeyMetadata"),
        ("getInstancePolicy",),
    ),
    "patchKey": (("getKeys",), ("deleteKeyRing",), ("getKeyMetadata",)),
}
"""What is asked after some operations more often than by chance: what they make possible, after what it waits for."""
_TRIES = 6
"""Operations that are tried for a step until there is one that the state has something for."""
_WAITS, _OBJECTS, _EDGES, _FOLLOWED = 0.05, 0.02, 0.13, 0.6
"""Shares of the steps: waits, objects of KMIP clients, moments at which something ends; and of the operations that are
followed by what they make possible."""
EDGE = "edge"
"""The step that waits for a moment at which something ends or begins, and asks on one side of it."""
_SAME = "+"
"""What a step begins with that is asked of the key of the step before."""
EDGE_OF_SAME = f"{_SAME}{EDGE}"
_OF_SAME = 0.85
"""The share of such steps that keep to it."""


def steps_of(random: Random, length: int) -> list[str]:
    """Return a walk's steps: operations, ``wait`` with or without seconds, :data:`MAKE_OBJECT`."""
    names = [*OPENING]
    while len(names) < length:
        chance = random.random()
        if chance < _WAITS + _OBJECTS + _EDGES:
            names += ["wait" if chance < _WAITS else MAKE_OBJECT if chance < _WAITS + _OBJECTS else EDGE]
            continue
        name = pick(random)
        follows = FOLLOWS.get(name)
        names += [
            name,
            *map(_of_same, random.choice(follows) if follows and random.random() < _FOLLOWED else ()),
        ]
    return names[:length]


def _of_same(name: str) -> str:
    return name if name.startswith("wait") or name in {MAKE_OBJECT, *_OF_NO_KEY} else f"{_SAME}{name}"


def request_for(
    name: str,
    random: Random,
    state: Instance,
    walker: Walker,
    now: float,
    *,
    fits: Callable[[Operation], bool] = lambda _: True,
) -> Operation | None:
    """Return a request of a step's operation, or of another one where the state has none for it that fits; or nothing."""
    if name.startswith(_SAME):
        name = name.removeprefix(_SAME)
        walker = replace(walker, focus=walker.last if random.random() < _OF_SAME else "")
    for _ in range(_TRIES):
        operation = choose(name, random, state, walker, now)
        if operation is not None and fits(operation):
            return operation
        name, walker = pick(random), replace(walker, focus="")
    return None
