"""What is done with a key: wrap, unwrap, rewrap, rotate, disable, enable, authorise deletion, sync."""

from __future__ import annotations

from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import crypto
from kms_reference.key_protect.clock import stamp
from kms_reference.key_protect.errors import RefusalError, bad_field, plain
from kms_reference.key_protect.instance import HOUR, new_version
from kms_reference.key_protect.key_input import read_material
from kms_reference.key_protect.keys import SETTLE, unexpected_body
from kms_reference.key_protect.model import Key, State, Version
from kms_reference.key_protect.wire import Call, Members, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_WRAP_SUBJECT: Final = "Wrap with key could not be performed"
_UNWRAP_SUBJECT: Final = "Unwrap with key could not be performed"
_REWRAP_SUBJECT: Final = "Rewrap with key could not be performed"
_MAX_AAD: Final = 255
_DEK_SIZE: Final = 32
_OPENING: Final = (State.ACTIVE, State.DEACTIVATED)
_USES: Final = ("wrap", "unwrap", "rewrap", "rotate")


def wrap(call: Call) -> Reply:
    """POST .../actions/wrap: with the newest version; makes the plaintext when none is given."""
    key = call.key()
    value = call.json()
    _root(call, key, "wrap")
    _in_state(call, key, (State.ACTIVE,), "wrap")
    members = Members({}) if value is None else Members.of(value, "body")
    given = members.text("plaintext")
    if value == {} and call.broken("empty-wrap-refused"):
        raise RefusalError("NO_BODY_ERR")
    aad = [] if key.imported and call.broken("aad-ignored-for-imported") else _aad(members, _WRAP_SUBJECT)
    if given:
        plaintext = _decoded(
            call, given, "plaintext", "a base64 encoded key material", _WRAP_SUBJECT, quote="`"
        )
    else:
        plaintext = token_bytes(_DEK_SIZE)
    body: dict[str, Any] = {} if given else {"plaintext": crypto.encode_base64(plaintext)}
    if call.broken("made-plaintext-not-returned"):
        body = {}
    version = key.versions[0] if call.broken("wraps-with-oldest-version") else key.newest
    body["ciphertext"] = _sealed(call, version, plaintext, aad)
    body["keyVersion"] = {"id": version.id}
    return Reply(200, body)


def unwrap(call: Call) -> Reply:
    """POST .../actions/unwrap: any version opens; an older one also returns a fresh ciphertext."""
    key = call.key()
    plaintext, version, aad = _open(call, key, "unwrap", _UNWRAP_SUBJECT)
    body: dict[str, Any] = {
        "plaintext": crypto.encode_base64(plaintext),
        "keyVersion": {"id": version.id},
    }
    if call.broken("unwrap-returns-other-plaintext"):
        body["plaintext"] = crypto.encode_base64(bytes(byte ^ 1 for byte in plaintext))
    if version is not key.newest and key.state == State.ACTIVE and not call.broken("no-fresh-ciphertext"):
        body |= _fresh(call, key, plaintext, aad)
    return Reply(200, body)


def rewrap(call: Call) -> Reply:
    """POST .../actions/rewrap: under the newest version, without showing the plaintext."""
    key = call.key()
    plaintext, version, aad = _open(call, key, "rewrap", _REWRAP_SUBJECT)
    if key.bad_signature and not call.broken("bad-signature-unnoticed"):
        raise RefusalError("INVALID_SIG_EXP_ERR")
    body = {**_fresh(call, key, plaintext, aad), "keyVersion": {"id": version.id}}
    if call.broken("rewrap-shows-plaintext"):
        body["plaintext"] = crypto.encode_base64(plaintext)
    return Reply(200, body)


