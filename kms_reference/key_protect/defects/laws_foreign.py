"""Defects of superfluous parameters, headers and members: they change what the operation does not let them change."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import aliases, search
from kms_reference.key_protect.app import answered
from kms_reference.key_protect.clock import parse_stamp
from kms_reference.key_protect.errors import RefusalError, unknown_key
from kms_reference.key_protect.key_policies import renewed
from kms_reference.key_protect.wire import Call
from kms_reference.switches import Change, Defect, gives, instead, on_refusal, then

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.wire import Reply
    from kms_reference.rules import RefusedError, RuleLike
    from kms_reference.switches import Test


# -- superfluous parameters and members ----------------------------------------------------------------


def _resource(call: Call) -> dict[str, Any]:
    resources = _body(call).get("resources")
    first = resources[0] if isinstance(resources, list) and resources else None
    return first if isinstance(first, dict) else {}


def _made_with(member: str, set_members: Callable[[Call, Key, dict[str, Any]], None]) -> Change:
    """Use a member of a creation's body or query that the operation does not have."""

    def act(call: Call) -> None:
        key = next(reversed(call.instance.keys.values()))
        set_members(call, key, _resource(call))

    def given(call: Call) -> bool:
        return call.operation.id == "createKey" and (member in _resource(call) or member in call.query)

    return then(answered, act, given)


def _has_parameter(operation: str, parameter: str) -> Test:
    """Hold for calls of an operation with a query parameter."""
    return lambda call: call.operation.id == operation and parameter in call.query


def _has_member(operation: str, member: str) -> Test:
    """Hold for calls of an operation whose body, or first resource, has a member."""

    def test(call: Call) -> bool:
        return call.operation.id == operation and (member in _body(call) or member in _resource(call))

    return test


def _body(call: Call) -> dict[str, Any]:
    try:
        body = json.loads(call.raw or b"{}")
    except (ValueError, RecursionError):
        return {}  # the lawful rule refuses it
    return body if isinstance(body, dict) else {}


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
        key.rotation = renewed(call, None, enabled=True, interval=rotation["interval_month"])


def _renamed(call: Call) -> None:
    body = _body(call)
    if body:
        key = call.key_as_is() if call.ring is None else call.instance.find(call.args["id"])
        if key is not None:
            key.name = body.get("name", key.name)


def _extracted(call: Call) -> None:
    body = _body(call)
    key = call.instance.find(call.args["id"])
    if key is not None:
        key.description = body.get("description", key.description)


def _id_of_query(operation: str) -> Change:
    """Prefer an id in the query to that of the path, as frameworks do that join both."""

    def act(lawful: RuleLike, call: Call) -> Any:
        return lawful(replace(call, args={**call.args, "id": call.query["id"]}))

    return instead(answered, act, _has_parameter(operation, "id"))


def _id_of_body(operation: str) -> Change:
    def act(lawful: RuleLike, call: Call) -> Any:
        return lawful(replace(call, args={**call.args, "id": _body(call)["id"]}))

    return instead(answered, act, _has_member(operation, "id"))


def _fields_only(reply: Reply, call: Call) -> Reply:
    names = call.query.get("fields", "").split(",")
    if names != [""]:
        reply.body["resources"] = [
            {k: v for k, v in one.items() if k in names} for one in reply.body.get("resources", [])
        ]
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
    return lawful(
        replace(call, args={**call.args, "adapter": call.query.get("adapter_id", call.args["adapter"])})
    )


def _prevent_by_query(call: Call) -> None:
    if call.query.get("preventKeyDeletion") == "true":
        call.key().registrations[call.args["crn"]].prevent_deletion = True


def _registered_elsewhere(lawful: RuleLike, call: Call) -> Any:
    return lawful(replace(call, args={**call.args, "id": _resource(call).get("keyId", call.args["id"])}))


def _alias_of_body(lawful: RuleLike, call: Call) -> Any:
    body = _body(call)
    return lawful(replace(call, args={**call.args, "alias": body.get("alias", call.args["alias"])}))


def _overwritten(_: RefusedError, call: Call, alias: str) -> None:
    owner = call.instance.find(alias)
    if "overwrite" not in call.query and "force" not in call.query:
        raise RefusalError("KEY_ALIAS_NOT_UNIQUE_ERR")
    if owner is not None:
        owner.aliases.pop(alias, None)


