"""Actions on one key: wrap, unwrap, rewrap, rotate, enable, disable, set and unset for deletion, sync (1.3.5, 2.2 to 2.6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kms_conformance.adapters.key_protect.model import keys, shown
from kms_conformance.adapters.key_protect.model.attempt import Attempt, Outcome, begin, body_of, needs_state
from kms_conformance.adapters.key_protect.model.bodies import additional_data, material
from kms_conformance.adapters.key_protect.model.facts import Absent, Bytes, Equal, NoneOf, Rule, decoded
from kms_conformance.adapters.key_protect.model.import_tokens import check_packing
from kms_conformance.adapters.key_protect.model.operation import Ciphertext
from kms_conformance.adapters.key_protect.model.prediction import (
    BAD_REQUEST,
    BODY_OR_FIELD,
    DELETED,
    EARLY,
    FIELD,
    MISMATCH,
    NO_ACCESS,
    NO_BODY,
    NOT_DUAL,
    QUERY,
    ROOT_ONLY,
    Refusal,
    Rules,
    Success,
    refusals,
)
from kms_conformance.adapters.key_protect.model.state import (
    ACTIVE,
    DEACTIVATED,
    DESTROYED,
    HOUR,
    SUSPENDED,
    Authorisation,
    Key,
    Version,
)

_USED = frozenset({ACTIVE})
_OPENS = frozenset({ACTIVE, DEACTIVATED})
_TEXT = NoneOf(frozenset())
_OFTEN = refusals((409,), "KEY_ROTATION_NOT_PERMITTED")
_NO_PAYLOAD = refusals((400,), "KEY_PAYLOAD_REQ_ERR")
_DONE = Success(frozenset({204}))


def _begin(attempt: Attempt) -> tuple[Rules, Key | None]:
    """Begin an action that only a root key takes (No. 18); kind and state may be checked in either order (P16)."""
    rules, key = begin(attempt)
    if key is not None and key.standard:
        rules.broken(ROOT_ONLY)
    return rules, key


def _body(attempt: Attempt, rules: Rules) -> dict[str, Any]:
    if attempt.operation.body is not None and not isinstance(attempt.operation.body, dict):
        rules.broken(BAD_REQUEST)
    return body_of(attempt) or {}


def _opening(attempt: Attempt, rules: Rules, key: Key) -> None:
    """Note the state rule of what an expired key still does: the page wants it active, the service does not (E11)."""
    if attempt.state.edition == "service":
        needs_state(attempt, rules, key, _OPENS)
    else:
        needs_state(attempt, rules, key, _USED, doubtful=frozenset({DEACTIVATED}))


def wrap(attempt: Attempt) -> Outcome:
    """Wrap with the newest version."""
    rules, key = _begin(attempt)
    body = _body(attempt, rules)
    given = body.get("plaintext")
    if given is not None and not decoded(given):
        # Whether an empty plaintext counts as none is not stated.
        (rules.perhaps if given == "" else rules.broken)(*_as_arguments(given))
    additional_data(rules, body)
    if key is None:
        return attempt.answer(rules, Success(frozenset({200})))
    needs_state(attempt, rules, key, _USED)
    facts: dict[str, Rule] = {"ciphertext": _TEXT}
    facts["plaintext"] = Bytes(32) if given in (None, "") else Absent()
    newest = shown.newest_id(attempt, key)
    if newest is not None:
        facts["keyVersion.id"] = newest
    learn = shown.learn_version(attempt, key, "keyVersion.id")
    return attempt.answer(rules, Success(frozenset({200}), facts, learn=learn))


def _as_arguments(given: Any) -> tuple[Any, ...]:
    return ("an empty plaintext", FIELD) if given == "" else (FIELD,)


def unwrap(attempt: Attempt) -> Outcome:
    """Unwrap what any version of the key wrapped."""

    def shows(ciphertext: Ciphertext) -> dict[str, Rule]:
        return {"plaintext": Equal(ciphertext.plaintext)}

    return _open(attempt, shows)


def rewrap(attempt: Attempt) -> Outcome:
    """Rewrap: a fresh ciphertext of the newest version, and no plaintext."""

    def shows(_: Ciphertext) -> dict[str, Rule]:
        return {"plaintext": Absent(), "ciphertext": _TEXT}

    return _open(attempt, shows, rewrapped=True)


def _open(
    attempt: Attempt, shows: Callable[[Ciphertext], dict[str, Rule]], *, rewrapped: bool = False
) -> Outcome:
    rules, key = _begin(attempt)
    if attempt.operation.body is None:
        rules.broken(NO_BODY)
    body = _body(attempt, rules)
    given = body.get("ciphertext")
    if attempt.operation.body is not None and not isinstance(given, str):
        rules.broken(BODY_OR_FIELD | BAD_REQUEST)
    aad = additional_data(rules, body)
    if key is None:
        return attempt.answer(rules, Success(frozenset({200})))
    _opening(attempt, rules, key)
    if key.standard:
        # No ciphertext is its own; No. 18 tells the kind of the key, not that.
        return attempt.answer(rules, Success(frozenset({200})))
    ciphertext = attempt.operation.ciphertext
    if ciphertext is None:
        if isinstance(given, str) and decoded(given) is None:
            rules.broken(FIELD)
        elif isinstance(given, str):
            rules.perhaps("a ciphertext of unknown origin", MISMATCH)
        return attempt.answer(rules, Success(frozenset({200})))
    if not ciphertext.intact or ciphertext.aad != aad:
        rules.broken(MISMATCH)
    if ciphertext.key != key.id:
        _foreign(attempt, rules, key, ciphertext)
        return attempt.answer(rules, Success(frozenset({200}), {"plaintext": Absent()} if rewrapped else {}))
    return attempt.answer(rules, _opened(attempt, key, ciphertext, shows(ciphertext), rewrapped=rewrapped))


def _foreign(attempt: Attempt, rules: Rules, key: Key, ciphertext: Ciphertext) -> None:
    """Note that another key's ciphertext does not open, but for keys of the same material, which may (2.6)."""
    other = next((one for one in attempt.state.keys if one.id == ciphertext.key), None)
    same = key.material and (other is None or other.material == key.material)
    if same:
        rules.perhaps("keys of the same material", MISMATCH)
    else:
        rules.broken(MISMATCH)