def rotate(call: Call) -> Reply:
    """POST .../actions/rotate: a new version; at most one an hour."""
    key = call.key()
    value = call.json()
    _root(call, key, "rotate")
    _in_state(call, key, _OPENING, "rotate")
    members = Members({}) if value is None else Members.of(value, "body")
    payload = members.text("payload")
    if key.imported and not payload and not _payload_forgiven(call, key):
        raise RefusalError("KEY_PAYLOAD_REQ_ERR", target=("field", "payload"))
    if not key.imported and payload and not call.broken("generated-key-takes-payload"):
        raise RefusalError(
            "INVALID_QUERY_PARAM_ERR",
            message="The query_param 'payload' must be: provided only if key is imported",
            target=("query_param", "payload"),
            subject="Key could not be rotated",
        )
    last = call.stale.get("rotated", key.rotated)
    if last is None and call.broken("first-rotation-waits"):
        last = key.created
    if call.broken("hour-of-the-instance"):
        last = max((each.rotated for each in call.instance.keys.values() if each.rotated), default=None)
    if last is not None and call.now < last + call.rules.seconds("rotation-interval", HOUR):
        if call.broken("refused-rotation-rotates"):
            new_version(key, call.now, token_bytes(32), by_token=False)
            call.instance.touch(key)
        if not _hour_forgiven(call, key, members):
            raise RefusalError("KEY_ROTATION_NOT_PERMITTED")
    material = read_material(call, members, extractable=False)
    _check_enforced_token(call, key, by_token=material.by_token)
    if not call.broken("rotation-without-new-version"):
        new_version(key, call.now, material.data, by_token=material.by_token)
    _lose(call, key)
    key.notified = call.now
    call.instance.touch(key, call.now)
    return Reply(204)


def _lose(call: Call, key: Key) -> None:
    if call.broken("rotation-drops-registrations"):
        key.registrations.clear()
    if call.broken("old-versions-lost"):
        del key.versions[:-1]


def _payload_forgiven(call: Call, key: Key) -> bool:
    later = len(key.versions) > 1 and call.broken("second-rotation-without-payload")
    by_token = key.versions[0].by_token and call.broken("token-import-rotates-bare")
    return later or by_token or call.broken("imported-key-rotated-without-payload")


def _hour_forgiven(call: Call, key: Key, members: Members) -> bool:
    return (
        call.broken("rotation-unlimited")
        or call.broken(f"rotation-unlimited-for-{'imported' if key.imported else 'generated'}")
        or (len(key.versions) > 2 and call.broken("third-rotation-unlimited"))  # noqa: PLR2004 - the third
        or (call.old_form and call.broken("old-form-rotation-unlimited"))
        or (members.has("encryptedNonce") and call.broken("rotation-by-token-unlimited"))
    )


def _check_enforced_token(call: Call, key: Key, *, by_token: bool) -> None:
    policy = call.instance.policies.get("keyCreateImportAccess")
    if policy is None or not policy.enabled or not key.imported or by_token:
        return
    if policy.attributes.get("enforce_token") and not call.broken("enforce-token-ignored"):
        raise RefusalError("KEY_CREATE_IMPORT_ACCESS_ERR")


def disable(call: Call) -> Reply:
    """POST .../actions/disable."""
    key = call.key()
    unexpected_body(call)
    _root(call, key, "disable")
    _in_state(call, key, (State.ACTIVE,), "disable", detail="Key is not in active state")
    if not call.broken("disable-does-nothing"):
        key.state, key.acted, key.notified = State.SUSPENDED, call.now, call.now
        call.instance.touch(key, call.now)
    return Reply(204)


def enable(call: Call) -> Reply:
    """POST .../actions/enable: 30 seconds after disabling at the earliest."""
    key = call.key()
    unexpected_body(call)
    _root(call, key, "enable")
    _in_state(call, key, (State.SUSPENDED,), "enable", detail="Key is not in suspended state")
    if call.now < key.acted + call.rules.seconds("settle-before-enable", SETTLE) and not _wait_forgiven(
        call, key
    ):
        if call.broken("refused-enable-enables"):
            key.state = State.ACTIVE
            call.instance.touch(key)
        raise RefusalError("REQ_TOO_EARLY_ERR")
    if not call.broken("enable-does-nothing"):
        key.state, key.notified = State.ACTIVE, call.now
        call.instance.touch(key, call.now)
    if call.broken("second-enable-without-wait"):
        key.state_before = State.SUSPENDED
    return Reply(204)


def _wait_forgiven(call: Call, key: Key) -> bool:
    again = key.state_before == State.SUSPENDED and call.broken("second-enable-without-wait")
    return again or (call.old_form and call.broken("old-form-without-wait"))


def set_for_deletion(call: Call) -> Reply:
    """POST .../actions/setKeyForDeletion: the first of two authorisations."""
    key = _for_deletion(call)
    if not call.broken("authorization-not-kept"):
        key.authorized_by, key.authorized = call.identity.iam_id, call.now
        call.instance.touch(key, call.now)
    return Reply(204)


