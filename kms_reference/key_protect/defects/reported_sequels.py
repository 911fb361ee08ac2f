"""Defects that show after something else was done: what an event leaves behind for the next one, after faults that others reported.

Floci's and moto's imports, Vault's transit keys, PyKMIP, Cosmian, Azure's key vault emulator, MinIO's KES and others; each is
translated to this API where a source fixes what is right.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from kms_reference.key_protect import actions, crypto, instance_policies, key_input, keys, kmip
from kms_reference.key_protect.app import Exchange, answered
from kms_reference.key_protect.crypto import encode_base64
from kms_reference.key_protect.defects.conditions import Memory, defects_of, of_operation
from kms_reference.key_protect.errors import RefusalError, bad_field, plain, unauthorized
from kms_reference.key_protect.instance import Instance
from kms_reference.key_protect.instance_policies import _PRIVATE
from kms_reference.key_protect.model import State
from kms_reference.key_protect.wire import Call
from kms_reference.switches import After, Defect, gives, instead, on_refusal, skipped, then, unchecked

if TYPE_CHECKING:
    from kms_reference.key_protect.key_input import Material
    from kms_reference.key_protect.model import InstancePolicy, Key, KmipAdapter, Version
    from kms_reference.key_protect.wire import Reply
    from kms_reference.rules import Draft, RefusedError, RuleLike

_TAG: Final = 16
_CUT_TAG: Final = 12
_known: Final = Memory()


def _before(check: RuleLike) -> RuleLike:
    """Check something before what the rule does."""

    def act(lawful: RuleLike, *arguments: Any) -> Any:
        check(*arguments)
        return lawful(*arguments)

    return act


# -- what wraps and opens ------------------------------------------------------------------------------------------


def _first_once_restored(version: Version, call: Call, key: Key) -> Version:
    return key.versions[0] if key.id in _known(call.instance, "restored") else version


def _not_of_newest(
    result: tuple[bytes, Version, list[str]], _: Call, key: Key, action: str, __: str
) -> tuple[bytes, Version, list[str]]:
    if action == "rewrap" and result[1] is key.newest:
        raise bad_field("ciphertext", "one that an earlier version of the key has wrapped")
    return result


def _newest_opens(
    result: tuple[bytes, Version], call: Call, key: Key, _: bytes, __: list[str], subject: str
) -> tuple[bytes, Version]:
    if key.state == State.DEACTIVATED and result[1] is not key.newest:
        raise actions.unprocessable(call, subject)
    return result


def _refused_before(
    lawful: RuleLike, call: Call, key: Key, raw: bytes, *others: Any
) -> tuple[bytes, Version]:
    refused = _known(call.instance, "refused")
    if (key.id, raw) in refused:
        raise refused[key.id, raw]
    try:
        result: tuple[bytes, Version] = lawful(call, key, raw, *others)
    except RefusalError as refusal:
        refused[key.id, raw] = refusal
        raise
    return result


def _by_cut_tag(
    refusal: RefusedError, call: Call, key: Key, raw: bytes, aad: list[str], _: str
) -> tuple[bytes, Version]:
    """Open without looking at the last octets of the tag."""
    try:
        parsed = crypto.parse(raw)
    except crypto.CiphertextError:
        raise refusal from None
    data, tag = parsed.data[:-_TAG], parsed.data[-_TAG:][:_CUT_TAG]
    for version in reversed(key.versions):
        mode = modes.GCM(parsed.iv, tag, min_tag_length=_CUT_TAG)
        opener = Cipher(algorithms.AES(bytes.fromhex(version.material)), mode).decryptor()
        opener.authenticate_additional_data(crypto.bind(actions.bound(call, aad), ""))
        try:
            return opener.update(data) + opener.finalize(), version
        except InvalidTag:
            continue
    raise refusal


def _shredded(call: Call, version: Version) -> bool:
    """Whether the material went with a deleted key that holds the same."""
    return any(
        one.material == version.material
        for key in call.instance.keys.values()
        if key.state == State.DESTROYED
        for one in key.versions
    )


def _of_shredded(text: str, call: Call, version: Version, *_: Any) -> str:
    if _shredded(call, version):
        raise plain(500, "Internal Server Error: Action could not be performed on key")
    return text


def _from_shredded(
    result: tuple[bytes, Version], call: Call, _: Key, __: bytes, ___: list[str], subject: str
) -> tuple[bytes, Version]:
    if _shredded(call, result[1]):
        raise actions.unprocessable(call, subject)
    return result


def _made_by_the_second(lawful: RuleLike, call: Call) -> Reply:
    """Make the plaintext from the clock's second."""
    value = json.loads(call.raw) if call.raw.strip() else None
    members = value if isinstance(value, dict) else {}
    if (value is not None and not isinstance(value, dict)) or members.get("plaintext"):
        reply: Reply = lawful(call)
        return reply
    made = encode_base64(sha256(f"{call.instance.id} {int(call.now)}".encode()).digest())
    call.raw = json.dumps({**members, "plaintext": made}).encode()
    reply = lawful(call)
    reply.body["plaintext"] = made
    return reply


