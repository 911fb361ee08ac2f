"""Keys themselves: create, read, move, delete, restore, purge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect.aliases import check_free
from kms_reference.key_protect.clock import go_stamp
from kms_reference.key_protect.errors import RefusalError, bad_body, bad_field
from kms_reference.key_protect.instance import DEFAULT_RING, new_id
from kms_reference.key_protect.key_input import NewKey, check_access, read_material, read_new_key
from kms_reference.key_protect.key_policies import inherit, read_overrides
from kms_reference.key_protect.key_view import PURGE_WAIT, RESTORE_WINDOW, brief, full
from kms_reference.key_protect.model import Key, State, Version
from kms_reference.key_protect.wire import (
    KEY_TYPE,
    Call,
    Members,
    Reply,
    as_object,
    collection,
    ring_of,
    single_resource,
)
from kms_reference.rules import rule

if TYPE_CHECKING:
    from kms_reference.key_protect.key_input import Material

SETTLE: Final = 30.0
"""Seconds that must pass between the last action and enabling or restoring (req-too-early-err)."""
ONE_KEY: Final = "Only creation of one key per request is supported"


def create_key(call: Call) -> Reply:
    """POST /keys."""
    return _create(call, overrides=False)


def create_key_with_overrides(call: Call) -> Reply:
    """POST /keys_with_policy_overrides: only the policies given here, none of the instance's."""
    return _create(call, overrides=True)


def _create(call: Call, *, overrides: bool) -> Reply:
    resource = single_resource(creation_body(call), KEY_TYPE, ONE_KEY)
    ring = ring_of(call)
    new = read_new_key(call, resource)
    material = read_material(call, resource, extractable=new.extractable)
    for alias in new.aliases:
        check_free(call, alias)
    key = _new_key(call, new, material, ring)
    if overrides:
        read_overrides(call, resource, key)
    else:
        inherit(call, key)
    check_access(call, key, material)
    call.instance.add(key)
    if call.representation:
        return Reply(201, collection("key+json", [full(call, key, payload=True)]))
    return Reply(201, collection("key+json", [brief(call, key)]))


@rule
def creation_body(call: Call) -> dict[str, Any]:
    """Return the body of a creation as it came. Raises NO_BODY_ERR, BAD_BODY_ERR."""
    return call.body()


def _new_key(call: Call, new: NewKey, material: Material, ring: str) -> Key:
    key_id = new_id(call.instance)
    born = (call.now, call.identity.iam_id)
    return Key(
        id=key_id,
        name=new.name,
        description=new.description,
        extractable=new.extractable,
        imported=material.imported,
        ring=ring,
        created=call.now,
        created_by=call.identity.iam_id,
        updated=call.now,
        versions=[Version(key_id, call.now, material.data.hex(), by_token=material.by_token)],
        tags=new.tags,
        aliases={alias: list(born) for alias in new.aliases},
        expires=new.expires,
    )


def get_key(call: Call) -> Reply:
    """GET /keys/{id}: with the payload of a standard key."""
    key = call.key()
    return Reply(200, collection("key+json", [full(call, key, payload=key.state != State.DESTROYED)]))


@rule
def get_key_metadata(call: Call) -> Reply:
    """GET /keys/{id}/metadata: never a payload."""
    return Reply(200, collection("key+json", [full(call, call.key())]))


def patch_key(call: Call) -> Reply:
    """PATCH /keys/{id}: move to another key ring."""
    key = call.key()
    members = Members(call.body())
    ring = members.text("keyRingID")
    if not ring:
        raise bad_field("keyRingID", "the id of a key ring")
    check_ring_exists(call, ring)
    move(call, key, ring)
    return Reply(200, collection("key+json", [full(call, key)]))


@rule
def check_ring_exists(call: Call, ring: str) -> None:
    """A key is moved to a ring of the instance. Raises KEY_RING_NOT_FOUND_ERR."""
    if ring != DEFAULT_RING and ring not in call.instance.rings:
        raise RefusalError("KEY_RING_NOT_FOUND_ERR")


@rule
def move(call: Call, key: Key, ring: str) -> None:
    """Put the key into another ring."""
    key.ring = ring
    call.instance.touch(key, call.now)


