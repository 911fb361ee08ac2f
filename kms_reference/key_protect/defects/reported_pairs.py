"""Defects that two things of a key show together: how it was made and what it was given, what it has and what is asked of it.

After faults that others reported: floci, moto, LocalStack, Open Telekom Cloud, PyKMIP, Cosmian and others; each is
translated to this API where a source fixes what is right.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from kms_reference.key_protect import actions, crypto, import_tokens, key_input, keys, kmip
from kms_reference.key_protect.app import answered
from kms_reference.key_protect.defects.conditions import defects_of, of_operation
from kms_reference.key_protect.errors import RefusalError, bad_field
from kms_reference.key_protect.instance import DEFAULT_RING
from kms_reference.switches import After, Change, Defect, gives, instead, then

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.key_input import Material
    from kms_reference.key_protect.model import ImportToken, Key, KeyPolicy
    from kms_reference.key_protect.wire import Call, Members, Reply
    from kms_reference.rules import Draft, RuleLike

_OVERRIDES: Final = "createKeyWithPoliciesOverrides"
_SPACE: Final = UUID("3f1d6f0e-7d3a-4c57-9b1e-6a0b8a5f7c11")


def _as_v4(text: str) -> str:
    made = str(uuid5(_SPACE, text))
    return f"{made[:14]}4{made[15:]}"


# -- what a new key loses, by how it is made ------------------------------------------------------------


def _made(draft: Draft) -> Key:
    key: Key = draft.call.instance.keys[draft.body["resources"][0]["id"]]
    return key


def _losing(what: Callable[[Key], None], which: Callable[[Key], bool]) -> Callable[[Draft], None]:
    def act(draft: Draft) -> None:
        key = _made(draft)
        if which(key):
            what(key)

    return act


def _without_policies(key: Key) -> None:
    key.dual_auth = key.rotation = None


def _in_default_ring(key: Key) -> None:
    key.ring = DEFAULT_RING


def _without_expiry(key: Key) -> None:
    key.expires = None


def _without_tags(key: Key) -> None:
    key.tags = []


def _drop_aliases(draft: Draft) -> None:
    key, instance = _made(draft), draft.call.instance
    if key.imported:
        for alias in key.aliases:
            instance.alias_index.pop(alias, None)
        key.aliases = {}


# -- what a key has, and what is refused for it ---------------------------------------------------------


def _refused(operation: str, held: Callable[[Call, Key], bool]) -> Change:
    def act(lawful: RuleLike, call: Call) -> Reply:
        if held(call, call.key()):
            raise RefusalError("KEY_ACTION_INVALID_STATE_ERR")
        reply: Reply = lawful(call)
        return reply

    return instead(answered, act, of_operation(operation))


def _registered(_: Call, key: Key) -> bool:
    return bool(key.registrations)


def _adapted(call: Call, key: Key) -> bool:
    return any(adapter.key_id == key.id for adapter in call.instance.adapters.values())


def _under_dual_auth(_: Call, key: Key) -> bool:
    return key.dual_auth is not None and key.dual_auth.enabled


def _dated(_: Call, key: Key) -> bool:
    return key.expires is not None


def _unregister(call: Call, key: Key) -> None:
    if call.flag("force"):
        key.registrations.clear()


# -- ids ------------------------------------------------------------------------------------------------


def _policy_of_kind(lawful: RuleLike, call: Call) -> Reply:
    reply: Reply = lawful(call)
    key = call.key()
    for kind, policy in (("rotation", key.rotation), ("dualAuthDelete", key.dual_auth)):
        if policy is not None:
            policy.id = _as_v4(kind)
    for one in reply.body.get("resources", []):
        kind = "rotation" if "rotation" in one else "dualAuthDelete"
        one["crn"] = one["crn"].replace(one["id"], _as_v4(kind))
        one["id"] = _as_v4(kind)
    return reply


def _numbered(_: Call, key: Key, __: Material) -> None:
    key.newest.id = _as_v4(str(len(key.versions)))


# -- policies -------------------------------------------------------------------------------------------


def _off_unless_said(lawful: RuleLike, call: Call) -> Reply:
    """Take an interval alone for a policy that is off."""
    rotations = [one["rotation"] for one in json.loads(call.raw)["resources"] if "rotation" in one]
    reply: Reply = lawful(call)
    policy: KeyPolicy | None = call.key().rotation
    if policy is not None and any("enabled" not in one for one in rotations):
        policy.enabled = False
    return reply


def _unlisted_if_inherited(lawful: RuleLike, call: Call) -> Reply:
    """List the policies that were set on the key itself."""
    key = call.key()
    own = [key.dual_auth, key.rotation]
    if key.dual_auth is not None and key.dual_auth.created == key.created:
        key.dual_auth = None
    if key.rotation is not None and key.rotation.created == key.created:
        key.rotation = None
    try:
        reply: Reply = lawful(call)
    finally:
        key.dual_auth, key.rotation = own
    return reply


# -- tokens and wrapping --------------------------------------------------------------------------------


def _first_of_its_kind(lawful: RuleLike, call: Call) -> Reply:
    """Give the token that there is to whoever asks for one of the same life and retrievals."""
    before: ImportToken | None = call.instance.import_token
    reply: Reply = lawful(call)
    token = call.instance.import_token
    if (
        before is not None
        and token is not None
        and (before.life, before.allowed) == (token.life, token.allowed)
        and call.now < before.created + before.life
    ):
        token.nonce, token.private_pem, token.public_pem = (
            before.nonce,
            before.private_pem,
            before.public_pem,
        )
    return reply


def _token_gone(call: Call, _: Key, material: Material) -> None:
    token = call.instance.import_token
    if material.by_token and token is not None:
        token.life = 0


def _algorithm_named(lawful: RuleLike, call: Call, resource: Members, data: bytes, **kind: Any) -> bytes:
    if not resource.text("encryptionAlgorithm"):
        raise bad_field("encryptionAlgorithm", "given with an encrypted nonce")
    material: bytes = lawful(call, resource, data, **kind)
    return material


def _unpadded(reply: Reply, _: Call) -> Reply:
    if "plaintext" in reply.body:
        reply.body["plaintext"] = crypto.encode_base64(crypto.decode_base64(reply.body["plaintext"])).rstrip(
            "="
        )
    return reply


def _unnamed_alike(call: Call, _: str) -> None:
    unnamed = not call.body()["resources"][0].get("name")
    if unnamed and any(one.name.startswith("kmip_adapter_") for one in call.instance.adapters.values()):
        raise RefusalError("KMIP_ADAPTER_DUPLICATE_NAME_ERR")


_CREATED: Final = (
    ("policies-lost-for-imported", "A key that is created with policies and material has none.", _OVERRIDES, _losing(_without_policies, lambda key: key.imported)),
    ("policies-lost-for-standard", "A standard key that is created with policies has none.", _OVERRIDES, _losing(_without_policies, lambda key: key.extractable)),
    ("ring-lost-with-policies", "A key that is created with policies is in the default ring.", _OVERRIDES, _losing(_in_default_ring, lambda _: True)),
    ("imported-key-without-aliases", "An imported key has no aliases.", "createKey", _drop_aliases),
    ("expiry-lost-by-token", "A key that is imported by token never expires.", "createKey", _losing(_without_expiry, lambda key: key.newest.by_token)),
    ("ring-lost-by-token", "A key that is imported by token is in the default ring.", "createKey", _losing(_in_default_ring, lambda key: key.newest.by_token)),
    ("tags-lost-by-token", "A key that is imported by token has no tags.", "createKey", _losing(_without_tags, lambda key: key.newest.by_token)),
)  # fmt: skip


PAIR_DEFECTS: Final = (
    *(Defect(name, doc, (), after=After(operation, act)) for name, doc, operation, act in _CREATED),
    *defects_of(
        ("registered-key-not-disabled", "A key that is registered cannot be disabled.", _refused("disableKey", _registered)),
        ("adapted-key-not-rotated", "A key with a KMIP adapter cannot be rotated.", _refused("rotateKey", _adapted)),
        ("adapted-key-not-disabled", "A key with a KMIP adapter cannot be disabled.", _refused("disableKey", _adapted)),
        ("dual-auth-holds-move", "A key under dual authorisation cannot be moved.", _refused("patchKey", _under_dual_auth)),
        ("dual-auth-holds-rotation", "A key under dual authorisation cannot be rotated.", _refused("rotateKey", _under_dual_auth)),
        ("dated-key-not-rotated", "A key with an expiration date cannot be rotated.", _refused("rotateKey", _dated)),
        ("forced-deletion-unregisters", "A deletion by force removes the key's registrations.", then(keys.destroy, _unregister)),
        ("policies-share-an-id", "The rotation policies of all keys have one id, and so have those of dual authorisation.", instead(answered, _policy_of_kind, of_operation("putPolicy"))),
        ("version-ids-shared", "The second versions of all keys have one id, and so have the later ones.", then(actions.add_version, _numbered)),
        ("interval-alone-is-off", "A rotation policy that does not say whether it is on is off.", instead(answered, _off_unless_said, of_operation("putPolicy"))),
        ("inherited-policies-unlisted", "Policies that a key has from its creation are not listed.", instead(answered, _unlisted_if_inherited, of_operation("getPolicy"))),
        ("same-request-same-token", "An import token of the same life and retrievals is the one that there is.", instead(import_tokens.post_import_token, _first_of_its_kind)),
        ("rotation-uses-up-token", "An import token that a key was rotated by imports nothing more.", then(actions.add_version, _token_gone)),
        ("algorithm-must-be-named", "An import by token names its algorithm.", instead(key_input.read_by_token, _algorithm_named)),
        ("unnamed-adapters-alike", "Of KMIP adapters without a name there is one at a time.", then(kmip.check_name_free, _unnamed_alike)),
        ("made-plaintext-unpadded", "A plaintext that the service makes is not padded.", gives(actions.wrap, _unpadded)),
    ),
)  # fmt: skip
"""Which law finds which of them stands in `reported_laws`."""
