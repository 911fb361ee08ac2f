"""Defects that show only for some keys, on some road, on a later page, or in what is left after the reply.

Most of them act on what the instance holds once the reply is decided. The others are names that the code asks for, at
the line that they break; `_ASKED` lists them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from kms_reference.key_protect.clock import stamp
from kms_reference.key_protect.crypto import NONCE_SIZE, encode_base64
from kms_reference.key_protect.key_policies import renewed
from kms_reference.key_protect.model import State
from kms_reference.rules import Defect

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.wire import Call
    from kms_reference.rules import Draft, Mutator

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

_ASKED: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("imported-key-state-ignored", (_STATE,), "A suspended or destroyed key works on if it was imported."),
    ("rotated-key-state-ignored", (_STATE,), "A suspended or destroyed key works on if it was rotated."),
    ("old-form-state-ignored", (_STATE,), "The older form of the path does not look at the key's state."),
    ("imported-standard-key-is-root", (_ROOT,), "An imported standard key is taken for a root key."),
    ("old-form-without-wait", (_EARLY,), "The older form of enabling and restoring asks for no 30 seconds."),
    ("second-enable-without-wait", (_EARLY,), "The 30 seconds count the first time only."),
    ("restore-of-suspended-key", (_STATE,), "Restoring a suspended key enables it."),
    ("deleted-key-versions-listed", (_STATE,), "Versions of a destroyed key are listed without being asked for."),
    ("destroyed-key-enabled", (_STATE,), "A destroyed key can be enabled once it is old enough."),
    ("deactivated-key-disabled", (_STATE,), "A deactivated key can be disabled."),
    ("suspended-key-restored-so", (), "A key that was suspended before its deletion is so when it is restored."),
    ("cut-ciphertext-unprocessable", ("invalid-field-err",), "A ciphertext that lost its end counts as corrupted."),
    ("allowed-ip-only-for-lists", ("unauthorized-err",), "The allowedIP policy holds for lists only."),
    ("import-token-shared", ("unauthorized-err",), "All instances have one import token."),
    ("forced-deletion-twice", ("key-deleted-err",), "A destroyed key is deleted again by force."),
    ("expiry-while-deleted-ignored", ("key-expired-err",), "A key that expires while it is deleted can be restored."),
    ("purge-by-any-manager", (), "Any manager may purge."),
    ("old-form-without-role", (), "The older form of the path asks for no role."),
    ("reader-manages-names", (), "A reader may change aliases, key rings and policies."),
    ("outsider-wraps", ("unauthorized-err",), "Somebody without any role may wrap and unwrap."),
    ("force-false-is-force", _USES, "The query parameter force counts as given, whatever its value."),
    ("last-registration-counts", _USES, "Only the newest registration is asked whether it prevents deletion."),
    ("service-forces-deletion", ("resource-owner-err",), "A service deletes keys by force."),
    ("destroyed-key-registered", ("key-invalid-state-err",), "A destroyed key can be registered."),
    ("suspended-registration-replaced", ("key-invalid-state-err",), "The registration of a suspended key can be replaced."),
    ("aad-joined", (_CIPHERTEXT,), "Additional data are joined before they are bound, so other cuts are the same."),
    ("aad-case-ignored", (_CIPHERTEXT,), "Additional data are compared without their case."),
    ("aad-first-counts", (_CIPHERTEXT,), "Only the first of the additional data is bound."),
    ("aad-last-counts", (_CIPHERTEXT,), "Only the last of the additional data is bound."),
    ("aad-doubles-ignored", (_CIPHERTEXT,), "Additional data that come twice count once."),
    ("aad-ignored-if-none-before", (_CIPHERTEXT,), "What was wrapped without additional data opens with any."),
    ("aad-lost-by-rewrap", (_CIPHERTEXT,), "Fresh ciphertexts are not bound to the additional data."),
    ("aad-ignored-for-imported", (_CIPHERTEXT,), "Imported keys do not bind additional data."),
    ("aad-ignored-in-old-form", (_CIPHERTEXT,), "The older form of the path does not bind additional data."),
    ("imported-keys-open-others", (_CIPHERTEXT,), "An imported key opens what any key of the instance has wrapped."),
    ("rewrap-opens-others", (_CIPHERTEXT,), "Rewrap takes a ciphertext of any key of the instance."),
    ("third-rotation-unlimited", (_ROTATION,), "The hour counts for the first two versions only."),
    ("old-form-rotation-unlimited", (_ROTATION,), "The older form of rotation does not look at the hour."),
    ("hour-of-the-instance", (_ROTATION,), "One key's rotation keeps all others from being rotated."),
    ("suspended-key-purged", ("key-action-invalid-state-err",), "A suspended key is purged."),
    ("deactivated-versions-listed", ("key-action-invalid-state-err",), "The versions of a deactivated key are listed like those of an active one."),
    ("attributes-unchecked", ("bad-body-err",), "Members that nobody knows are taken inside the attributes of a policy."),
    ("replacement-keeps-members", (), "A replaced registration keeps what the replacement does not name."),
    ("rotation-by-token-unlimited", (_ROTATION,), "Rotation by token does not look at the hour."),
    ("rotation-drops-registrations", ("protected-resource-err",), "Rotating a key removes its registrations."),
    ("token-import-rotates-bare", ("key-payload-req-err",), "A key that came by token is rotated without material."),
    ("purge-wait-from-creation", ("req-too-early-err",), "The four hours before a purge count from the key's creation."),
    ("restore-window-from-creation", ("key-restore-expired",), "The 30 days for a restore count from the key's creation."),
    ("restore-leaves-ring", (), "A restored key is in the default ring."),
    ("deactivated-key-registered", ("key-invalid-state-err",), "A deactivated key can be registered."),
    ("first-address-range-counts", ("unauthorized-err",), "Only the first range of an allowedIP policy lets anybody in."),
    ("outsider-counts-keys", ("unauthorized-err",), "HEAD on the keys asks for no role."),
    ("reader-syncs", (), "A reader may synchronise the services."),
    ("reader-adds-certificates", (), "A reader may add client certificates to a KMIP adapter."),
    ("second-rotation-without-payload", ("key-payload-req-err",), "An imported key needs material for its first rotation only."),
    ("dual-auth-imported-ignored", (_DUAL,), "Dual authorisation has no effect on imported keys."),
    ("dual-auth-standard-ignored", (_DUAL,), "Dual authorisation has no effect on standard keys."),
    ("dual-auth-off-counts", (_DUAL,), "A disabled dual-authorisation policy holds a deletion back."),
    ("dual-auth-off-is-on", ("not-dual-auth-err",), "A deletion can be authorised while the policy is disabled."),
    ("disabled-rotation-policy-runs", (), "A rotation policy goes on after it was switched off."),
    ("rotation-inherited-after-off", (), "New keys inherit a rotation policy that was switched off."),
    ("dual-auth-holds-key", (), "A key whose deletion is authorised does not unwrap any more."),
    ("rotation-on-standard-later", (_ROOT,), "A standard key takes a rotation policy after its creation."),
    ("access-ignored-by-token", (_ACCESS,), "Imports by token pass the keyCreateImportAccess policy."),
    ("access-ignored-with-policies", (_ACCESS,), "Keys with policies of their own pass the keyCreateImportAccess policy."),
    ("total-too-low-accepted", ("collection-total-mismatch-err",), "Only a total that is too high is refused."),
    ("policies-set-one-by-one", ("num-collection-resource-err",), "Of several policies those before the bad one are set."),
    ("other-policies-per-query", ("num-collection-resource-err",), "Two different policies are taken apart with ?policy=."),
    ("policy-data-unchecked", ("bad-body-err",), "Members that nobody knows are taken inside policy_data."),
    ("missing-metadata-accepted", ("bad-body-err",), "A key body without metadata is accepted."),
    ("missing-resource-accepted", ("bad-body-err",), "A key body without resource makes a key."),
    ("limits-of-members-unchecked", (), "Names, descriptions and tags may have any length."),
    ("missing-ciphertext-accepted", (), "Unwrap without ciphertext is answered with 200."),
    ("null-body-refused", (), "Actions refuse null as their body."),
    ("empty-wrap-refused", (), "Wrap refuses an empty object."),
    ("odd-material-rotates", (), "Rotation takes material of any length."),
    ("alias-form-unchecked", (), "Aliases may have any form."),
    ("alias-case-ignored", (), "Aliases are found without their case."),
    ("alias-of-anybody-deleted", (), "An alias is deleted through any key."),
    ("alias-taken-at-creation", (), "A new key takes the alias of another one."),
    ("alias-only-for-reading", (), "An alias does not stand for the key when it is deleted or rotated."),
    ("ring-ignored-by-actions", (), "Wrap, unwrap, rotate, disable and delete ignore the key ring header."),
    ("ring-ignored-for-aliases", (), "The key ring header does not hold for aliases."),
    ("key-moved-to-nowhere", (), "A key can be moved to a ring that does not exist."),
    ("suspended-keys-lose-ring", (), "A ring that holds suspended keys is deleted by force."),
    ("ring-case-ignored", (), "Key ring ids are found without their case."),
    ("token-retrievals-unbounded", (), "An import token may be retrieved any number of times."),
    ("token-defaults-wrong", (), "An import token lives for an hour unless something else is asked for."),
    ("nonce-unchecked-on-rotation", ("incorrect-nonce-err", "incorrect-nonce-iv-err"), "Rotation does not check the nonce."),
    ("dead-token-rotates", (_TOKEN,), "Rotation takes material for an expired import token."),
    ("vector-alone-imports", (), "A vector without nonce counts as an import in clear."),
)  # fmt: skip


def _key(call: Call) -> Key | None:
    return call.instance.find(call.args.get("id", ""))


@dataclass(frozen=True, slots=True)
class Deed:
    """What a defect does to the key once the reply to an operation is decided: a success, or a refusal with a code."""

    name: str
    doc: str
    sections: tuple[str, ...]
    operation: str
    change: Callable[[Any, Call], object]
    codes: tuple[str, ...] = ()

    def follows(self, draft: Draft) -> bool:
        """Whether the reply is one that it follows."""
        return draft.code in self.codes if draft.refused else not self.codes

    def do(self, draft: Draft) -> None:
        """Do it to the key that the reply is about."""
        made = draft.resource.get("id") if draft.operation == "createKey" and not draft.refused else None
        key = draft.call.instance.keys.get(made) if made else _key(draft.call)
        if key is not None or not draft.call.args:
            self.change(key, draft.call)


def _shown(operations: str, change: Callable[[dict[str, Any], Call], object]) -> Mutator:
    """Change every resource that the operations show."""

    def mutate(draft: Draft) -> None:
        if not draft.refused and draft.operation in operations.split() and isinstance(draft.body, dict):
            for resource in draft.body.get("resources", []):
                change(resource, draft.call)

    return mutate


_VIEWS: Final = "getKey getKeyMetadata getKeys"
_DELETIONS: Final = ("AUTHORIZATIONS_NOT_MET", "PROTECTED_RESOURCE_ERR", "PREV_KEY_DEL_ERR")


def _with_material(resource: dict[str, Any], call: Call) -> bool:
    key = call.instance.keys.get(resource.get("id", ""))
    if key is None or key.extractable:
        return False
    resource["payload"] = encode_base64(bytes.fromhex(key.newest.material))
    return True


def _rotated_in_headers(draft: Draft) -> None:
    key = _key(draft.call) if draft.operation == "rotateKey" and not draft.refused else None
    if key is not None:
        draft.headers["x-debug"] = encode_base64(bytes.fromhex(key.newest.material))


def _without_first(draft: Draft) -> None:
    later = draft.call is not None and draft.call.query.get("offset", "0") != "0"
    if later and draft.operation == "getKeys" and not draft.refused and draft.resource:
        del draft.body["resources"][0]
        draft.body["metadata"]["collectionTotal"] -= 1


def _narrowed(draft: Draft) -> None:
    asked = draft.call.query.get("state", "") if draft.call is not None else ""
    if draft.operation == "getKeys" and not draft.refused and "," in asked and draft.resource:
        wanted = int(asked.partition(",")[0])
        kept = [entry for entry in draft.body["resources"] if entry["state"] == wanted]
        draft.body["resources"], draft.body["metadata"]["collectionTotal"] = kept, len(kept)


def _everything(operation: str) -> Mutator:
    """Answer with all of a list, whatever the page."""

    def mutate(draft: Draft) -> None:
        if draft.operation != operation or draft.refused or "limit" not in draft.call.query:
            return
        query = draft.call.query
        draft.call.query = {name: value for name, value in query.items() if name not in ("limit", "offset")}
        draft.body = draft.call.operation.handler(draft.call).body
        draft.call.query = query

    return mutate


def _count_all(draft: Draft) -> None:
    if draft.operation == "getKeyCollectionMetadata" and not draft.refused:
        keys = draft.call.instance.keys.values()
        draft.headers["Key-Total"] = str(sum(draft.call.ring in (None, key.ring) for key in keys))


def _root_keys_and_others(draft: Draft) -> None:
    if draft.operation == "getKeys" and not draft.refused and draft.call.query.get("extractable") == "false":
        query, draft.call.query = draft.call.query, {"limit": "5000"}
        draft.body = draft.call.operation.handler(draft.call).body
        draft.call.query = query


def _other_nonce(_: Key | None, call: Call) -> None:
    assert call.instance.import_token is not None
    call.instance.import_token.nonce = encode_base64(token_bytes(NONCE_SIZE))


def _die_with_the_last(_: Key | None, call: Call) -> None:
    token = call.instance.import_token
    assert token is not None
    if not token.remaining:
        token.life = 0


def _twin(_: Key | None, call: Call) -> None:
    """Make a key that has the name which a refused request gives, and everything else from another key."""
    names = _names(call)
    if names and call.instance.keys:
        pattern = next(iter(call.instance.keys.values()))
        call.instance.add(replace(pattern, id=str(uuid4()), name=names[0], aliases={}, state=State.ACTIVE))


def _names(call: Call) -> list[str]:
    try:
        resources = call.body().get("resources") or []
        return [str(entry["name"]) for entry in resources if isinstance(entry, dict) and entry.get("name")]
    except Exception:  # noqa: BLE001 - a body that cannot be read names nothing
        return []


def _set(thing: Any, **members: Any) -> bool:
    for name, value in members.items():
        setattr(thing, name, value)
    return True


def _forget_aliases(key: Key, call: Call) -> None:
    for alias in key.aliases:
        call.instance.alias_index.pop(alias, None)
    key.aliases.clear()


def _rotation(call: Call, interval: int) -> Any:
    return renewed(call, None, enabled=True, interval=interval)


def _inherits(key: Key, call: Call) -> None:
    policy = call.instance.policies.get("rotation")
    if policy is not None and policy.enabled:
        key.rotation = _rotation(call, policy.attributes["interval_month"])


def _everybody(key: Key, call: Call) -> None:
    for other in call.instance.keys.values():
        other.rotation = key.rotation


def _a_year_later(date: str) -> str:
    return f"{int(date[:4]) + 1}{date[4:]}"


def _ten_minutes(draft: Draft) -> None:
    if draft.operation in ("postImportToken", "getImportToken") and not draft.refused:
        draft.body["expirationDate"] = stamp(draft.call.instance.import_token.created + 600)


DEEDS: Final = (
    Deed("second-deletion-counts", "A refused second deletion moves the date of deletion.", ("key-deleted-err",), "deleteKey", lambda key, call: _set(key, deleted=call.now, acted=call.now), ("KEY_DELETED_ERR",)),
    Deed("refused-deletion-unregisters", "A refused deletion removes the key's registrations.", _USES, "deleteKey", lambda key, _: key.registrations.clear(), _DELETIONS),
    Deed("refused-deletion-authorises", "A refused deletion counts as the first authorisation.", (_DUAL,), "deleteKey", lambda key, call: _set(key, authorized_by=call.identity.iam_id, authorized=call.now), _DELETIONS),
    Deed("refused-rotation-extends-hour", "A refused rotation starts the hour again.", (_ROTATION,), "rotateKey", lambda key, call: _set(key, rotated=call.now), ("KEY_ROTATION_NOT_PERMITTED",)),
    Deed("refused-nonce-rotates", "A rotation is refused for its nonce and adds a version.", ("incorrect-nonce-err",), "rotateKey", lambda key, _: key.versions.append(key.newest), ("INCORRECT_NONCE_ERR",)),
    Deed("refused-interval-kept", "A rotation interval is refused and kept.", ("invalid-field-err",), "putPolicy", lambda key, call: _set(key, rotation=_rotation(call, 13)), ("INVALID_FIELD_ERR",)),
    Deed("restore-loses-older-versions", "A restored key has its newest version only.", ("key-impt-req-err",), "restoreKey", lambda key, _: key.versions.__delitem__(slice(None, -1))),
    Deed("restore-loses-description", "A restored key has no description and no tags.", (), "restoreKey", lambda key, _: _set(key, description="", tags=[])),
    Deed("restore-loses-expiry", "A restored key never expires.", (), "restoreKey", lambda key, _: _set(key, expires=None)),
    Deed("restore-loses-aliases", "A restored key has no alias.", (), "restoreKey", _forget_aliases),
    Deed("restore-loses-registrations", "A restored key has no registrations.", (), "restoreKey", lambda key, _: key.registrations.clear()),
    Deed("restore-lifts-dual-auth", "A restored key is not under dual authorisation any more.", (_DUAL,), "restoreKey", lambda key, _: _set(key, dual_auth=None)),
    Deed("restore-lifts-rotation-limit", "A restored key can be rotated at once.", (_ROTATION,), "restoreKey", lambda key, _: _set(key, rotated=None)),
    Deed("enable-lifts-rotation-limit", "An enabled key can be rotated at once.", (_ROTATION,), "enableKey", lambda key, _: _set(key, rotated=None)),
    Deed("only-two-versions-kept", "Ciphertexts from before the last but one rotation no longer open.", (_ROTATION,), "rotateKey", lambda key, _: key.versions.__delitem__(slice(None, -2))),
    Deed("rotation-keeps-material", "A new version has the material of the one before.", (_ROTATION,), "rotateKey", lambda key, _: _set(key.newest, material=key.versions[-2].material)),
    Deed("rotation-drops-description", "A rotated key has no description and no tags.", (), "rotateKey", lambda key, _: _set(key, description="", tags=[])),
    Deed("rotation-makes-generated", "A rotated key says that it was generated.", (), "rotateKey", lambda key, _: _set(key, imported=False)),
    Deed("move-loses-aliases", "A moved key has no alias.", (), "patchKey", _forget_aliases),
    Deed("generated-keys-alike", "All generated keys have the same material.", (_CIPHERTEXT,), "createKey", lambda key, _: key.imported or _set(key.newest, material=_STANDING.hex())),
    Deed("given-material-dropped", "An imported root key gets other material than was given.", (), "createKey", lambda key, _: key.extractable or _set(key.newest, material=token_bytes(32).hex())),
    Deed("imported-key-in-default-ring", "Imported keys go to the default ring.", (), "createKey", lambda key, _: key.imported and _set(key, ring="default")),
    Deed("imported-key-without-description", "Imported keys lose their description.", (), "createKey", lambda key, _: key.imported and _set(key, description="")),
    Deed("long-payload-cut", "Standard keys hold 4,096 bytes.", (), "createKey", lambda key, _: _set(key.newest, material=key.newest.material[:8192])),
    Deed("rotation-policy-lifts-dual-auth", "Setting a rotation policy ends dual authorisation.", (_DUAL,), "putPolicy", lambda key, call: call.query.get("policy") == "rotation" and _set(key, dual_auth=None)),
    Deed("rotation-policy-of-all-keys", "A rotation policy is set for every key.", (), "putPolicy", _everybody),
    Deed("rotation-inherited-by-all", "Imported and standard keys inherit the rotation policy.", (), "createKey", _inherits),
    Deed("refused-creation-makes-key", "A creation is refused for its body or nonce and done.", ("bad-body-err", "incorrect-nonce-err"), "createKey", _twin, ("INCORRECT_NONCE_ERR", "BAD_BODY_ERR")),
    Deed("nonce-changes", "After each retrieval the import token has another nonce.", ("incorrect-nonce-err",), "getImportToken", _other_nonce),
    Deed("used-up-token-imports-nothing", "An import token dies with its last retrieval.", (), "getImportToken", _die_with_the_last),
)  # fmt: skip
_BY_OPERATION: Final = {
    operation: tuple(deed for deed in DEEDS if deed.operation == operation)
    for operation in {deed.operation for deed in DEEDS}
}


def do_deeds(draft: Draft) -> None:
    """Let the defects of this server change what the instance holds, now that the reply is decided."""
    if draft.call is None:
        return
    for deed in _BY_OPERATION.get(draft.operation or "", ()):
        if deed.follows(draft) and draft.call.broken(deed.name):
            deed.do(draft)


ROAD_DEFECTS: Final = (
    *(Defect(name, doc, sections) for name, sections, doc in _ASKED),
    *(Defect(deed.name, deed.doc, deed.sections) for deed in DEEDS),
    Defect("token-date-fixed", "An import token always says that it lives for ten minutes.", (_TOKEN,), _ten_minutes),
    Defect("crn-of-another-key", "The CRN of a key names another one.", (), _shown(f"createKey {_VIEWS}", lambda view, _: view.update(crn=f"{view['crn'][:-12]}{'0' * 12}"))),
    Defect("list-swaps-kinds", "Key lists swap root and standard keys.", (), _shown("getKeys", lambda view, _: view.update(extractable=not view["extractable"]))),
    Defect("list-says-active", "Key lists say that every key is active.", (), _shown("getKeys", lambda view, _: view.update(state=State.ACTIVE))),
    Defect("expiration-date-shifted", "The expiration date is shown a year late.", (), _shown(f"createKey {_VIEWS}", lambda view, _: "expirationDate" in view and view.update(expirationDate=_a_year_later(view["expirationDate"])))),
    Defect("creation-date-moves", "The creation date of a key is that of its newest version.", (), _shown(_VIEWS, lambda view, _: view.update(creationDate=view["keyVersion"]["creationDate"]))),
    Defect("deadlines-confused", "A deleted key swaps its dates of purging.", (), _shown(_VIEWS, lambda view, _: "purgeScheduledOn" in view and view.update(purgeScheduledOn=view["purgeAllowedFrom"], purgeAllowedFrom=view["purgeScheduledOn"]))),
    Defect("deletion-shows-material", "The representation of a deleted root key holds its material.", (), _shown("deleteKey", _with_material)),
    Defect("restore-shows-material", "The reply of a restore holds the root key's material.", (), _shown("restoreKey", _with_material)),
    Defect("suspended-key-shows-material", "Views of a suspended root key hold its material.", (), _shown(_VIEWS, lambda view, call: view["state"] == State.SUSPENDED and _with_material(view, call))),
    Defect("rotation-header-shows-material", "A header of the reply of a rotation holds the new material.", (), _rotated_in_headers),
    Defect("second-page-misses-one", "From the second page on, key lists leave their first key out.", (), _without_first),
    Defect("first-state-listed", "Of several states only the first is listed.", (), _narrowed),
    Defect("extractable-false-ignored", "Asked for root keys, the list holds standard keys too.", (), _root_keys_and_others),
    Defect("deleted-keys-counted", "HEAD on the keys counts deleted keys, whatever is asked for.", (), _count_all),
    Defect("versions-unpaged", "Lists of versions ignore limit and offset.", (), _everything("getKeyVersions")),
    Defect("registrations-unpaged", "Lists of registrations ignore limit and offset.", (), _everything("getRegistrations")),
    Defect("rings-unpaged", "Lists of key rings ignore limit and offset.", (), _everything("listKeyRings")),
)  # fmt: skip
