"""Random requests for a walk: what to ask next, given a state of the model and what the walker has seen.

Pure but for the random source that is passed in; the same source and the same state give the same request, so that a
walk can be repeated and shortened. Most requests are good ones; some break a rule on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from kms_conformance.adapters.key_protect.model.facts import date_of
from kms_conformance.adapters.key_protect.model.operation import (
    APPROVER,
    MANAGER,
    OUTSIDER,
    PURGER,
    READER,
    SERVICE,
    Operation,
)
from kms_conformance.adapters.key_protect.model.state import Instance
from kms_conformance.adapters.key_protect.walks.actions import old_form, opening, rotate, wrap_body
from kms_conformance.adapters.key_protect.walks.choices import (
    Choices,
    Token,
    Walker,
    collection,
    dead,
    no_body,
    on_key,
    page,
    total,
)
from kms_conformance.adapters.key_protect.walks.keys import (
    create,
    create_with_overrides,
    delete_key,
    head,
    listing,
    patch_body,
    restore,
    versions,
)
from kms_conformance.adapters.key_protect.walks.kmip import (
    adapter_path,
    adapters,
    add_certificate,
    certificate,
    create_adapter,
    kmip_object,
    kmip_objects,
    with_adapter,
)
from kms_conformance.adapters.key_protect.walks.surroundings import (
    alias,
    get_instance_policy,
    get_policy,
    post_token,
    put_instance_policy,
    put_policy,
    registration,
    registration_query,
    ring_path,
)

__all__ = ["WAITS", "WEIGHTS", "Token", "Walker", "choose", "pick", "waited"]

WAITS: tuple[tuple[float, int], ...] = (
    (31, 60),
    (3700, 30),
    (4 * 3600 + 60, 10),
    (700, 10),
    (6 * 86400, 2),
    (8 * 86400, 2),
    (31 * 86400, 1),
    (92 * 86400, 1),
)
"""Seconds to wait, and how often."""


_STRANGERS, _EQUALS = 0.03, 0.25
"""Shares of the requests that those ask who may not, and below the second one another user of equal roles."""


def waited(random: Random) -> float:
    """Return how many seconds to wait."""
    seconds, weights = zip(*WAITS, strict=True)
    return float(random.choices(seconds, weights)[0])


def choose(name: str, random: Random, state: Instance, walker: Walker, now: float) -> Operation | None:
    """Return a request of an operation; nothing where the state has nothing to ask it of, or where it is none of the API."""
    build, choices = _BUILDERS.get(name), Choices(random, state, walker, now)
    operation = build(choices) if build else None
    if operation is None:
        return None
    chance = random.random() if name not in _CALLERS else 1.0
    if chance < _STRANGERS:
        operation = replace(operation, caller=random.choice((READER, OUTSIDER, SERVICE)))
    elif chance < _EQUALS:
        # Whatever an instance remembers of one user holds for others of the same roles.
        operation = replace(operation, caller=random.choice((APPROVER, PURGER)))
    return replace(operation, caller=_CALLERS[name](choices)) if name in _CALLERS else operation


def pick(random: Random) -> str:
    """Return an operation's name, the weighty ones more often."""
    names = list(WEIGHTS)
    return random.choices(names, [WEIGHTS[name] for name in names])[0]


