"""Defects of who may do what to which thing: things found where they do not belong, requests that say more than they may."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from kms_reference.key_protect import aliases, keys, kmip, registrations, rings, search
from kms_reference.key_protect.app import Exchange, answered
from kms_reference.key_protect.clock import parse_stamp
from kms_reference.key_protect.defects.conditions import of_operation
from kms_reference.key_protect.errors import RefusalError, unknown_key
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
    return instead(answered, lambda lawful, call: lawful(_owner(call, "certificates", "certificate")), of_operation(operation))


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
        (key.registrations[call.args["crn"]] for key in call.instance.keys.values() if call.args["crn"] in key.registrations),
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
        (key for key in call.instance.keys.values() if any(one.id == call.args["id"] for one in key.versions)), None
    )


def _alias_moves(_: RefusedError, call: Call, alias: str) -> None:
    owner = call.instance.find(alias)
    if owner is not None:
        owner.aliases.pop(alias, None)


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
        others = (other.find(call.args["id"]) for other in call.world.instances.values())
        return found or next((key for key in others if key is not None), None)

    return gives(Call.find_key, act, lambda call: call.operation.id in operations)


def _kmip_of_any_instance(*operations: str) -> Change:
    def act(lawful: RuleLike, call: Call) -> Any:
        for other in call.world.instances.values():
            for adapter in other.adapters.values():
                if call.args.get("adapter") in {adapter.id, adapter.name}:
                    return lawful(replace(call, instance=other))
        return lawful(call)

    return instead(answered, act, lambda call: call.operation.id in operations)


def _rings_of_any_instance(lawful: RuleLike, call: Call) -> Any:
    owners = (other for other in call.world.instances.values() if call.args["ring"] in other.rings)
    return lawful(replace(call, instance=next(owners, call.instance)))


def _listed_from_all(operation: str, kind: str) -> Change:
    """List the things of all instances."""

    def act(reply: Reply, call: Call) -> Reply:
        for other in call.world.instances.values():
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


# -- what a request says beside what it may ------------------------------------------------------------


def _resource(call: Call) -> dict[str, Any]:
    body = json.loads(call.raw or b"{}")
    resources = body.get("resources") if isinstance(body, dict) else None
    return resources[0] if resources and isinstance(resources[0], dict) else {}


def _made_with(set_members: Callable[[Call, Key, dict[str, Any]], None]) -> Change:
    """Take more of the body of a creation than it may say."""

    def act(call: Call) -> None:
        key = next(reversed(call.instance.keys.values()))
        set_members(call, key, _resource(call))

    return then(answered, act, of_operation("createKey"))


def _state(_: Call, key: Key, members: dict[str, Any]) -> None:
    key.state = members.get("state", key.state)


def _imported(_: Call, key: Key, members: dict[str, Any]) -> None:
    key.imported = members.get("imported", key.imported)


def _date(_: Call, key: Key, members: dict[str, Any]) -> None:
    key.created = parse_stamp(members.get("creationDate", "")) or key.created


def _rotated(_: Call, key: Key, members: dict[str, Any]) -> None:
    key.rotated = parse_stamp(members.get("lastRotateDate", "")) or key.rotated


def _creator(_: Call, key: Key, members: dict[str, Any]) -> None:
    key.created_by = members.get("createdBy", key.created_by)


def _ring(call: Call, key: Key, members: dict[str, Any]) -> None:
    if members.get("keyRingID") in call.instance.rings:
        key.ring = members["keyRingID"]


def _ring_of_query(call: Call, key: Key, _: dict[str, Any]) -> None:
    if call.query.get("keyRingID") in call.instance.rings:
        key.ring = call.query["keyRingID"]


def _id(call: Call, key: Key, members: dict[str, Any]) -> None:
    """Store the key under the id of the body, over whatever has it."""
    if "id" in members:
        call.instance.remove(key)
        key.id = members["id"]
        call.instance.add(key)


def _policies(call: Call, key: Key, members: dict[str, Any]) -> None:
    rotation = members.get("rotation")
    if rotation:
        from kms_reference.key_protect.key_policies import renewed  # noqa: PLC0415 - only this defect

        key.rotation = renewed(call, None, enabled=True, interval=rotation["interval_month"])


def _renamed(call: Call) -> None:
    body = json.loads(call.raw or b"{}")
    if isinstance(body, dict):
        key = call.key_as_is() if call.ring is None else call.instance.find(call.args["id"])
        if key is not None:
            key.name = body.get("name", key.name)


def _extracted(call: Call) -> None:
    body = json.loads(call.raw or b"{}")
    key = call.instance.find(call.args["id"])
    if isinstance(body, dict) and key is not None:
        key.description = body.get("description", key.description)


def _id_of_query(operation: str) -> Change:
    """Prefer an id in the query to that of the path, as frameworks do that join both."""

    def act(lawful: RuleLike, call: Call) -> Any:
        return lawful(replace(call, args={**call.args, "id": call.query.get("id", call.args["id"])}))

    return instead(answered, act, of_operation(operation))


def _id_of_body(operation: str) -> Change:
    def act(lawful: RuleLike, call: Call) -> Any:
        body = json.loads(call.raw or b"{}")
        wanted = body.get("id", call.args["id"]) if isinstance(body, dict) else call.args["id"]
        return lawful(replace(call, args={**call.args, "id": wanted}))

    return instead(answered, act, of_operation(operation))


def _fields_only(reply: Reply, call: Call) -> Reply:
    names = call.query.get("fields", "").split(",")
    if names != [""]:
        reply.body["resources"] = [{k: v for k, v in one.items() if k in names} for one in reply.body.get("resources", [])]
    return reply


def _paged_by_number(reply: Reply, call: Call) -> Reply:
    if "per_page" in call.query:
        size, number = int(call.query["per_page"]), int(call.query.get("page", "1"))
        entries = reply.body.pop("resources", [])[size * (number - 1) : size * number]
        reply.body["metadata"]["collectionTotal"] = len(entries)
        reply.body |= {"resources": entries} if entries else {}
    return reply


def _hidden_by_state(call: Call, key: Key) -> None:
    if call.query.get("state", str(key.state)) != str(key.state):
        raise unknown_key()


def _of_ring_in_query(keys_: list[Key], call: Call, _: Any) -> list[Key]:
    ring = call.query.get("keyRingID")
    return keys_ if ring is None else [key for key in keys_ if key.ring == ring]


def _kmip_id(call: Call) -> None:
    adapter = next(reversed(call.instance.adapters.values()))
    wanted = _resource(call).get("id")
    if wanted:
        del call.instance.adapters[adapter.id]
        adapter.id = wanted
        call.instance.adapters[adapter.id] = adapter


def _into_adapter_of_query(lawful: RuleLike, call: Call) -> Any:
    return lawful(replace(call, args={**call.args, "adapter": call.query.get("adapter_id", call.args["adapter"])}))


def _prevent_by_query(call: Call) -> None:
    if call.query.get("preventKeyDeletion") == "true":
        call.key().registrations[call.args["crn"]].prevent_deletion = True


def _registered_elsewhere(lawful: RuleLike, call: Call) -> Any:
    return lawful(replace(call, args={**call.args, "id": _resource(call).get("keyId", call.args["id"])}))


def _alias_of_body(lawful: RuleLike, call: Call) -> Any:
    body = json.loads(call.raw or b"{}")
    return lawful(replace(call, args={**call.args, "alias": body.get("alias", call.args["alias"])}))


def _overwritten(_: RefusedError, call: Call, alias: str) -> None:
    owner = call.instance.find(alias)
    if "overwrite" not in call.query and "force" not in call.query:
        raise RefusalError("KEY_ALIAS_NOT_UNIQUE_ERR")
    if owner is not None:
        owner.aliases.pop(alias, None)


def _ring_of_body(lawful: RuleLike, call: Call) -> Any:
    body = json.loads(call.raw or b"{}")
    return lawful(replace(call, args={**call.args, "ring": body.get("id", call.args["ring"])}))


def _retrievals_given(call: Call) -> None:
    body = json.loads(call.raw or b"{}")
    token = call.instance.import_token
    if token is not None and isinstance(body, dict):
        token.remaining = body.get("remainingRetrievals", token.remaining)


def _policy_creator(call: Call) -> None:
    key = call.key()
    if key.rotation is not None:
        key.rotation.created_by = _resource(call).get("createdBy", key.rotation.created_by)


# -- what is over, and what is not -------------------------------------------------------------------


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


def _ring_tombstone(lawful: RuleLike, call: Call, ring: str) -> None:
    lawful(call, ring)
    if ring in _given(call):
        raise RefusalError(status=409, summary="Key ring could not be created: a key ring with this id exists")
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


def _op(operation: str, act: RuleLike) -> Change:
    return instead(answered, act, of_operation(operation))


def _then(operation: str, act: RuleLike) -> Change:
    return then(answered, act, of_operation(operation))


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    # A child through another parent
    ("certificate-read-through-any-adapter", "A client certificate is read through any adapter.", _through_any("getKmipClientCertificate", "certificates", "certificate")),
    ("certificate-deleted-through-any-adapter", "A client certificate is deleted through any adapter.", _through_any("deleteKmipClientCertificate", "certificates", "certificate")),
    ("certificate-name-of-instance", "The name of a client certificate is looked up in the whole instance.", _first_of_name("getKmipClientCertificate")),
    ("certificates-of-one-name-deleted", "Deleting a client certificate deletes those of the same name in all adapters.", _then("deleteKmipClientCertificate", _all_of_name)),
    ("adapters-of-one-key-deleted", "Deleting an adapter deletes all adapters of its root key.", _op("deleteKmipAdapter", _adapters_of_key)),
    ("object-read-through-any-adapter", "A KMIP object is read through any adapter.", _through_any("getKmipObject", "objects", "object")),
    ("object-deleted-through-any-adapter", "A KMIP object is destroyed through any adapter.", _through_any("deleteKmipObject", "objects", "object")),
    ("registration-updated-through-any-key", "A registration is updated through any key.", gives(registrations.registered, _of_any_key, of_operation("updateRegistration"))),
    ("registration-removed-through-any-key", "A registration is removed through any key.", on_refusal(answered, _removed_anywhere, of_operation("deleteRegistration"))),
    ("resource-registered-once", "Registering a resource with another key takes it from the first.", _then("createRegistration", _moved_to)),
    ("version-is-a-key", "The id of a version names its key.", gives(Call.find_key, _version_is_key)),
    ("alias-moves", "Giving a taken alias to another key takes it from the first.", on_refusal(aliases.check_free, _alias_moves, of_operation("createKeyAlias"))),
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
    ("ring-deleted-through-any-instance", "A key ring is deleted through any instance.", _op("deleteKeyRing", _rings_of_any_instance)),
    ("rings-of-all-instances", "The list of key rings holds those of all instances.", _listed_from_all("listKeyRings", "rings")),
    ("adapters-of-all-instances", "The list of KMIP adapters holds those of all instances.", _listed_from_all("getKmipAdapters", "adapters")),
    ("registrations-of-all-instances", "The list over all keys holds the registrations of all instances.", _listed_from_all("getRegistrationsAllKeys", "keys")),
    # Who may
    ("role-by-header", "A header says the role of the caller.", _by_header("x-role", "Manager")),
    ("role-of-overridden-method", "The role is checked for the method of a header, the request's own is carried out.", _let_in(_role_of_override)),
    ("minimal-answer-needs-no-role", "Who prefers a minimal answer needs no role.", _by_header("prefer", "return=minimal")),
    ("method-by-header", "A header says the method of the request.", gives(Exchange.asked_method, _overridden)),
    ("service-by-header", "A header makes a service of a user.", unchecked(Exchange.check_service, _as_service)),
    ("outsider-lists-rings", "Somebody without any role may list key rings.", *_outsider("listKeyRings")),
    ("outsider-rewraps", "Somebody without any role may rewrap.", *_outsider("rewrapKey")),
    ("reader-reads-policies", "A reader may read key policies.", _let_in(lambda _, identity, operation: bool(identity.roles) and operation.id == "getPolicy")),
    ("reader-adds-certificates", "A reader may add client certificates.", _let_in(lambda _, identity, operation: bool(identity.roles) and operation.id == "addKmipClientCertificate")),
    # What a request says beside what it may
    ("state-taken-from-body", "A key is created in the state that the body says.", _made_with(_state)),
    ("imported-taken-from-body", "The body says whether a new key is imported.", _made_with(_imported)),
    ("creation-date-taken-from-body", "A key is created at the date that the body says.", _made_with(_date)),
    ("rotation-date-taken-from-body", "A new key was rotated at the date that the body says.", _made_with(_rotated)),
    ("creator-taken-from-body", "A key's creator is who the body says.", _made_with(_creator)),
    ("ring-taken-from-body", "A key is created in the key ring that the body says.", _made_with(_ring)),
    ("ring-taken-from-query", "A key is created in the key ring that a parameter says.", _made_with(_ring_of_query)),
    ("id-taken-from-body", "A key is stored under the id of the body, over the one that has it.", _made_with(_id)),
    ("policies-taken-from-body", "An ordinary creation takes policies.", _made_with(_policies)),
    ("moved-key-renamed", "Moving a key takes its new name from the body.", _then("patchKey", _renamed)),
    ("rotated-key-described", "Rotating a key takes its description from the body.", _then("rotateKey", _extracted)),
    ("deletion-of-id-in-query", "A deletion prefers an id in the query to that of the path.", _id_of_query("deleteKey")),
    ("disabling-of-id-in-body", "Disabling prefers an id in the body to that of the path.", _id_of_body("disableKey")),
    ("metadata-of-id-in-query", "Metadata are read of an id in the query.", _id_of_query("getKeyMetadata")),
    ("fields-chosen-by-query", "A parameter that nobody documents chooses the members of list entries.", gives(answered, _fields_only, of_operation("getKeys"))),
    ("pages-by-number", "Parameters that nobody documents cut a list of registrations.", gives(answered, _paged_by_number, of_operation("getRegistrations"))),
    ("key-hidden-by-state", "A state in the query hides a key in another state.", then(Call.check_intact, _hidden_by_state)),
    ("list-of-ring-in-query", "A list is limited to the key ring that a parameter names.", gives(search.matching, _of_ring_in_query)),
    ("adapter-id-taken-from-body", "A KMIP adapter is stored under the id of the body.", _then("createKmipAdapter", _kmip_id)),
    ("certificate-into-adapter-of-query", "A client certificate goes to the adapter that a parameter names.", _op("addKmipClientCertificate", _into_adapter_of_query)),
    ("prevention-taken-from-query", "A parameter makes a registration prevent deletion.", _then("createRegistration", _prevent_by_query)),
    ("registered-with-key-of-body", "A resource is registered with the key that the body names.", _op("createRegistration", _registered_elsewhere)),
    ("alias-taken-from-body", "An alias is called what the body says.", _op("createKeyAlias", _alias_of_body)),
    ("alias-taken-by-force", "A parameter takes an alias from the key that has it.", on_refusal(aliases.check_free, _overwritten)),
    ("ring-id-taken-from-body", "A key ring is called what the body says.", _op("createKeyRing", _ring_of_body)),
    ("retrievals-taken-from-body", "The body says how many retrievals of an import token are left.", _then("postImportToken", _retrievals_given)),
    ("policy-creator-taken-from-body", "A policy's creator is who the body says.", _then("putPolicy", _policy_creator)),
    # What is over, and what is not
    ("adapter-name-stays-taken", "The name of a deleted KMIP adapter stays taken.", _stays_taken(kmip.check_name_free, "KMIP_ADAPTER_DUPLICATE_NAME_ERR")),
    ("certificate-stays-taken", "A client certificate that was removed cannot be added again.", _stays_taken(kmip.check_certificate_free, "KMIP_CERT_DUPLICATE_ERR")),
    ("certificate-dies-with-adapter", "A client certificate of a deleted adapter stays taken.", _op("deleteKmipAdapter", _adapter_certificates_stay), instead(kmip.check_certificate_free, _orphan_fingerprint)),
    ("ring-id-stays-taken", "The id of a deleted key ring stays taken.", instead(rings.check_ring_free, _ring_tombstone)),
    ("ring-counts-moved-keys", "A key ring counts as full once a key was moved out of it.", instead(keys.move, _left_ring), instead(rings.check_empty, _still_full)),
    ("one-registration-fewer-frees-key", "Removing one registration removes all of its key.", _then("deleteRegistration", _without_registrations)),
    ("disabled-key-not-held", "A disabled key is deleted whatever uses it.", unchecked(keys.check_registrations, _active_only)),
    ("deletion-frees-foreign-aliases", "Deleting a key frees the aliases of other keys.", then(keys.destroy, _alias_forgotten)),
    ("purged-alias-stays-taken", "The alias of a purged key stays taken.", instead(keys.forget, _purged_alias_stays)),
)  # fmt: skip

OWNERSHIP_DEFECTS: Final[tuple[Defect, ...]] = tuple(Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS)
