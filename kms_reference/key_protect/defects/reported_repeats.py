"""Defects that show when something is done again, or was refused before, after faults that others reported.

Object-relational mappers that compare one column, jobs that try a refused request later, caches by the wrong name, unique
indexes over too little: Keycloak, Barbican, Vault, MinIO's KES, EJBCA and others; each is translated to this API where a source
fixes what is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import (
    actions,
    import_tokens,
    instance_policies,
    key_input,
    keys,
    kmip,
)
from kms_reference.key_protect.app import Exchange, answered
from kms_reference.key_protect.defects.conditions import Memory, defects_of, of_operation
from kms_reference.key_protect.model import State
from kms_reference.switches import After, Defect, gives, instead, refused_but, skipped, then

if TYPE_CHECKING:
    from kms_reference.key_protect.instance import Instance
    from kms_reference.key_protect.model import ImportToken, Key, Version
    from kms_reference.key_protect.wire import Call, Members, Reply
    from kms_reference.rules import Draft, RuleLike

_known: Final = Memory()


# -- keys ----------------------------------------------------------------------------------------------------------


def _newest_after_second(call: Call, key: Key) -> None:
    restores = _known(call.instance, "restores")
    restores[key.id] = restores.get(key.id, 0) + 1
    if restores[key.id] > 1:
        del key.versions[:-1]


def _lead_nowhere(call: Call, key: Key) -> None:
    for alias in key.aliases:
        call.instance.alias_index.pop(alias, None)


def _authorised_by_path(call: Call, key: Key) -> None:
    _known(call.instance, "authorised as")[key.id] = call.args["id"]


def _same_path(stands: bool, call: Call, key: Key) -> bool:
    return stands and _known(call.instance, "authorised as").get(key.id, call.args["id"]) == call.args["id"]


def _done_later(call: Call, key: Key, span: str) -> None:
    if span == "settle-before-enable":
        _known(call.instance, "to enable")[key.id] = key.acted + keys.SETTLE


def _enabled_when_due(_: Exchange, instance: Instance, __: Any) -> None:
    for key_id, due in list(_known(instance, "to enable").items()):
        key = instance.keys.get(key_id)
        if key is not None and key.state == State.SUSPENDED and instance.now() >= due:
            key.state = State.ACTIVE
            instance.touch(key)
            del _known(instance, "to enable")[key_id]


def _shown_where_made(reply: Reply, call: Call) -> Reply:
    if call.key().id in _known(call.instance, "moved"):
        reply.body["resources"][0].pop("payload", None)
    return reply


def _note_move(call: Call, key: Key, _: str) -> None:
    _known(call.instance, "moved")[key.id] = key


# -- what is wrapped -----------------------------------------------------------------------------------------------


def _of_times_before(
    result: tuple[bytes, Version, list[str]], call: Call, key: Key, action: str, subject: str
) -> tuple[bytes, Version, list[str]]:
    """Refuse to rewrap what the key had wrapped before it was restored."""
    restored = _known(call.instance, "restored").get(key.id, 0)
    if action == "rewrap" and result[1].created < restored:
        raise actions.unprocessable(call, subject)
    return result


def _note_restore(call: Call, key: Key) -> None:
    _known(call.instance, "restored")[key.id] = call.now


def _bound_once(
    fresh: dict[str, Any], call: Call, key: Key, plaintext: bytes, aad: list[str]
) -> dict[str, Any]:
    """Bind what was rewrapped before to nothing when it is rewrapped again."""
    again = _known(call.instance, "rewrapped")
    if (key.id, plaintext) in again and aad:
        fresh["ciphertext"] = actions.sealed(call, key.newest, plaintext, [])
    again[key.id, plaintext] = True
    return fresh


def _of_first_parcel(data: bytes, call: Call, _: Members, __: bytes, **___: Any) -> bytes:
    token = call.instance.import_token
    assert token is not None
    first: bytes = _known(call.instance, "material").setdefault(token.nonce, data)
    return first


# -- tokens, policies and adapters -----------------------------------------------------------------------------------


def _note_import(call: Call, token: ImportToken, _: bytes | None) -> None:
    _known(call.instance, "used")[token.nonce] = True


def _was_used(call: Call, token: ImportToken) -> bool:
    return token.nonce in _known(call.instance, "used")


def _unique_interval(draft: Draft) -> None:
    """Take the policy away from whoever else has one of the same interval."""
    key = draft.call.key()
    for other in draft.call.instance.keys.values():
        same = other is not key and key.rotation is not None and other.rotation is not None
        if same and other.rotation.interval == key.rotation.interval:
            other.rotation = None


def _only_if_switched(
    lawful: RuleLike, call: Call, name: str, *, enabled: bool, attributes: dict[str, Any]
) -> None:
    old = call.instance.policies.get(name)
    if old is None or old.enabled is not enabled:
        lawful(call, name, enabled=enabled, attributes=attributes)


def _moved_to_refused(call: Call, fingerprint: str) -> None:
    here = kmip.adapter_of(call)
    for adapter in call.instance.adapters.values():
        for one in [one for one in adapter.certificates.values() if one.fingerprint == fingerprint]:
            here.certificates[one.id] = adapter.certificates.pop(one.id)


REPEAT_DEFECTS: Final = (
    *defects_of(
        ("second-restore-leaves-newest-version", "A key that was restored twice has its newest version only.", then(keys.revive, _newest_after_second)),
        ("refused-deletion-frees-aliases", "After a deletion that was refused the aliases of the key lead nowhere.", refused_but(keys.check_authorizations, _lead_nowhere), refused_but(keys.check_registrations, _lead_nowhere), refused_but(keys.check_retention, _lead_nowhere)),
        ("authorisation-by-name-in-path", "A deletion is authorised by the name that the key had in the path.", then(actions.authorize, _authorised_by_path), gives(keys.authorized_before, _same_path)),
        ("early-enabling-done-later", "An enabling that was too early is done when the 30 seconds are over.", refused_but(keys.check_settled, _done_later), then(Exchange.check_caller, _enabled_when_due)),
        ("moved-standard-key-without-payload", "A standard key that was moved shows no payload.", then(keys.move, _note_move), gives(answered, _shown_where_made, of_operation("getKey"))),
        ("not-rewrapped-after-restore", "What was wrapped with a version from before a restore is not rewrapped.", then(keys.revive, _note_restore), gives(actions.opened, _of_times_before)),
        ("rewrapped-twice-unbound", "What is rewrapped again is not bound to its additional data.", gives(actions.fresh, _bound_once, lambda call, *_: call.operation.id == "rewrapKey")),
        ("material-of-first-parcel", "All keys that are imported by one token have the material of the first.", gives(key_input.read_by_token, _of_first_parcel)),
        ("used-token-never-expires", "An import token that has imported a key does not expire.", then(import_tokens.check_nonce, _note_import), skipped(import_tokens.check_life, _was_used)),
        ("attributes-alone-not-kept", "A policy of the instance takes new attributes only when it is switched.", instead(instance_policies.set_policy, _only_if_switched)),
        ("refused-certificate-moves", "A client certificate that another adapter has is refused, and moves.", refused_but(kmip.check_certificate_free, _moved_to_refused)),
    ),
    Defect("rotation-interval-of-one-key", "A rotation policy takes that of the same interval from another key.", (), after=After("putPolicy", _unique_interval)),
)  # fmt: skip
"""Which law finds which of them stands in `reported_laws`."""
