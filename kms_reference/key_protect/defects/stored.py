"""Defects that show in what an instance holds after a reply (`_EFFECTS`), or in replies about some keys or later pages."""

from __future__ import annotations

from dataclasses import replace
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from kms_reference.key_protect.clock import stamp
from kms_reference.key_protect.crypto import NONCE_SIZE, encode_base64
from kms_reference.key_protect.defects.conditions import changed
from kms_reference.key_protect.key_policies import renewed
from kms_reference.key_protect.model import Key, State
from kms_reference.switches import After, Defect

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.wire import Call
    from kms_reference.rules import Draft, Mutator

_CIPHERTEXT = "unprocessable-ciphertext-err"
_DUAL = "authorizations-not-met"
_ROTATION = "key-rotation-not-permitted"
_TOKEN = "import-token-expired-err"  # noqa: S105 - an anchor of the page
_USES = ("protected-resource-err", "prev-key-del-err")
_STANDING = b"K" * 32


def _key(call: Call) -> Key | None:
    return call.instance.find(call.args.get("id", ""))


def _effect(  # noqa: PLR0917 - the columns of the table
    name: str,
    doc: str,
    sections: tuple[str, ...],
    operation: str,
    change: Callable[[Any, Call], object],
    codes: tuple[str, ...] = (),
) -> Defect:
    """Return a defect that changes the key behind a reply: after a success, or after a refusal with one of the codes."""

    def act(draft: Draft) -> None:
        made = draft.resource.get("id") if operation == "createKey" and not draft.refused else None
        key = draft.call.instance.keys.get(made) if made else _key(draft.call)
        if key is not None or not draft.call.args:
            change(key, draft.call)

    return Defect(name, doc, sections, after=After(operation, act, codes))


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


def _expire_with_last_retrieval(_: Key | None, call: Call) -> None:
    token = call.instance.import_token
    assert token is not None
    if not token.remaining:
        token.life = 0


def _make_refused_key(_: Key | None, call: Call) -> None:
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


def _set_on_every_key(key: Key, call: Call) -> None:
    for other in call.instance.keys.values():
        other.rotation = key.rotation


def _a_year_later(date: str) -> str:
    return f"{int(date[:4]) + 1}{date[4:]}"


def _ten_minutes(draft: Draft) -> None:
    if draft.operation in ("postImportToken", "getImportToken") and not draft.refused:
        draft.body["expirationDate"] = stamp(draft.call.instance.import_token.created + 600)


