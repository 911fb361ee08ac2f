"""Defects after faults that implementers of other key services reported: of answers, dates, policies and ciphertexts.

Vault, Cosmian, RustFS, LocalStack, fakecloud, cloudemu, Infisical and others; each is translated to this API where a source
fixes what is right.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import actions, instance_policies, key_policies
from kms_reference.key_protect.app import answered
from kms_reference.key_protect.clock import parse_stamp, stamp
from kms_reference.key_protect.crypto import Base64Error, decode_base64, encode_base64
from kms_reference.key_protect.defects.conditions import Memory, defects_of, of_member, of_operation
from kms_reference.key_protect.errors import plain
from kms_reference.key_protect.instance import MONTH, Instance
from kms_reference.key_protect.wire import KEY_TYPE
from kms_reference.switches import After, Change, Defect, gives, instead, on_refusal, then, unchecked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kms_reference.key_protect.model import InstancePolicy, Key, KeyPolicy
    from kms_reference.key_protect.wire import Call, Members, Reply
    from kms_reference.rules import Draft, Mutator, RefusedError, RuleLike

_OVERRIDES: Final = "createKeyWithPoliciesOverrides"
_CREATIONS: Final = frozenset({"createKey", _OVERRIDES})

_known: Final = Memory()


# -- what is shown ----------------------------------------------------------------------------------------


def _entries(draft: Draft) -> Iterator[dict[str, Any]]:
    resources = draft.body.get("resources") if isinstance(draft.body, dict) else None
    yield from resources or () if not draft.refused else ()


def _shown(operations: str, change: Callable[[dict[str, Any], Call], object]) -> Mutator:
    """Change each entry of the replies to some operations; without a name each key of any reply."""

    def mutate(draft: Draft) -> None:
        for entry in _entries(draft):
            if draft.operation in operations.split() or (
                not operations and entry.get("type") == KEY_TYPE and "extractable" in entry
            ):
                change(entry, draft.call)

    return mutate


def _as_number(member: str) -> Callable[[dict[str, Any], Call], object]:
    def change(entry: dict[str, Any], _: Call) -> None:
        if member in entry:
            entry[member] = int(parse_stamp(entry[member]) or 0.0)

    return change


def _as_made(member: str) -> Callable[[dict[str, Any], Call], object]:
    return lambda entry, _: entry.update({member: entry["creationDate"]})


def _without_interval(entry: dict[str, Any], _: Call) -> None:
    entry.get("rotation", {}).pop("interval_month", None)


def _with_material(entry: dict[str, Any], call: Call) -> None:
    key = call.instance.keys.get(entry["id"])
    if key is not None:
        entry["payload"] = encode_base64(bytes.fromhex(key.newest.material))


def _root_with_material(entry: dict[str, Any], call: Call) -> None:
    if call.representation:
        _with_material(entry, call)


def _standard_with_material(entry: dict[str, Any], call: Call) -> None:
    if entry["extractable"]:
        _with_material(entry, call)


def _without_first_zeros(entry: dict[str, Any], _: Call) -> None:
    """Two zeros at least: material that is made at random begins with one now and then."""
    data = decode_base64(entry.get("payload", ""))
    if data.startswith(b"\0\0"):
        entry["payload"] = encode_base64(data.lstrip(b"\0"))


def _rotated_by_hand(entry: dict[str, Any], call: Call) -> None:
    rotated = _known(call.instance, "by hand").get(entry["id"])
    if rotated is None:
        entry.pop("lastRotateDate", None)
    else:
        entry["lastRotateDate"] = stamp(rotated)


def _note_rotation(call: Call, key: Key, _: Any) -> None:
    _known(call.instance, "by hand")[key.id] = call.now


# -- policies -----------------------------------------------------------------------------------------------


def _one_month(policy: InstancePolicy | None, _: Call) -> InstancePolicy | None:
    return policy if policy is None else replace(policy, attributes={"interval_month": 1})


def _as_generated(lawful: RuleLike, call: Call) -> Reply:
    key = call.instance.find(call.args["id"])
    was = key is not None and key.imported
    if key is not None:
        key.imported = False
    try:
        reply: Reply = lawful(call)
    finally:
        if key is not None:
            key.imported = was
    return reply


def _generated_for_now(_: Call, key: Key) -> None:
    key.imported = False


def _imported_after_all(reply: Reply, call: Call) -> Reply:
    if call.body()["resources"][0].get("payload"):
        view = reply.body["resources"][0]
        view["imported"] = call.instance.keys[view["id"]].imported = True
    return reply


def _with_old_rights(result: tuple[bool, Any], call: Call, name: str, members: Members) -> tuple[bool, Any]:
    old = call.instance.policies.get(name)
    data = members.object("policy_data")
    given = data.object("attributes") if data is not None else None
    if name != "keyCreateImportAccess" or old is None or given is None:
        return result
    enabled, rights = result
    return enabled, {
        right: value if given.has(right) else old.attributes.get(right, value)
        for right, value in rights.items()
    }


def _stop(call: Call, key: Key, _: Any) -> None:
    if key.rotation is not None:
        _known(call.instance, "stopped")[key.rotation.id] = True


def _go_on(draft: Draft) -> None:
    policy = draft.call.key_as_is().rotation
    if policy is not None:
        _known(draft.call.instance, "stopped").pop(policy.id, None)


def _not_stopped(runs: bool, instance: Instance, policy: KeyPolicy) -> bool:
    return runs and policy.id not in _known(instance, "stopped")


def _one_at_a_time(lawful: RuleLike, instance: Instance, key: Key, now: float) -> None:
    """Rotate one key at a time, and let others that are due then wait for the next time."""
    before = len(key.versions)
    last = _known(instance, "last")
    if last.get("now") == now and last.get("key") != key.id and key.rotation is not None:
        if now >= instance.rotation_due(key):
            skipped = _known(instance, "skipped")
            skipped[key.id] = skipped.get(key.id, 0) + 1
        return
    lawful(instance, key, now)
    if len(key.versions) > before:
        last |= {"now": now, "key": key.id}


def _later_if_skipped(due: float, instance: Instance, key: Key) -> float:
    assert key.rotation is not None
    skipped: int = _known(instance, "skipped").get(key.id, 0)
    return due + skipped * key.rotation.interval * MONTH


# -- ciphertexts ----------------------------------------------------------------------------------------------


def _crash(*_: Any) -> Any:
    raise plain(500, "Rewrap with key could not be performed")


def _first_version_named(reply: Reply, call: Call) -> Reply:
    reply.body["keyVersion"] = {"id": call.key().versions[0].id}
    return reply


def _given_back(reply: Reply, call: Call) -> Reply:
    reply.body["ciphertext"] = call.json()["ciphertext"]
    return reply


def _leniently(change: Callable[[str], str]) -> Change:
    """Take a plaintext that is base64 once it is changed."""

    def act(refusal: RefusedError, _: Call, text: str, *__: Any, **___: Any) -> bytes:
        try:
            return decode_base64(change(text))
        except Base64Error:
            raise refusal from None

    return on_refusal(actions.decoded, act, of_member("plaintext"))


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)


def _of_standard_alphabet(text: str) -> str:
    return text.replace("-", "+").replace("_", "/")


def _makes_plaintext(
    call: Call, _: Key, __: tuple[int, ...], action: str, ___: str | None = None, **____: Any
) -> bool:
    return action == "wrap" and not (call.json() or {}).get("plaintext")


ANSWER_EFFECTS: Final = (
    *defects_of(
        ("imported-key-takes-rotation-policy", "An imported key is given a rotation policy.", instead(answered, _as_generated, of_operation("putPolicy"))),
        ("imported-key-made-with-rotation-policy", "An imported key is created with a rotation policy.", then(key_policies.check_rotatable, _generated_for_now, of_operation(_OVERRIDES)), gives(answered, _imported_after_all, of_operation(_OVERRIDES))),
        ("omitted-rights-stay", "Rights that a keyCreateImportAccess policy leaves out stay as they were.", gives(instance_policies.read_policy, _with_old_rights)),
        ("wrap-names-first-version", "The answer of wrap names the first version.", gives(actions.wrap, _first_version_named)),
        ("made-plaintext-in-any-state", "A key in any state wraps a plaintext that it makes.", unchecked(actions.check_state, _makes_plaintext)),
    ),
    Defect("interval-not-shown", "A key does not show the interval of its rotation policy.", (), _shown("", _without_interval)),
    Defect("creation-shows-root-material", "The representation of a new root key holds its material.", (), _shown(" ".join(_CREATIONS), _root_with_material)),
    Defect("move-shows-material", "The answer to a move holds the material of a standard key.", (), _shown("patchKey", _standard_with_material)),
    Defect("ring-dates-as-numbers", "The dates of key rings are numbers.", (), _shown("listKeyRings", _as_number("creationDate"))),
    Defect("registration-dates-as-numbers", "The dates of registrations are numbers.", (), _shown("getRegistrations getRegistrationsAllKeys", _as_number("lastUpdated"))),
    Defect("policy-change-undated", "A changed policy keeps the date of its first setting.", (), _shown("getPolicy putPolicy", _as_made("lastUpdateDate"))),
    Defect("registration-change-undated", "A changed registration keeps the date of its making.", (), _shown("getRegistrations getRegistrationsAllKeys replaceRegistration updateRegistration", _as_made("lastUpdated"))),
    Defect("instance-policy-change-undated", "A changed policy of the instance keeps the date of its first setting.", (), _shown("getInstancePolicy", _as_made("lastUpdated"))),
)  # fmt: skip

ANSWER_QUANTITY: Final = (
    *defects_of(
        ("inherited-interval-is-one", "New keys inherit a rotation policy of one month, whatever its interval.", gives(key_policies.inherited_rotation, _one_month)),
        ("plaintext-without-padding", "A plaintext need not be padded.", _leniently(_padded)),
        ("plaintext-in-url-alphabet", "A plaintext may be in the alphabet for URLs.", _leniently(_of_standard_alphabet)),
    ),
    Defect("payload-without-first-zeros", "The payload of a standard key is shown without its first zeros.", (), _shown("getKey", _without_first_zeros)),
)  # fmt: skip

ANSWER_SCHEDULES: Final = (
    *defects_of(
        ("one-rotation-at-a-time", "Of two keys that their policies rotate at the same time one is rotated.", instead(Instance.rotate_by_policy, _one_at_a_time), gives(Instance.rotation_due, _later_if_skipped)),
    ),
    Defect("rotation-by-hand-stops-policy", "A rotation by hand stops the key's rotation policy.", (), changes=(then(actions.add_version, _stop), gives(Instance.runs, _not_stopped)), after=After("putPolicy", _go_on)),
    Defect("rotation-by-policy-undated", "A rotation by a policy leaves the date of the last rotation.", (), _shown("", _rotated_by_hand), changes=(then(actions.add_version, _note_rotation),)),
)  # fmt: skip

ANSWER_DEFECTS: Final = defects_of(
    ("rewrap-of-wrong-aad-crashes", "Rewrapping with other additional data fails with 500.", on_refusal(actions.decrypted, _crash, of_operation("rewrapKey"))),
    ("rewrap-without-aad-only", "Rewrap does not know additional data.", gives(actions.read_aad, lambda *_: [], of_operation("rewrapKey"))),
    ("fresh-ciphertext-of-unwrap-unbound", "The fresh ciphertext of an unwrap is not bound to the additional data.", instead(actions.fresh, lambda lawful, call, key, plaintext, _: lawful(call, key, plaintext, []), of_operation("unwrapKey"))),
    ("rewrap-gives-back", "Rewrap gives back the ciphertext that it got.", gives(actions.rewrap, _given_back)),
)  # fmt: skip
