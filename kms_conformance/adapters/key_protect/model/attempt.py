"""One request against one state: who may ask, and which key is meant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kms_conformance.adapters.key_protect.model.operation import Caller, Operation
from kms_conformance.adapters.key_protect.model.prediction import (
    ANY_REFUSAL,
    DELETED,
    NOT_FOUND,
    STATE,
    UNAUTHORISED,
    Prediction,
    Refusal,
    Rules,
    Success,
    refusals,
)
from kms_conformance.adapters.key_protect.model.state import DESTROYED, KEPT, Instance, Key, Timing

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
Outcome = tuple[Prediction, Instance]

_KMIP = frozenset({"Manager", "KmipAdapterManager"})
_ROLES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(
        (
            "getKeyCollectionMetadata", "getKeys", "getKeyMetadata", "getKeyVersions", "wrapKey", "unwrapKey",
            "rewrapKey", "getRegistrations", "getRegistrationsAllKeys", "actionOnKey",
        ),
        frozenset({"Reader"}),
    ),
    "listKeyRings": frozenset({"Reader", "KmipAdapterManager"}),
    "getKey": frozenset({"ReaderPlus"}),
    **dict.fromkeys(
        (
            "createKey", "rotateKey", "setKeyForDeletion", "unsetKeyForDeletion", "syncAssociatedResources",
            "createKeyAlias", "deleteKeyAlias", "createKeyRing", "postImportToken", "getImportToken",
        ),
        frozenset({"Writer"}),
    ),
    **dict.fromkeys(
        (
            "createKeyWithPoliciesOverrides", "patchKey", "deleteKey", "restoreKey", "enableKey", "disableKey",
            "putPolicy", "getPolicy", "putInstancePolicy", "getInstancePolicy", "getAllowedIPPort", "deleteKeyRing",
        ),
        frozenset({"Manager"}),
    ),
    "purgeKey": frozenset({"KeyPurge"}),
    **dict.fromkeys(
        (
            "getKmipAdapters", "createKmipAdapter", "getKmipAdapter", "deleteKmipAdapter", "getKmipObjects",
            "getKmipObject", "deleteKmipObject", "getKmipClientCertificates", "addKmipClientCertificate",
            "getKmipClientCertificate", "deleteKmipClientCertificate",
        ),
        _KMIP,
    ),
}  # fmt: skip
"""Section 1.6 of the facts sheet: one of these roles is needed."""

SERVICE_ONLY = frozenset(
    {
        "createRegistration",
        "replaceRegistration",
        "updateRegistration",
        "deleteRegistration",
        "eventAcknowledge",
    }
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request, the state that it meets, and the moment."""

    state: Instance
    operation: Operation
    now: float

    @property
    def timing(self) -> Timing:
        """How exactly times are known."""
        return self.state.timing

    @property
    def caller(self) -> Caller:
        """Who asks."""
        return self.operation.caller

    def states(self, key: Key) -> frozenset[int]:
        """Return the states that a key may be in now."""
        return key.states(self.now, self.timing)

    def flag(self, name: str) -> bool:
        """Whether a boolean query parameter is true; one that is no boolean counts as false (see :meth:`bad_flag`)."""
        return self.operation.query.get(name) == "true"

    def bad_flag(self, name: str) -> bool:
        """Whether a boolean query parameter is neither ``true`` nor ``false``."""
        return self.operation.query.get(name, "false") not in {"true", "false"}

    def answer(self, rules: Rules, success: Success, after: Instance | None = None) -> Outcome:
        """Return what the rules allow, and the state after a success."""
        return rules.predict(success), self.state if after is None else after


@dataclass(frozen=True, slots=True)
class Located:
    """The key that a path means. ``key`` is none where there surely is none; ``sure`` is false where it may be missing."""

    key: Key | None
    sure: bool = True
    refused: frozenset[Refusal] = NOT_FOUND


