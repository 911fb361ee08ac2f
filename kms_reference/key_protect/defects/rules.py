"""Defects of the rules themselves: what each lets pass, leaves out, or does otherwise."""

from __future__ import annotations

import asyncio
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Final, Never
from weakref import WeakKeyDictionary

from kms_reference.key_protect import (
    actions,
    aliases,
    crypto,
    import_tokens,
    instance_policies,
    key_input,
    key_policies,
    key_view,
    keys,
    registrations,
    rings,
    search,
)
from kms_reference.key_protect.app import Exchange
from kms_reference.key_protect.clock import DAY
from kms_reference.key_protect.crypto import NONCE_SIZE, encode_base64
from kms_reference.key_protect.defects.conditions import (
    corrupted,
    in_state,
    of_member,
    of_operation,
    opened_by_any,
    restored,
    with_frame,
    without,
)
from kms_reference.key_protect.errors import RefusalError, envelope, plain, unknown_key
from kms_reference.key_protect.iam import Identity, Issuer
from kms_reference.key_protect.instance import DEFAULT_RING, Instance, new_version
from kms_reference.key_protect.key_view import full
from kms_reference.key_protect.model import ImportToken, Key, State
from kms_reference.key_protect.wire import Call, Reply, collection, ring_of
from kms_reference.rules import Draft, Mutator, RuleLike, Rules
from kms_reference.switches import (
    Change,
    Defect,
    gives,
    instead,
    on_refusal,
    refused_but,
    skipped,
    then,
    unchecked,
)

if TYPE_CHECKING:
    from kms_reference.key_protect.wire import Collection, Members
    from kms_reference.rules import RefusedError

_ROOT = "key-root-req-err"
_STATE = "key-action-invalid-state-err"
_EARLY = "req-too-early-err"
_ROTATION = "key-rotation-not-permitted"
_ACCESS = "key-create-import-access-err"
_TOKEN = "import-token-expired-err"  # noqa: S105 - an anchor of the page
_CIPHERTEXT = "unprocessable-ciphertext-err"
_DUAL = "authorizations-not-met"
_USES = ("protected-resource-err", "prev-key-del-err")

_SEALED: Final = b"sealed:"
_REQUEST: Final = "Request could not be processed"
_REPLACED: Final[WeakKeyDictionary[Instance, list[ImportToken]]] = WeakKeyDictionary()
"""The import tokens of an instance that newer ones have replaced."""


# -- bodies and access -------------------------------------------------------------------------------


def _first_resource(body: dict[str, Any], _: Call) -> dict[str, Any]:
    resources = body.get("resources")
    return {**body, "resources": resources[:1]} if isinstance(resources, list) else body


def _set_before_checks(lawful: RuleLike, call: Call, frame: Collection) -> None:
    kind = call.query.get("policy")
    if kind is not None:
        instance_policies.set_policy(call, kind, enabled=False, attributes={})
    lawful(call, frame)


def _echo_text(
    lawful: RuleLike, call: Call, text: str, name: str, must_be: str, *rest: Any, **more: Any
) -> Any:
    return lawful(call, text, name, f"{must_be}: {text}", *rest, **more)


def _as_manager(_: RefusedError, issuer: Issuer, __: str | None) -> Identity:
    return issuer.named("manager")


def _of_any_instance(found: Key | None, call: Call) -> Key | None:
    others = (other.find(call.args["id"]) for other in call.server_state.instances.values())
    return found or next((key for key in others if key is not None), None)


def _all_policies(lawful: RuleLike, call: Call) -> Any:
    lawful(call)
    query, call.query = call.query, {}
    reply, call.query = lawful(call), query
    return reply


def _keep_attributes(
    lawful: RuleLike, call: Call, name: str, *, enabled: bool, attributes: dict[str, Any]
) -> None:
    old = call.instance.policies.get(name)
    lawful(call, name, enabled=enabled, attributes=attributes or (old.attributes if old else {}))


def _rights_of_old(_: dict[str, Any], call: Call) -> dict[str, Any]:
    policy = call.instance.policies.get("keyCreateImportAccess")
    return policy.attributes if policy is not None else {}


def _right_ignored(right: str) -> Change:
    return unchecked(key_input.check_right, lambda _, __, name: name == right)


# -- states and deletion -----------------------------------------------------------------------------


