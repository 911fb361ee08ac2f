"""Defects of ownership: things found under another parent, ring or instance, and callers who may do too much."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from kms_reference.key_protect import aliases, keys, kmip, registrations, rings
from kms_reference.key_protect.app import Exchange, answered
from kms_reference.key_protect.defects.conditions import answering, of_operation
from kms_reference.key_protect.errors import RefusalError
from kms_reference.key_protect.instance import DEFAULT_RING, Instance
from kms_reference.key_protect.model import State
from kms_reference.key_protect.wire import Call
from kms_reference.switches import Change, Defect, gives, instead, on_refusal, then, unchecked

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.iam import Identity
    from kms_reference.key_protect.model import Key, Registration
    from kms_reference.key_protect.wire import Operation, Reply
    from kms_reference.rules import RefusedError, RuleLike

_GIVEN: Final[WeakKeyDictionary[Instance, set[str]]] = WeakKeyDictionary()
"""Names and fingerprints that an instance has ever given out."""


# -- a child through another parent ------------------------------------------------------------------


def _owner(call: Call, kind: str, name: str) -> Call:
    """Return the call with the adapter in its path that really has the named child."""
    wanted = call.args[name]
    for adapter in call.instance.adapters.values():
        children = getattr(adapter, kind)
        if wanted in children or any(getattr(child, "name", "") == wanted for child in children.values()):
            return replace(call, args={**call.args, "adapter": adapter.id})
    return call


def _through_any(operation: str, kind: str, name: str) -> Change:
    """Find a child of a KMIP adapter through any adapter that exists."""

    def act(refusal: RefusedError, call: Call) -> Any:
        other = _owner(call, kind, name)
        if other is call:
            raise refusal
        return call.operation.handler(other)

    return on_refusal(answered, act, of_operation(operation))


def _first_of_name(operation: str) -> Change:
    """Look a certificate's name up in the whole instance, and take the first."""
    return instead(
        answered,
        lambda lawful, call: lawful(_owner(call, "certificates", "certificate")),
        of_operation(operation),
    )


def _all_of_name(call: Call) -> None:
    for adapter in call.instance.adapters.values():
        for child in [one for one in adapter.certificates.values() if one.name == call.args["certificate"]]:
            del adapter.certificates[child.id]


def _adapters_of_key(lawful: RuleLike, call: Call) -> Any:
    key_id = kmip.adapter_of(call).key_id
    reply = lawful(call)
    for adapter in [one for one in call.instance.adapters.values() if one.key_id == key_id]:
        del call.instance.adapters[adapter.id]
    return reply


def _of_any_key(found: Registration | None, call: Call, _: Key) -> Registration | None:
    return found or next(
        (
            key.registrations[call.args["crn"]]
            for key in call.instance.keys.values()
            if call.args["crn"] in key.registrations
        ),
        None,
    )


def _removed_anywhere(refusal: RefusedError, call: Call) -> Any:
    for key in call.instance.keys.values():
        if call.args["crn"] in key.registrations:
            return call.operation.handler(replace(call, args={**call.args, "id": key.id}))
    raise refusal


def _moved_to(call: Call) -> None:
    mine = call.key()
    for key in call.instance.keys.values():
        if key is not mine:
            key.registrations.pop(call.args["crn"], None)


def _version_is_key(found: Key | None, call: Call) -> Key | None:
    return found or next(
        (
            key
            for key in call.instance.keys.values()
            if any(one.id == call.args["id"] for one in key.versions)
        ),
        None,
    )


def _alias_by_alias(key: Key, call: Call) -> Key:
    """Take the owner of the alias where the key is named by an alias, too."""
    return call.instance.find(call.args["alias"]) or key if call.args["id"] != key.id else key


# -- another ring, another instance ------------------------------------------------------------------


def _ring_free(*operations: str) -> Change:
    return unchecked(Call.check_ring, lambda call, _: call.operation.id in operations)


def _default_is_any(call: Call, _: Key) -> bool:
    return call.ring == DEFAULT_RING