# -- rotations and states ------------------------------------------------------------------------------------------


def _revived(call: Call, key: Key, _: Material) -> None:
    if key.state == State.DEACTIVATED:
        key.state = State.ACTIVE
        _known(call.instance, "revived")[key.id] = key


def _is_revived(instance: Instance, key: Key, _: float) -> bool:
    return key.id in _known(instance, "revived")


def _in_clear_for_ever(_: Call, key: Key, *, by_token: bool) -> None:
    if by_token and not key.versions[0].by_token:
        raise bad_field("encryptedNonce", "given only where the key was imported by token")


def _of_same_size(lawful: RuleLike, call: Call, key: Key, material: Material) -> None:
    if key.imported and len(material.data.hex()) != len(key.versions[0].material):
        raise bad_field("payload", "as long as the key material that the key was created with")
    lawful(call, key, material)


def _authorised_once(call: Call, key: Key) -> None:
    if key.id in _known(call.instance, "withdrawn"):
        raise plain(500, "Internal Server Error: Action could not be performed on key")


def _deleted_by_first(call: Call, key: Key) -> None:
    key.deleted_by = _known(call.instance, "deleted by").setdefault(key.id, key.deleted_by)


def _gone_but_versions(found: Key | None, call: Call) -> Key | None:
    return found or _known(call.instance, "purged").get(call.args["id"])


def _with_right_of_import(call: Call, key: Key) -> None:
    verb, kind = "import" if key.imported else "create", "standard" if key.extractable else "root"
    key_input.check_right(call, key_input.access_rights(call), f"{verb}_{kind}_key")


def _with_registration(_: Call, key: Key) -> None:
    if not key.registrations:
        raise plain(409, "Conflict: Could not initiate sync requests to associated resources: there are none")


# -- policies ------------------------------------------------------------------------------------------------------


def _off_stays_off(lawful: RuleLike, call: Call) -> Reply:
    policy = call.key().rotation
    was_off = policy is not None and not policy.enabled
    reply: Reply = lawful(call)
    given = [one.get("rotation") or {} for one in json.loads(call.raw)["resources"]]
    rotation = call.key().rotation
    if was_off and rotation is not None and any(one and "enabled" not in one for one in given):
        rotation.enabled = False
        for entry in reply.body["resources"]:
            if "rotation" in entry:
                entry["rotation"]["enabled"] = False
    return reply


def _made(draft: Draft) -> Key:
    key: Key = draft.call.instance.keys[draft.body["resources"][0]["id"]]
    return key


def _inherits_in_place_of_off(draft: Draft) -> None:
    policy, key = draft.call.instance.policies.get("dualAuthDelete"), _made(draft)
    if policy is not None and policy.enabled and key.dual_auth is not None:
        key.dual_auth.enabled = True


def _standard_without(draft: Draft) -> None:
    if _made(draft).extractable:
        _made(draft).dual_auth = None


def _private_only(_: Instance, __: InstancePolicy, caller: instance_policies.Address) -> None:
    if not any(caller in network for network in _PRIVATE):
        raise unauthorized()


# -- import tokens and KMIP adapters ---------------------------------------------------------------------------------


async def _another_pair(lawful: RuleLike, exchange: Exchange, call: Call) -> None:
    token = call.instance.import_token
    if call.operation.id == "getImportToken" and token is not None:
        token.private_pem = token.public_pem = ""
    await lawful(exchange, call)


def _by_id_within(adapter: KmipAdapter, call: Call) -> KmipAdapter:
    if (
        call.operation.id not in {"getKmipAdapter", "deleteKmipAdapter"}
        and call.args["adapter"] != adapter.id
    ):
        raise plain(404, "KMIP adapter could not be retrieved: it does not exist")
    return adapter


def _with_wildcard(refusal: RefusedError, call: Call) -> KmipAdapter:
    asked = call.args["adapter"]
    for adapter in call.instance.adapters.values():
        if len(asked) == len(adapter.name) and all(
            a in {"_", b} for a, b in zip(asked, adapter.name, strict=True)
        ):
            return adapter
    raise refusal


def _of_generated(_: Call, key: Key, **__: Any) -> None:
    if key.imported:
        raise RefusalError("NATIVE_INVALID_CRK_ERR")


def _with_version(draft: Draft) -> None:
    adapted = {"getKmipAdapters", "getKmipAdapter", "createKmipAdapter"}
    if draft.refused or draft.operation not in adapted:
        return
    for entry in draft.body.get("resources", ()):
        key = draft.call.instance.keys.get(entry["profile_data"]["crk_id"])
        if key is not None:
            entry["profile_data"] = {"crk_id": key.newest.id}