def _on_standard_key(name: str) -> Change:
    return unchecked(actions.require_root_key, lambda _, __, action: action == name)


def _activate(call: Call, key: Key, _: str) -> None:
    key.state = State.ACTIVE
    call.instance.touch(key)


def _undestroyed(call: Call, key: Key) -> None:
    key.state = key.state_before
    call.instance.touch(key)


def _unknown(*_: Any) -> Never:
    raise unknown_key()


def _protected(*_: Any) -> Never:
    raise RefusalError("PROTECTED_RESOURCE_ERR")


def _destroyed_all_the_same(call: Call, key: Key) -> None:
    key.state_before, key.state = key.state, State.DESTROYED
    key.deleted, key.deleted_by, key.acted = call.now, call.identity.iam_id, call.now
    call.instance.touch(key)


# -- rotation and wrapping ---------------------------------------------------------------------------


async def _read_early(lawful: RuleLike, exchange: Exchange, call: Call) -> None:
    await lawful(exchange, call)
    if call.operation.id == "rotateKey":
        key = call.instance.find(call.args["id"])
        call.stale["rotated"] = key.rotated if key is not None else None
        await asyncio.sleep(0.05)


def _rotate(call: Call, key: Key, _: Members) -> None:
    new_version(key, call.now, token_bytes(32), by_token=False)
    call.instance.touch(key)


def _failed(*_: Any) -> Never:
    raise plain(500, "Unwrap with key could not be performed")


def _sealed_without_nonce(_: RuleLike, call: Call, version: Any, plaintext: bytes, aad: list[str]) -> str:
    return crypto.seal(version.material, version.id, plaintext, actions.bound(call, aad), bytes(NONCE_SIZE))


def _other_plaintext(reply: Reply, _: Call) -> Reply:
    plaintext = crypto.decode_base64(reply.body["plaintext"])
    reply.body["plaintext"] = encode_base64(bytes(byte ^ 1 for byte in plaintext))
    return reply


def _with_plaintext(reply: Reply, call: Call) -> Reply:
    plaintext, *_ = actions.opened(call, call.key(), "rewrap", actions.REWRAP_SUBJECT)
    reply.body["plaintext"] = encode_base64(plaintext)
    return reply


# -- import tokens and lists -------------------------------------------------------------------------


def _remember_token(lawful: RuleLike, call: Call) -> Any:
    old, reply = call.instance.import_token, lawful(call)
    if old is not None:
        _REPLACED.setdefault(call.instance, []).append(old)
    return reply


def _decrypted_by_old(lawful: RuleLike, call: Call, token: ImportToken, payload: bytes) -> bytes | None:
    opened = (lawful(call, each, payload) for each in (token, *_REPLACED.get(call.instance, ())))
    return next((found for found in opened if found is not None), None)


def _with_private_key(reply: Reply, call: Call) -> Reply:
    token = call.instance.import_token
    assert token is not None
    reply.body["privateKey"] = encode_base64(token.private_pem.encode())
    return reply


def _one_more(reply: Reply, _: Call) -> Reply:
    reply.headers["Key-Total"] = str(int(reply.headers["Key-Total"]) + 1)
    return reply


# -- now and then ------------------------------------------------------------------------------------


def _every_fifth_refusal() -> Mutator:
    refusals = 0

    def mutate(draft: Draft) -> None:
        nonlocal refusals
        refusals += draft.refused
        if draft.refused and refusals % 5 == 0:
            draft.status, draft.body, draft.refused = 204, None, False

    return mutate