def delete_key(call: Call) -> Reply:
    """DELETE /keys/{id}."""
    force = call.flag("force")
    check_owner(call)
    key = call.key_as_is()
    if key.state == State.DESTROYED:
        return delete_again(call, key)
    check_authorizations(call, key)
    check_adapters(call, key)
    if key.registrations and force:
        check_retention(call, key)
    elif key.registrations:
        check_registrations(call, key)
    destroy(call, key)
    if call.representation:
        return Reply(200, collection("key+json", [full(call, key, payload=True)]))
    return Reply(204)


@rule
def check_owner(call: Call) -> None:
    """A service deletes no keys. Raises RESOURCE_OWNER_ERR."""
    if call.identity.kind == "service":
        raise RefusalError("RESOURCE_OWNER_ERR")


@rule
def delete_again(_: Call, __: Key) -> Reply:
    """A destroyed key is not deleted again. Raises KEY_DELETED_ERR."""
    raise RefusalError("KEY_DELETED_ERR")


@rule
def destroy(call: Call, key: Key) -> None:
    """Set the key to destroyed, remember its state before, and end the authorisation."""
    key.state_before, key.state = key.state, State.DESTROYED
    key.deleted, key.deleted_by, key.acted = call.now, call.identity.iam_id, call.now
    key.notified = call.now
    key.authorized_by = ""
    call.instance.touch(key, call.now)


@rule
def check_authorizations(call: Call, key: Key) -> None:
    """A key under dual authorisation is deleted by the second of two users. Raises AUTHORIZATIONS_NOT_MET."""
    if needs_two_users(call, key) and not authorized_before(call, key):
        detail = "1 prior authorization(s) are required for deletion"
        raise RefusalError("AUTHORIZATIONS_NOT_MET", detail=detail)


@rule
def needs_two_users(_: Call, key: Key) -> bool:
    """Whether the key's dual-authorisation policy is enabled."""
    return key.dual_auth is not None and key.dual_auth.enabled


@rule
def authorized_before(call: Call, key: Key) -> bool:
    """Whether another user's authorisation stands."""
    return call.instance.authorized(key, call.now) and key.authorized_by != call.identity.iam_id


@rule
def check_adapters(call: Call, key: Key) -> None:
    """A key behind a KMIP adapter is not deleted. Raises PROTECTED_RESOURCE_ERR."""
    if any(adapter.key_id == key.id for adapter in call.instance.adapters.values()):
        raise RefusalError("PROTECTED_RESOURCE_ERR")


@rule
def check_registrations(_: Call, __: Key) -> None:
    """A registered key is deleted with force only. Raises PROTECTED_RESOURCE_ERR."""
    raise RefusalError("PROTECTED_RESOURCE_ERR")


@rule
def check_retention(call: Call, key: Key) -> None:
    """With force a key is deleted unless a resource has a retention policy. Raises PREV_KEY_DEL_ERR."""
    if deletion_prevented(call, key):
        raise RefusalError("PREV_KEY_DEL_ERR")


@rule
def deletion_prevented(_: Call, key: Key) -> bool:
    """Whether any registration of the key prevents its deletion."""
    return any(use.prevent_deletion for use in key.registrations.values())


def restore_key(call: Call) -> Reply:
    """POST /keys/{id}/restore. In the edition `page` only imported root keys, with their material."""
    key = call.key()
    value = call.json()
    rules = call.rules
    if rules.page and key.extractable:
        raise RefusalError("KEY_ROOT_REQ_ERR")
    if key.state != State.DESTROYED or key.deleted is None:
        return restore_living(call, key)
    check_unexpired(call, key)
    if call.now > restorable_since(call, key) + rules.seconds("restore-window", RESTORE_WINDOW):
        raise RefusalError("KEY_RESTORE_EXPIRED")
    check_settled(call, key, "settle-before-restore")
    if rules.page:
        check_imported(call, key)
    _check_restore_body(call, key, value)
    revive(call, key)
    return Reply(201, collection("key+json", [full(call, key)]))


@rule
def restore_living(_: Call, __: Key) -> Reply:
    """Only a destroyed key is restored. Raises KEY_ACTION_INVALID_STATE_ERR."""
    raise RefusalError("KEY_ACTION_INVALID_STATE_ERR", detail="Key is not in destroyed state")


