"""Import tokens: a public key and a nonce that protect key material on its way in."""

from __future__ import annotations

from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect.clock import stamp
from kms_reference.key_protect.crypto import (
    NONCE_SIZE,
    decode_base64,
    encode_base64,
    oaep_decrypt,
    open_nonce,
)
from kms_reference.key_protect.errors import RefusalError, bad_field, plain
from kms_reference.key_protect.model import ImportToken
from kms_reference.key_protect.wire import Call, Members, Reply

if TYPE_CHECKING:
    from kms_reference.key_protect.instance import Instance

LIFE: Final = (300, 86_400, 600)
"""Seconds: least, most, default."""
RETRIEVALS: Final = (1, 500, 1)
_KEPT_FOR_DEFECTS: Final = 8


def post_import_token(call: Call) -> Reply:
    """POST /import_token: replaces the instance's token at once."""
    value = call.json()
    members = Members({}) if value is None else Members.of(value, "body")
    life = _bounded(
        members, "expiration", (300, 86_400, 3_600) if call.broken("token-defaults-wrong") else LIFE
    )
    bounds = (-(10**6), 10**6, 1) if call.broken("token-retrievals-unbounded") else RETRIEVALS
    allowed = _bounded(members, "maxAllowedRetrievals", bounds)
    instance = call.instance
    if instance.import_token is not None:
        instance.old_tokens = [*instance.old_tokens, instance.import_token][-_KEPT_FOR_DEFECTS:]
    fixed = call.broken("nonce-repeats")
    nonce = encode_base64(bytes(NONCE_SIZE) if fixed else token_bytes(NONCE_SIZE))
    token = ImportToken(call.now, life, allowed, allowed, nonce)
    instance.import_token = token
    if call.broken("import-token-shared"):
        for other in call.world.instances.values():
            other.import_token = token
    instance.changed = True
    return Reply(200, _view(call, token))


def get_import_token(call: Call) -> Reply:
    """GET /import_token: uses up one retrieval. The pair of keys was put in by the server before."""
    token = call.instance.import_token
    if token is None and call.broken("import-token-shared"):
        token = next((i.import_token for i in call.world.instances.values() if i.import_token), None)
    if token is None:
        raise plain(404, "Import Token could not be retrieved. No import token was created")
    used_up = token.remaining <= 0 and not call.broken("retrievals-unlimited")
    if used_up or (_expired(call, token) and not call.broken("expired-token-retrieved")):
        raise RefusalError("IMPORT_TOKEN_EXPIRED_ERR")
    if not call.broken("retrievals-not-counted"):
        token.remaining -= 1
        call.instance.changed = True
    view = _view(call, token)
    view["payload"] = encode_base64(token.public_pem.encode())
    view["nonce"] = token.nonce
    if call.broken("private-key-shown"):
        view["privateKey"] = encode_base64(token.private_pem.encode())
    return Reply(200, view)


def open_import(call: Call, payload: bytes, encrypted_nonce: bytes, iv: bytes) -> bytes:
    """Return the key material behind an import by token.

    Raises IMPORT_TOKEN_EXPIRED_ERR, INVALID_FIELD_ERR (the payload was not encrypted with this token's
    public key), INCORRECT_NONCE_IV_ERR, INCORRECT_NONCE_ERR.
    """
    token = call.instance.import_token
    rotates = call.operation.id == "rotateKey"
    forgiven = call.broken("expired-token-imports") or (rotates and call.broken("dead-token-rotates"))
    if token is None or (_expired(call, token) and not forgiven):
        raise RefusalError("IMPORT_TOKEN_EXPIRED_ERR")
    material = _decrypt(token, payload)
    if material is None and call.broken("replaced-token-imports"):
        material = next(
            (found for old in call.instance.old_tokens if (found := _decrypt(old, payload)) is not None), None
        )
    if material is None:
        raise bad_field("payload", "encrypted with the public key of the current import token")
    nonce = open_nonce(material, iv, encrypted_nonce)
    if rotates and call.broken("nonce-unchecked-on-rotation"):
        return material
    if nonce is None:
        if call.broken("nonce-iv-unchecked"):
            return material
        raise RefusalError("INCORRECT_NONCE_IV_ERR")
    if nonce != decode_base64(token.nonce) and not call.broken("stale-nonce-accepted"):
        raise RefusalError("INCORRECT_NONCE_ERR")
    return material


def needs_pair(instance: Instance) -> bool:
    """Whether the next retrieval needs a pair of RSA keys first."""
    token = instance.import_token
    return token is not None and not token.private_pem


def attach_pair(instance: Instance, private_pem: str, public_pem: str) -> None:
    """Give the current token its pair."""
    token = instance.import_token
    if token is not None and not token.private_pem:
        token.private_pem, token.public_pem = private_pem, public_pem
        instance.changed = True


def _decrypt(token: ImportToken, payload: bytes) -> bytes | None:
    if not token.private_pem:
        return None
    # An import by token is rare enough to import the key format's reader late.
    from kms_reference.key_protect.rsa_pairs import load_private  # noqa: PLC0415 - slow import

    return oaep_decrypt(load_private(token.private_pem), payload)


def _expired(call: Call, token: ImportToken) -> bool:
    return call.now >= token.created + token.life + call.rules.seconds("import-token-grace", 0)


def _bounded(members: Members, name: str, bounds: tuple[int, int, int]) -> int:
    low, high, default = bounds
    value = members.integer(name)
    if value is None:
        return default
    if not low <= value <= high:
        raise bad_field(name, f"an integer between {low} and {high} (inclusive)")
    return value


def _view(call: Call, token: ImportToken) -> dict[str, Any]:
    view = {
        "maxAllowedRetrievals": token.allowed,
        "creationDate": stamp(token.created),
        "expirationDate": stamp(token.created + token.life),
        "remainingRetrievals": token.remaining,
    }
    if not call.rules.page or call.rules.varies("import-token-names-its-life"):
        view["expiration"] = token.life
    return view