def _every_seventh_request() -> Mutator:
    served = 0

    def mutate(draft: Draft) -> None:
        nonlocal served
        served += 1
        if served % 7 == 0:
            draft.status, draft.refused, draft.code = 500, True, None
            draft.body = envelope(plain(500, _REQUEST), _REQUEST, Rules())

    return mutate


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    # Bodies and their frame
    ("two-keys-accepted", ("bad-body-err",), "A request with two keys creates the first of them.", gives(keys.creation_body, _first_resource)),
    ("empty-metadata-accepted", ("bad-body-err",), "A body with empty metadata is accepted.", gives(keys.creation_body, with_frame, lambda call: not call.body().get("metadata"))),
    ("unknown-member-accepted", ("bad-body-err",), "Instance policies take members that nobody knows.", unchecked(instance_policies.check_known)),
    ("garbage-body-is-no-body", ("bad-body-err",), "A body that is not JSON counts as no body.", unchecked(Call.json)),
    ("policy-given-twice", ("bad-body-err",), "The same instance policy may be given twice in one request.", unchecked(instance_policies.check_once)),
    ("collection-total-unchecked", ("collection-total-mismatch-err",), "The total of a policy collection is not compared.", unchecked(instance_policies.check_total)),
    ("policy-type-mismatch-accepted", ("body-query-param-mismatch-err",), "The policy in the body may differ from the one in the query.", unchecked(instance_policies.check_kind)),
    ("several-policies-per-query", ("num-collection-resource-err",), "Several policies are taken with ?policy=.", unchecked(instance_policies.check_single)),
    ("refused-policy-is-set", ("body-query-param-mismatch-err", "num-collection-resource-err", "collection-total-mismatch-err"), "A refused instance policy is set all the same.", instead(instance_policies.check_members, _set_before_checks)),
    ("missing-body-is-empty-object", ("no-body-err",), "Unwrap and rewrap take a missing body for an empty object.", unchecked(actions.require_body)),
    ("bad-plaintext-accepted", ("invalid-field-err",), "Wrap takes a plaintext that is not base64.", on_refusal(actions.decoded, lambda _, __, text, *___, **____: text.encode(), of_member("plaintext"))),
    ("bad-ciphertext-unprocessable", ("invalid-field-err",), "A ciphertext that is not base64 counts as corrupted (422).", on_refusal(actions.decoded, corrupted, of_member("ciphertext"))),
    ("refusal-echoes-request", ("invalid-field-err",), "The message about a bad plaintext or ciphertext repeats it.", instead(actions.decoded, _echo_text)),
    ("material-of-any-size", (), "Root keys may have material of any size.", unchecked(key_input.check_root_size)),
    ("past-expiration-accepted", (), "A key may be created with an expiration date in the past.", unchecked(key_input.check_future)),
    # Access
    ("bearer-garbage-let-in", ("bearer-sub-extraction-err",), "An unreadable bearer token counts as the manager's.", on_refusal(Issuer.authenticate, _as_manager, codes=("BEARER_SUB_EXTRACTION_ERR",))),
    ("bearer-signature-unchecked", ("unauthorized-err",), "Tokens with a wrong signature are accepted.", gives(Issuer.signed, lambda *_: True)),
    ("expired-bearer-accepted", ("unauthorized-err",), "Expired tokens are accepted.", gives(Issuer.is_over, lambda *_: False)),
    ("outsider-let-in", ("unauthorized-err",), "Somebody without any role may read.", unchecked(Exchange.check_member), unchecked(Exchange.check_role, lambda _, identity, operation: not identity.roles and not operation.writes)),
    ("missing-bearer-let-in", ("unauthorized-err",), "A request without a token counts as the manager's.", on_refusal(Issuer.authenticate, _as_manager, lambda _, authorization: authorization is None)),
    ("reader-may-write", ("unauthorized-err",), "A reader may do everything.", unchecked(Exchange.check_role, lambda _, identity, __: identity.name == "reader")),
    ("purge-without-role", (), "Purging needs no role of its own.", unchecked(Exchange.check_role, lambda _, __, operation: operation.id == "purgeKey")),
    ("allowed-ip-ignored", ("unauthorized-err",), "The allowedIP policy has no effect.", unchecked(instance_policies.check_allowed_ip)),
    ("allowed-network-ignored", ("unauthorized-err",), "The allowedNetwork policy has no effect.", unchecked(instance_policies.check_allowed_network)),
    ("instance-header-unchecked", (), "A missing or malformed instance header is forgiven.", unchecked(Exchange.instance_id, gives=lambda: "00000000-0000-0000-0000-000000000000")),
    ("instances-share-keys", ("unauthorized-err",), "A key can be used through any other instance.", gives(Call.find_key, _of_any_instance)),
    ("service-deletes-key", ("resource-owner-err",), "A service may delete keys.", unchecked(keys.check_owner)),
    ("user-writes-registration", ("service-only-err",), "Users may write registrations.", unchecked(Exchange.check_service)),
    ("config-rule-ignored", ("config_rule_conflict_err",), "Configuration rules have no effect.", unchecked(Exchange.check_configuration)),
    ("feature-restriction-ignored", ("feature-restricted-err",), "A restricted feature can be used.", unchecked(instance_policies.check_available)),
    # State
    ("disable-does-nothing", (_STATE, _EARLY), "Disabling is answered with 204 and has no effect.", skipped(actions.suspend)),
    ("enable-does-nothing", (_EARLY,), "Enabling is answered with 204 and has no effect.", skipped(actions.resume)),
    ("disable-on-disabled-key", (_STATE,), "A disabled key can be disabled again.", in_state("disable", State.SUSPENDED)),
    ("disable-on-deleted-key", (_STATE,), "A deleted key can be disabled.", in_state("disable", State.DESTROYED)),
    ("enable-in-any-state", (_STATE,), "An active or expired key can be enabled once it is old enough.", in_state("enable", *actions.OPENING)),
    ("wrap-on-disabled-key", (_STATE,), "A disabled key wraps.", in_state("wrap", State.SUSPENDED)),
    ("unwrap-on-disabled-key", (_STATE,), "A disabled key unwraps.", in_state("unwrap", State.SUSPENDED)),
    ("rewrap-on-disabled-key", (_STATE,), "A disabled key rewraps.", in_state("rewrap", State.SUSPENDED)),
    ("rotate-on-disabled-key", (_STATE,), "A disabled key can be rotated.", in_state("rotate", State.SUSPENDED)),
    ("wrap-in-any-state", (_STATE,), "An expired key wraps.", in_state("wrap", *actions.OPENING)),
    ("wrap-on-deleted-key", (_STATE, "key-deleted-err"), "A deleted key wraps.", in_state("wrap", State.DESTROYED)),
    ("unwrap-on-deleted-key", (_STATE, "key-deleted-err"), "A deleted key unwraps.", in_state("unwrap", State.DESTROYED)),
    ("rotate-on-deleted-key", (_STATE, "key-deleted-err"), "A deleted key can be rotated.", in_state("rotate", State.DESTROYED)),
    ("versions-in-any-state", (_STATE,), "Versions of a disabled key are listed without being asked for.", unchecked(search.check_listed)),
    ("disable-on-standard-key", (_ROOT,), "A standard key can be disabled.", _on_standard_key("disable")),
    ("enable-on-standard-key", (_ROOT,), "Enabling a standard key is judged by its state, not its kind.", _on_standard_key("enable")),
    ("rotate-on-standard-key", (_ROOT,), "A standard key can be rotated.", _on_standard_key("rotate")),
    ("wrap-on-standard-key", (_ROOT,), "A standard key wraps.", _on_standard_key("wrap")),
    ("unwrap-on-standard-key", (_ROOT,), "A standard key unwraps.", _on_standard_key("unwrap")),
    ("rewrap-on-standard-key", (_ROOT,), "A standard key rewraps.", _on_standard_key("rewrap")),
    ("rotation-policy-on-standard-key", (_ROOT,), "A standard key takes a rotation policy.", unchecked(key_policies.check_rotatable)),
    ("expired-key-stays-active", ("key-expired-err", _STATE), "Expiry has no effect on the state.", skipped(Instance.expire)),
    ("refused-enable-enables", (_EARLY,), "A key is enabled although the request was refused as too early.", refused_but(keys.check_settled, _activate, lambda _, __, span: span == "settle-before-enable")),
    ("corruption-unnoticed", ("incomplete-metadata-err",), "A key with corrupt metadata is read as if nothing were.", unchecked(Call.check_intact)),
    # Deletion, restoring, purging
    ("deleted-twice", ("key-deleted-err",), "Deleting a deleted key succeeds.", unchecked(keys.delete_again, gives=lambda: Reply(204))),
    ("deleted-key-keeps-state", ("key-deleted-err", _STATE), "Deletion is answered with 204 and has no effect.", then(keys.destroy, _undestroyed)),
    ("after-restart-deleted-twice", ("key-deleted-err",), "After a restart, deleting a deleted key succeeds.", unchecked(keys.delete_again, lambda call, _: call.server_state.restarted, gives=lambda: Reply(204))),
    ("deleted-key-not-found", ("key-deleted-err",), "A deleted key counts as unknown when it is deleted again (404).", on_refusal(keys.delete_again, _unknown)),
    ("deleted-keys-listed", (), "Deleted keys are listed without being asked for.", gives(search.tests_by_default, lambda *_: [])),
    ("dual-auth-ignored", (_DUAL, "key-delete-err"), "Dual authorisation has no effect on deletion.", unchecked(keys.check_authorizations)),
    ("dual-auth-by-one-user", (_DUAL,), "One user may give both authorisations.", gives(keys.authorized_before, lambda _, call, key: call.instance.authorized(key, call.now))),
    ("dual-auth-not-inherited", (_DUAL,), "New keys do not inherit dual authorisation from the instance.", gives(key_policies.inherits_dual_auth, lambda *_: False)),
    ("dual-auth-switched-off", (_DUAL,), "Dual authorisation of a key can be switched off.", unchecked(key_policies.check_stays_on)),
    ("authorization-not-kept", (_DUAL,), "setKeyForDeletion is answered with 204 and has no effect.", skipped(actions.authorize)),
    ("authorization-not-withdrawn", (_DUAL,), "unsetKeyForDeletion is answered with 204 and has no effect.", skipped(actions.withdraw)),
    ("refused-deletion-deletes", (_DUAL, "key-delete-err"), "A key is deleted although the second authorisation is missing.", refused_but(keys.check_authorizations, _destroyed_all_the_same)),
    ("single-auth-key-scheduled", ("not-dual-auth-err",), "A key without dual authorisation can be set for deletion.", unchecked(actions.check_dual_auth)),
    ("unset-without-dual-auth", ("not-dual-auth-err",), "Only setKeyForDeletion asks for the policy, unset does not.", unchecked(actions.check_dual_auth, of_operation("unsetKeyForDeletion"))),
    ("registrations-ignored", (_USES[0], "key-delete-err"), "A registered key is deleted without force.", unchecked(keys.check_registrations)),
    ("force-not-enough", (_USES[0],), "A registered key is not deleted with force either.", then(keys.check_retention, _protected)),
    ("retention-ignored", (_USES[1], "key-delete-err"), "A key under a retention policy is deleted with force.", unchecked(keys.check_retention)),
    ("kmip-key-deleted", (), "A key that serves a KMIP adapter can be deleted.", unchecked(keys.check_adapters)),
    ("restore-of-live-key", (_STATE,), "Restoring a living key succeeds.", on_refusal(keys.restore_living, lambda _, call, key: restored(call, key))),
    ("expired-key-restored", ("key-expired-err",), "An expired key can be restored.", unchecked(keys.check_unexpired)),
    ("generated-key-restored", ("key-impt-req-err",), "A generated key can be restored in the page's edition.", unchecked(keys.check_imported)),
    ("restored-key-stays-destroyed", (), "Restoring is answered with 201 and has no effect.", gives(keys.state_after_restore, lambda *_: State.DESTROYED)),
    ("purge-of-live-key", (_STATE,), "A living key can be purged.", unchecked(keys.purge_living)),
    ("purged-key-remains", (), "Purging is answered as done and has no effect.", skipped(keys.forget)),
    # Rotation and versions
    ("rotation-unlimited", (_ROTATION,), "A key can be rotated as often as one likes.", unchecked(actions.check_hour)),
    ("rotation-unlimited-for-imported", (_ROTATION,), "An imported key can be rotated as often as one likes.", unchecked(actions.check_hour, lambda _, key, __: key.imported)),
    ("rotation-unlimited-for-generated", (_ROTATION,), "A generated key can be rotated as often as one likes.", unchecked(actions.check_hour, lambda _, key, __: not key.imported)),
    ("first-rotation-waits", (_ROTATION,), "The hour runs from creation, so the first rotation is refused.", gives(actions.last_rotation, lambda last, _, key: key.created if last is None else last)),
    ("rotation-race", (_ROTATION,), "Two rotations at the same time both succeed.", instead(Exchange.prepare, _read_early), gives(actions.last_rotation, lambda last, call, _: call.stale.get("rotated", last))),
    ("refused-rotation-rotates", (_ROTATION,), "A rotation is refused and done.", refused_but(actions.check_hour, _rotate)),
    ("rotation-without-new-version", (_ROTATION,), "Rotation is answered with 204 and makes no version.", skipped(actions.add_version)),
    ("old-versions-lost", (_ROTATION,), "Ciphertexts from before a rotation no longer open.", then(actions.add_version, lambda _, key, __: key.versions.__delitem__(slice(None, -1)))),
    ("imported-key-rotated-without-payload", ("key-payload-req-err",), "An imported key is rotated without new material.", unchecked(actions.check_material_given)),
    ("generated-key-takes-payload", ("key-payload-req-err",), "A generated key is rotated with material from outside.", unchecked(actions.check_material_wanted)),
    ("rotation-policy-never-runs", (), "Rotation policies have no effect.", skipped(Instance.rotate_by_policy)),
    ("any-rotation-interval", ("invalid-field-err",), "Rotation policies take any interval.", unchecked(key_policies.check_interval)),
    ("versions-oldest-first", (), "Versions are listed oldest first.", gives(search.version_views, lambda views, *_: views[::-1])),
    # Wrapping
    ("aad-ignored", (_CIPHERTEXT,), "Additional authenticated data are not bound to the ciphertext.", gives(actions.bound, lambda *_: [])),
    ("aad-order-ignored", (_CIPHERTEXT,), "The order of additional authenticated data does not matter.", gives(actions.bound, lambda aad, *_: sorted(aad))),
    ("other-keys-open", (_CIPHERTEXT,), "Any key of the instance opens any ciphertext.", on_refusal(actions.decrypted, opened_by_any)),
    ("tampering-unnoticed", (_CIPHERTEXT,), "A tampered ciphertext gives some plaintext instead of a refusal.", on_refusal(actions.decrypted, lambda _, __, key, *___: (token_bytes(32), key.newest))),
    ("tampering-is-internal", (_CIPHERTEXT,), "A tampered ciphertext gives a server error.", on_refusal(actions.decrypted, _failed)),
    ("ciphertext-repeats", (_CIPHERTEXT,), "The same plaintext always gives the same ciphertext.", instead(actions.sealed, _sealed_without_nonce)),
    ("ciphertext-shows-plaintext", (_CIPHERTEXT,), "The ciphertext is the plaintext in another dress.", instead(actions.sealed, lambda _, __, ___, plaintext, ____: encode_base64(_SEALED + plaintext)), on_refusal(actions.decrypted, lambda _, __, key, raw, *___: (raw.removeprefix(_SEALED), key.newest), lambda _, __, raw, *___: raw.startswith(_SEALED))),
    ("unwrap-returns-other-plaintext", (), "Unwrap returns another plaintext than was wrapped.", gives(actions.unwrap, _other_plaintext)),
    ("no-fresh-ciphertext", (), "Unwrapping an old ciphertext gives no fresh one.", gives(actions.unwrap, lambda reply, _: without(reply, "ciphertext", "rewrappedKeyVersion"))),
    ("made-plaintext-not-returned", (), "A plaintext that wrap made is not returned.", gives(actions.wrap, lambda reply, _: without(reply, "plaintext"))),
    ("wraps-with-oldest-version", (_ROTATION,), "After a rotation, wrap still uses the first version.", gives(actions.wrapping_version, lambda _, __, key: key.versions[0])),
    ("rewrap-shows-plaintext", ("invalid_sig_exp_err",), "Rewrap shows the plaintext.", gives(actions.rewrap, _with_plaintext)),
    ("bad-signature-unnoticed", ("invalid_sig_exp_err",), "Rewrap does not check signatures.", unchecked(actions.check_signature)),
    # Import
    ("create-import-access-ignored", (_ACCESS,), "The keyCreateImportAccess policy has no effect.", unchecked(key_input.check_access)),
    ("create-import-access-outlives-policy", (_ACCESS,), "The keyCreateImportAccess policy still works after it was disabled.", gives(key_input.access_rights, _rights_of_old), instead(instance_policies.set_policy, _keep_attributes)),
    ("create-root-key-ignored", (_ACCESS,), "create_root_key has no effect.", _right_ignored("create_root_key")),
    ("create-standard-key-ignored", (_ACCESS,), "create_standard_key has no effect.", _right_ignored("create_standard_key")),
    ("import-root-key-ignored", (_ACCESS,), "import_root_key has no effect.", _right_ignored("import_root_key")),
    ("import-standard-key-ignored", (_ACCESS,), "import_standard_key has no effect.", _right_ignored("import_standard_key")),
    ("enforce-token-ignored", (_ACCESS,), "enforce_token has no effect.", unchecked(key_input.check_token_used), unchecked(actions.check_enforced_token)),
    ("refused-creation-leaves-key", (_ACCESS,), "A refused creation leaves the key behind.", refused_but(key_input.check_access, lambda call, key, _: call.instance.add(key))),
    ("expired-token-retrieved", (_TOKEN,), "An expired import token can be fetched.", unchecked(import_tokens.check_life, of_operation("getImportToken"))),
    ("expired-token-imports", (_TOKEN,), "An expired import token can be used.", unchecked(import_tokens.check_life, lambda call, _: call.operation.id != "getImportToken")),
    ("retrievals-not-counted", (_TOKEN,), "Fetching an import token does not count.", skipped(import_tokens.count_retrieval)),
    ("retrievals-unlimited", (_TOKEN,), "An import token can be fetched more often than allowed.", unchecked(import_tokens.check_retrievals)),
    ("replaced-token-imports", ("incorrect-nonce-err",), "A replaced import token's public key still works.", instead(import_tokens.post_import_token, _remember_token), instead(import_tokens.decrypt, _decrypted_by_old)),
    ("stale-nonce-accepted", ("incorrect-nonce-err",), "The nonce of an earlier import token is accepted.", unchecked(import_tokens.check_nonce, codes=("INCORRECT_NONCE_ERR",))),
    ("nonce-repeats", ("incorrect-nonce-err",), "All import tokens have the same nonce.", gives(import_tokens.new_nonce, lambda *_: bytes(NONCE_SIZE))),
    ("nonce-iv-unchecked", ("incorrect-nonce-iv-err",), "A nonce that does not open is accepted.", unchecked(import_tokens.check_nonce, codes=("INCORRECT_NONCE_IV_ERR",))),
    ("private-key-shown", ("import-token-expired-err",), "The import token shows its private key.", gives(import_tokens.get_import_token, _with_private_key)),
    # Registrations
    ("inactive-key-registered", ("key-invalid-state-err",), "A key that is not active can be registered.", unchecked(registrations.check_active)),
    ("standard-key-registered", ("key-root-req-reg-err",), "A standard key can be registered.", unchecked(registrations.check_root_key)),
    ("older-version-registered", ("key-version-invalid",), "A registration may go back to an older key version.", unchecked(registrations.check_version)),
    # Policies, lists, names
    ("instance-policy-not-kept", (_ACCESS,), "Instance policies are answered with 204 and not kept.", skipped(instance_policies.set_policy)),
    ("policy-query-ignored", (), "Reading one instance policy returns all.", instead(instance_policies.get_instance_policies, _all_policies)),
    ("root-key-payload-shown", (), "Reading a root key shows its material.", gives(key_view.shows_material, lambda *_: True)),
    ("payload-in-metadata", (), "Metadata of a standard key show its material.", instead(keys.get_key_metadata, lambda _, call: Reply(200, collection("key+json", [full(call, call.key(), payload=True)])))),
    ("payload-in-list", (), "Key lists show the material of standard keys.", instead(search.shown_in_list, lambda _, call, found: [full(call, key, payload=True) for key in found])),
    ("limit-ignored", (), "Lists ignore the limit.", instead(search.page_of, lambda _, __, found, offset, ___: found[offset:])),
    ("offset-ignored", (), "Lists ignore the offset.", instead(search.page_of, lambda _, __, found, ___, limit: found[:limit])),
    ("limit-out-of-range-accepted", (), "A limit out of range is accepted.", instead(search.page, lambda _, call, __, default: (call.number("offset", 0, None, 0), call.number("limit", -(10**6), None, default)))),
    ("unknown-sort-accepted", (), "An unknown order is accepted.", unchecked(search.check_order)),
    ("key-total-wrong", (), "HEAD on the keys counts one too many.", gives(search.head_keys, _one_more)),
    ("alias-used-twice", (), "Two keys may have the same alias.", unchecked(aliases.check_free)),
    ("alias-outlives-deletion", (), "A deleted alias still leads to the key.", skipped(aliases.release)),
    ("key-ring-header-ignored", (), "The key ring header has no effect on lookups.", unchecked(Call.check_ring), gives(search.ring_of_list, lambda *_: None)),
    ("unknown-key-ring-accepted", (), "A key created in an unknown ring goes to the default ring.", unchecked(ring_of, gives=lambda: DEFAULT_RING)),
    ("full-key-ring-deleted", (), "A key ring with keys can be deleted.", unchecked(rings.check_empty), unchecked(rings.check_destroyed)),
    ("default-ring-missing", (), "The default key ring is not listed.", gives(rings.ring_views, lambda views, _: views[1:])),
    ("key-not-moved", (), "Moving a key to another ring is answered with 200 and has no effect.", skipped(keys.move)),
)  # fmt: skip

