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
from kms_reference.key_protect.rsa_pairs import load_private
from kms_reference.key_protect.wire import Call, Members, Reply
from kms_reference.rules import rule

if TYPE_CHECKING:
    from kms_reference.key_protect.instance import Instance

LIFE: Final = (300, 86_400, 600)
"""Seconds: least, most, default."""
RETRIEVALS: Final = (1, 500, 1)


@rule
def post_import_token(call: Call) -> Reply:
    """POST /import_token: replaces the instance's token at once."""
    value = call.json()
    members = Members({}) if value is None else Members.of(value, "body")
    life = bounded(call, members, "expiration", LIFE)
    allowed = bounded(call, members, "maxAllowedRetrievals", RETRIEVALS)
    token = ImportToken(call.now, life, allowed, allowed, encode_base64(new_nonce(call)))
    call.instance.import_token = token
    call.instance.changed = True
    return Reply(200, _view(call, token))


@rule
def new_nonce(_: Call) -> bytes:
    """Return the nonce of a new token; each has its own."""
    return token_bytes(NONCE_SIZE)


@rule
def get_import_token(call: Call) -> Reply:
    """GET /import_token: uses up one retrieval. The pair of keys was put in by the server before."""
    token = current_token(call)
    if token is None:
        raise plain(404, "Import Token could not be retrieved. No import token was created")
    check_retrievals(call, token)
    check_life(call, token)
    count_retrieval(call, token)
    view = _view(call, token)
    view["payload"] = encode_base64(token.public_pem.encode())
    view["nonce"] = token.nonce
    return Reply(200, view)


@rule
def current_token(call: Call) -> ImportToken | None:
    """Return the import token of the instance."""
    return call.instance.import_token


@rule
def check_retrievals(_: Call, token: ImportToken) -> None:
    """A token is fetched as often as was asked for. Raises IMPORT_TOKEN_EXPIRED_ERR."""
    if token.remaining <= 0:
        raise RefusalError("IMPORT_TOKEN_EXPIRED_ERR")


@rule
def check_life(call: Call, token: ImportToken) -> None:
    """A token lives as long as was asked for. Raises IMPORT_TOKEN_EXPIRED_ERR."""
    if call.now >= token.created + token.life + call.rules.seconds("import-token-grace", 0):
        raise RefusalError("IMPORT_TOKEN_EXPIRED_ERR")


@rule
def count_retrieval(call: Call, token: ImportToken) -> None:
    """Use up one retrieval."""
    token.remaining -= 1
    call.instance.changed = True


def open_import(call: Call, payload: bytes, encrypted_nonce: bytes, iv: bytes) -> bytes:
    """Return the key material behind an import by token.

    Raises IMPORT_TOKEN_EXPIRED_ERR, INVALID_FIELD_ERR (the payload was not encrypted with this token's
    public key), INCORRECT_NONCE_IV_ERR, INCORRECT_NONCE_ERR.
    """
    token = call.instance.import_token
    if token is None:
        raise RefusalError("IMPORT_TOKEN_EXPIRED_ERR")
    check_life(call, token)
    material = decrypt(call, token, payload)
    if material is None:
        raise bad_field("payload", "encrypted with the public key of the current import token")
    check_nonce(call, token, open_nonce(material, iv, encrypted_nonce))
    return material


@rule
def check_nonce(_: Call, token: ImportToken, nonce: bytes | None) -> None:
    """The nonce opens, and is the token's. Raises INCORRECT_NONCE_IV_ERR, INCORRECT_NONCE_ERR."""
    if nonce is None:
        raise RefusalError("INCORRECT_NONCE_IV_ERR")
    if nonce != decode_base64(token.nonce):
        raise RefusalError("INCORRECT_NONCE_ERR")


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


@rule
def decrypt(_: Call, token: ImportToken, payload: bytes) -> bytes | None:
    """Return the key material that was encrypted with the token's public key, None when it was not."""
    if not token.private_pem:
        return None
    return oaep_decrypt(load_private(token.private_pem), payload)


@rule
def bounded(_: Call, members: Members, name: str, bounds: tuple[int, int, int]) -> int:
    """Return a number between least and most, the default when none is given. Raises INVALID_FIELD_ERR."""
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
