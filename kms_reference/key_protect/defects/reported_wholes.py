"""Defects of what concerns one thing and is kept for all, or for its whole life, after faults that others reported.

Ghostwriter, floci, actor-ts, Diem's storage, Vault, Elasticsearch and others; each is translated to this API where a source
fixes what is right.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import actions, keys, search
from kms_reference.key_protect.app import Exchange
from kms_reference.key_protect.clock import DAY
from kms_reference.key_protect.crypto import decode_base64, encode_base64
from kms_reference.key_protect.defects.conditions import Memory
from kms_reference.key_protect.defects.laws_concurrency import WINDOW, _attribute, _crash
from kms_reference.key_protect.instance import MONTH, Instance
from kms_reference.key_protect.model import State
from kms_reference.switches import After, Change, Defect, gives, instead, then

if TYPE_CHECKING:
    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.wire import Call, Reply
    from kms_reference.rules import Draft, RuleLike

_BYTE: Final = 256
_BLOCK: Final = 16
_WEEK: Final = 7 * DAY

_known: Final = Memory()


# -- time --------------------------------------------------------------------------------------------------------------


def _as_stored(lawful: RuleLike, call: Call, tests: Any) -> Any:
    """Select keys by the state that they had before they expired."""
    expired = [key for key in call.instance.keys.values() if key.state == State.DEACTIVATED]
    for key in expired:
        key.state = State.ACTIVE
    try:
        return lawful(call, tests)
    finally:
        for key in expired:
            key.state = State.DEACTIVATED


def _revived(draft: Draft) -> None:
    key = draft.call.key_as_is()
    if key.state == State.DEACTIVATED:
        key.state, key.expires = State.ACTIVE, None


def _days_in_one_byte(due: float, _: Instance, key: Key) -> float:
    assert key.rotation is not None
    days = key.rotation.interval * 30
    return due - key.rotation.interval * MONTH + max(1, days % _BYTE) * DAY


def _last_of_any(member: str) -> RuleLike:
    def act(last: float | None, call: Call, _: Key) -> float | None:
        return max((getattr(key, member) or 0.0 for key in call.instance.keys.values()), default=0.0) or last

    return act


def _notified_of_any(lawful: RuleLike, call: Call, key: Key) -> None:
    own = key.notified
    key.notified = max((one.notified or 0.0 for one in call.instance.keys.values()), default=0.0) or own
    try:
        lawful(call, key)
    finally:
        key.notified = own


def _acted_of_any(lawful: RuleLike, call: Call, key: Key, span: str) -> None:
    own = key.acted
    key.acted = max(one.acted for one in call.instance.keys.values())
    try:
        lawful(call, key, span)
    finally:
        key.acted = own


def _note_caller(call: Call, key: Key, *_: Any) -> None:
    _known(call.instance, "rotated by")[key.id] = call.identity.iam_id


def _of_caller(last: float | None, call: Call, key: Key) -> float | None:
    by = _known(call.instance, "rotated by").get(key.id, call.identity.iam_id)
    return last if by == call.identity.iam_id else None


def _any_authorised(stands: bool, call: Call, _: Key) -> bool:
    others = [
        key for key in call.instance.keys.values() if key.authorized_by not in {"", call.identity.iam_id}
    ]
    return stands or any(call.instance.authorized(key, call.now) for key in others)


def _since_creation(_: float, __: Call, key: Key) -> float:
    return key.created


def _purged_since_creation(due: float, _: Instance, key: Key) -> float:
    return due if key.deleted is None else key.created + 90 * DAY


def _authorised_since_creation(stands: bool, call: Call, key: Key) -> bool:
    return stands and call.now < key.created + _WEEK


_over: set[tuple[str, str]] = set()


def _lives_on(lawful: RuleLike, instance: Instance, key: Key, now: float) -> None:
    """Let a key that is suspended when its date passes be as if it had none."""
    if key.state == State.SUSPENDED and key.expires is not None and now >= key.expires:
        _over.add(("over", key.id))
    if ("over", key.id) not in _over:
        lawful(instance, key, now)


def _note_gone(due: float, instance: Instance, key: Key) -> float:
    if instance.now() >= due:
        _known(instance, "gone")[key.id] = key.ring
    return due


def _with_gone(reply: Reply, call: Call) -> Reply:
    gone = [ring for ring in _known(call.instance, "gone").values() if call.ring in {None, ring}]
    if "5" in call.query.get("state", ""):
        reply.headers["Key-Total"] = str(int(reply.headers["Key-Total"]) + len(gone))
    return reply


# -- at once -----------------------------------------------------------------------------------------------------------


def _vanishing(*operations: str) -> Change:
    """Take a key away and put it back while it is changed."""

    async def answer(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
        key = call.instance.find(call.args["id"])
        if key is not None:
            del call.instance.keys[key.id]
            await asyncio.sleep(WINDOW)
            call.instance.keys[key.id] = key
        reply: Reply = await lawful(exchange, call)
        return reply

    return instead(Exchange.answer, answer, lambda _, call: call.operation.id in operations)


# -- octets ------------------------------------------------------------------------------------------------------------


def _unpadded(data: bytes, _: Call, __: str, name: str, *___: Any, **____: Any) -> bytes:
    """Take off what looks like the padding of a block."""
    last = data[-1] if data else 0
    padded = name == "plaintext" and 0 < last <= _BLOCK and data.endswith(bytes([last]) * last)
    return data[:-last] if padded else data


def _stripped(draft: Draft) -> None:
    for entry in (
        draft.body.get("resources", ()) if isinstance(draft.body, dict) and not draft.refused else ()
    ):
        if "payload" in entry and draft.operation == "getKey":
            data = decode_base64(entry["payload"])
            # Material that is made at random ends with a blank now and then, and not with a line's end of two octets.
            entry["payload"] = encode_base64(data.removesuffix(b"\r\n"))


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    ("expired-key-listed-as-active", "A list of active keys holds those that have expired.", instead(search.matching, _as_stored, lambda call, _: "state" in call.query)),
    ("interval-in-days-in-one-byte", "A rotation interval is kept as days in one byte.", gives(Instance.rotation_due, _days_in_one_byte)),
    ("rotation-hour-of-all-keys", "After a rotation no key of the instance is rotated for an hour.", gives(actions.last_rotation, _last_of_any("rotated"))),
    ("sync-hour-of-all-keys", "After a sync no key of the instance is synced for an hour.", instead(actions.check_sync, _notified_of_any)),
    ("settled-by-another-key", "The 30 seconds before enabling run from the last action on any key.", instead(keys.check_settled, _acted_of_any)),
    ("rotation-hour-of-caller", "Another user rotates a key within the hour.", then(actions.add_version, _note_caller), gives(actions.last_rotation, _of_caller)),
    ("authorisation-of-any-key", "The authorisation of one key's deletion stands for all keys.", gives(keys.authorized_before, _any_authorised)),
    ("purge-counts-from-creation", "The four hours before a purge run from the creation of the key.", gives(keys.purgeable_since, _since_creation)),
    ("restore-counts-from-creation", "The 30 days for a restore run from the creation of the key.", gives(keys.restorable_since, _since_creation)),
    ("auto-purge-counts-from-creation", "A deleted key goes of itself 90 days after its creation.", gives(Instance.purge_due, _purged_since_creation)),
    ("authorisation-counts-from-creation", "No authorisation stands when a key is older than seven days.", gives(keys.authorized_before, _authorised_since_creation)),
    ("suspended-over-its-date-lives-on", "A key that is suspended when its date passes does not expire.", instead(Instance.expire, _lives_on)),
    ("count-keeps-the-gone", "The number of deleted keys counts those that went of themselves.", gives(Instance.purge_due, _note_gone), gives(search.head_keys, _with_gone)),
    ("creation-undoes-instance-policy", "Making a key writes back the policies of the instance.", _attribute("policies", "createKey")),
    ("creation-loses-ring", "Making a key writes back the key rings that there were.", _attribute("rings", "createKey")),
    ("naming-loses-a-new-key", "Giving an alias writes back the keys that there were.", _attribute("keys", "createKeyAlias")),
    ("dropping-loses-an-adapter", "Deleting a KMIP adapter writes back the others as they were.", _attribute("adapters", "deleteKmipAdapter")),
    ("moved-key-vanishes", "A key cannot be found while it is moved.", _vanishing("patchKey")),
    ("registration-conflict-of-any-key", "Registering fails with 500 where any key is changed in between.", _crash(lambda call: call.instance.keys, "createRegistration")),
    ("plaintext-unpadded", "A plaintext loses what looks like the padding of a block.", gives(actions.decoded, _unpadded)),
)  # fmt: skip

WHOLE_DEFECTS: Final = (
    *(Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS),
    Defect("policy-revives-expired-key", "A key that has expired is active again when its policy is set.", (), after=After("putPolicy", _revived)),
    Defect("payload-stripped", "The payload of a standard key is shown without its last line's end.", (), _stripped),
)  # fmt: skip
