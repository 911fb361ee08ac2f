"""Defects of what a key has gone through, after faults that others reported: Floci, Scaleway, Open Telekom Cloud, PCLCrypto and others.

Each is translated to this API where a source fixes what is right: a key goes on as before after it was changed, what was
set when it was created holds as if it had been set later, and a refusal starts no period anew.
"""

from __future__ import annotations

import json
from dataclasses import replace
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import actions, crypto, import_tokens, key_input, keys
from kms_reference.key_protect.errors import RefusalError, bad_field
from kms_reference.key_protect.instance import MONTH, Instance
from kms_reference.key_protect.model import State
from kms_reference.switches import After, Change, Defect, gives, instead, refused_but, skipped, then

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.wire import Call, Members, Reply
    from kms_reference.rules import Draft, RuleLike

_OVERRIDES: Final = "createKeyWithPoliciesOverrides"
_SHORT: Final = 16

# What a defect remembers of keys and policies, by their ids.
_enabled: set[str] = set()
_moved: set[str] = set()
_made_with_policies: set[str] = set()
_policies_set: dict[str, float] = {}


# -- what goes on after a change ---------------------------------------------------------------------------------------


def _note(seen: set[str]) -> Callable[..., None]:
    def act(_: Call, key: Key, *__: Any) -> None:
        seen.add(key.id)

    return act


def _unscheduled(seen: set[str], what: RuleLike) -> Change:
    """Leave out what time does to keys that were seen."""
    return skipped(what, lambda _, key, *__: key.id in seen)


def _note_policy(draft: Draft) -> None:
    call = draft.call
    if any("dualAuthDelete" in one for one in draft.body.get("resources", ())):
        _policies_set[call.key().id] = call.now


def _from_other_policy(due: float, _: Instance, key: Key) -> float:
    assert key.rotation is not None
    return max(due, _policies_set.get(key.id, 0.0) + key.rotation.interval * MONTH)


def _note_creation(draft: Draft) -> None:
    _made_with_policies.add(draft.body["resources"][0]["id"])


def _note_rotation(draft: Draft) -> None:
    rotation = draft.call.instance.keys[draft.body["resources"][0]["id"]].rotation
    if rotation is not None:
        _made_with_policies.add(rotation.id)


# -- what a refusal starts anew ----------------------------------------------------------------------------------------


def _acted(call: Call, key: Key, *_: Any, **__: Any) -> None:
    key.acted = call.now


def _deleted_anew(call: Call, key: Key) -> None:
    key.deleted = call.now


def _of_suspended(_: Call, key: Key, __: tuple[int, ...], action: str, *___: Any, **____: Any) -> bool:
    return action == "disable" and key.state == State.SUSPENDED


# -- material ----------------------------------------------------------------------------------------------------------


def _no_first_zero(_: Call, data: bytes) -> None:
    """Read material as a number, which has no zeros at its beginning."""
    if data.startswith(b"\0"):
        raise bad_field("payload", "a base64 encoded key material of 16, 24 or 32 bytes")


def _both_or_plain(lawful: RuleLike, call: Call, resource: Members, data: bytes, *, extractable: bool) -> Any:
    """Take material in clear unless there are a nonce and a vector."""
    if resource.text("encryptedNonce") and resource.text("iv"):
        return lawful(call, resource, data, extractable=extractable)
    return data


def _token_for_all(_: RuleLike, call: Call, __: Key, *, by_token: bool) -> None:
    policy = call.instance.policies.get("keyCreateImportAccess")
    if policy is not None and policy.enabled and policy.attributes.get("enforce_token") and not by_token:
        raise RefusalError("KEY_CREATE_IMPORT_ACCESS_ERR")


def _short_material(draft: Draft) -> None:
    key = draft.call.instance.keys[draft.body["resources"][0]["id"]]
    if key.extractable and not key.imported:
        key.newest.material = key.newest.material[: 2 * _SHORT]


# -- wrapping ----------------------------------------------------------------------------------------------------------


def _unbound_if_made(aad: list[str], _: Call, __: Key, members: Members, subject: str) -> list[str]:
    return [] if subject.startswith("Wrap") and not members.text("plaintext") else aad