def authorised(attempt: Attempt) -> Prediction | None:
    """Return the refusal of a caller who may not ask this, nothing where the role suffices.

    The service answers a missing role with 401 (P2). What another service may do besides registrations no source says, except
    for deletion, which the page refuses with RESOURCE_OWNER_ERR (No. 30).
    """
    name, caller = attempt.operation.name, attempt.caller
    if name in SERVICE_ONLY:
        if caller.service:
            return None
        refused = refusals((403,), "SERVICE_ONLY_ERR") | refusals((401, 404, 405))
        return Prediction(None, refused if caller.roles else refused | UNAUTHORISED)
    needed = _ROLES[name]
    if needed & caller.roles:
        return None
    refused = UNAUTHORISED
    if caller.service:
        refused |= refusals((403,), "RESOURCE_OWNER_ERR")
    if name == "purgeKey":
        refused |= refusals((409,))  # a mock of the vendor's shows it (1.6)
    # Only where a caller has no access at all is it sure that nothing else is looked at first (P1).
    return Prediction(
        None, refused if not caller.roles else refused | ANY_REFUSAL, "order of role and other rules"
    )


def locate(attempt: Attempt) -> Located:
    """Return the key of the path's ``id``, by id or alias, within the ring of the header (1.1)."""
    named = attempt.operation.path["id"]
    key = next((one for one in attempt.state.keys if one.id == named.lower() or one.id == named), None)
    sure = True
    if key is not None and key.id != named:
        sure = False  # an id in capitals: no source
    if key is None:
        key, sure = _by_alias(attempt, named)
    if key is None:
        return Located(
            None, refused=NOT_FOUND | (refusals((410,)) if named in attempt.state.gone else frozenset())
        )
    if (
        key.state == DESTROYED
        and key.deleted is not None
        and attempt.now > key.deleted + KEPT - attempt.timing.slack
    ):
        sure = False  # eligible for a purge by the service itself
    ring = attempt.operation.ring
    if ring is not None and ring != key.ring:
        return (
            Located(key, sure=False)
            if _recently(attempt, key, key.moved and key.moved[0] == ring)
            else Located(None)
        )
    if ring is not None and _recently(attempt, key, key.moved is not None):
        sure = False
    return Located(key, sure)


def _recently(attempt: Attempt, key: Key, concerned: bool | None) -> bool:
    return bool(concerned) and key.moved is not None and attempt.now < key.moved[1] + attempt.timing.ring


def _by_alias(attempt: Attempt, named: str) -> tuple[Key | None, bool]:
    holders = [key for key in attempt.state.keys if named in key.aliases]
    live = [key for key in holders if key.state != DESTROYED]
    if live:
        return live[0], len(holders) == 1
    if holders:
        return holders[0], False  # whether a deleted key's alias still leads to it is not stated
    for alias, key_id, at in reversed(attempt.state.removed):
        if alias == named and attempt.now < at + attempt.timing.alias:
            return next((key for key in attempt.state.keys if key.id == key_id), None), False
    return None, True


def needs_state(
    attempt: Attempt,
    rules: Rules,
    key: Key,
    allowed: frozenset[int],
    *,
    doubtful: frozenset[int] = frozenset(),
) -> None:
    """Note the refusal where a key may be, or surely is, in a state that an operation does not take (2.2).

    ``doubtful`` are states of which the sources disagree or only guess.
    """
    states = attempt.states(key)
    refused = DELETED if DESTROYED in states else STATE
    if not states & (allowed | doubtful):
        rules.broken(refused)
    elif not states <= allowed:
        rules.perhaps("state", refused)


def begin(attempt: Attempt) -> tuple[Rules, Key | None]:
    """Return the rules broken so far and the key, for an operation on one key."""
    rules, located = Rules(), locate(attempt)
    if located.key is None:
        rules.broken(located.refused)
    elif not located.sure:
        rules.perhaps("whether the key is found", located.refused)
    return rules, located.key


def body_of(attempt: Attempt) -> dict[str, Any] | None:
    """Return the body of an action where it is an object; nothing where there is none."""
    return attempt.operation.body if isinstance(attempt.operation.body, dict) else None