def _through_any_instance(*operations: str) -> Change:
    def act(found: Key | None, call: Call) -> Key | None:
        others = (other.find(call.args["id"]) for other in call.server_state.instances.values())
        return found or next((key for key in others if key is not None), None)

    return gives(Call.find_key, act, lambda call: call.operation.id in operations)


def _kmip_of_any_instance(*operations: str) -> Change:
    def act(lawful: RuleLike, call: Call) -> Any:
        for other in call.server_state.instances.values():
            for adapter in other.adapters.values():
                if call.args.get("adapter") in {adapter.id, adapter.name}:
                    return lawful(replace(call, instance=other))
        return lawful(call)

    return instead(answered, act, lambda call: call.operation.id in operations)


def _rings_of_any_instance(lawful: RuleLike, call: Call) -> Any:
    owners = (other for other in call.server_state.instances.values() if call.args["ring"] in other.rings)
    return lawful(replace(call, instance=next(owners, call.instance)))


def _listed_from_all(operation: str, kind: str) -> Change:
    """List the things of all instances."""

    def act(reply: Reply, call: Call) -> Reply:
        for other in call.server_state.instances.values():
            if other is not call.instance and getattr(other, kind):
                more = call.operation.handler(replace(call, instance=other)).body.get("resources", [])
                entries = [*reply.body.get("resources", []), *more]
                reply.body["resources"] = entries
                reply.body["metadata"]["collectionTotal"] = len(entries)
        return reply

    return gives(answered, act, of_operation(operation))


# -- who may -----------------------------------------------------------------------------------------


def _let_in(test: Callable[[Exchange, Identity, Operation], bool]) -> Change:
    return unchecked(Exchange.check_role, test)


def _by_header(name: str, value: str) -> Change:
    return _let_in(lambda exchange, _, __: exchange.headers.get(name, "") == value)


def _overridden(method: str, exchange: Exchange) -> str:
    return exchange.headers.get("x-http-method-override", method) if method != "DELETE" else method


def _role_of_override(exchange: Exchange, identity: Identity, _: Operation) -> bool:
    return bool(identity.roles) and exchange.headers.get("x-http-method-override") == "GET"


def _outsider(*operations: str) -> tuple[Change, Change]:
    def asked(exchange: Exchange, *_: Any) -> bool:
        return exchange.operation is not None and exchange.operation.id in operations

    return unchecked(Exchange.check_member, asked), unchecked(Exchange.check_role, asked)


def _as_service(exchange: Exchange, _: Identity) -> bool:
    return "x-forwarded-user" in exchange.headers


# -- deleted things: what frees their names, what keeps them taken -----------------------------------


def _given(call: Call) -> set[str]:
    return _GIVEN.setdefault(call.instance, set())


def _stays_taken(rule: RuleLike, code: str) -> Change:
    """Refuse a name or fingerprint that was ever given out."""

    def act(lawful: RuleLike, call: Call, name: str) -> Any:
        lawful(call, name)
        if name in _given(call):
            raise RefusalError(code)
        _given(call).add(name)
        return None

    return instead(rule, act)


def _deleted_ring_stays_taken(lawful: RuleLike, call: Call, ring: str) -> None:
    lawful(call, ring)
    if ring in _given(call):
        raise RefusalError(
            status=409, summary="Key ring could not be created: a key ring with this id exists"
        )
    _given(call).add(ring)


def _left_ring(lawful: RuleLike, call: Call, key: Key, ring: str) -> Any:
    _given(call).add(key.ring)
    return lawful(call, key, ring)


def _still_full(lawful: RuleLike, call: Call, listed: list[Key]) -> Any:
    if call.args["ring"] in _given(call):
        raise RefusalError("KEY_RING_NOT_EMPTY_ERR")
    return lawful(call, listed)


def _without_registrations(call: Call) -> None:
    key = call.instance.find(call.args["id"])
    if key is not None:
        key.registrations.clear()


def _active_only(_: Call, key: Key) -> bool:
    return key.state != State.ACTIVE


def _alias_forgotten(call: Call, _: Key) -> None:
    """Free the aliases of the instance that no living key has."""
    index = call.instance.alias_index
    for alias in [name for name, key_id in index.items() if key_id != call.args["id"]]:
        del index[alias]


