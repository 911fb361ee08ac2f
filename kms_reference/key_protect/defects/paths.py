"""Defects that show only for some keys or on some path: each changes a rule for the keys or paths that it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Never

from kms_reference.key_protect import (
    actions,
    aliases,
    import_tokens,
    instance_policies,
    key_input,
    key_policies,
    keys,
    registrations,
    rings,
    search,
)
from kms_reference.key_protect.app import Exchange
from kms_reference.key_protect.defects.conditions import (
    changed,
    corrupted,
    in_state,
    of_operation,
    opened_by_any,
    restored,
    with_frame,
)
from kms_reference.key_protect.errors import RefusalError, bad_body, unknown_key
from kms_reference.key_protect.instance import DEFAULT_RING, Instance
from kms_reference.key_protect.model import ImportToken, Key, State
from kms_reference.key_protect.operations import API_ROOT
from kms_reference.key_protect.wire import Call, Members, Reply, ring_of
from kms_reference.switches import Change, Defect, gives, instead, on_refusal, then, unchecked

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.iam import Identity
    from kms_reference.key_protect.wire import Operation
    from kms_reference.rules import RefusedError, RuleLike
    from kms_reference.switches import Test

_ACCESS = "key-create-import-access-err"
_CIPHERTEXT = "unprocessable-ciphertext-err"
_DUAL = "authorizations-not-met"
_EARLY = "req-too-early-err"
_ROOT = "key-root-req-err"
_ROTATION = "key-rotation-not-permitted"
_STATE = "key-action-invalid-state-err"
_TOKEN = "import-token-expired-err"  # noqa: S105 - an anchor of the page
_USES = ("protected-resource-err", "prev-key-del-err")
_STANDING = b"K" * 32

_TWICE: Final = 2
_NAMES: Final = ("KeyAlias", "KeyRing", "patchKey", "putPolicy", "putInstancePolicy", "getInstancePolicy")
"""What a reader may not do, without `create` and `delete`."""


# -- rules for some keys, some paths -----------------------------------------------------------------


def _role_ignored(test: Callable[[Identity, Operation], bool]) -> Change:
    return unchecked(Exchange.check_role, lambda _, identity, operation: test(identity, operation))


def _open_to_all(*operations: str) -> tuple[Change, Change]:
    """Let anybody in whose request is one of these operations."""

    def asked(exchange: Exchange, *_: Any) -> bool:
        return exchange.operation is not None and exchange.operation.id in operations

    return unchecked(Exchange.check_member, asked), unchecked(Exchange.check_role, asked)


def _enabled(_: RefusedError, call: Call, key: Key) -> Reply:
    key.state = State.ACTIVE
    return restored(call, key)


def _shared(call: Call) -> None:
    for other in call.server_state.instances.values():
        other.import_token = call.instance.import_token


def _of_any_instance(token: ImportToken | None, call: Call) -> ImportToken | None:
    return token or next(
        (i.import_token for i in call.server_state.instances.values() if i.import_token), None
    )


def _without_aad(  # noqa: PLR0917 - the arguments of the rule
    lawful: RuleLike, call: Call, key: Key, raw: bytes, aad: list[str], subject: str
) -> Any:
    try:
        return lawful(call, key, raw, aad, subject)
    except RefusalError:
        if not aad:
            raise
        return lawful(call, key, raw, [], subject)


def _held(*_: Any, **__: Any) -> Never:
    raise RefusalError("KEY_ACTION_INVALID_STATE_ERR")


def _set_at_once(policy: tuple[bool, dict[str, Any]], call: Call, name: str, _: Members) -> Any:
    instance_policies.set_policy(call, name, enabled=policy[0], attributes=policy[1])
    return policy


def _no_ciphertext(call: Call, *_: Any) -> bool:
    return not Members.of(call.json() or {}, "body").text("ciphertext")


def _null_refused(*_: Any) -> Never:
    raise bad_body("json: cannot unmarshal null into an object")


def _empty_refused(*_: Any) -> Never:
    raise RefusalError("NO_BODY_ERR")


def _in_any_case(found: Key | None, call: Call) -> Key | None:
    index, wanted = call.instance.alias_index, call.args["id"].lower()
    return found or next((call.instance.find(alias) for alias in index if alias.lower() == wanted), None)


def _only_by_id(key: Key, call: Call) -> Key:
    if key.id != call.args["id"]:
        raise unknown_key()
    return key


def _ring_in_any_case(lawful: RuleLike, call: Call) -> Any:
    wanted = (call.ring or DEFAULT_RING).lower()
    return next((ring for ring in call.instance.rings if ring.lower() == wanted), None) or lawful(call)


def _bounds_of(member: str) -> Test:
    return lambda _, __, name, ___: name == member


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("imported-key-state-ignored", (_STATE,), "A suspended or destroyed key works on if it was imported.", unchecked(actions.check_state, lambda _, key, __, action, **___: action in actions.USES and key.imported)),
    ("rotated-key-state-ignored", (_STATE,), "A suspended or destroyed key works on if it was rotated.", unchecked(actions.check_state, lambda _, key, __, action, **___: action in actions.USES and len(key.versions) > 1)),
    ("old-form-state-ignored", (_STATE,), "The older form of the path does not look at the key's state.", unchecked(actions.check_state, lambda call, _, __, action, **___: action in actions.USES and call.old_form)),
    ("imported-standard-key-is-root", (_ROOT,), "An imported standard key is taken for a root key.", unchecked(actions.require_root_key, lambda _, key, __: key.imported)),
    ("old-form-without-wait", (_EARLY,), "The older form of enabling and restoring asks for no 30 seconds.", unchecked(keys.check_settled, lambda call, *_: call.old_form)),
    ("second-enable-without-wait", (_EARLY,), "The 30 seconds count the first time only.", unchecked(keys.check_settled, lambda _, key, span: span == "settle-before-enable" and key.state_before == State.SUSPENDED), then(actions.enable, lambda call: changed(call.key(), state_before=State.SUSPENDED))),
    ("restore-of-suspended-key", (_STATE,), "Restoring a suspended key enables it.", on_refusal(keys.restore_living, _enabled, lambda _, key: key.state == State.SUSPENDED)),
    ("deleted-key-versions-listed", (_STATE,), "Versions of a destroyed key are listed without being asked for.", unchecked(search.check_listed, lambda _, key: key.state == State.DESTROYED)),
    ("destroyed-key-enabled", (_STATE,), "A destroyed key can be enabled once it is old enough.", in_state("enable", State.DESTROYED)),
    ("deactivated-key-disabled", (_STATE,), "A deactivated key can be disabled.", in_state("disable", State.DEACTIVATED)),
    ("suspended-key-restored-so", (), "A key that was suspended before its deletion is so when it is restored.", gives(keys.state_after_restore, lambda *_: State.SUSPENDED, lambda _, key: key.state_before == State.SUSPENDED)),
    ("cut-ciphertext-unprocessable", ("invalid-field-err",), "A ciphertext that lost its end counts as corrupted.", on_refusal(actions.decoded, corrupted, lambda _, text, name, *__, **___: name == "ciphertext" and bool(len(text) % 4))),
    ("allowed-ip-only-for-lists", ("unauthorized-err",), "The allowedIP policy holds for lists only.", unchecked(Exchange.check_caller, lambda exchange, *_: exchange.path != f"{API_ROOT}/keys")),
    ("import-token-shared", ("unauthorized-err",), "All instances have one import token.", then(import_tokens.post_import_token, _shared), gives(import_tokens.current_token, _of_any_instance)),
    ("forced-deletion-twice", ("key-deleted-err",), "A destroyed key is deleted again by force.", unchecked(keys.delete_again, lambda call, _: call.flag("force"), gives=lambda: Reply(204))),
    ("expiry-while-deleted-ignored", ("key-expired-err",), "A key that expires while it is deleted can be restored.", unchecked(keys.check_unexpired, lambda _, key: key.deleted < key.expires)),
    ("purge-by-any-manager", (), "Any manager may purge.", _role_ignored(lambda identity, operation: operation.id == "purgeKey" and "Manager" in identity.roles)),
    ("old-form-without-role", (), "The older form of the path asks for no role.", unchecked(Exchange.check_role, lambda exchange, identity, _: "Reader" in identity.roles and b"action=" in exchange.scope["query_string"])),
    ("reader-manages-names", (), "A reader may change aliases, key rings and policies.", _role_ignored(lambda identity, operation: "Reader" in identity.roles and operation.id.removeprefix("create").removeprefix("delete") in _NAMES)),
    ("outsider-wraps", ("unauthorized-err",), "Somebody without any role may wrap and unwrap.", *_open_to_all("wrapKey", "unwrapKey")),
    ("force-false-is-force", _USES, "The query parameter force counts as given, whatever its value.", instead(Call.flag, lambda *_, **__: True, lambda call, name, **_: name == "force" and call.query.get(name) not in (None, ""))),
    ("last-registration-counts", _USES, "Only the newest registration is asked whether it prevents deletion.", gives(keys.deletion_prevented, lambda _, __, key: list(key.registrations.values())[-1].prevent_deletion)),
    ("service-forces-deletion", ("resource-owner-err",), "A service deletes keys by force.", unchecked(keys.check_owner, lambda call: call.flag("force"))),
    ("destroyed-key-registered", ("key-invalid-state-err",), "A destroyed key can be registered.", unchecked(registrations.check_active, lambda _, key: key.state == State.DESTROYED)),
    ("suspended-registration-replaced", ("key-invalid-state-err",), "The registration of a suspended key can be replaced.", unchecked(registrations.check_active, lambda call, _: call.operation.id != "createRegistration")),
    ("aad-joined", (_CIPHERTEXT,), "Additional data are joined before they are bound, so other cuts are the same.", gives(actions.bound, lambda aad, _, __: ["".join(aad)])),
    ("aad-case-ignored", (_CIPHERTEXT,), "Additional data are compared without their case.", gives(actions.bound, lambda aad, _, __: [each.lower() for each in aad])),
    ("aad-first-counts", (_CIPHERTEXT,), "Only the first of the additional data is bound.", gives(actions.bound, lambda aad, _, __: aad[:1])),
    ("aad-last-counts", (_CIPHERTEXT,), "Only the last of the additional data is bound.", gives(actions.bound, lambda aad, _, __: aad[-1:])),
    ("aad-doubles-ignored", (_CIPHERTEXT,), "Additional data that come twice count once.", gives(actions.bound, lambda aad, _, __: list(dict.fromkeys(aad)))),
    ("aad-ignored-if-none-before", (_CIPHERTEXT,), "What was wrapped without additional data opens with any.", instead(actions.decrypted, _without_aad)),
    ("aad-lost-by-rewrap", (_CIPHERTEXT,), "Fresh ciphertexts are not bound to the additional data.", instead(actions.fresh, lambda lawful, call, key, plaintext, _: lawful(call, key, plaintext, []))),
    ("aad-ignored-for-imported", (_CIPHERTEXT,), "Imported keys do not bind additional data.", instead(actions.read_aad, lambda *_: [], lambda _, key, *__: key.imported)),
    ("aad-ignored-in-old-form", (_CIPHERTEXT,), "The older form of the path does not bind additional data.", gives(actions.bound, lambda *_: [], lambda call, _: call.old_form)),
    ("imported-keys-open-others", (_CIPHERTEXT,), "An imported key opens what any key of the instance has wrapped.", on_refusal(actions.decrypted, opened_by_any, lambda _, key, *__: key.imported)),
    ("rewrap-opens-others", (_CIPHERTEXT,), "Rewrap takes a ciphertext of any key of the instance.", on_refusal(actions.decrypted, opened_by_any, of_operation("rewrapKey"))),
    ("third-rotation-unlimited", (_ROTATION,), "The hour counts for the first two versions only.", unchecked(actions.check_hour, lambda _, key, __: len(key.versions) > _TWICE)),
    ("old-form-rotation-unlimited", (_ROTATION,), "The older form of rotation does not look at the hour.", unchecked(actions.check_hour, lambda call, *_: call.old_form)),
    ("hour-of-the-instance", (_ROTATION,), "One key's rotation keeps all others from being rotated.", gives(actions.last_rotation, lambda _, call, __: max((each.rotated for each in call.instance.keys.values() if each.rotated), default=None))),
    ("suspended-key-purged", ("key-action-invalid-state-err",), "A suspended key is purged.", unchecked(keys.purge_living, lambda _, key: key.state == State.SUSPENDED)),
    ("deactivated-versions-listed", ("key-action-invalid-state-err",), "The versions of a deactivated key are listed like those of an active one.", unchecked(search.check_listed, lambda _, key: key.state == State.DEACTIVATED)),
    ("attributes-unchecked", ("bad-body-err",), "Members that nobody knows are taken inside the attributes of a policy.", unchecked(instance_policies.check_known, lambda _, __, names: names in instance_policies.ATTRIBUTES.values())),
    ("replacement-keeps-members", (), "A replaced registration keeps what the replacement does not name.", gives(registrations.kept_registration, lambda _, __, old, **___: old)),
    ("rotation-by-token-unlimited", (_ROTATION,), "Rotation by token does not look at the hour.", unchecked(actions.check_hour, lambda _, __, members: members.has("encryptedNonce"))),
    ("rotation-drops-registrations", ("protected-resource-err",), "Rotating a key removes its registrations.", then(actions.add_version, lambda _, key, __: key.registrations.clear())),
    ("token-import-rotates-bare", ("key-payload-req-err",), "A key that came by token is rotated without material.", unchecked(actions.check_material_given, lambda _, key, __: key.versions[0].by_token)),
    ("purge-wait-from-creation", ("req-too-early-err",), "The four hours before a purge count from the key's creation.", gives(keys.purgeable_since, lambda _, __, key: key.created)),
    ("restore-window-from-creation", ("key-restore-expired",), "The 30 days for a restore count from the key's creation.", gives(keys.restorable_since, lambda _, __, key: key.created)),
    ("restore-leaves-ring", (), "A restored key is in the default ring.", then(keys.revive, lambda _, key: changed(key, ring=DEFAULT_RING))),
    ("deactivated-key-registered", ("key-invalid-state-err",), "A deactivated key can be registered.", unchecked(registrations.check_active, lambda _, key: key.state == State.DEACTIVATED)),
    ("first-address-range-counts", ("unauthorized-err",), "Only the first range of an allowedIP policy lets anybody in.", gives(instance_policies.allowed_ranges, lambda ranges, *_: ranges[:1])),
    ("outsider-counts-keys", ("unauthorized-err",), "HEAD on the keys asks for no role.", *_open_to_all("getKeyCollectionMetadata")),
    ("reader-syncs", (), "A reader may synchronise the services.", _role_ignored(lambda identity, operation: "Reader" in identity.roles and operation.id == "syncAssociatedResources")),
    ("reader-adds-certificates", (), "A reader may add client certificates to a KMIP adapter.", _role_ignored(lambda identity, operation: "Reader" in identity.roles and operation.id == "addKmipClientCertificate")),
    ("second-rotation-without-payload", ("key-payload-req-err",), "An imported key needs material for its first rotation only.", unchecked(actions.check_material_given, lambda _, key, __: len(key.versions) > 1)),
    ("dual-auth-imported-ignored", (_DUAL,), "Dual authorisation has no effect on imported keys.", unchecked(keys.check_authorizations, lambda _, key: key.imported)),
    ("dual-auth-standard-ignored", (_DUAL,), "Dual authorisation has no effect on standard keys.", unchecked(keys.check_authorizations, lambda _, key: key.extractable)),
    ("dual-auth-off-counts", (_DUAL,), "A disabled dual-authorisation policy holds a deletion back.", gives(keys.needs_two_users, lambda _, __, key: key.dual_auth is not None)),
    ("dual-auth-off-is-on", ("not-dual-auth-err",), "A deletion can be authorised while the policy is disabled.", unchecked(actions.check_dual_auth, lambda _, key: key.dual_auth is not None), unchecked(actions.check_state, lambda _, key, __, action, **___: action == "setKeyForDeletion" and key.dual_auth is not None)),
    ("disabled-rotation-policy-runs", (), "A rotation policy goes on after it was switched off.", gives(Instance.runs, lambda *_: True)),
    ("rotation-inherited-after-off", (), "New keys inherit a rotation policy that was switched off.", gives(key_policies.inherited_rotation, lambda _, call: call.instance.policies.get("rotation"))),
    ("dual-auth-holds-key", (), "A key whose deletion is authorised does not unwrap any more.", then(actions.check_state, _held, lambda _, key, __, action, **___: action in ("unwrap", "rewrap") and bool(key.authorized_by))),
    ("rotation-on-standard-later", (_ROOT,), "A standard key takes a rotation policy after its creation.", unchecked(key_policies.check_rotatable, of_operation("putPolicy"))),
    ("access-ignored-by-token", (_ACCESS,), "Imports by token pass the keyCreateImportAccess policy.", unchecked(key_input.check_access, lambda _, __, material: material.by_token)),
    ("access-ignored-with-policies", (_ACCESS,), "Keys with policies of their own pass the keyCreateImportAccess policy.", unchecked(key_input.check_access, of_operation("createKeyWithPoliciesOverrides"))),
    ("total-too-low-accepted", ("collection-total-mismatch-err",), "Only a total that is too high is refused.", unchecked(instance_policies.check_total, lambda _, frame: (frame.total or 0) < len(frame.resources))),
    ("policies-set-one-by-one", ("num-collection-resource-err",), "Of several policies those before the bad one are set.", gives(instance_policies.read_policy, _set_at_once)),
    ("other-policies-per-query", ("num-collection-resource-err",), "Two different policies are taken apart with ?policy=.", unchecked(instance_policies.check_single, lambda _, frame, __: frame.resources[0] != frame.resources[-1])),
    ("policy-data-unchecked", ("bad-body-err",), "Members that nobody knows are taken inside policy_data.", unchecked(instance_policies.check_known, lambda _, __, names: names == instance_policies.DATA_MEMBERS)),
    ("missing-metadata-accepted", ("bad-body-err",), "A key body without metadata is accepted.", gives(keys.creation_body, with_frame, lambda call: "metadata" not in call.body())),
    ("missing-resource-accepted", ("bad-body-err",), "A key body without resource makes a key.", gives(keys.creation_body, lambda body, _: {**body, "resources": [{"name": "a key"}]}, lambda call: not call.body().get("resources"))),
    ("limits-of-members-unchecked", (), "Names, descriptions and tags may have any length.", unchecked(key_input.check_length), unchecked(key_input.check_new_tags)),
    ("missing-ciphertext-accepted", (), "Unwrap without ciphertext is answered with 200.", on_refusal(actions.opened, lambda _, __, key, *___: (b"", key.newest, []), _no_ciphertext, codes=("INVALID_FIELD_ERR",))),
    ("null-body-refused", (), "Actions refuse null as their body.", then(keys.unexpected_body, _null_refused, lambda call: call.raw.strip() == b"null")),
    ("empty-wrap-refused", (), "Wrap refuses an empty object.", then(actions.wrap, _empty_refused, lambda call: call.json() == {})),
    ("odd-material-rotates", (), "Rotation takes material of any length.", unchecked(key_input.check_root_size, of_operation("rotateKey"))),
    ("alias-form-unchecked", (), "Aliases may have any form.", unchecked(key_input.check_new_aliases), unchecked(aliases.check_form)),
    ("alias-case-ignored", (), "Aliases are found without their case.", gives(Call.find_key, _in_any_case)),
    ("alias-of-anybody-deleted", (), "An alias is deleted through any key.", gives(aliases.key_of_deletion, lambda key, call: call.instance.find(call.args["alias"]) or key)),
    ("alias-taken-at-creation", (), "A new key takes the alias of another one.", unchecked(aliases.check_free, lambda call, _: call.operation.id != "createKeyAlias")),
    ("alias-only-for-reading", (), "An alias does not stand for the key when it is deleted or rotated.", gives(Call.key_as_is, _only_by_id, lambda call: call.operation.writes)),
    ("ring-ignored-by-actions", (), "Wrap, unwrap, rotate, disable and delete ignore the key ring header.", unchecked(Call.check_ring, lambda call, _: call.operation.method in ("POST", "DELETE"))),
    ("ring-ignored-for-aliases", (), "The key ring header does not hold for aliases.", unchecked(Call.check_ring, lambda call, key: key.id != call.args["id"])),
    ("key-moved-to-nowhere", (), "A key can be moved to a ring that does not exist.", unchecked(keys.check_ring_exists)),
    ("suspended-keys-lose-ring", (), "A ring that holds suspended keys is deleted by force.", instead(rings.check_destroyed, lambda lawful, call, held: lawful(call, [key for key in held if key.state != State.SUSPENDED]))),
    ("ring-case-ignored", (), "Key ring ids are found without their case.", instead(ring_of, _ring_in_any_case)),
    ("token-retrievals-unbounded", (), "An import token may be retrieved any number of times.", instead(import_tokens.bounded, lambda lawful, call, members, name, _: lawful(call, members, name, (-(10**6), 10**6, 1)), _bounds_of("maxAllowedRetrievals"))),
    ("token-defaults-wrong", (), "An import token lives for an hour unless something else is asked for.", instead(import_tokens.bounded, lambda lawful, call, members, name, bounds: lawful(call, members, name, (*bounds[:2], 3_600)), _bounds_of("expiration"))),
    ("nonce-unchecked-on-rotation", ("incorrect-nonce-err", "incorrect-nonce-iv-err"), "Rotation does not check the nonce.", unchecked(import_tokens.check_nonce, of_operation("rotateKey"))),
    ("dead-token-rotates", (_TOKEN,), "Rotation takes material for an expired import token.", unchecked(import_tokens.check_life, of_operation("rotateKey"))),
    ("vector-alone-imports", (), "A vector without nonce counts as an import in clear.", instead(key_input.read_by_token, lambda _, __, ___, data, **____: data, lambda _, resource, __, *, extractable: not extractable and not resource.text("encryptedNonce"))),
)  # fmt: skip

PATH_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
