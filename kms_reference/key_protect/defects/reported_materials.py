"""Defects of key material, import tokens and what is bound to a ciphertext, after faults that others reported.

Azure's emulator, LocalStack, Vault, Java's OAEP and others; each is translated to this API where a source fixes what is
right.
"""

from __future__ import annotations

import json
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Final
from unicodedata import normalize

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from kms_reference.key_protect import actions, import_tokens, key_input, keys
from kms_reference.key_protect.app import answered
from kms_reference.key_protect.clock import stamp
from kms_reference.key_protect.crypto import encode_base64
from kms_reference.key_protect.defects.conditions import of_operation
from kms_reference.key_protect.errors import RefusalError, bad_field, plain
from kms_reference.key_protect.instance import new_version
from kms_reference.key_protect.rsa_pairs import load_private
from kms_reference.switches import Change, Defect, gives, instead, refused_but, skipped, then

if TYPE_CHECKING:
    from kms_reference.key_protect.key_input import Material
    from kms_reference.key_protect.model import ImportToken, Key, Version
    from kms_reference.key_protect.wire import Call, Reply
    from kms_reference.rules import RuleLike

_AES_192: Final = 24
_AES_SIZES: Final = (16, 24, 32)
_STRINGS: Final = 10
_CHARACTERS: Final = 512


def _after(operation: str, make: RuleLike) -> Change:
    return gives(answered, make, of_operation(operation))


# -- import tokens --------------------------------------------------------------------------------------


def _end_token(_: Call, token: ImportToken, __: bytes | None) -> None:
    token.life = 0


def _not_192(data: bytes, *_: Any, **__: Any) -> bytes:
    if len(data) == _AES_192:
        raise bad_field("payload", "a key material of 16 or 32 bytes")
    return data


def _other_mask(_: RuleLike, __: Call, token: ImportToken, payload: bytes) -> bytes | None:
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA256(), None)  # noqa: S303 - the defect
    try:
        return load_private(token.private_pem).decrypt(payload, oaep) if token.private_pem else None
    except ValueError:
        return None


# -- material -------------------------------------------------------------------------------------------


def _other_material(lawful: RuleLike, call: Call, key: Key, material: Material) -> None:
    if key.imported:
        new_version(key, call.now, token_bytes(len(material.data)), by_token=material.by_token)
    else:
        lawful(call, key, material)


def _made_on_reading(reply: Reply, _: Call) -> Reply:
    view = reply.body["resources"][0]
    if "payload" in view and not view["imported"]:
        view["payload"] = encode_base64(token_bytes(32))
    return reply


def _no_aes_192(lawful: RuleLike, call: Call, version: Version, plaintext: bytes, aad: list[str]) -> str:
    if len(bytes.fromhex(version.material)) == _AES_192:
        raise plain(500, "Internal Server Error: Action could not be performed on key")
    text: str = lawful(call, version, plaintext, aad)
    return text


def _creation_right_too(call: Call, key: Key, material: Material) -> None:
    if material.imported:
        kind = "standard" if key.extractable else "root"
        key_input.check_right(call, key_input.access_rights(call), f"create_{kind}_key")


def _newest_only(lawful: RuleLike, call: Call, key: Key) -> None:
    if len(key.versions) > 1:
        key.versions.pop()
        call.instance.touch(key)
    else:
        lawful(call, key)


def _aliases_out_of_index(call: Call, key: Key) -> None:
    for alias in key.aliases:
        call.instance.alias_index.pop(alias, None)


# -- wrapping -------------------------------------------------------------------------------------------


def _of_aes_size(data: bytes, _: Call, __: str, name: str, *___: Any, **____: Any) -> bytes:
    if name == "plaintext" and len(data) not in _AES_SIZES:
        raise bad_field("plaintext", "a base64 encoded key material of 16, 24 or 32 bytes")
    return data


def _cut_in_all(aad: list[str], *_: Any) -> list[str]:
    kept, left = [], _CHARACTERS
    for text in aad:
        kept.append(text[:left])
        left -= len(kept[-1])
    return kept


def _newest_twice(reply: Reply, _: Call) -> Reply:
    reply.body["keyVersion"] = dict(reply.body["rewrappedKeyVersion"])
    return reply


def _newest_opened(reply: Reply, call: Call) -> Reply:
    reply.body["keyVersion"] = {"id": call.key().newest.id}
    return reply


# -- versions and authorisations ---------------------------------------------------------------------------


