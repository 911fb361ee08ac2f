"""Keys themselves: create, read, move, delete, restore, purge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from kms_reference.key_protect.clock import go_stamp
from kms_reference.key_protect.errors import RefusalError, bad_body, bad_field, unknown_key
from kms_reference.key_protect.instance import DEFAULT_RING
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
    resource = single_resource(_forgiven(call, call.body()), KEY_TYPE, ONE_KEY)
    ring = ring_of(call)
    new = read_new_key(call, resource)
    material = read_material(call, resource, extractable=new.extractable)
    for alias in new.aliases:
        forgiven = call.broken("alias-used-twice") or call.broken("alias-taken-at-creation")
        if alias in call.instance.alias_index and not forgiven:
            raise RefusalError("KEY_ALIAS_NOT_UNIQUE_ERR")
    key = _new_key(call, new, material, ring)
    if overrides:
        read_overrides(call, resource, key)
    else:
        inherit(call, key)
    try:
        if not _access_forgiven(call, material, overrides=overrides):
            check_access(call, extractable=new.extractable, material=material)
    except RefusalError:
        if call.broken("refused-creation-leaves-key"):
            call.instance.add(key)
        raise
    call.instance.add(key)
    if call.representation:
        return Reply(201, collection("key+json", [full(call, key, payload=True)]))
    return Reply(201, collection("key+json", [brief(call, key)]))


def _access_forgiven(call: Call, material: Material, *, overrides: bool) -> bool:
    return (material.by_token and call.broken("access-ignored-by-token")) or (
        overrides and call.broken("access-ignored-with-policies")
    )


def _forgiven(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """Return the body as a defect sees it; the same body without one."""
    resources = body.get("resources")
    if call.broken("two-keys-accepted") and isinstance(resources, list):
        body = {**body, "resources": resources[:1]}
    if call.broken("empty-metadata-accepted") and not body.get("metadata"):
        body = {**body, "metadata": {"collectionType": KEY_TYPE, "collectionTotal": 1}}
    if call.broken("missing-metadata-accepted") and "metadata" not in body:
        body = {**body, "metadata": {"collectionType": KEY_TYPE, "collectionTotal": 1}}
    if call.broken("missing-resource-accepted") and not resources:
        body = {**body, "resources": [{"name": "a key"}]}
    return body


def _new_key(call: Call, new: NewKey, material: Material, ring: str) -> Key:
    key_id = str(uuid4())
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


def get_key_metadata(call: Call) -> Reply:
    """GET /keys/{id}/metadata: never a payload."""
    key = call.key()
    return Reply(200, collection("key+json", [full(call, key, payload=call.broken("payload-in-metadata"))]))


def patch_key(call: Call) -> Reply:
    """PATCH /keys/{id}: move to another key ring."""
    key = call.key()
    members = Members(call.body())
    ring = members.text("keyRingID")
    if not ring:
        raise bad_field("keyRingID", "the id of a key ring")
    known = ring == DEFAULT_RING or ring in call.instance.rings
    if not known and not call.broken("key-moved-to-nowhere"):
        raise RefusalError("KEY_RING_NOT_FOUND_ERR")
    if not call.broken("key-not-moved"):
        key.ring = ring
        call.instance.touch(key, call.now)
    return Reply(200, collection("key+json", [full(call, key)]))


def delete_key(call: Call) -> Reply:
    """DELETE /keys/{id}."""
    let = call.broken("service-deletes-key") or (
        call.flag("force") and call.broken("service-forces-deletion")
    )
    if call.identity.kind == "service" and not let:
        raise RefusalError("RESOURCE_OWNER_ERR")
    key = call.key_as_is()
    if key.state == State.DESTROYED:
        forced = call.flag("force") and call.broken("forced-deletion-twice")
        if (
            forced
            or call.broken("deleted-twice")
            or (call.world.restarted and call.broken("after-restart-deleted-twice"))
        ):
            return Reply(204)
        if call.broken("deleted-key-not-found"):
            raise unknown_key()
        raise RefusalError("KEY_DELETED_ERR")
    force = call.flag("force")
    _check_authorizations(call, key)
    _check_uses(call, key, force=force)
    key.state_before, key.state = key.state, State.DESTROYED
    if call.broken("deleted-key-keeps-state"):
        key.state = key.state_before
    key.deleted, key.deleted_by, key.acted = call.now, call.identity.iam_id, call.now
    key.notified = call.now
    key.authorized_by = ""
    call.instance.touch(key, call.now)
    if call.representation:
        return Reply(200, collection("key+json", [full(call, key, payload=True)]))
    return Reply(204)


def _check_authorizations(call: Call, key: Key) -> None:
    if key.dual_auth is None or _dual_auth_forgiven(call, key):
        return
    if not key.dual_auth.enabled and not call.broken("dual-auth-off-counts"):
        return
    same = key.authorized_by == call.identity.iam_id and not call.broken("dual-auth-by-one-user")
    if call.instance.authorized(key, call.now) and not same:
        return
    if call.broken("refused-deletion-deletes"):
        key.state_before, key.state = key.state, State.DESTROYED
        key.deleted, key.deleted_by, key.acted = call.now, call.identity.iam_id, call.now
        call.instance.touch(key)
    raise RefusalError("AUTHORIZATIONS_NOT_MET", detail="1 prior authorization(s) are required for deletion")


def _dual_auth_forgiven(call: Call, key: Key) -> bool:
    return (
        call.broken("dual-auth-ignored")
        or (key.imported and call.broken("dual-auth-imported-ignored"))
        or (key.extractable and call.broken("dual-auth-standard-ignored"))
    )


def _check_uses(call: Call, key: Key, *, force: bool) -> None:
    adapters = any(adapter.key_id == key.id for adapter in call.instance.adapters.values())
    if adapters and not call.broken("kmip-key-deleted"):
        raise RefusalError("PROTECTED_RESOURCE_ERR")
    if not key.registrations:
        return
    uses = list(key.registrations.values())
    prevented = any(use.prevent_deletion for use in uses)
    if call.broken("last-registration-counts"):
        prevented = uses[-1].prevent_deletion
    if force:
        if prevented and not call.broken("retention-ignored"):
            raise RefusalError("PREV_KEY_DEL_ERR")
        if call.broken("force-not-enough"):
            raise RefusalError("PROTECTED_RESOURCE_ERR")
        return
    if not call.broken("registrations-ignored"):
        raise RefusalError("PROTECTED_RESOURCE_ERR")


def restore_key(call: Call) -> Reply:
    """POST /keys/{id}/restore. In the edition `page` only imported root keys, with their material."""
    key = call.key()
    value = call.json()
    rules = call.rules
    if rules.page and key.extractable:
        raise RefusalError("KEY_ROOT_REQ_ERR")
    if key.state != State.DESTROYED or key.deleted is None:
        if key.state == State.SUSPENDED and call.broken("restore-of-suspended-key"):
            key.state = State.ACTIVE
            return Reply(201, collection("key+json", [full(call, key)]))
        if call.broken("restore-of-live-key"):
            return Reply(201, collection("key+json", [full(call, key)]))
        raise RefusalError("KEY_ACTION_INVALID_STATE_ERR", detail="Key is not in destroyed state")
    expired = key.expires is not None and call.now >= key.expires and not _expiry_forgiven(call, key)
    if key.expires is not None and expired:
        raise RefusalError("KEY_EXPIRED_ERR", detail=f"The key expired on {go_stamp(key.expires)}")
    if call.now > _counted_from(key, creation=call.broken("restore-window-from-creation")) + rules.seconds(
        "restore-window", RESTORE_WINDOW
    ):
        raise RefusalError("KEY_RESTORE_EXPIRED")
    waits = not (call.old_form and call.broken("old-form-without-wait"))
    if waits and call.now < key.acted + rules.seconds("settle-before-restore", SETTLE):
        raise RefusalError("REQ_TOO_EARLY_ERR")
    if rules.page and not key.imported and not call.broken("generated-key-restored"):
        raise RefusalError("KEY_IMPT_REQ_ERR")
    _check_restore_body(call, key, value)
    key.state = _state_after_restore(call, key)
    if call.broken("restore-leaves-ring"):
        key.ring = DEFAULT_RING
    key.deleted, key.deleted_by, key.notified = None, "", call.now
    call.instance.touch(key, call.now)
    return Reply(201, collection("key+json", [full(call, key)]))


def _counted_from(key: Key, *, creation: bool) -> float:
    return key.created if creation or key.deleted is None else key.deleted


def _state_after_restore(call: Call, key: Key) -> int:
    if call.broken("restored-key-stays-destroyed"):
        return State.DESTROYED
    if key.state_before == State.SUSPENDED and call.broken("suspended-key-restored-so"):
        return State.SUSPENDED
    return State.DEACTIVATED if key.state_before == State.DEACTIVATED else State.ACTIVE


def _expiry_forgiven(call: Call, key: Key) -> bool:
    meanwhile = key.expires is not None and key.deleted is not None and key.deleted < key.expires
    return call.broken("expired-key-restored") or (meanwhile and call.broken("expiry-while-deleted-ignored"))


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
    # Since 2021 the service needs no material; the nonce check is the part of a body worth keeping.
    if not call.rules.page and not token_members:
        return
    if not resource.text("payload"):
        raise bad_field("payload", "the key material that the key was created with")
    material = read_material(call, resource, extractable=key.extractable)
    wrong = material.data.hex() not in {version.material for version in key.versions}
    if wrong and not call.rules.varies("restore-ignores-material"):
        raise bad_field("payload", "the key material that the key was created with")


def purge_key(call: Call) -> Reply:
    """DELETE /keys/{id}/purge: four hours after deletion at the earliest."""
    key = call.key_as_is()
    if key.state != State.DESTROYED or key.deleted is None:
        suspended = key.state == State.SUSPENDED and call.broken("suspended-key-purged")
        if not suspended and not call.broken("purge-of-live-key"):
            raise RefusalError("KEY_ACTION_INVALID_STATE_ERR", newer=True)
    elif call.now < _counted_from(key, creation=call.broken("purge-wait-from-creation")) + call.rules.seconds(
        "purge-wait", PURGE_WAIT
    ):
        raise RefusalError(
            "REQ_TOO_EARLY_ERR", suffix="Purge operation is allowed 4h0m0s after key is deleted", newer=True
        )
    view = full(call, key)
    if not call.broken("purged-key-remains"):
        call.instance.remove(key)
    if call.representation:
        return Reply(200, collection("key+json", [view]))
    return Reply(200 if call.rules.varies("purge-200") else 204)


def unexpected_body(call: Call) -> None:
    """Actions without a body take none, `null` or an object, whose members are ignored. Raises BAD_BODY_ERR."""
    value = call.json()
    if call.raw.strip() == b"null" and call.broken("null-body-refused"):
        raise bad_body("json: cannot unmarshal null into an object")
    if value is not None and not isinstance(value, dict):
        raise bad_body("json: cannot unmarshal the body into an object")