def _purged_alias_stays(lawful: RuleLike, call: Call, key: Key) -> Any:
    kept = dict.fromkeys(key.aliases, key.id)
    result = lawful(call, key)
    call.instance.alias_index.update(kept)
    return result


def _adapter_certificates_stay(lawful: RuleLike, call: Call) -> Any:
    _given(call).update(one.fingerprint for one in kmip.adapter_of(call).certificates.values())
    return lawful(call)


def _orphan_fingerprint(lawful: RuleLike, call: Call, fingerprint: str) -> Any:
    if fingerprint in _given(call):
        raise RefusalError("KMIP_CERT_DUPLICATE_ERR")
    return lawful(call, fingerprint)


def _then(operation: str, act: RuleLike) -> Change:
    return then(answered, act, of_operation(operation))


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    # A child through another parent
    ("certificate-read-through-any-adapter", "A client certificate is read through any adapter.", _through_any("getKmipClientCertificate", "certificates", "certificate")),
    ("certificate-deleted-through-any-adapter", "A client certificate is deleted through any adapter.", _through_any("deleteKmipClientCertificate", "certificates", "certificate")),
    ("certificate-name-of-instance", "The name of a client certificate is looked up in the whole instance.", _first_of_name("getKmipClientCertificate")),
    ("certificates-of-one-name-deleted", "Deleting a client certificate deletes those of the same name in all adapters.", _then("deleteKmipClientCertificate", _all_of_name)),
    ("adapters-of-one-key-deleted", "Deleting an adapter deletes all adapters of its root key.", answering("deleteKmipAdapter", _adapters_of_key)),
    ("object-read-through-any-adapter", "A KMIP object is read through any adapter.", _through_any("getKmipObject", "objects", "object")),
    ("object-deleted-through-any-adapter", "A KMIP object is destroyed through any adapter.", _through_any("deleteKmipObject", "objects", "object")),
    ("registration-updated-through-any-key", "A registration is updated through any key.", gives(registrations.registered, _of_any_key, of_operation("updateRegistration"))),
    ("registration-removed-through-any-key", "A registration is removed through any key.", on_refusal(answered, _removed_anywhere, of_operation("deleteRegistration"))),
    ("resource-registered-once", "Registering a resource with another key takes it from the first.", _then("createRegistration", _moved_to)),
    ("version-is-a-key", "The id of a version names its key.", gives(Call.find_key, _version_is_key, lambda call: call.instance.find(call.args["id"]) is None)),
    ("alias-removed-through-an-alias", "An alias is removed from whatever key has it where the path names the key by an alias.", gives(aliases.key_of_deletion, _alias_by_alias)),
    # Another ring, another instance
    ("ring-ignored-by-policies", "Setting a policy takes no notice of the key ring.", _ring_free("putPolicy")),
    ("ring-ignored-by-alias-writes", "Aliases are given and removed whatever the key ring.", _ring_free("createKeyAlias", "deleteKeyAlias")),
    ("ring-ignored-by-moves", "A key is moved whatever the key ring of the request.", _ring_free("patchKey")),
    ("ring-ignored-by-rewrap", "Rewrap takes no notice of the key ring.", _ring_free("rewrapKey")),
    ("ring-ignored-by-enable", "Enabling takes no notice of the key ring.", _ring_free("enableKey")),
    ("ring-ignored-by-older-form", "Actions in the older form of their path take no notice of the key ring.", unchecked(Call.check_ring, lambda call, _: call.old_form)),
    ("ring-ignored-by-registration-writes", "Registrations are written whatever the key ring.", _ring_free("createRegistration", "replaceRegistration", "updateRegistration", "deleteRegistration")),
    ("default-ring-is-any", "The header of the default key ring finds keys of every key ring.", unchecked(Call.check_ring, _default_is_any)),
    ("policy-set-through-any-instance", "A policy is set through any instance.", _through_any_instance("putPolicy")),
    ("key-enabled-through-any-instance", "A key is enabled through any instance.", _through_any_instance("enableKey")),
    ("alias-given-through-any-instance", "An alias is given through any instance.", _through_any_instance("createKeyAlias")),
    ("registrations-through-any-instance", "Registrations are listed and written through any instance.", _through_any_instance("getRegistrations", "createRegistration", "replaceRegistration", "updateRegistration", "deleteRegistration")),
    ("rewrapped-through-any-instance", "A ciphertext is rewrapped through any instance.", _through_any_instance("rewrapKey")),
    ("adapter-read-through-any-instance", "A KMIP adapter is read through any instance.", _kmip_of_any_instance("getKmipAdapter", "getKmipClientCertificates", "getKmipClientCertificate")),
    ("adapter-deleted-through-any-instance", "A KMIP adapter is deleted through any instance.", _kmip_of_any_instance("deleteKmipAdapter", "deleteKmipClientCertificate")),
    ("ring-deleted-through-any-instance", "A key ring is deleted through any instance.", answering("deleteKeyRing", _rings_of_any_instance)),
    ("rings-of-all-instances", "The list of key rings holds those of all instances.", _listed_from_all("listKeyRings", "rings")),
    ("adapters-of-all-instances", "The list of KMIP adapters holds those of all instances.", _listed_from_all("getKmipAdapters", "adapters")),
    ("registrations-of-all-instances", "The list over all keys holds the registrations of all instances.", _listed_from_all("getRegistrationsAllKeys", "keys")),
    # Who may
    ("role-by-header", "A header says the role of the caller.", _by_header("x-role", "Manager")),
    ("role-of-overridden-method", "The role is checked for the method of a header, the request's own is carried out.", _let_in(_role_of_override)),
    ("minimal-answer-needs-no-role", "Who prefers a minimal answer needs no role.", _by_header("prefer", "return=minimal")),
    ("method-by-header", "A header says the method of the request.", gives(Exchange.asked_method, _overridden, lambda exchange: "x-http-method-override" in exchange.headers)),
    ("service-by-header", "A header makes a service of a user.", unchecked(Exchange.check_service, _as_service)),
    ("outsider-lists-rings", "Somebody without any role may list key rings.", *_outsider("listKeyRings")),
    ("outsider-rewraps", "Somebody without any role may rewrap.", *_outsider("rewrapKey")),
    ("reader-reads-policies", "A reader may read key policies.", _let_in(lambda _, identity, operation: bool(identity.roles) and operation.id == "getPolicy")),
    # Deleted things
    ("adapter-name-stays-taken", "The name of a deleted KMIP adapter stays taken.", _stays_taken(kmip.check_name_free, "KMIP_ADAPTER_DUPLICATE_NAME_ERR")),
    ("certificate-stays-taken", "A client certificate that was removed cannot be added again.", _stays_taken(kmip.check_certificate_free, "KMIP_CERT_DUPLICATE_ERR")),
    ("certificate-dies-with-adapter", "A client certificate of a deleted adapter stays taken.", answering("deleteKmipAdapter", _adapter_certificates_stay), instead(kmip.check_certificate_free, _orphan_fingerprint)),
    ("ring-id-stays-taken", "The id of a deleted key ring stays taken.", instead(rings.check_ring_free, _deleted_ring_stays_taken)),
    ("ring-counts-moved-keys", "A key ring counts as full once a key was moved out of it.", instead(keys.move, _left_ring), instead(rings.check_empty, _still_full)),
    ("one-registration-fewer-frees-key", "Removing one registration removes all of its key.", _then("deleteRegistration", _without_registrations)),
    ("disabled-key-not-held", "A disabled key is deleted whatever uses it.", unchecked(keys.check_registrations, _active_only)),
    ("deletion-frees-foreign-aliases", "Deleting a key frees the aliases of other keys.", then(keys.destroy, _alias_forgotten)),
    ("purged-alias-stays-taken", "The alias of a purged key stays taken.", instead(keys.forget, _purged_alias_stays)),
)  # fmt: skip

OWNERSHIP_DEFECTS: Final[tuple[Defect, ...]] = tuple(
    Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS
)