def _all_states(lawful: RuleLike, call: Call) -> Reply:
    if "allKeyStates" in call.query:
        call.query["allKeyStates"] = "true"
    reply: Reply = lawful(call)
    return reply


def _as_young_as_newest(reply: Reply, call: Call) -> Reply:
    for one in reply.body.get("resources", []):
        one["creationDate"] = stamp(call.key().newest.created)
    return reply


def _withdrawn(_: Call, key: Key) -> None:
    key.authorized_by = ""


def _root_keys_only(_: Call, key: Key) -> None:
    if key.extractable:
        raise RefusalError("KEY_ROOT_REQ_ERR")


def _half_set(lawful: RuleLike, call: Call) -> Reply:
    """Of a resource that holds both policies, set one and show both."""
    before = call.key().rotation
    reply: Reply = lawful(call)
    if any({"rotation", "dualAuthDelete"} <= set(one) for one in json.loads(call.raw)["resources"]):
        call.key().rotation = before
    return reply


def _off_not_kept(lawful: RuleLike, call: Call) -> Reply:
    before = call.key().dual_auth
    reply: Reply = lawful(call)
    key = call.key()
    if before is None and key.dual_auth is not None and not key.dual_auth.enabled:
        key.dual_auth = None
    return reply


MATERIAL_DEFECTS: Final = tuple(
    Defect(name, doc, (), changes=tuple(changes))
    for name, doc, *changes in (
        ("refused-nonce-ends-token", "An import that is refused for its nonce ends the import token.", refused_but(import_tokens.check_nonce, _end_token)),
        ("token-without-aes-192", "Material of 24 bytes does not come by token.", gives(key_input.read_by_token, _not_192)),
        ("mask-of-sha1", "Material by token is opened with a mask of SHA-1.", instead(import_tokens.decrypt, _other_mask)),
        ("enforced-token-not-on-rotation", "Where material has to come by token, imported keys are rotated without.", skipped(actions.check_enforced_token)),
        ("rotation-material-dropped", "An imported key is rotated to other material than was given.", instead(actions.add_version, _other_material)),
        ("standard-material-made-on-reading", "The material of a generated standard key is made each time that it is read.", _after("getKey", _made_on_reading)),
        ("aes-192-cannot-wrap", "A key with material of 24 bytes cannot wrap.", instead(actions.sealed, _no_aes_192)),
        ("import-needs-creation-right", "An import needs the right to create keys as well.", then(key_input.check_access, _creation_right_too)),
        ("purge-takes-newest-version-only", "Purging a key that was rotated removes its newest version only.", instead(keys.forget, _newest_only)),
        ("restored-aliases-lead-nowhere", "The aliases of a restored key are shown and do not lead to it.", then(keys.revive, _aliases_out_of_index)),
        ("plaintext-of-aes-size", "Only plaintexts as long as an AES key are wrapped.", gives(actions.decoded, _of_aes_size)),
        ("aad-of-one-form", "Letters of two characters are the same as those of one in additional data.", gives(actions.bound, lambda aad, *_: [normalize("NFC", text) for text in aad])),
        ("aad-of-ten", "The first ten strings of additional data count.", gives(actions.bound, lambda aad, *_: aad[:_STRINGS])),
        ("aad-cut-in-all", "The first 512 characters of all additional data count.", gives(actions.bound, _cut_in_all)),
        ("rewrap-names-newest-twice", "The answer of rewrap names the newest version as the one that had wrapped.", _after("rewrapKey", _newest_twice)),
        ("unwrap-names-newest", "The answer of unwrap names the newest version as the one that had wrapped.", _after("unwrapKey", _newest_opened)),
        ("all-states-by-false", "The parameter allKeyStates counts as given, whatever its value.", instead(answered, _all_states, of_operation("getKeyVersions"))),
        ("versions-as-young-as-newest", "All versions of a key are as young as the newest.", _after("getKeyVersions", _as_young_as_newest)),
        ("refused-deletion-withdraws", "A refused deletion withdraws the authorisation that there is.", refused_but(keys.check_authorizations, _withdrawn)),
        ("authorisation-of-root-keys-only", "The deletion of a standard key cannot be authorised.", then(actions.check_dual_auth, _root_keys_only)),
        ("both-policies-half-set", "Of two policies in one resource one is set and both are shown.", instead(answered, _half_set, of_operation("putPolicy"))),
        ("dual-auth-off-not-kept", "A dual-authorisation policy that is set to off is not kept.", instead(answered, _off_not_kept, of_operation("putPolicy"))),
    )
)  # fmt: skip
"""Which law finds which of them stands in `reported_laws`."""