_HOUR = 3_600.0
_TIMES: Final[tuple[tuple[str, str, float, tuple[str, ...], str], ...]] = (
    ("enable-without-wait", "settle-before-enable", 0, (_EARLY,), "A key can be enabled right after it was disabled."),
    ("enable-after-20-seconds", "settle-before-enable", 20, (_EARLY,), "20 seconds are enough before enabling."),
    ("enable-after-45-seconds", "settle-before-enable", 45, (_EARLY,), "45 seconds are needed before enabling."),
    ("restore-without-wait", "settle-before-restore", 0, (_EARLY,), "A key can be restored right after it was deleted."),
    ("restore-after-20-seconds", "settle-before-restore", 20, (_EARLY,), "20 seconds are enough before restoring."),
    ("restore-after-45-seconds", "settle-before-restore", 45, (_EARLY,), "45 seconds are needed before restoring."),
    ("rotation-after-50-minutes", "rotation-interval", 3_000, (_ROTATION,), "50 minutes are enough between rotations."),
    ("rotation-after-70-minutes", "rotation-interval", 4_200, (_ROTATION,), "70 minutes are needed between rotations."),
    ("restore-window-29-days", "restore-window", 29 * DAY, ("key-restore-expired",), "Keys can be restored for 29 days only."),
    ("restore-window-31-days", "restore-window", 31 * DAY, ("key-restore-expired",), "Keys can be restored for 31 days."),
    ("restore-window-unlimited", "restore-window", 3_650 * DAY, ("key-restore-expired",), "Keys can be restored at any time."),
    ("purge-without-wait", "purge-wait", 0, (_EARLY,), "A deleted key can be purged at once."),
    ("purge-after-3-hours", "purge-wait", 3 * _HOUR, (_EARLY,), "Three hours are enough before purging."),
    ("purge-after-5-hours", "purge-wait", 5 * _HOUR, (_EARLY,), "Five hours are needed before purging."),
    ("auto-purge-after-40-days", "auto-purge", 40 * DAY, (), "Deleted keys are gone after 40 days."),
    ("auto-purge-never", "auto-purge", 36_500 * DAY, (), "Deleted keys are never gone."),
    ("dual-auth-window-1-day", "dual-auth-window", DAY, (_DUAL,), "An authorisation to delete lapses after a day."),
    ("dual-auth-window-unlimited", "dual-auth-window", 3_650 * DAY, (_DUAL,), "An authorisation to delete never lapses."),
    ("import-token-outlives-its-life", "import-token-grace", 900, (_TOKEN,), "Import tokens live 15 minutes longer than they say."),
    ("import-token-dies-early", "import-token-grace", -120, (_TOKEN,), "Import tokens die two minutes before they say."),
    ("sync-unlimited", "sync-interval", 0, (_EARLY,), "Sync can be asked for at any time."),
    ("sync-after-2-hours", "sync-interval", 2 * _HOUR, (_EARLY,), "Sync is possible once in two hours only."),
    ("expiry-after-3-hours", "expiry-sweep", 3 * _HOUR, ("key-expired-err", _STATE), "Keys expire three hours late."),
)  # fmt: skip

RULE_DEFECTS: Final = (
    *(Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS),
    Defect(
        "every-fifth-refusal-succeeds",
        "Every fifth refusal of a server is answered with 204.",
        counting=_every_fifth_refusal,
    ),
    Defect(
        "every-seventh-request-fails",
        "Every seventh request is answered with a server error.",
        counting=_every_seventh_request,
    ),
    *(Defect(name, doc, sections, times={span: seconds}) for name, span, seconds, sections, doc in _TIMES),
)
