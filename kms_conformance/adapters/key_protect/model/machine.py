"""The model as one function: an operation on a state predicts the answer and gives the state after it.

``apply`` predicts; ``observe`` takes an answer that came and returns the state after it, or the reasons why no such
answer is allowed. Both are pure: a checker may try one answer in many states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kms_conformance.adapters.key_protect.model import (
    actions,
    aliases,
    creation,
    import_tokens,
    instance_policies,
    keys,
    kmip,
    lists,
    policies,
    registrations,
    rings,
    versions,
)
from kms_conformance.adapters.key_protect.model.attempt import Attempt, Outcome, authorised, locate
from kms_conformance.adapters.key_protect.model.operation import Answer, Operation
from kms_conformance.adapters.key_protect.model.prediction import (
    ANY_REFUSAL,
    QUERY,
    UNAUTHORISED,
    Prediction,
    learned,
)
from kms_conformance.adapters.key_protect.model.state import DESTROYED, KEPT, Instance

OPERATIONS: Mapping[str, Callable[[Attempt], Outcome]] = {
    "getKeyCollectionMetadata": lists.head,
    "createKey": creation.create,
    "getKeys": lists.get,
    "createKeyWithPoliciesOverrides": creation.create_with_overrides,
    "getKey": keys.get_key,
    "actionOnKey": actions.unknown_action,
    "patchKey": keys.patch,
    "deleteKey": keys.delete,
    "getKeyMetadata": keys.get_metadata,
    "getKeyVersions": versions.get_versions,
    "restoreKey": keys.restore,
    "purgeKey": keys.purge,
    "wrapKey": actions.wrap,
    "unwrapKey": actions.unwrap,
    "rewrapKey": actions.rewrap,
    "rotateKey": actions.rotate,
    "setKeyForDeletion": actions.set_for_deletion,
    "unsetKeyForDeletion": actions.unset_for_deletion,
    "enableKey": actions.enable,
    "disableKey": actions.disable,
    "syncAssociatedResources": actions.sync,
    "putPolicy": policies.put,
    "getPolicy": policies.get,
    "putInstancePolicy": instance_policies.put,
    "getInstancePolicy": instance_policies.get,
    "getAllowedIPPort": instance_policies.get_port,
    "postImportToken": import_tokens.post,
    "getImportToken": import_tokens.get,
    "getRegistrations": registrations.get_of_key,
    "getRegistrationsAllKeys": registrations.get_of_all,
    "createRegistration": registrations.create,
    "replaceRegistration": registrations.replace_,
    "updateRegistration": registrations.update,
    "deleteRegistration": registrations.delete,
    "eventAcknowledge": registrations.acknowledge,
    "createKeyAlias": aliases.create,
    "deleteKeyAlias": aliases.delete,
    "listKeyRings": rings.get,
    "createKeyRing": rings.create,
    "deleteKeyRing": rings.delete,
    "getKmipAdapters": kmip.get_adapters,
    "createKmipAdapter": kmip.create_adapter,
    "getKmipAdapter": kmip.get_adapter,
    "deleteKmipAdapter": kmip.delete_adapter,
    "getKmipObjects": kmip.get_objects,
    "getKmipObject": kmip.get_object,
    "deleteKmipObject": kmip.delete_object,
    "getKmipClientCertificates": kmip.get_certificates,
    "addKmipClientCertificate": kmip.add_certificate,
    "getKmipClientCertificate": kmip.get_certificate,
    "deleteKmipClientCertificate": kmip.delete_certificate,
}
"""Each operation of the API by its operationId, and its rules."""


_OF_MANY = frozenset(
    {
        "deleteKeyRing",
        "createKmipAdapter",
        "deleteKmipAdapter",
        "addKmipClientCertificate",
        "deleteKmipClientCertificate",
        "deleteKmipObject",
    }
)
"""Operations that may date keys which their path does not name."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A state after an answer, and what was wrong with the answer; the state is the one before where anything was."""

    state: Instance
    mismatches: tuple[str, ...] = ()


def apply(state: Instance, operation: Operation, now: float) -> Outcome:
    """Return what may be answered at a moment, and the state after a success; a refusal leaves the state as it is.

    ``now`` is in seconds since 1970 on the instance's clock. Values that the service chooses are symbols in the state
    until :func:`observe` has seen them.
    """
    if operation.name == "actionOnKey" and operation.query.get("action") == actions.UNLISTED:
        prediction, after = apply(state, replace(operation, name="syncAssociatedResources"), now)
        return replace(prediction, refused=prediction.refused | QUERY | ANY_REFUSAL), after
    attempt = Attempt(state, _newer(operation), now)
    refused = authorised(attempt)
    if refused is not None:
        return refused, state
    prediction, after = OPERATIONS[attempt.operation.name](attempt)
    if (
        instance_policies.locked_out(attempt)
        and not attempt.caller.service
        and operation.name != "getAllowedIPPort"
    ):
        prediction = replace(
            prediction, refused=prediction.refused | UNAUTHORISED, unspecified="from where the caller calls"
        )
    return prediction, after


def observe(state: Instance, operation: Operation, now: float, answer: Answer) -> Observed:
    """Return the state after an answer, with what it shows of the service's choices, or what is wrong with it."""
    prediction, after = apply(state, operation, now)
    mismatches = prediction.disagreements(answer)
    if mismatches:
        return Observed(state, tuple(mismatches))
    if answer.refused:
        return Observed(_purged(state, operation, now, answer))
    return Observed(_asked(learned(after, prediction, answer), operation, now))


def _asked(state: Instance, operation: Operation, now: float) -> Instance:
    """Return the state in which a success is noted with the keys that it may have dated.

    Whether a use, an alias, a registration or an adapter counts as a change of the key, no source says.
    """
    if operation.name.startswith(("get", "list")):
        return state
    if operation.name in _OF_MANY:
        concerned = {key.id for key in state.keys}
    elif "id" in operation.path:
        located = locate(Attempt(state, replace(operation, ring=None), now)).key
        concerned = set() if located is None else {located.id}
    else:
        return state
    keys_after = tuple(replace(key, asked=now) if key.id in concerned else key for key in state.keys)
    return replace(state, keys=keys_after)


def _newer(operation: Operation) -> Operation:
    """Return the newer form of an older action; it is the same operation (1.2)."""
    if operation.name != "actionOnKey":
        return operation
    name = actions.newer_form(operation.query.get("action"))
    return operation if name is None else replace(operation, name=name)


def _purged(state: Instance, operation: Operation, now: float, answer: Answer) -> Instance:
    """Return the state without a key that the service may purge by itself, once an answer says that it is gone."""
    if answer.status != 404 or "id" not in operation.path:  # noqa: PLR2004 - not found
        return state
    key = locate(Attempt(state, replace(operation, ring=None), now)).key
    old = (
        key is not None
        and key.state == DESTROYED
        and key.deleted is not None
        and now > key.deleted + KEPT - 1
    )
    return state.without(key.id) if old and key is not None else state


__all__ = ["OPERATIONS", "Observed", "Prediction", "apply", "observe"]