_EFFECTS: Final = (
    _effect("second-deletion-counts", "A refused second deletion moves the date of deletion.", ("key-deleted-err",), "deleteKey", lambda key, call: changed(key, deleted=call.now, acted=call.now), ("KEY_DELETED_ERR",)),
    _effect("refused-deletion-unregisters", "A refused deletion removes the key's registrations.", _USES, "deleteKey", lambda key, _: key.registrations.clear(), _DELETIONS),
    _effect("refused-deletion-authorises", "A refused deletion counts as the first authorisation.", (_DUAL,), "deleteKey", lambda key, call: changed(key, authorized_by=call.identity.iam_id, authorized=call.now), _DELETIONS),
    _effect("refused-rotation-extends-hour", "A refused rotation starts the hour again.", (_ROTATION,), "rotateKey", lambda key, call: changed(key, rotated=call.now), ("KEY_ROTATION_NOT_PERMITTED",)),
    _effect("refused-nonce-rotates", "A rotation is refused for its nonce and adds a version.", ("incorrect-nonce-err",), "rotateKey", lambda key, _: key.versions.append(key.newest), ("INCORRECT_NONCE_ERR",)),
    _effect("refused-interval-kept", "A rotation interval is refused and kept.", ("invalid-field-err",), "putPolicy", lambda key, call: changed(key, rotation=_rotation(call, 13)), ("INVALID_FIELD_ERR",)),
    _effect("restore-loses-older-versions", "A restored key has its newest version only.", ("key-impt-req-err",), "restoreKey", lambda key, _: key.versions.__delitem__(slice(None, -1))),
    _effect("restore-loses-description", "A restored key has no description and no tags.", (), "restoreKey", lambda key, _: changed(key, description="", tags=[])),
    _effect("restore-loses-expiry", "A restored key never expires.", (), "restoreKey", lambda key, _: changed(key, expires=None)),
    _effect("restore-loses-aliases", "A restored key has no alias.", (), "restoreKey", _forget_aliases),
    _effect("restore-loses-registrations", "A restored key has no registrations.", (), "restoreKey", lambda key, _: key.registrations.clear()),
    _effect("restore-lifts-dual-auth", "A restored key is not under dual authorisation any more.", (_DUAL,), "restoreKey", lambda key, _: changed(key, dual_auth=None)),
    _effect("restore-lifts-rotation-limit", "A restored key can be rotated at once.", (_ROTATION,), "restoreKey", lambda key, _: changed(key, rotated=None)),
    _effect("enable-lifts-rotation-limit", "An enabled key can be rotated at once.", (_ROTATION,), "enableKey", lambda key, _: changed(key, rotated=None)),
    _effect("only-two-versions-kept", "Ciphertexts from before the last but one rotation no longer open.", (_ROTATION,), "rotateKey", lambda key, _: key.versions.__delitem__(slice(None, -2))),
    _effect("rotation-keeps-material", "A new version has the material of the one before.", (_ROTATION,), "rotateKey", lambda key, _: changed(key.newest, material=key.versions[-2].material)),
    _effect("rotation-drops-description", "A rotated key has no description and no tags.", (), "rotateKey", lambda key, _: changed(key, description="", tags=[])),
    _effect("rotation-makes-generated", "A rotated key says that it was generated.", (), "rotateKey", lambda key, _: changed(key, imported=False)),
    _effect("move-loses-aliases", "A moved key has no alias.", (), "patchKey", _forget_aliases),
    _effect("generated-keys-alike", "All generated keys have the same material.", (_CIPHERTEXT,), "createKey", lambda key, _: key.imported or changed(key.newest, material=_STANDING.hex())),
    _effect("given-material-dropped", "An imported root key gets other material than was given.", (), "createKey", lambda key, _: key.extractable or changed(key.newest, material=token_bytes(32).hex())),
    _effect("imported-key-in-default-ring", "Imported keys go to the default ring.", (), "createKey", lambda key, _: key.imported and changed(key, ring="default")),
    _effect("imported-key-without-description", "Imported keys lose their description.", (), "createKey", lambda key, _: key.imported and changed(key, description="")),
    _effect("long-payload-cut", "Standard keys hold 4,096 bytes.", (), "createKey", lambda key, _: changed(key.newest, material=key.newest.material[:8192])),
    _effect("rotation-policy-lifts-dual-auth", "Setting a rotation policy ends dual authorisation.", (_DUAL,), "putPolicy", lambda key, call: call.query.get("policy") == "rotation" and changed(key, dual_auth=None)),
    _effect("rotation-policy-of-all-keys", "A rotation policy is set for every key.", (), "putPolicy", _set_on_every_key),
    _effect("rotation-inherited-by-all", "Imported and standard keys inherit the rotation policy.", (), "createKey", _inherits),
    _effect("refused-creation-makes-key", "A creation is refused for its body or nonce and done.", ("bad-body-err", "incorrect-nonce-err"), "createKey", _make_refused_key, ("INCORRECT_NONCE_ERR", "BAD_BODY_ERR")),
    _effect("nonce-changes", "After each retrieval the import token has another nonce.", ("incorrect-nonce-err",), "getImportToken", _other_nonce),
    _effect("used-up-token-imports-nothing", "An import token dies with its last retrieval.", (), "getImportToken", _expire_with_last_retrieval),
)  # fmt: skip

STORED_DEFECTS: Final = (
    *_EFFECTS,
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
