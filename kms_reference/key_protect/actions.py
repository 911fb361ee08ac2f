"""What is done with a key: wrap, unwrap, rewrap, rotate, disable, enable, authorise deletion, sync."""

from __future__ import annotations

from secrets import token_bytes
from typing import Any, Final

from kms_reference.key_protect import crypto
from kms_reference.key_protect.clock import stamp
from kms_reference.key_protect.errors import RefusalError, bad_field
from kms_reference.key_protect.instance import HOUR, new_version
from kms_reference.key_protect.key_input import Material, read_material
from kms_reference.key_protect.keys import check_settled, unexpected_body
from kms_reference.key_protect.model import Key, State, Version
from kms_reference.key_protect.wire import Call, Members, Reply
from kms_reference.rules import rule

_WRAP_SUBJECT: Final = "Wrap with key could not be performed"
_UNWRAP_SUBJECT: Final = "Unwrap with key could not be performed"
REWRAP_SUBJECT: Final = "Rewrap with key could not be performed"
_MAX_AAD: Final = 255
_DEK_SIZE: Final = 32
OPENING: Final = (State.ACTIVE, State.DEACTIVATED)
"""States in which a key still opens what it wrapped."""
USES: Final = ("wrap", "unwrap", "rewrap", "rotate")


@rule
def wrap(call: Call) -> Reply:
    """POST .../actions/wrap: with the newest version; makes the plaintext when none is given."""
    key = call.key()
    value = call.json()
    require_root_key(call, key, "wrap")
    check_state(call, key, (State.ACTIVE,), "wrap")
    members = Members({}) if value is None else Members.of(value, "body")
    given = members.text("plaintext")
    aad = read_aad(call, key, members, _WRAP_SUBJECT)
    if given:
        plaintext = decoded(
            call, given, "plaintext", "a base64 encoded key material", _WRAP_SUBJECT, quote="`"
        )
    else:
        plaintext = token_bytes(_DEK_SIZE)
    body: dict[str, Any] = {} if given else {"plaintext": crypto.encode_base64(plaintext)}
    version = wrapping_version(call, key)
    body["ciphertext"] = sealed(call, version, plaintext, aad)
    body["keyVersion"] = {"id": version.id}
    return Reply(200, body)


@rule
def unwrap(call: Call) -> Reply:
    """POST .../actions/unwrap: any version opens; an older one also returns a fresh ciphertext."""
    key = call.key()
    plaintext, version, aad = opened(call, key, "unwrap", _UNWRAP_SUBJECT)
    body: dict[str, Any] = {
        "plaintext": crypto.encode_base64(plaintext),
        "keyVersion": {"id": version.id},
    }
    if version is not key.newest and key.state == State.ACTIVE:
        body |= fresh(call, key, plaintext, aad)
    return Reply(200, body)


@rule
def rewrap(call: Call) -> Reply:
    """POST .../actions/rewrap: under the newest version, without showing the plaintext."""
    key = call.key()
    plaintext, version, aad = opened(call, key, "rewrap", REWRAP_SUBJECT)
    check_signature(call, key)
    return Reply(200, {**fresh(call, key, plaintext, aad), "keyVersion": {"id": version.id}})


def rotate(call: Call) -> Reply:
    """POST .../actions/rotate: a new version; at most one an hour."""
    key = call.key()
    value = call.json()
    require_root_key(call, key, "rotate")
    check_state(call, key, OPENING, "rotate")
    members = Members({}) if value is None else Members.of(value, "body")
    payload = members.text("payload")
    check_material_given(call, key, payload)
    check_material_wanted(call, key, payload)
    check_hour(call, key, members)
    material = read_material(call, members, extractable=False)
    check_enforced_token(call, key, by_token=material.by_token)
    add_version(call, key, material)
    key.notified = call.now
    call.instance.touch(key, call.now)
    return Reply(204)


@rule
def check_material_given(_: Call, key: Key, payload: str | None) -> None:
    """An imported key is rotated with new material. Raises KEY_PAYLOAD_REQ_ERR."""
    if key.imported and not payload:
        raise RefusalError("KEY_PAYLOAD_REQ_ERR", target=("field", "payload"))


@rule
def check_material_wanted(_: Call, key: Key, payload: str | None) -> None:
    """A generated key is rotated without material from outside. Raises INVALID_QUERY_PARAM_ERR."""
    if not key.imported and payload:
        raise RefusalError(
            "INVALID_QUERY_PARAM_ERR",
            message="The query_param 'payload' must be: provided only if key is imported",
            target=("query_param", "payload"),
            subject="Key could not be rotated",
        )


