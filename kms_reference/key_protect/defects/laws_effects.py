"""Defects of effects: an operation does what it says, and something else as well; a refusal leaves something behind."""

from __future__ import annotations

from dataclasses import replace
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import actions, aliases, instance_policies, keys, search
from kms_reference.key_protect.clock import parse_stamp, stamp
from kms_reference.key_protect.defects.conditions import changed
from kms_reference.key_protect.instance import DEFAULT_RING
from kms_reference.key_protect.key_policies import renewed
from kms_reference.switches import After, Change, Defect, gives, then

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.wire import Call
    from kms_reference.rules import Draft, Mutator

_OPENING_VERSIONS: Final = 5
_TWO_HOURS: Final = 7_200.0
_VIEWS: Final = ("getKey", "getKeyMetadata", "getKeys")


def _others(call: Call, key: Key) -> list[Key]:
    return [other for other in call.instance.keys.values() if other is not key]


def _with(rule: Any, change: Callable[[Call, Key], object]) -> Change:
    """Change the key, or others, after what a rule of keys does."""
    return then(rule, lambda call, key, *_: change(call, key))


# -- what an operation does besides ---------------------------------------------------------------------


def _spoil_old_versions(_: Call, key: Key) -> None:
    for version in key.versions[:-_OPENING_VERSIONS]:
        version.material = token_hex(len(version.material) // 2)


def _touch_others(call: Call, key: Key) -> None:
    for other in _others(call, key):
        call.instance.touch(other, call.now)


def _forget_versions(_: Call, key: Key) -> None:
    del key.versions[:-1]


def _forget_names(call: Call, _: Key) -> None:
    call.instance.alias_index.clear()


def _only_this(call: Call, name: str, **_: Any) -> None:
    policies = call.instance.policies
    for other in [other for other in policies if other != name]:
        del policies[other]


def _older_version(shown: list[dict[str, Any]], call: Call, *_: Any) -> list[dict[str, Any]]:
    for view in shown:
        first = call.instance.keys[view["id"]].versions[0]
        view["keyVersion"] = {"id": first.id, "creationDate": stamp(first.created)}
    return shown


_ROWS: Final[tuple[tuple[Any, ...], ...]] = (
    ("enabling-forgets-tags", "Enabling a key loses its tags and description.", _with(actions.resume, lambda _, key: changed(key, tags=[], description=""))),
    ("enabling-forgets-old-versions", "Enabling a key leaves its newest version only.", _with(actions.resume, _forget_versions)),
    ("enabling-renews-birth", "An enabled key is as young as its enabling.", _with(actions.resume, lambda call, key: changed(key, created=call.now))),
    ("disabling-forgets-rotation-date", "Disabling a key loses the date of its last rotation.", _with(actions.suspend, lambda _, key: changed(key, rotated=None))),
    ("disabling-drops-rotation-policy", "Disabling a key drops its rotation policy.", _with(actions.suspend, lambda _, key: changed(key, rotation=None))),
    ("rotation-renews-birth", "A rotated key is as young as its rotation.", _with(actions.add_version, lambda call, key: changed(key, created=call.now))),
    ("rotation-forgets-expiry", "A rotated key does not expire any more.", _with(actions.add_version, lambda _, key: changed(key, expires=None))),
    ("rotation-updates-others", "A rotation dates the last update of every other key as well.", _with(actions.add_version, _touch_others)),
    ("five-versions-open", "Only the newest five versions of a key open their ciphertexts.", then(actions.add_version, lambda call, key, _: _spoil_old_versions(call, key), lambda _, key, __: len(key.versions) >= _OPENING_VERSIONS)),
    ("moving-forgets-expiry", "A key that is moved to another ring does not expire any more.", _with(keys.move, lambda _, key: changed(key, expires=None))),
    ("moving-renames", "A key that is moved to another ring has its name in capitals.", _with(keys.move, lambda _, key: changed(key, name=key.name.upper()))),
    ("deletion-leaves-ring", "A deleted key is in the default ring.", _with(keys.destroy, lambda _, key: changed(key, ring=DEFAULT_RING))),
    ("deletion-forgets-tags", "A deleted key has no tags.", _with(keys.destroy, lambda _, key: changed(key, tags=[]))),
    ("restore-counts-as-rotation", "A restored key has been rotated at its restore, as its dates say.", _with(keys.revive, lambda call, key: changed(key, rotated=call.now))),
    ("restore-drops-policies", "A restored key has no policies.", _with(keys.revive, lambda _, key: changed(key, dual_auth=None, rotation=None))),
    ("restore-renews-birth", "A restored key is as young as its restore.", _with(keys.revive, lambda call, key: changed(key, created=call.now))),
    ("purge-frees-every-alias", "Once a key is purged, no alias of the instance leads anywhere.", _with(keys.forget, _forget_names)),
    ("alias-deletion-takes-all", "Removing an alias removes all that the key has.", then(aliases.release, lambda _, key, __: key.aliases.clear())),
    ("authorisation-drops-rotation-policy", "Authorising a key's deletion drops its rotation policy.", _with(actions.authorize, lambda _, key: changed(key, rotation=None))),
    ("instance-policy-replaces-all", "Setting a policy of the instance drops all others.", then(instance_policies.set_policy, _only_this)),
    ("list-shows-first-version", "A list of keys shows the first version of each as its present one.", gives(search.shown_in_list, _older_version, lambda _, keys: any(len(key.versions) > 1 for key in keys))),
)  # fmt: skip


# -- what is left once a reply is decided -----------------------------------------------------------------


def _after(
    name: str,
    doc: str,
    operation: str,
    change: Callable[[Call, Any], object],
    *codes: str,
) -> Defect:
    """Return a defect that acts on the key of a request, after a success or after a refusal with one of the codes."""

    def act(draft: Draft) -> None:
        made = draft.resource.get("id") if operation == "createKey" else None
        key = draft.call.instance.find(made or draft.call.args.get("id", ""))
        if key is not None or "id" not in draft.call.args:
            change(draft.call, key)

    return Defect(name, doc, (), after=After(operation, act, codes))


def _kinds(call: Call) -> set[str]:
    return {kind for resource in call.body()["resources"] for kind in resource}


def _drop_other_policy(call: Call, key: Key) -> None:
    kinds = _kinds(call)
    if "rotation" not in kinds:
        key.rotation = None
    if "dualAuthDelete" not in kinds:
        key.dual_auth = None


def _set_on_all(call: Call, key: Key) -> None:
    for other in _others(call, key):
        if key.rotation is not None and not other.extractable:
            other.rotation = replace(key.rotation)


def _read_without_zone(call: Call, key: Key) -> None:
    given = call.body()["resources"][0].get("expirationDate", "Z")
    if not given.endswith("Z"):
        key.expires = parse_stamp(f"{given[:19]}Z")


def _touch_all(call: Call, _: None) -> None:
    for key in call.instance.keys.values():
        call.instance.touch(key, call.now)


def _list_ring_again(call: Call, _: None) -> None:
    if call.flag("force"):
        call.instance.rings[call.args["ring"]] = [call.now, call.identity.iam_id]


def _reach_old_keys(call: Call, _: None) -> None:
    policy = call.instance.policies.get("rotation")
    if policy is None or not policy.enabled:
        return
    for key in call.instance.keys.values():
        if not key.extractable and not key.imported and key.rotation is None:
            key.rotation = renewed(call, None, enabled=True, interval=policy.attributes["interval_month"])


def _forget_certificates(call: Call, _: None) -> None:
    for adapter in call.instance.adapters.values():
        adapter.certificates.clear()


def _forget_text(call: Call, key: Key) -> None:
    if "description" not in call.body()["resources"][0]:
        for registration in key.registrations.values():
            registration.description = ""


# -- what is shown ----------------------------------------------------------------------------------------


def _later(member: str) -> Mutator:
    """Show a date as a clock two hours to the east would, and call it UTC."""

    def mutate(draft: Draft) -> None:
        if draft.refused or draft.operation not in _VIEWS or not isinstance(draft.body, dict):
            return
        for view in draft.body.get("resources", ()):
            moment = parse_stamp(view.get(member, ""))
            if moment is not None:
                view[member] = stamp(moment + _TWO_HOURS)

    return mutate


EFFECT_DEFECTS: Final = (
    *(Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS),
    _after("policy-drops-the-other", "Setting one policy of a key drops its other one.", "putPolicy", _drop_other_policy),
    _after("policy-set-on-all-keys", "A rotation policy of one key is set on all root keys.", "putPolicy", _set_on_all),
    _after("expiry-without-zone", "The offset of an expirationDate is left out of account.", "createKey", _read_without_zone),
    _after("new-ring-updates-keys", "Making a key ring dates the last update of every key.", "createKeyRing", _touch_all),
    _after("forced-ring-deletion-keeps-ring", "A key ring that is deleted with force is still there.", "deleteKeyRing", _list_ring_again),
    _after("alias-replaces-description", "Adding an alias to a key loses its description.", "createKeyAlias", lambda _, key: changed(key, description="")),
    _after("wrap-counts-as-rotation", "Wrapping with a key dates its last rotation.", "wrapKey", lambda call, key: changed(key, rotated=call.now)),
    _after("sync-forgets-expiry", "A key whose services were told does not expire any more.", "syncAssociatedResources", lambda _, key: changed(key, expires=None)),
    _after("refused-alias-updates-key", "A refused alias dates the last update of its key.", "createKeyAlias", lambda call, key: changed(key, updated=call.now + 60), "KEY_ALIAS_NOT_UNIQUE_ERR"),
    _after("refused-move-leaves-ring", "A key whose move is refused is in the default ring.", "patchKey", lambda _, key: changed(key, ring=DEFAULT_RING), "KEY_RING_NOT_FOUND_ERR"),
    _after("instance-policy-reaches-old-keys", "An instance's rotation policy is given to the keys that it has.", "putInstancePolicy", _reach_old_keys),
    _after("certificate-deletion-takes-all", "Deleting a client certificate deletes all of the instance.", "deleteKmipClientCertificate", _forget_certificates),
    _after("registration-change-forgets-text", "A changed registration loses the description that the change does not name.", "updateRegistration", _forget_text),
    Defect("deletion-date-in-local-time", "The date of a deletion is local time, and called UTC.", (), _later("deletionDate")),
    Defect("rotation-date-in-local-time", "The date of the last rotation is local time, and called UTC.", (), _later("lastRotateDate")),
)  # fmt: skip