def _opened(
    attempt: Attempt, key: Key, ciphertext: Ciphertext, facts: dict[str, Rule], *, rewrapped: bool
) -> Success:
    newest = shown.newest_id(attempt, key)
    facts["keyVersion.id"] = Equal(ciphertext.version)
    if rewrapped:
        if newest is not None:
            facts["rewrappedKeyVersion.id"] = newest
        return Success(
            frozenset({200}), facts, learn=shown.learn_version(attempt, key, "rewrappedKeyVersion.id")
        )
    old = {version.id for version in key.versions}
    if key.must_have_rotated(attempt.now, attempt.timing.slack) and ciphertext.version not in old:
        return Success(frozenset({200}), facts)
    if key.must_have_rotated(attempt.now, attempt.timing.slack) and newest is not None:
        facts["ciphertext"], facts["rewrappedKeyVersion.id"] = _TEXT, newest
        return Success(frozenset({200}), facts)
    if newest is None or attempt.states(key) != {ACTIVE}:
        # Whether a deactivated key, which does not wrap, gives a fresh ciphertext is not stated.
        return Success(frozenset({200}), facts)
    if key.newest.id == ciphertext.version:
        facts["rewrappedKeyVersion"] = Absent()
        return Success(frozenset({200}), facts)
    if ciphertext.version in {version.id for version in key.versions[:-1]}:
        facts["ciphertext"], facts["rewrappedKeyVersion.id"] = _TEXT, newest
        return Success(
            frozenset({200}), facts, learn=shown.learn_version(attempt, key, "rewrappedKeyVersion.id")
        )
    return Success(frozenset({200}), facts, learn=shown.learn_version(attempt, key, "keyVersion.id"))


def rotate(attempt: Attempt) -> Outcome:
    """Rotate: one more version; at most once an hour (2.3, 2.6, No. 34, No. 35)."""
    rules, key = _begin(attempt)
    body = _body(attempt, rules)
    if key is None:
        return attempt.answer(rules, _DONE)
    _opening(attempt, rules, key)
    given = _new_material(attempt, rules, key, body)
    slack = attempt.timing.slack
    if key.rotated is not None and attempt.now < key.rotated + HOUR - slack:
        rules.broken(_OFTEN)
    elif key.rotated is not None and attempt.now < key.rotated + HOUR + slack:
        rules.perhaps("the end of the hour", _OFTEN)
    elif key.may_have_rotated(attempt.now):
        rules.perhaps("whether a rotation by policy counts", _OFTEN)
    after = replace(
        key,
        versions=(*key.versions, Version("", attempt.now)),
        open_versions=key.may_have_rotated(attempt.now),
        rotated=attempt.now,
        touched=attempt.now,
        notified=attempt.now,
        material=given,
    )
    return attempt.answer(rules, _DONE, attempt.state.put(after))


def _new_material(attempt: Attempt, rules: Rules, key: Key, body: dict[str, Any]) -> str:
    given = body.get("payload")
    packed = body.get("encryptedNonce") is not None or body.get("iv") is not None
    if not key.imported:
        if given is not None:
            # With material that is bad as well, either refusal may come.
            rules.broken(refusals((400,), "INVALID_QUERY_PARAM_ERR"))
            if decoded(given) is None or packed:
                rules.broken(BAD_REQUEST)
        return ""
    if given is None:
        rules.broken(_NO_PAYLOAD)
        return ""
    policy = attempt.state.policy("keyCreateImportAccess")
    if policy is not None and policy.attribute("enforce_token", False) is True and not packed:
        rules.broken(NO_ACCESS)
    if packed:
        return check_packing(attempt, rules, body)
    return material(rules, given, standard=False)