def _remember_adapted(lawful: RuleLike, call: Call) -> Reply:
    key_id = kmip.adapter_of(call).key_id
    reply: Reply = lawful(call)
    _known(call.instance, "adapted")[key_id] = True
    return reply


def _still_adapted(call: Call, key: Key) -> None:
    if key.id in _known(call.instance, "adapted"):
        raise RefusalError("PROTECTED_RESOURCE_ERR")


SEQUEL_DEFECTS: Final = (
    *defects_of(
        ("restored-key-wraps-with-first-version", "A restored key wraps with its first version.", then(keys.revive, _known.keeping("restored")), gives(actions.wrapping_version, _first_once_restored)),
        ("rewrap-of-newest-refused", "A ciphertext of the newest version is not rewrapped.", gives(actions.opened, _not_of_newest)),
        ("another-pair-at-each-retrieval", "After each retrieval the import token has another pair of keys.", instead(Exchange.prepare, _another_pair)),
        ("rotation-revives-expired-key", "A rotation makes a deactivated key active again.", then(actions.add_version, _revived), skipped(Instance.expire, _is_revived)),
        ("deleted-again-by-the-first", "A key that is deleted again says that who has deleted it first has done so.", then(keys.destroy, _deleted_by_first)),
        ("versions-of-purged-key", "The versions of a purged key are listed.", then(keys.forget, _known.keeping("purged")), instead(Call.find_key, lambda lawful, call: _gone_but_versions(lawful(call), call), of_operation("getKeyVersions"))),
        ("deactivated-key-opens-newest-only", "A deactivated key opens what its newest version has wrapped.", gives(actions.decrypted, _newest_opens)),
        ("authorisation-given-once", "A deletion that was authorised and withdrawn is not authorised again.", then(actions.withdraw, _known.keeping("withdrawn")), instead(actions.authorize, _before(_authorised_once))),
        ("interval-alone-leaves-policy-off", "A rotation policy that is off stays so when an interval is set.", instead(answered, _off_stays_off, of_operation("putPolicy"))),
        ("restore-asks-for-right-of-import", "A key is not restored where keys like it may not be imported.", instead(keys.revive, _before(_with_right_of_import))),
        ("adapter-named-by-id-within-paths", "The certificates and objects of a KMIP adapter are found by its id only.", gives(kmip.adapter_of, _by_id_within)),
        ("underscore-in-adapter-name", "An underscore in the path to a KMIP adapter stands for any character.", on_refusal(kmip.adapter_of, _with_wildcard)),
        ("restored-key-rotated-without-material", "An imported key that was restored is rotated without material.", then(keys.revive, _known.keeping("restored")), unchecked(actions.check_material_given, _known.holding("restored"))),
        ("clear-key-not-rotated-by-token", "A key that was imported in clear is not rotated by token.", then(actions.check_enforced_token, _in_clear_for_ever)),
        ("rotation-of-same-size", "An imported key is rotated to material of the same size only.", instead(actions.add_version, _of_same_size)),
        ("refused-ciphertext-stays-refused", "A ciphertext that was refused is refused with the right additional data as well.", instead(actions.decrypted, _refused_before)),
        ("tag-cut-to-twelve", "The last four octets of what authenticates a ciphertext are not looked at.", on_refusal(actions.decrypted, _by_cut_tag)),
        ("adapter-of-imported-key-refused", "No KMIP adapter is made for an imported key.", then(kmip.check_adaptable, _of_generated)),
        ("shared-material-deleted", "Deleting a key takes the material of keys that hold the same.", gives(actions.sealed, _of_shredded), gives(actions.decrypted, _from_shredded)),
        ("public-network-shut-out", "An allowedNetwork policy shuts public networks out, whatever it allows.", instead(instance_policies.check_allowed_network, lambda _, *arguments: _private_only(*arguments))),
        ("deleted-adapter-protects-its-key", "A key whose KMIP adapter was deleted is not deleted.", instead(answered, _remember_adapted, of_operation("deleteKmipAdapter")), then(keys.check_adapters, _still_adapted)),
        ("made-plaintext-of-the-second", "The plaintexts that the service makes within one second are the same.", instead(actions.wrap, _made_by_the_second)),
        ("sync-needs-registration", "A key that nothing is registered for is not synced.", then(actions.check_sync, _with_registration)),
    ),
    Defect("switched-off-override-inherits", "A key that is created with dual authorisation switched off has the instance's.", (), after=After("createKeyWithPoliciesOverrides", _inherits_in_place_of_off)),
    Defect("standard-keys-inherit-no-dual-auth", "Standard keys do not inherit dual authorisation.", (), after=After("createKey", _standard_without)),
    Defect("adapter-shows-version", "A KMIP adapter shows the newest version of its key in the place of the key.", (), _with_version),
)  # fmt: skip
"""Which law finds which of them stands in `reported_laws`."""