@rule
def check_hour(call: Call, key: Key, _: Members) -> None:
    """A key is rotated at most once an hour. Raises KEY_ROTATION_NOT_PERMITTED."""
    last = last_rotation(call, key)
    if last is not None and call.now < last + call.rules.seconds("rotation-interval", HOUR):
        raise RefusalError("KEY_ROTATION_NOT_PERMITTED")


@rule
def last_rotation(_: Call, key: Key) -> float | None:
    """Return the moment from which the hour runs: the key's own last rotation, None before the first."""
    return key.rotated


@rule
def check_enforced_token(call: Call, key: Key, *, by_token: bool) -> None:
    """Material comes by import token where the instance asks for it. Raises KEY_CREATE_IMPORT_ACCESS_ERR."""
    policy = call.instance.policies.get("keyCreateImportAccess")
    if policy is None or not policy.enabled or not key.imported or by_token:
        return
    if policy.attributes.get("enforce_token"):
        raise RefusalError("KEY_CREATE_IMPORT_ACCESS_ERR")


@rule
def add_version(call: Call, key: Key, material: Material) -> None:
    """Make the new newest version; older ones, registrations and everything else stay."""
    new_version(key, call.now, material.data, by_token=material.by_token)


def disable(call: Call) -> Reply:
    """POST .../actions/disable."""
    key = call.key()
    unexpected_body(call)
    require_root_key(call, key, "disable")
    check_state(call, key, (State.ACTIVE,), "disable", detail="Key is not in active state")
    suspend(call, key)
    return Reply(204)


@rule
def suspend(call: Call, key: Key) -> None:
    """Set the key to suspended; the 30 seconds before enabling run from now."""
    key.state, key.acted, key.notified = State.SUSPENDED, call.now, call.now
    call.instance.touch(key, call.now)


@rule
def enable(call: Call) -> Reply:
    """POST .../actions/enable: 30 seconds after disabling at the earliest."""
    key = call.key()
    unexpected_body(call)
    require_root_key(call, key, "enable")
    check_state(call, key, (State.SUSPENDED,), "enable", detail="Key is not in suspended state")
    check_settled(call, key, "settle-before-enable")
    resume(call, key)
    return Reply(204)


@rule
def resume(call: Call, key: Key) -> None:
    """Set the key to active."""
    key.state, key.notified = State.ACTIVE, call.now
    call.instance.touch(key, call.now)


def set_for_deletion(call: Call) -> Reply:
    """POST .../actions/setKeyForDeletion: the first of two authorisations."""
    authorize(call, _for_deletion(call))
    return Reply(204)


@rule
def authorize(call: Call, key: Key) -> None:
    """Keep who authorised the deletion, and when."""
    key.authorized_by, key.authorized = call.identity.iam_id, call.now
    call.instance.touch(key, call.now)


def unset_for_deletion(call: Call) -> Reply:
    """POST .../actions/unsetKeyForDeletion."""
    withdraw(call, _for_deletion(call))
    return Reply(204)


@rule
def withdraw(call: Call, key: Key) -> None:
    """Forget the authorisation."""
    key.authorized_by = ""
    call.instance.touch(key, call.now)


def _for_deletion(call: Call) -> Key:
    key = call.key()
    unexpected_body(call)
    check_dual_auth(call, key)
    check_state(call, key, (State.ACTIVE,), "setKeyForDeletion")
    return key


@rule
def check_dual_auth(_: Call, key: Key) -> None:
    """Only the deletion of a key under dual authorisation is authorised. Raises NOT_DUAL_AUTH_ERR."""
    if key.dual_auth is None or not key.dual_auth.enabled:
        raise RefusalError("NOT_DUAL_AUTH_ERR")


def sync(call: Call) -> Reply:
    """POST .../actions/sync: an hour after the last notification of the services at the earliest."""
    key = call.key()
    unexpected_body(call)
    require_root_key(call, key, "sync")
    check_sync(call, key)
    key.notified = call.now
    call.instance.touch(key)
    return Reply(204)


@rule
def check_sync(call: Call, key: Key) -> None:
    """A sync waits an hour after the last one, or the last notification. Raises REQ_TOO_EARLY_ERR."""
    interval = call.rules.seconds("sync-interval", HOUR)
    if key.notified is not None and call.now < key.notified + interval:
        until = stamp(key.notified + interval)
        raise RefusalError(
            "REQ_TOO_EARLY_ERR", suffix=f"Sync cannot be performed until at least {until}", newer=True
        )


# -- shared by the actions -----------------------------------------------------------------------


@rule
def require_root_key(_: Call, key: Key, action: str) -> None:  # noqa: ARG001 - a defect asks for the action
    """Actions are for root keys. Raises KEY_ROOT_REQ_ERR."""
    if key.extractable:
        raise RefusalError("KEY_ROOT_REQ_ERR")