def _made_short(lawful: RuleLike, call: Call) -> Reply:
    """Make a plaintext of half the length where none is given."""
    body = json.loads(call.raw or b"null") or {}
    if body.get("plaintext"):
        given: Reply = lawful(call)
        return given
    plaintext = crypto.encode_base64(token_bytes(_SHORT))
    reply: Reply = lawful(replace(call, raw=json.dumps({**body, "plaintext": plaintext}).encode()))
    reply.body["plaintext"] = plaintext
    return reply


def _has_object(call: Call) -> bool:
    """Whether the body is an object or none."""
    try:
        body = json.loads(call.raw or b"null")
    except ValueError:
        return False
    return body is None or isinstance(body, dict)


STATE_DEFECTS: Final = (
    *(
        Defect(name, doc, (), changes=tuple(changes))
        for name, doc, *changes in (
            ("made-plaintext-unbound", "Additional data are not bound where the service makes the plaintext.", gives(actions.read_aad, _unbound_if_made)),
            ("made-plaintext-of-16", "A plaintext that the service makes has 16 bytes.", instead(actions.wrap, _made_short, _has_object)),
            ("nonce-of-16", "The nonce of an import token has 16 bytes.", gives(import_tokens.new_nonce, lambda _, __: token_bytes(_SHORT))),
            ("token-imports-standard-key", "A standard key is imported by token.", instead(key_input.read_by_token, lambda lawful, *parts, **_: lawful(*parts, extractable=False))),
            ("lone-nonce-ignored", "A nonce without a vector, or a vector without a nonce, is left out.", instead(key_input.read_by_token, _both_or_plain)),
            ("lone-nonce-rotates", "A rotation leaves out a nonce without a vector, or a vector without a nonce.", instead(key_input.read_by_token, _both_or_plain, lambda call, *_, **__: call.operation.id == "rotateKey")),
            ("enforced-token-holds-generated", "Where material has to come by token, generated keys are not rotated.", instead(actions.check_enforced_token, _token_for_all)),
        )
    ),
    Defect("standard-material-of-16", "The material of a generated standard key has 16 bytes.", (), after=After("createKey", _short_material)),
)  # fmt: skip
"""Faults that documented sequences show."""

STATE_QUANTITY: Final = tuple(
    Defect(name, doc, (), changes=tuple(changes))
    for name, doc, *changes in (
        ("first-zeros-of-material-lost-by-token", "Material that comes by token loses the zeros at its beginning.", gives(key_input.read_by_token, lambda data, *_, **__: data.lstrip(b"\0"))),
        ("material-begins-without-zero", "Root keys have no material that begins with a zero.", then(key_input.check_root_size, _no_first_zero)),
    )
)  # fmt: skip

STATE_SCHEDULES: Final = (
    *(
        Defect(name, doc, (), changes=tuple(changes))
        for name, doc, *changes in (
            ("enabled-key-not-rotated-by-policy", "The rotation policy of a key that was enabled has no effect any more.", then(actions.resume, _note(_enabled)), _unscheduled(_enabled, Instance.rotate_by_policy)),
            ("moved-key-not-rotated-by-policy", "The rotation policy of a key that was moved has no effect any more.", then(keys.move, _note(_moved)), _unscheduled(_moved, Instance.rotate_by_policy)),
            ("refused-disabling-restarts-wait", "A refused disabling starts the 30 seconds before enabling anew.", refused_but(actions.check_state, _acted, _of_suspended)),
            ("refused-deletion-restarts-wait", "A refused second deletion starts the 30 seconds before restoring anew.", refused_but(keys.delete_again, _acted)),
            ("refused-deletion-restarts-purge", "A refused second deletion starts the four hours before a purge anew.", refused_but(keys.delete_again, _deleted_anew)),
        )
    ),
    Defect("other-policy-restarts-interval", "Setting dual authorisation starts the rotation interval anew.", (), changes=(gives(Instance.rotation_due, _from_other_policy),), after=After("putPolicy", _note_policy)),
    Defect("switched-off-at-creation-runs", "A rotation policy that a key is created with runs although it is switched off.", (), changes=(gives(Instance.runs, lambda found, _, policy: found or policy.id in _made_with_policies),), after=After(_OVERRIDES, _note_rotation)),
    Defect("expiry-of-creation-with-policies-shown-only", "A key that is created with policies stays active after its expiration date.", (), changes=(_unscheduled(_made_with_policies, Instance.expire),), after=After(_OVERRIDES, _note_creation)),
)  # fmt: skip
"""Faults in what time does to a key that was changed, and to one that a request was refused for."""