def _ring_of_body(lawful: RuleLike, call: Call) -> Any:
    body = _body(call)
    return lawful(replace(call, args={**call.args, "ring": body.get("id", call.args["ring"])}))


def _retrievals_given(call: Call) -> None:
    body = _body(call)
    token = call.instance.import_token
    if token is not None:
        token.remaining = body.get("remainingRetrievals", token.remaining)


def _policy_creator(call: Call) -> None:
    key = call.key()
    if key.rotation is not None:
        key.rotation.created_by = _resource(call).get("createdBy", key.rotation.created_by)


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    ("state-taken-from-body", "A key is created in the state that the body says.", _made_with("state", _state)),
    ("imported-taken-from-body", "The body says whether a new key is imported.", _made_with("imported", _imported)),
    ("creation-date-taken-from-body", "A key is created at the date that the body says.", _made_with("creationDate", _date)),
    ("rotation-date-taken-from-body", "A new key was rotated at the date that the body says.", _made_with("lastRotateDate", _rotated)),
    ("creator-taken-from-body", "A key's creator is who the body says.", _made_with("createdBy", _creator)),
    ("ring-taken-from-body", "A key is created in the key ring that the body says.", _made_with("keyRingID", _ring)),
    ("ring-taken-from-query", "A key is created in the key ring that a parameter says.", _made_with("keyRingID", _ring_of_query)),
    ("id-taken-from-body", "A key is stored under the id of the body, over the one that has it.", _made_with("id", _id)),
    ("policies-taken-from-body", "An ordinary creation takes policies.", _made_with("rotation", _policies)),
    ("moved-key-renamed", "Moving a key takes its new name from the body.", then(answered, _renamed, _has_member("patchKey", "name"))),
    ("rotated-key-described", "Rotating a key takes its description from the body.", then(answered, _extracted, _has_member("rotateKey", "description"))),
    ("deletion-of-id-in-query", "A deletion prefers an id in the query to that of the path.", _id_of_query("deleteKey")),
    ("disabling-of-id-in-body", "Disabling prefers an id in the body to that of the path.", _id_of_body("disableKey")),
    ("metadata-of-id-in-query", "Metadata are read of an id in the query.", _id_of_query("getKeyMetadata")),
    ("fields-chosen-by-query", "A parameter that nobody documents chooses the members of list entries.", gives(answered, _fields_only, _has_parameter("getKeys", "fields"))),
    ("pages-by-number", "Parameters that nobody documents cut a list of registrations.", gives(answered, _paged_by_number, _has_parameter("getRegistrations", "per_page"))),
    ("key-hidden-by-state", "A state in the query hides a key in another state.", then(Call.check_intact, _hidden_by_state, lambda call, _: "state" in call.query)),
    ("list-of-ring-in-query", "A list is limited to the key ring that a parameter names.", gives(search.matching, _of_ring_in_query, lambda call, _: "keyRingID" in call.query)),
    ("adapter-id-taken-from-body", "A KMIP adapter is stored under the id of the body.", then(answered, _kmip_id, _has_member("createKmipAdapter", "id"))),
    ("certificate-into-adapter-of-query", "A client certificate goes to the adapter that a parameter names.", instead(answered, _into_adapter_of_query, _has_parameter("addKmipClientCertificate", "adapter_id"))),
    ("prevention-taken-from-query", "A parameter makes a registration prevent deletion.", then(answered, _prevent_by_query, _has_parameter("createRegistration", "preventKeyDeletion"))),
    ("registered-with-key-of-body", "A resource is registered with the key that the body names.", instead(answered, _registered_elsewhere, _has_member("createRegistration", "keyId"))),
    ("alias-taken-from-body", "An alias is called what the body says.", instead(answered, _alias_of_body, _has_member("createKeyAlias", "alias"))),
    ("alias-taken-by-force", "A parameter takes an alias from the key that has it.", on_refusal(aliases.check_free, _overwritten)),
    ("ring-id-taken-from-body", "A key ring is called what the body says.", instead(answered, _ring_of_body, _has_member("createKeyRing", "id"))),
    ("retrievals-taken-from-body", "The body says how many retrievals of an import token are left.", then(answered, _retrievals_given, _has_member("postImportToken", "remainingRetrievals"))),
    ("policy-creator-taken-from-body", "A policy's creator is who the body says.", then(answered, _policy_creator, _has_member("putPolicy", "createdBy"))),
)  # fmt: skip

FOREIGN_DEFECTS: Final[tuple[Defect, ...]] = tuple(
    Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS
)