@rule
def check_state(
    call: Call, key: Key, allowed: tuple[int, ...], action: str, detail: str | None = None
) -> None:
    """The key is in a state that allows the action. Raises KEY_ACTION_INVALID_STATE_ERR."""
    if key.state in allowed:
        return
    if key.state == State.DESTROYED and action in USES and call.rules.varies("destroyed-key-is-gone"):
        raise RefusalError("KEY_DELETED_ERR")
    raise RefusalError("KEY_ACTION_INVALID_STATE_ERR", detail=detail)


@rule
def check_signature(_: Call, key: Key) -> None:
    """The key's record is signed. Raises INVALID_SIG_EXP_ERR."""
    if key.bad_signature:
        raise RefusalError("INVALID_SIG_EXP_ERR")


@rule
def wrapping_version(_: Call, key: Key) -> Version:
    """Return the version that wraps: the newest."""
    return key.newest


@rule
def read_aad(_: Call, __: Key, members: Members, subject: str) -> list[str]:
    """Return the additional authenticated data. Raises INVALID_FIELD_ERR."""
    aad = members.texts("aad")
    if any(len(item) > _MAX_AAD for item in aad):
        raise bad_field("aad", f"an array of strings of at most {_MAX_AAD} characters", subject=subject)
    return aad


@rule
def bound(_: Call, aad: list[str]) -> list[str]:
    """Return the strings that are bound to a ciphertext: all of them, in their order."""
    return aad


@rule
def sealed(call: Call, version: Version, plaintext: bytes, aad: list[str]) -> str:
    """Return the ciphertext; it differs each time, as its nonce is random."""
    return crypto.seal(version.material, version.id, plaintext, bound(call, aad))


@rule
def decoded(_: Call, text: str, name: str, must_be: str, subject: str, *, quote: str) -> bytes:
    """Return the octets of a member in base64. Raises INVALID_FIELD_ERR."""
    try:
        return crypto.decode_base64(text)
    except crypto.Base64Error as error:
        raise bad_field(name, f"{must_be}: {error}", subject=subject, quote=quote) from None


@rule
def opened(call: Call, key: Key, action: str, subject: str) -> tuple[bytes, Version, list[str]]:
    """Return plaintext, version and additional data behind the ciphertext of an unwrap or rewrap.

    Raises KEY_ROOT_REQ_ERR, KEY_ACTION_INVALID_STATE_ERR, NO_BODY_ERR, INVALID_FIELD_ERR,
    UNPROCESSABLE_CIPHERTEXT_ERR.
    """
    value = call.json()
    require_root_key(call, key, action)
    check_state(call, key, OPENING, action)
    require_body(call, value)
    members = Members.of(value or {}, "body")
    must_be = "the original base64 encoded ciphertext from the wrap operation"
    text = members.text("ciphertext")
    if not text:
        raise bad_field("ciphertext", must_be, subject=subject)
    aad = read_aad(call, key, members, subject)
    raw = decoded(call, text, "ciphertext", must_be, subject, quote="'")
    plaintext, version = decrypted(call, key, raw, aad, subject)
    return plaintext, version, aad


@rule
def require_body(_: Call, value: object) -> None:
    """Unwrap and rewrap need a body. Raises NO_BODY_ERR."""
    if value is None:
        raise RefusalError("NO_BODY_ERR")


def unprocessable(call: Call, subject: str) -> RefusalError:
    """Say that no version of the key opens the ciphertext."""
    words = "Action could not be performed on key" if call.rules.page else subject
    return RefusalError("UNPROCESSABLE_CIPHERTEXT_ERR", subject=words)


@rule
def decrypted(call: Call, key: Key, raw: bytes, aad: list[str], subject: str) -> tuple[bytes, Version]:
    """Return the plaintext and the version that opens it: one of this key. Raises UNPROCESSABLE_CIPHERTEXT_ERR."""
    try:
        parsed = crypto.parse(raw)
    except crypto.CiphertextError:
        raise unprocessable(call, subject) from None
    # The handle says which version wrapped; any other may hold the same material, newest first.
    newest_first = list(reversed(key.versions))
    for version in sorted(newest_first, key=lambda v: v.id != parsed.handle):
        try:
            return crypto.open_sealed(version.material, parsed, bound(call, aad)), version
        except crypto.CiphertextError:
            continue
    raise unprocessable(call, subject)


@rule
def fresh(call: Call, key: Key, plaintext: bytes, aad: list[str]) -> dict[str, Any]:
    """Return the members with a ciphertext of the newest version, bound to the same additional data."""
    newest = key.newest
    return {
        "ciphertext": sealed(call, newest, plaintext, aad),
        "rewrappedKeyVersion": {"id": newest.id},
    }