def unset_for_deletion(call: Call) -> Reply:
    """POST .../actions/unsetKeyForDeletion."""
    key = _for_deletion(call)
    if not call.broken("authorization-not-withdrawn"):
        key.authorized_by = ""
        call.instance.touch(key, call.now)
    return Reply(204)


def _for_deletion(call: Call) -> Key:
    key = call.key()
    unexpected_body(call)
    forgiven = call.broken("single-auth-key-scheduled") or (
        call.operation.id == "unsetKeyForDeletion" and call.broken("unset-without-dual-auth")
    )
    if key.dual_auth is not None and call.broken("dual-auth-off-is-on"):
        return key
    if (key.dual_auth is None or not key.dual_auth.enabled) and not forgiven:
        raise RefusalError("NOT_DUAL_AUTH_ERR")
    _in_state(call, key, (State.ACTIVE,), "setKeyForDeletion")
    return key


def sync(call: Call) -> Reply:
    """POST .../actions/sync: an hour after the last notification of the services at the earliest."""
    key = call.key()
    unexpected_body(call)
    _root(call, key, "sync")
    interval = call.rules.seconds("sync-interval", HOUR)
    if key.notified is not None and call.now < key.notified + interval:
        until = stamp(key.notified + interval)
        raise RefusalError(
            "REQ_TOO_EARLY_ERR", suffix=f"Sync cannot be performed until at least {until}", newer=True
        )
    key.notified = call.now
    call.instance.touch(key)
    return Reply(204)


# -- shared by the actions -----------------------------------------------------------------------


def _root(call: Call, key: Key, action: str) -> None:
    if key.imported and call.broken("imported-standard-key-is-root"):
        return
    if key.extractable and not call.broken(f"{action}-on-standard-key"):
        raise RefusalError("KEY_ROOT_REQ_ERR")


def _in_state(call: Call, key: Key, allowed: Iterable[int], action: str, detail: str | None = None) -> None:
    if key.state in allowed or _state_forgiven(call, key, action):
        return
    if key.state == State.SUSPENDED and call.broken(f"{action}-on-disabled-key"):
        return
    if key.state == State.DESTROYED and call.broken(f"{action}-on-deleted-key"):
        return
    if key.state == State.DESTROYED and action == "enable" and call.broken("destroyed-key-enabled"):
        return
    if key.state == State.DEACTIVATED and action == "disable" and call.broken("deactivated-key-disabled"):
        return
    if key.state in _OPENING and call.broken(f"{action}-in-any-state"):
        return
    gone = key.state == State.DESTROYED and call.rules.varies("destroyed-key-is-gone")
    if gone and action in ("wrap", "unwrap", "rewrap", "rotate"):
        raise RefusalError("KEY_DELETED_ERR")
    raise RefusalError("KEY_ACTION_INVALID_STATE_ERR", detail=detail)


def _state_forgiven(call: Call, key: Key, action: str) -> bool:
    return action in _USES and (
        (key.imported and call.broken("imported-key-state-ignored"))
        or (len(key.versions) > 1 and call.broken("rotated-key-state-ignored"))
        or (call.old_form and call.broken("old-form-state-ignored"))
    )


def _aad(members: Members, subject: str) -> list[str]:
    aad = members.texts("aad")
    if any(len(item) > _MAX_AAD for item in aad):
        raise bad_field("aad", f"an array of strings of at most {_MAX_AAD} characters", subject=subject)
    return aad


def _bound(call: Call, aad: list[str]) -> list[str]:
    """Return the strings that are bound to a ciphertext."""
    if call.broken("aad-ignored") or (call.old_form and call.broken("aad-ignored-in-old-form")):
        return []
    for name, spoil in OTHER_AAD.items():
        if call.broken(name):
            return spoil(aad)
    return aad


OTHER_AAD: Final[dict[str, Callable[[list[str]], list[str]]]] = {
    "aad-order-ignored": sorted,
    "aad-joined": lambda aad: ["".join(aad)],
    "aad-case-ignored": lambda aad: [each.lower() for each in aad],
    "aad-first-counts": lambda aad: aad[:1],
    "aad-last-counts": lambda aad: aad[-1:],
    "aad-doubles-ignored": lambda aad: list(dict.fromkeys(aad)),
}
"""What the defects of binding make of additional data."""


