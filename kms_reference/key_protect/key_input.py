"""Reading the key resource of a creation request, key material included."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect.clock import parse_stamp
from kms_reference.key_protect.crypto import KEY_SIZES, Base64Error, decode_base64
from kms_reference.key_protect.errors import RefusalError, bad_field
from kms_reference.key_protect.import_tokens import open_import
from kms_reference.key_protect.names import check_aliases, check_tags
from kms_reference.key_protect.wire import KEY_TYPE
from kms_reference.rules import rule

if TYPE_CHECKING:
    from kms_reference.key_protect.model import Key
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
    check_length(call, "name", name, _NAME)
    description = resource.text("description") or ""
    if description:
        check_length(call, "description", description, _DESCRIPTION)
    extractable = bool(resource.boolean("extractable"))
    aliases = resource.texts("aliases")
    check_new_aliases(call, aliases)
    tags = resource.texts("tags")
    check_new_tags(call, tags)
    return NewKey(name, description, extractable, aliases, tags, _expiration(call, resource))


@rule
def check_length(_: Call, name: str, value: str, bounds: tuple[int, int]) -> None:
    """A member has a length (characters) within bounds. Raises INVALID_FIELD_ERR."""
    if not bounds[0] <= len(value) <= bounds[1]:
        raise bad_field(name, f"between {bounds[0]} and {bounds[1]} characters long")


@rule
def check_new_aliases(_: Call, aliases: list[str]) -> None:
    """The aliases of a new key have the documented form and number. Raises as `check_aliases`."""
    check_aliases(aliases)


@rule
def check_new_tags(_: Call, tags: list[str]) -> None:
    """The tags of a new key have the documented form and number. Raises INVALID_FIELD_ERR."""
    check_tags(tags)


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
        data = read_by_token(call, resource, data, extractable=extractable)
    if extractable:
        check_standard_size(call, data)
    else:
        check_root_size(call, data)
    return Material(data, imported=True, by_token=by_token)


@rule
def check_root_size(_: Call, data: bytes) -> None:
    """The material of a root key is as long as an AES key. Raises INVALID_FIELD_ERR."""
    if len(data) not in KEY_SIZES:
        raise bad_field("payload", "a base64 encoded key material of 16, 24 or 32 bytes")


@rule
def check_standard_size(_: Call, data: bytes) -> None:
    """The material of a standard key has 7,500 bytes at most. Raises INVALID_FIELD_ERR."""
    if len(data) > _MAX_STANDARD:
        raise bad_field("payload", f"at most {_MAX_STANDARD} bytes of base64 encoded key material")


@rule
def read_by_token(call: Call, resource: Members, data: bytes, *, extractable: bool) -> bytes:
    """Return the material of an import by token: nonce and vector come together. Raises as `read_material`."""
    if extractable:
        raise bad_field("encryptedNonce", "given only when a root key is imported")
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


def _expiration(call: Call, resource: Members) -> float | None:
    text = resource.text("expirationDate")
    if not text:
        return None
    moment = parse_stamp(text)
    if moment is None:
        raise bad_field("expirationDate", "a date and time in RFC 3339 format")
    check_future(call, moment)
    return moment


@rule
def check_future(call: Call, moment: float) -> None:
    """A key expires in the future. Raises INVALID_FIELD_ERR."""
    if moment <= call.now:
        raise bad_field("expirationDate", "in the future")


@rule
def check_access(call: Call, key: Key, material: Material) -> None:
    """Enforce the instance policy on creating and importing keys. Raises KEY_CREATE_IMPORT_ACCESS_ERR."""
    rights = access_rights(call)
    if material.imported:
        check_token_used(call, rights, material)
    verb, kind = "import" if material.imported else "create", "standard" if key.extractable else "root"
    check_right(call, rights, f"{verb}_{kind}_key")


@rule
def access_rights(call: Call) -> dict[str, Any]:
    """Return what the policy keyCreateImportAccess says, while it is enabled."""
    policy = call.instance.policies.get("keyCreateImportAccess")
    return policy.attributes if policy is not None and policy.enabled else {}


@rule
def check_token_used(_: Call, rights: dict[str, Any], material: Material) -> None:
    """Material comes by import token where the policy asks for it. Raises KEY_CREATE_IMPORT_ACCESS_ERR."""
    if rights.get("enforce_token") and not material.by_token:
        raise RefusalError("KEY_CREATE_IMPORT_ACCESS_ERR")


@rule
def check_right(_: Call, rights: dict[str, Any], name: str) -> None:
    """What the policy does not forbid is allowed. Raises KEY_CREATE_IMPORT_ACCESS_ERR."""
    if not rights.get(name, True):
        raise RefusalError("KEY_CREATE_IMPORT_ACCESS_ERR")