@rule
def check_unexpired(call: Call, key: Key) -> None:
    """A key whose date has passed is not restored. Raises KEY_EXPIRED_ERR."""
    if key.expires is not None and call.now >= key.expires:
        raise RefusalError("KEY_EXPIRED_ERR", detail=f"The key expired on {go_stamp(key.expires)}")


@rule
def restorable_since(_: Call, key: Key) -> float:
    """Return the moment from which the 30 days for a restore run: the deletion."""
    return key.created if key.deleted is None else key.deleted


@rule
def check_settled(call: Call, key: Key, span: str) -> None:
    """Enabling and restoring wait for 30 seconds after the last action. Raises REQ_TOO_EARLY_ERR."""
    if call.now < key.acted + call.rules.seconds(span, SETTLE):
        raise RefusalError("REQ_TOO_EARLY_ERR")


@rule
def check_imported(_: Call, key: Key) -> None:
    """In the page's edition only imported keys are restored. Raises KEY_IMPT_REQ_ERR."""
    if not key.imported:
        raise RefusalError("KEY_IMPT_REQ_ERR")


@rule
def revive(call: Call, key: Key) -> None:
    """Undo the deletion; everything that the key had is there again."""
    key.state = state_after_restore(call, key)
    key.deleted, key.deleted_by, key.notified = None, "", call.now
    call.instance.touch(key, call.now)


@rule
def state_after_restore(_: Call, key: Key) -> int:
    """Return the state of a restored key: active, or deactivated if it was."""
    return State.DEACTIVATED if key.state_before == State.DEACTIVATED else State.ACTIVE


def _check_restore_body(call: Call, key: Key, value: object) -> None:
    if value is None:
        if call.rules.page and key.imported:
            raise RefusalError("NO_BODY_ERR")
        return
    body = as_object(value)
    if not call.rules.page and "resources" not in body:
        return
    resource = single_resource(body, KEY_TYPE, "Only restoration of one key per request is supported")
    token_members = any(resource.has(member) for member in ("encryptedNonce", "iv"))
    # Since 2021 the service needs no material; of a body only the nonce is still checked.
    if not call.rules.page and not token_members:
        return
    if not resource.text("payload"):
        raise bad_field("payload", "the key material that the key was created with")
    material = read_material(call, resource, extractable=key.extractable)
    is_other_material = material.data.hex() not in {version.material for version in key.versions}
    if is_other_material and not call.rules.varies("restore-ignores-material"):
        raise bad_field("payload", "the key material that the key was created with")


def purge_key(call: Call) -> Reply:
    """DELETE /keys/{id}/purge: four hours after deletion at the earliest."""
    key = call.key_as_is()
    if key.state != State.DESTROYED or key.deleted is None:
        purge_living(call, key)
    elif call.now < purgeable_since(call, key) + call.rules.seconds("purge-wait", PURGE_WAIT):
        raise RefusalError(
            "REQ_TOO_EARLY_ERR", suffix="Purge operation is allowed 4h0m0s after key is deleted", newer=True
        )
    view = full(call, key)
    forget(call, key)
    if call.representation:
        return Reply(200, collection("key+json", [view]))
    return Reply(200 if call.rules.varies("purge-200") else 204)


@rule
def purge_living(_: Call, __: Key) -> None:
    """Only a destroyed key is purged. Raises KEY_ACTION_INVALID_STATE_ERR."""
    raise RefusalError("KEY_ACTION_INVALID_STATE_ERR", newer=True)


@rule
def purgeable_since(_: Call, key: Key) -> float:
    """Return the moment from which the four hours before a purge run: the deletion."""
    return key.created if key.deleted is None else key.deleted


@rule
def forget(call: Call, key: Key) -> None:
    """Remove the key for good."""
    call.instance.remove(key)


@rule
def unexpected_body(call: Call) -> None:
    """Actions without a body take none, `null` or an object, whose members are ignored. Raises BAD_BODY_ERR."""
    value = call.json()
    if value is not None and not isinstance(value, dict):
        raise bad_body("json: cannot unmarshal the body into an object")