def _sealed(call: Call, version: Version, plaintext: bytes, aad: list[str]) -> str:
    if call.broken("ciphertext-shows-plaintext"):
        return crypto.encode_base64(b"sealed:" + plaintext)
    iv = bytes(crypto.NONCE_SIZE) if call.broken("ciphertext-repeats") else None
    return crypto.seal(version.material, version.id, plaintext, _bound(call, aad), iv)


def _decoded(call: Call, text: str, name: str, must_be: str, subject: str, *, quote: str) -> bytes:
    try:
        return crypto.decode_base64(text)
    except crypto.Base64Error as error:
        if name == "plaintext" and call.broken("bad-plaintext-accepted"):
            return text.encode()
        cut = bool(len(text) % 4) and call.broken("cut-ciphertext-unprocessable")
        if name == "ciphertext" and (cut or call.broken("bad-ciphertext-unprocessable")):
            raise RefusalError("UNPROCESSABLE_CIPHERTEXT_ERR", subject=_failed(call, subject)) from None
        if call.broken("refusal-echoes-request"):
            must_be = f"{must_be}: {text}"
        raise bad_field(name, f"{must_be}: {error}", subject=subject, quote=quote) from None


def _open(call: Call, key: Key, action: str, subject: str) -> tuple[bytes, Version, list[str]]:
    value = call.json()
    _root(call, key, action)
    _in_state(call, key, _OPENING, action)
    if key.authorized_by and call.broken("dual-auth-holds-key"):
        raise RefusalError("KEY_ACTION_INVALID_STATE_ERR")
    if value is None and not call.broken("missing-body-is-empty-object"):
        raise RefusalError("NO_BODY_ERR")
    members = Members.of(value or {}, "body")
    must_be = "the original base64 encoded ciphertext from the wrap operation"
    text = members.text("ciphertext")
    if not text and call.broken("missing-ciphertext-accepted"):
        return b"", key.newest, []
    if not text:
        raise bad_field("ciphertext", must_be, subject=subject)
    aad = [] if key.imported and call.broken("aad-ignored-for-imported") else _aad(members, subject)
    raw = _decoded(call, text, "ciphertext", must_be, subject, quote="'")
    try:
        plaintext, version = _decrypt(call, key, crypto.parse(raw), aad)
    except crypto.CiphertextError:
        if call.broken("ciphertext-shows-plaintext") and raw.startswith(b"sealed:"):
            return raw.removeprefix(b"sealed:"), key.newest, aad
        if call.broken("tampering-is-internal"):
            raise plain(500, "Unwrap with key could not be performed") from None
        if call.broken("tampering-unnoticed"):
            return token_bytes(_DEK_SIZE), key.newest, aad
        raise RefusalError("UNPROCESSABLE_CIPHERTEXT_ERR", subject=_failed(call, subject)) from None
    return plaintext, version, aad


def _failed(call: Call, subject: str) -> str:
    return "Action could not be performed on key" if call.rules.page else subject


def _decrypt(call: Call, key: Key, sealed: crypto.Sealed, aad: list[str]) -> tuple[bytes, Version]:
    # The handle says which version wrapped; any other may hold the same material, newest first.
    newest_first = list(reversed(key.versions))
    for version in sorted(newest_first, key=lambda v: v.id != sealed.handle):
        try:
            return crypto.open_sealed(version.material, sealed, _bound(call, aad)), version
        except crypto.CiphertextError:
            continue
    if aad and call.broken("aad-ignored-if-none-before"):
        return _decrypt(call, key, sealed, [])
    if _others_open(call, key):
        for other in call.instance.keys.values():
            for version in other.versions:
                try:
                    return crypto.open_sealed(version.material, sealed, _bound(call, aad)), version
                except crypto.CiphertextError:
                    continue
    raise crypto.CiphertextError("no version opens it")


def _others_open(call: Call, key: Key) -> bool:
    return (
        call.broken("other-keys-open")
        or (key.imported and call.broken("imported-keys-open-others"))
        or (call.operation.id == "rewrapKey" and call.broken("rewrap-opens-others"))
    )


def _fresh(call: Call, key: Key, plaintext: bytes, aad: list[str]) -> dict[str, Any]:
    newest = key.newest
    return {
        "ciphertext": _sealed(call, newest, plaintext, [] if call.broken("aad-lost-by-rewrap") else aad),
        "rewrappedKeyVersion": {"id": newest.id},
    }