_BUILDERS: Mapping[str, Callable[[Choices], Operation | None]] = {
    "getKeyCollectionMetadata": head,
    "createKey": create,
    "getKeys": listing,
    "createKeyWithPoliciesOverrides": create_with_overrides,
    "getKey": on_key("getKey"),
    "actionOnKey": old_form,
    "patchKey": on_key("patchKey", patch_body),
    "deleteKey": delete_key,
    "getKeyMetadata": on_key("getKeyMetadata"),
    "getKeyVersions": versions,
    "restoreKey": restore,
    "purgeKey": on_key("purgeKey", wanted=dead),
    "wrapKey": on_key("wrapKey", wrap_body, wanted=lambda one: not one.standard),
    "unwrapKey": opening("unwrapKey"),
    "rewrapKey": opening("rewrapKey"),
    "rotateKey": rotate,
    "setKeyForDeletion": on_key("setKeyForDeletion", wanted=lambda one: one.dual is not None),
    "unsetKeyForDeletion": on_key("unsetKeyForDeletion", wanted=lambda one: bool(one.authorised)),
    "enableKey": on_key("enableKey", no_body, wanted=lambda one: one.state == 2),  # noqa: PLR2004 - suspended
    "disableKey": on_key("disableKey", no_body, wanted=lambda one: one.state == 1),
    "syncAssociatedResources": on_key("syncAssociatedResources"),
    "putPolicy": put_policy,
    "getPolicy": get_policy,
    "putInstancePolicy": put_instance_policy,
    "getInstancePolicy": get_instance_policy,
    "getAllowedIPPort": lambda _: Operation("getAllowedIPPort"),
    "postImportToken": post_token,
    "getImportToken": lambda choices: (
        Operation("getImportToken")
        if (choices.state.token and choices.state.token.left) or choices.chance(0.2)
        else None
    ),
    "getRegistrations": lambda choices: Operation(
        "getRegistrations", path={"id": choices.path(choices.key())}, query=registration_query(choices)
    ),
    "getRegistrationsAllKeys": lambda choices: Operation(
        "getRegistrationsAllKeys", query=registration_query(choices)
    ),
    "createRegistration": registration("createRegistration"),
    "replaceRegistration": registration("replaceRegistration"),
    "updateRegistration": registration("updateRegistration"),
    "deleteRegistration": registration("deleteRegistration"),
    "eventAcknowledge": lambda choices: Operation(
        "eventAcknowledge",
        body=collection(
            "event_acknowledge+json",
            {
                "eventId": "1",
                "adopterKeyState": "active",
                "timestamp": date_of(choices.now),
                "keyStateData": {},
            },
        ),
    ),
    "createKeyAlias": alias("createKeyAlias"),
    "deleteKeyAlias": alias("deleteKeyAlias"),
    "listKeyRings": lambda choices: Operation(
        "listKeyRings", query={**page(choices, 5001), **total(choices)}
    ),
    "createKeyRing": lambda choices: Operation("createKeyRing", path=ring_path(choices)),
    "deleteKeyRing": lambda choices: Operation(
        "deleteKeyRing", path=ring_path(choices), query={"force": "true"} if choices.chance(0.5) else {}
    ),
    "getKmipAdapters": adapters,
    "createKmipAdapter": create_adapter,
    "getKmipAdapter": with_adapter(lambda choices: Operation("getKmipAdapter", path=adapter_path(choices))),
    "deleteKmipAdapter": with_adapter(
        lambda choices: Operation("deleteKmipAdapter", path=adapter_path(choices))
    ),
    "getKmipObjects": with_adapter(kmip_objects),
    "getKmipObject": with_adapter(kmip_object("getKmipObject")),
    "deleteKmipObject": with_adapter(kmip_object("deleteKmipObject")),
    "getKmipClientCertificates": with_adapter(
        lambda choices: Operation(
            "getKmipClientCertificates",
            path=adapter_path(choices),
            query={**page(choices, 201), **total(choices)},
        )
    ),
    "addKmipClientCertificate": with_adapter(add_certificate),
    "getKmipClientCertificate": with_adapter(certificate("getKmipClientCertificate")),
    "deleteKmipClientCertificate": with_adapter(certificate("deleteKmipClientCertificate")),
}

WEIGHTS: Mapping[str, int] = {
    **dict.fromkeys(_BUILDERS, 2),
    "createKey": 8, "getKeyMetadata": 6, "wrapKey": 6, "unwrapKey": 5, "rewrapKey": 4, "rotateKey": 6, "disableKey": 5,
    "enableKey": 4, "deleteKey": 5, "restoreKey": 5, "purgeKey": 3, "getKeys": 4, "getKeyVersions": 4, "putPolicy": 5,
    "createKeyWithPoliciesOverrides": 4, "listKeyRings": 1, "getKmipAdapters": 1,
    "createKeyAlias": 3, "createRegistration": 3, "actionOnKey": 5, "createKmipAdapter": 3, "setKeyForDeletion": 4,
    "eventAcknowledge": 1, "getAllowedIPPort": 1, "getImportToken": 3, "putInstancePolicy": 2,
}  # fmt: skip
"""How often each operation is chosen."""

_CALLERS: Mapping[str, Callable[[Choices], Any]] = {
    **dict.fromkeys(
        (
            "createRegistration",
            "replaceRegistration",
            "updateRegistration",
            "deleteRegistration",
            "eventAcknowledge",
        ),
        lambda choices: SERVICE if choices.chance(0.93) else MANAGER,
    ),
    "purgeKey": lambda choices: PURGER if choices.chance(0.9) else MANAGER,
    "deleteKey": lambda choices: (
        choices.one((MANAGER, MANAGER, APPROVER)) if choices.chance(0.95) else choices.one((READER, SERVICE))
    ),
    "setKeyForDeletion": lambda choices: choices.one((MANAGER, APPROVER)),
}
