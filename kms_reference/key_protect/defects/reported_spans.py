"""Defects of which keys time and its spans hold for, after faults that others reported.

Vault, cert-manager, Nextcloud, LiteLLM, Cosmian, moto, Lowkey Vault, muninndb and others: a sweep that looks at some things
only, a span that one path does not ask for, a refusal that starts a span anew, a date of the time before. Each is translated
to this API where a source fixes what is right.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import actions, import_tokens, keys, search
from kms_reference.key_protect.app import answered
from kms_reference.key_protect.clock import stamp
from kms_reference.key_protect.defects.conditions import Memory, answering, of_operation
from kms_reference.key_protect.errors import RefusalError
from kms_reference.key_protect.instance import DEFAULT_RING, NEVER, Instance
from kms_reference.key_protect.model import State
from kms_reference.key_protect.wire import KEY_TYPE
from kms_reference.switches import Change, Defect, gives, instead, refused_but, skipped, then

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.model import ImportToken, Key
    from kms_reference.key_protect.search import Test
    from kms_reference.key_protect.wire import Call, Reply
    from kms_reference.rules import Draft, RuleLike

_SIGN: Final = re.compile(r"-(\d\d:\d\d)$")

_known: Final = Memory()


# -- which keys time looks at --------------------------------------------------------------------------------------------


def _unexpired(which: Callable[[Key], bool]) -> Change:
    """Let no such key expire."""
    return skipped(Instance.expire, lambda _, key, __: which(key))


def _unrotated(which: Callable[[Key], bool]) -> Change:
    """Let no policy rotate such a key."""
    return skipped(Instance.rotate_by_policy, lambda _, key, __: which(key))


def _unpurged(which: Callable[[Key], bool]) -> Change:
    """Let no such key go of itself."""
    return gives(Instance.purge_due, lambda *_: NEVER, lambda _, key: which(key))


def _is_imported(key: Key) -> bool:
    return key.imported


def _is_standard(key: Key) -> bool:
    return key.extractable


def _is_elsewhere(key: Key) -> bool:
    return key.ring != DEFAULT_RING


def _is_authorised(key: Key) -> bool:
    return bool(key.authorized_by)


def _is_registered(key: Key) -> bool:
    return bool(key.registrations)


# -- which keys a span holds for -----------------------------------------------------------------------------------------


def _at_once(since: float, _: Call, key: Key) -> float:
    return 0.0 if key.extractable else since


def _window_forgotten(since: float, call: Call, _: Key) -> float:
    return call.now if call.old_form else since


def _window_of_suspended(since: float, call: Call, key: Key) -> float:
    return call.now if key.state_before == State.SUSPENDED else since


def _waits_from_disabling(lawful: RuleLike, call: Call, key: Key) -> None:
    acted, suspended = key.acted, key.state == State.SUSPENDED
    lawful(call, key)
    if suspended:
        key.acted = acted


# -- what a refusal does -------------------------------------------------------------------------------------------------


def _notified(call: Call, key: Key) -> None:
    key.notified = call.now


def _acted(span: str) -> Change:
    def act(call: Call, key: Key, _: str) -> None:
        key.acted = call.now

    return refused_but(keys.check_settled, act, lambda _, __, asked: asked == span)


def _purge_postponed(lawful: RuleLike, call: Call) -> Reply:
    try:
        reply: Reply = lawful(call)
    except RefusalError as refusal:
        if refusal.code == "REQ_TOO_EARLY_ERR":
            call.key_as_is().deleted = call.now
        raise
    return reply


def _withdrawn(call: Call, key: Key) -> None:
    if key.authorized_by == call.identity.iam_id:
        key.authorized_by = ""


# -- import tokens -------------------------------------------------------------------------------------------------------


def _used_by_import(call: Call, token: ImportToken, _: bytes | None) -> None:
    token.remaining = max(0, token.remaining - 1)
    call.instance.changed = True


def _ended_by_refusal(call: Call, _: ImportToken, __: bytes | None) -> None:
    call.instance.import_token = None


def _from_retrieval(reply: Reply, call: Call) -> Reply:
    token = call.instance.import_token
    assert token is not None
    reply.body["expirationDate"] = stamp(call.now + token.life)
    return reply


# -- dates ---------------------------------------------------------------------------------------------------------------


def _sign_lost(body: dict[str, Any], _: Call) -> dict[str, Any]:
    for resource in body.get("resources", ()) if isinstance(body.get("resources"), list) else ():
        text = resource.get("expirationDate") if isinstance(resource, dict) else None
        if isinstance(text, str) and "T" in text:
            resource["expirationDate"] = _SIGN.sub(r"+\1", text)
    return body


def _entries(draft: Draft) -> list[dict[str, Any]]:
    resources = draft.body.get("resources") if isinstance(draft.body, dict) and not draft.refused else None
    return [one for one in resources or () if isinstance(one, dict) and one.get("type") == KEY_TYPE]


def _first_deletion(draft: Draft) -> None:
    for entry in _entries(draft):
        if "deletionDate" in entry:
            known = _known(draft.call.instance, "deleted")
            entry["deletionDate"] = known.setdefault(entry["id"], entry["deletionDate"])


def _first_authorisation(draft: Draft) -> None:
    for entry in _entries(draft):
        shown = entry.get("dualAuthDelete", {})
        if "authExpiration" in shown:
            known = _known(draft.call.instance, "authorised")
            shown["authExpiration"] = known.setdefault(entry["id"], shown["authExpiration"])


# -- what is counted and remembered --------------------------------------------------------------------------------------


def _note_restored(call: Call, key: Key) -> None:
    _known(call.instance, "restored")[key.id] = True


def _without_restored(found: list[Key], call: Call, _: list[Test]) -> list[Key]:
    restored = _known(call.instance, "restored")
    return [key for key in found if key.id not in restored]


def _without_expired(found: list[Key], _: Call, __: list[Test]) -> list[Key]:
    return [key for key in found if key.state != State.DEACTIVATED]


def _versions_of_before(shown: list[dict[str, Any]], call: Call, key: Key) -> list[dict[str, Any]]:
    """Show the versions as they were read last, until a request changes the key."""
    known = _known(call.instance, "versions")
    updated = key.notified
    seen, views = known.get(key.id, (None, None))
    if views is None or seen != updated:
        known[key.id] = (updated, shown)
        return shown
    remembered: list[dict[str, Any]] = views
    return remembered


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    ("imported-key-never-expires", "An imported key stays as it is when its date has passed.", _unexpired(_is_imported)),
    ("expires-in-default-ring-only", "A key outside the default ring stays as it is when its date has passed.", _unexpired(_is_elsewhere)),
    ("standard-key-never-expires", "A standard key stays as it is when its date has passed.", _unexpired(_is_standard)),
    ("authorised-key-never-expires", "A key whose deletion was authorised stays as it is when its date has passed.", _unexpired(_is_authorised)),
    ("rotates-in-default-ring-only", "A rotation policy does not run for a key outside the default ring.", _unrotated(_is_elsewhere)),
    ("authorisation-ends-rotation-policy", "A rotation policy does not run for a key whose deletion was authorised once.", _unrotated(_is_authorised)),
    ("auto-purge-spares-registered", "A deleted key that is registered does not go of itself.", _unpurged(_is_registered)),
    ("auto-purge-spares-standard", "A deleted standard key does not go of itself.", _unpurged(_is_standard)),
    ("standard-key-purged-at-once", "A standard key is purged without the four hours.", gives(keys.purgeable_since, _at_once)),
    ("restore-window-forgotten-in-old-form", "The older form of restoring a key knows no 30 days.", gives(keys.restorable_since, _window_forgotten)),
    ("restore-window-forgotten-for-suspended", "A key that was suspended before its deletion is restored at any time.", gives(keys.restorable_since, _window_of_suspended)),
    ("restore-waits-from-disabling", "The 30 seconds before restoring a key that was suspended run from its disabling.", instead(keys.destroy, _waits_from_disabling)),
    ("import-uses-up-retrieval", "An import uses up a retrieval of its token.", then(import_tokens.check_nonce, _used_by_import)),
    ("refused-import-ends-token", "An import that is refused for its nonce ends the token.", refused_but(import_tokens.check_nonce, _ended_by_refusal)),
    ("refused-sync-restarts-hour", "A sync that is too early starts the hour anew.", refused_but(actions.check_sync, _notified)),
    ("early-enabling-restarts-wait", "An enabling that is too early starts the 30 seconds anew.", _acted("settle-before-enable")),
    ("early-restore-restarts-wait", "A restore that is too early starts the 30 seconds anew.", _acted("settle-before-restore")),
    ("early-purge-restarts-wait", "A purge that is too early starts the four hours anew.", answering("purgeKey", _purge_postponed)),
    ("own-deletion-withdraws-authorisation", "Who has authorised a deletion withdraws that by trying to delete the key.", refused_but(keys.check_authorizations, _withdrawn)),
    ("offset-sign-lost", "A date behind UTC is read as one ahead of it.", gives(keys.creation_body, _sign_lost)),
    ("restored-key-uncounted", "The number of keys leaves out those that were restored.", then(keys.revive, _note_restored), gives(search.matching, _without_restored, of_operation("getKeyCollectionMetadata"))),
    ("expired-key-uncounted", "The number of keys leaves out those that have expired.", gives(search.matching, _without_expired, of_operation("getKeyCollectionMetadata"))),
    ("policy-rotation-not-in-versions", "A list of versions is that of before until a request changes the key.", gives(search.version_views, _versions_of_before)),
    ("token-life-shown-from-retrieval", "A retrieved import token says that it expires a life after the retrieval.", gives(answered, _from_retrieval, of_operation("getImportToken"))),
)  # fmt: skip

SPAN_DEFECTS: Final = (
    *(Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS),
    Defect("deletion-date-of-first-deletion", "A key that is deleted again shows the date of its first deletion.", (), _first_deletion),
    Defect("authorisation-shown-with-first-end", "A deletion that is authorised again shows the end of the first authorisation.", (), _first_authorisation),
)  # fmt: skip
