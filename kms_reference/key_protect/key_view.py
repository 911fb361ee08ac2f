"""How a key looks in a reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kms_reference.key_protect.clock import DAY, stamp
from kms_reference.key_protect.crypto import encode_base64
from kms_reference.key_protect.model import State
from kms_reference.key_protect.server_state import REGION
from kms_reference.key_protect.wire import KEY_TYPE
from kms_reference.rules import rule

if TYPE_CHECKING:
    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.wire import Call

RESTORE_WINDOW = 30 * DAY
PURGE_WAIT = 4 * 3_600.0
AUTO_PURGE = 90 * DAY


def crn(call: Call, kind: str, object_id: str) -> str:
    """Return the cloud resource name of a `key` or `policy` of the caller's account."""
    return (
        f"crn:v1:bluemix:public:kms:{REGION}:a/{call.identity.account}:{call.instance.id}:{kind}:{object_id}"
    )


def brief(call: Call, key: Key) -> dict[str, Any]:
    """Return the few members of a creation reply, in the order of the documented examples."""
    view: dict[str, Any] = {"type": KEY_TYPE, "id": key.id, "name": key.name}
    if key.aliases:
        view["aliases"] = list(key.aliases)
    if key.description:
        view["description"] = key.description
    if key.tags:
        view["tags"] = key.tags
    view["state"] = key.state
    if key.expires is not None:
        view["expirationDate"] = stamp(key.expires)
    view["extractable"] = key.extractable
    view["crn"] = crn(call, "key", key.id)
    view["imported"] = key.imported
    view["deleted"] = key.state == State.DESTROYED
    return view


def full(call: Call, key: Key, *, payload: bool = False) -> dict[str, Any]:
    """All members; `payload` asks for the material, which only a standard key ever shows."""
    view = brief(call, key)
    bits = len(key.newest.material) * 4
    view |= {
        "keyRingID": key.ring,
        "creationDate": stamp(key.created),
        "createdBy": key.created_by,
        "lastUpdateDate": stamp(key.updated),
        "algorithmType": "AES",
        "algorithmMetadata": {"bitLength": str(bits), "mode": "CBC_PAD"},
        "algorithmBitSize": bits,
        "algorithmMode": "CBC_PAD",
        "keyVersion": {"id": key.newest.id, "creationDate": stamp(key.newest.created)},
        "dualAuthDelete": _dual_auth(call, key),
    }
    if key.state != State.ACTIVE:
        view["nonactiveStateReason"] = key.state
    if key.rotated is not None:
        view["lastRotateDate"] = stamp(key.rotated)
    if key.rotation is not None:
        view["rotation"] = {"enabled": key.rotation.enabled}
        if key.rotation.interval:
            view["rotation"]["interval_month"] = key.rotation.interval
    if key.deleted is not None:
        view |= _deletion(call, key, key.deleted)
    if payload and shows_material(call, key):
        view["payload"] = encode_base64(bytes.fromhex(key.newest.material))
    return view


@rule
def shows_material(_: Call, key: Key) -> bool:
    """Whether the key ever shows its material: a standard key does."""
    return key.extractable


def _dual_auth(call: Call, key: Key) -> dict[str, Any]:
    if key.dual_auth is None or not key.dual_auth.enabled:
        return {"enabled": False}
    view: dict[str, Any] = {"enabled": True, "keySetForDeletion": call.instance.authorized(key, call.now)}
    if view["keySetForDeletion"]:
        view["authExpiration"] = stamp(key.authorized + call.rules.seconds("dual-auth-window", 7 * DAY))
    return view


def _deletion(call: Call, key: Key, deleted: float) -> dict[str, Any]:
    window = deleted + call.rules.seconds("restore-window", RESTORE_WINDOW)
    until = window if key.expires is None else min(window, key.expires)
    wait = deleted + call.rules.seconds("purge-wait", PURGE_WAIT)
    return {
        "deletionDate": stamp(deleted),
        "deletedBy": key.deleted_by,
        "restoreExpirationDate": stamp(until),
        "restoreAllowed": call.now < until,
        "purgeAllowed": call.now >= wait,
        "purgeAllowedFrom": stamp(wait),
        "purgeScheduledOn": stamp(deleted + call.rules.seconds("auto-purge", AUTO_PURGE)),
    }