def enable(attempt: Attempt) -> Outcome:
    """Enable a suspended key, 30 seconds after the last action; an expired one stays as it is (P12)."""
    rules, key = _begin(attempt)
    if key is None or (key.standard and attempt.states(key) == {ACTIVE}):
        # A standard key is never suspended, and yet No. 18 names enabling: the refusal names its kind.
        return attempt.answer(rules, _DONE)
    needs_state(attempt, rules, key, frozenset({SUSPENDED}))
    if SUSPENDED in attempt.states(key):
        keys.settle(attempt, rules, key)
    after = replace(key, state=ACTIVE, state_open=False, touched=attempt.now, notified=attempt.now)
    return attempt.answer(rules, _DONE, attempt.state.put(after))


def disable(attempt: Attempt) -> Outcome:
    """Disable an active key."""
    rules, key = _begin(attempt)
    if key is None:
        return attempt.answer(rules, _DONE)
    needs_state(attempt, rules, key, _USED)
    after = replace(
        key, state=SUSPENDED, state_open=False, acted=attempt.now, touched=attempt.now, notified=attempt.now
    )
    return attempt.answer(rules, _DONE, attempt.state.put(after))


def set_for_deletion(attempt: Attempt) -> Outcome:
    """Authorise the deletion of a key under dual authorisation (2.4)."""
    rules, key = _deletion_begins(attempt)
    if key is None:
        return attempt.answer(rules, _DONE)
    mine = Authorisation(attempt.caller.name, attempt.now)
    if key.authorised:
        # Whether a second authorisation takes the place of the first is not stated.
        rules.perhaps("authorising twice", refusals((400, 409)))
    after = replace(key, authorised=(mine, *key.authorised)[:4], touched=attempt.now)
    return attempt.answer(rules, _DONE, attempt.state.put(after))


def unset_for_deletion(attempt: Attempt) -> Outcome:
    """Withdraw that authorisation."""
    rules, key = _deletion_begins(attempt)
    if key is None:
        return attempt.answer(rules, _DONE)
    if not key.authorised:
        rules.perhaps("nothing to withdraw", refusals((400, 409)))
    return attempt.answer(rules, _DONE, attempt.state.put(replace(key, authorised=(), touched=attempt.now)))


def _deletion_begins(attempt: Attempt) -> tuple[Rules, Key | None]:
    rules, key = begin(attempt)
    if key is None:
        return rules, None
    if key.standard:
        rules.perhaps("dual authorisation of standard keys", ROOT_ONLY)
    if key.dual is None or not key.dual.enabled:
        rules.broken(NOT_DUAL)
    needs_state(attempt, rules, key, _USED)
    return rules, key


def sync(attempt: Attempt) -> Outcome:
    """Notify associated resources anew: an hour after the last time that they heard of the key (2.3, P15)."""
    rules, key = begin(attempt)
    if key is None:
        return attempt.answer(rules, _DONE)
    if key.standard:
        rules.perhaps("syncing a standard key", ROOT_ONLY)
    slack = attempt.timing.slack
    last_notice = max(key.synced, key.deleted or float("-inf"))
    if attempt.now < last_notice + HOUR - slack:
        rules.broken(EARLY)
    elif attempt.now < max(last_notice, key.notified, key.touched) + HOUR + slack:
        rules.perhaps("which events count", EARLY)
    states = attempt.states(key)
    if DESTROYED in states:
        # P15: within the hour the refusal names the time, not the state; no source says what is checked next.
        if not rules.must:
            rules.perhaps("syncing a deleted key", DELETED)
    elif states != {ACTIVE}:
        rules.perhaps("syncing a key that is not active", DELETED)
    return attempt.answer(rules, _DONE, attempt.state.put(replace(key, synced=attempt.now)))


_OLD_FORMS: Mapping[str, str] = {
    "disable": "disableKey",
    "enable": "enableKey",
    "restore": "restoreKey",
    "rewrap": "rewrapKey",
    "rotate": "rotateKey",
    "setKeyForDeletion": "setKeyForDeletion",
    "unsetKeyForDeletion": "unsetKeyForDeletion",
    "unwrap": "unwrapKey",
    "wrap": "wrapKey",
}
UNLISTED = "sync"
"""An action that the clients do not list for the older form, though nothing says that it is refused there."""


def newer_form(action: str | None) -> str | None:
    """Return the operation that an ``action`` of the older form means, in its exact case; nothing where there is none."""
    return _OLD_FORMS.get(action or "")


def unknown_action(attempt: Attempt) -> Outcome:
    """POST /keys/{id} without an action that exists."""
    rules, _ = begin(attempt)
    refused: frozenset[Refusal] = QUERY | refusals((404, 405))
    rules.broken(refused)
    return attempt.answer(rules, _DONE)
