"""Reading the key resource of a creation request, key material included."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_bytes
from typing import TYPE_CHECKING, Final

from kms_reference.key_protect.clock import parse_stamp
from kms_reference.key_protect.crypto import KEY_SIZES, Base64Error, decode_base64
from kms_reference.key_protect.errors import RefusalError, bad_field
from kms_reference.key_protect.import_tokens import open_import
from kms_reference.key_protect.names import check_aliases, check_tags
from kms_reference.key_protect.wire import KEY_TYPE

if TYPE_CHECKING:
    from kms_reference.key_protect.wire import Call, Members

_ALGORITHMS: Final = ("RSAES_OAEP_SHA_256",)
_NAME: Final = (2, 90)
_DESCRIPTION: Final = (2, 240)
_MAX_STANDARD: Final = 7_500
_TOKEN_MEMBERS: Final = ("encryptedNonce", "iv")


@dataclass(frozen=True, slots=True)
class Material:
    """Key bytes and how they came: made here, given in clear, or given by import token."""

    data: bytes
    imported: bool
    by_token: bool


@dataclass(frozen=True, slots=True)
class NewKey:
    """A checked key resource."""

    name: str
    description: str
    extractable: bool
    aliases: list[str]
    tags: list[str]
    expires: float | None


def read_new_key(call: Call, resource: Members) -> NewKey:
    """Check everything but the material. Raises BAD_BODY_ERR, INVALID_FIELD_ERR."""
    kind = resource.text("type")
    if kind not in (None, "", KEY_TYPE):
        raise bad_field("type", KEY_TYPE)
    name = resource.text("name") or ""
    limited = not call.broken("limits-of-members-unchecked")
    if limited:
        _length("name", name, _NAME)
    description = resource.text("description") or ""
    if description and limited:
        _length("description", description, _DESCRIPTION)
    extractable = bool(resource.boolean("extractable"))
    aliases = resource.texts("aliases")
    if not call.broken("alias-form-unchecked"):
        check_aliases(aliases)
    tags = resource.texts("tags")
    if limited:
        check_tags(tags)
    return NewKey(name, description, extractable, aliases, tags, _expiration(call, resource))


def read_material(call: Call, resource: Members, *, extractable: bool) -> Material:
    """Return the material of a new key or version.

    Raises INVALID_FIELD_ERR, KEY_CREATE_IMPORT_ACCESS_ERR and what `open_import` raises.
    """
    payload = resource.text("payload")
    by_token = any(resource.text(member) for member in _TOKEN_MEMBERS)
    algorithm = resource.text("encryptionAlgorithm")
    if not payload:
        if by_token:
            raise bad_field("payload", "the encrypted key material when an encrypted nonce is given")
        return Material(token_bytes(32), imported=False, by_token=False)
    if algorithm and algorithm not in _ALGORITHMS:
        raise bad_field("encryptionAlgorithm", f"one of {', '.join(_ALGORITHMS)}")
    data = _decoded("payload", payload)
    if by_token:
        data = _by_token(call, resource, data, extractable=extractable)
    if extractable:
        if len(data) > _MAX_STANDARD:
            raise bad_field("payload", f"at most {_MAX_STANDARD} bytes of base64 encoded key material")
    elif len(data) not in KEY_SIZES and not _size_forgiven(call):
        raise bad_field("payload", "a base64 encoded key material of 16, 24 or 32 bytes")
    return Material(data, imported=True, by_token=by_token)


def _size_forgiven(call: Call) -> bool:
    rotates = call.operation.id == "rotateKey"
    return call.broken("material-of-any-size") or (rotates and call.broken("odd-material-rotates"))


def _by_token(call: Call, resource: Members, data: bytes, *, extractable: bool) -> bytes:
    if extractable:
        raise bad_field("encryptedNonce", "given only when a root key is imported")
    if not resource.text("encryptedNonce") and call.broken("vector-alone-imports"):
        return data
    parts = {member: _decoded(member, resource.text(member) or "") for member in _TOKEN_MEMBERS}
    for member, value in parts.items():
        if not value:
            raise bad_field(member, "given together with the other of encryptedNonce and iv")
    return open_import(call, data, parts["encryptedNonce"], parts["iv"])


def _decoded(name: str, text: str) -> bytes:
    try:
        return decode_base64(text)
    except Base64Error as error:
        raise bad_field(name, f"a base64 encoded value: {error}") from None


def _length(name: str, value: str, bounds: tuple[int, int]) -> None:
    if not bounds[0] <= len(value) <= bounds[1]:
        raise bad_field(name, f"between {bounds[0]} and {bounds[1]} characters long")


def _expiration(call: Call, resource: Members) -> float | None:
    text = resource.text("expirationDate")
    if not text:
        return None
    moment = parse_stamp(text)
    if moment is None:
        raise bad_field("expirationDate", "a date and time in RFC 3339 format")
    if moment <= call.now and not call.broken("past-expiration-accepted"):
        raise bad_field("expirationDate", "in the future")
    return moment


def check_access(call: Call, *, extractable: bool, material: Material) -> None:
    """Enforce the instance policy on creating and importing keys. Raises KEY_CREATE_IMPORT_ACCESS_ERR."""
    policy = call.instance.policies.get("keyCreateImportAccess")
    outlives = call.broken("create-import-access-outlives-policy")
    if policy is None or not (policy.enabled or outlives) or call.broken("create-import-access-ignored"):
        return
    rights = policy.attributes
    kind = "standard" if extractable else "root"
    if material.imported:
        if rights.get("enforce_token") and not material.by_token and not call.broken("enforce-token-ignored"):
            raise RefusalError("KEY_CREATE_IMPORT_ACCESS_ERR")
        allowed = rights.get(f"import_{kind}_key", True) or call.broken(f"import-{kind}-key-ignored")
    else:
        allowed = rights.get(f"create_{kind}_key", True) or call.broken(f"create-{kind}-key-ignored")
    if not allowed:
        raise RefusalError("KEY_CREATE_IMPORT_ACCESS_ERR")
