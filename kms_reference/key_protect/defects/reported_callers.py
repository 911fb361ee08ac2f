"""Defects of timers, of what is remembered of a key, and of spans and counters that each caller has, after faults that others reported.

Node's timers of 32 bits, Quartz's misfires, negative caches, limiters keyed by user, MySQL without
strict mode and others; each is translated to this API where a source fixes what is right.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import actions, import_tokens, keys, kmip
from kms_reference.key_protect.app import Exchange, answered
from kms_reference.key_protect.clock import DAY
from kms_reference.key_protect.defects.conditions import Memory, of_operation
from kms_reference.key_protect.defects.laws_concurrency import WINDOW
from kms_reference.key_protect.errors import RefusalError, plain
from kms_reference.key_protect.instance import Instance
from kms_reference.key_protect.model import State
from kms_reference.switches import Change, Defect, gives, instead, on_refusal, then

if TYPE_CHECKING:
    from kms_reference.key_protect.model import ImportToken, Key
    from kms_reference.key_protect.wire import Call, Reply
    from kms_reference.rules import RefusedError, RuleLike

_LONGEST_TIMER: Final = 2**31 / 1_000
"""Seconds that a timer of 32 bits counts; what is longer ends at once."""
_CACHED: Final = 60.0
_CERTIFICATES: Final = 5
_RESOURCE: Final = 128

_known: Final = Memory()


# -- timers --------------------------------------------------------------------------------------------------------------


def _misfired(lawful: RuleLike, instance: Instance, key: Key, now: float) -> None:
    """Leave out a rotation that is more than two days overdue, and wait for the next."""
    if key.rotation is not None and now > instance.rotation_due(key) + 2 * DAY:
        key.rotation.updated = now
        return
    lawful(instance, key, now)


def _short_timer(lawful: RuleLike, instance: Instance, key: Key, now: float) -> None:
    """Let a key expire at once whose date is farther away than a timer counts."""
    if key.expires is not None and key.expires - key.created > _LONGEST_TIMER and key.state == State.ACTIVE:
        key.state = State.DEACTIVATED
    lawful(instance, key, now)


def _swept_at_once(reply: Reply, call: Call) -> Reply:
    for key in call.instance.keys.values():
        _short_timer(lambda *_: None, call.instance, key, call.now)
    return reply


# -- what is remembered of a key -----------------------------------------------------------------------------------------


def _note_read(reply: Reply, call: Call) -> Reply:
    _known(call.instance, "read")[call.args["id"]] = (call.now, reply)
    return reply


def _read_before(refusal: RefusedError, call: Call) -> Reply:
    """Show what was read of a key that is gone."""
    moment, reply = _known(call.instance, "read").get(call.args["id"], (0.0, None))
    if reply is None or call.now >= moment + _CACHED:
        raise refusal
    found: Reply = reply
    return found


def _refused_on(
    lawful: RuleLike, call: Call, key: Key, allowed: tuple[int, ...], action: str, **more: Any
) -> None:
    """Refuse an action for a minute once it was refused for the state of the key."""
    known = _known(call.instance, "refused")
    if call.now < known.get((key.id, action), 0.0) + _CACHED:
        raise RefusalError("KEY_ACTION_INVALID_STATE_ERR")
    try:
        lawful(call, key, allowed, action, **more)
    except RefusalError:
        known[key.id, action] = call.now
        raise


# -- what each caller has ------------------------------------------------------------------------------------------------


def _note_who(call: Call, key: Key) -> None:
    _known(call.instance, "acted")[key.id] = call.identity.iam_id


def _others_wait(refusal: RefusedError, call: Call, key: Key, _: str) -> None:
    """Let who has not disabled or deleted the key enable or restore it at once."""
    if _known(call.instance, "acted").get(key.id) == call.identity.iam_id:
        raise refusal


def _counted_by_caller(lawful: RuleLike, call: Call, token: ImportToken) -> None:
    """Count the retrievals of each user."""
    known = _known(call.instance, "retrievals")
    who = (token.nonce, call.identity.iam_id)
    token.remaining = known.get(who, token.allowed)
    lawful(call, token)
    known[who] = token.remaining - 1


# -- at the same moment --------------------------------------------------------------------------------------------------


async def _opened_in_vain(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
    """Open nothing where the key is rotated in between."""
    key = call.instance.find(call.args["id"])
    before = None if key is None else key.newest.id
    await asyncio.sleep(WINDOW)
    if key is not None and key.newest.id != before:
        raise actions.unprocessable(call, actions.REWRAP_SUBJECT)
    reply: Reply = await lawful(exchange, call)
    return reply


async def _one_of_a_name(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
    """Refuse a key whose body another request is making a key of."""
    making = _known(call.instance, "making")
    if call.raw in making:
        raise plain(409, "Key could not be created: it is being created")
    making[call.raw] = True
    try:
        await asyncio.sleep(WINDOW)
        reply: Reply = await lawful(exchange, call)
    finally:
        making.pop(call.raw, None)
    return reply


# -- sizes ---------------------------------------------------------------------------------------------------------------


def _no_sixth(call: Call, _: str) -> None:
    if len(kmip.adapter_of(call).certificates) >= _CERTIFICATES:
        raise plain(409, "KMIP client certificate could not be created: the adapter has five")


def _resource_cut(lawful: RuleLike, call: Call) -> Reply:
    call.args["crn"] = call.args["crn"][:_RESOURCE]
    reply: Reply = lawful(call)
    return reply


def _doing(*operations: str) -> Any:
    return lambda _, call: call.operation.id in operations


def _writing_registrations() -> tuple[Change, ...]:
    verbs = ("create", "replace", "update", "delete")
    return tuple(instead(answered, _resource_cut, of_operation(f"{verb}Registration")) for verb in verbs)


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    ("overdue-rotation-left-out", "A rotation by policy that is more than two days overdue is left out.", instead(Instance.rotate_by_policy, _misfired)),
    ("expiry-timer-of-24-days", "A key whose date is more than 24 days away expires at once.", gives(answered, _swept_at_once, of_operation("createKey"))),
    ("purged-key-read-from-cache", "For a minute a purged key is shown as it was read last.", gives(answered, _note_read, of_operation("getKeyMetadata")), on_refusal(answered, _read_before, of_operation("getKeyMetadata"))),
    ("refused-key-refused-on", "What was refused for the state of a key is refused for a minute more.", instead(actions.check_state, _refused_on)),
    ("wait-of-caller", "The 30 seconds before enabling and restoring hold for who has acted on the key last.", then(actions.suspend, _note_who), then(keys.destroy, _note_who), on_refusal(keys.check_settled, _others_wait)),
    ("retrievals-of-caller", "Each user retrieves an import token as often as was asked for.", instead(import_tokens.check_retrievals, _counted_by_caller)),
    ("unwrap-during-rotation-fails", "What is opened while the key is rotated counts as corrupted.", instead(Exchange.answer, _opened_in_vain, _doing("unwrapKey", "rewrapKey"))),
    ("same-key-made-at-once-refused", "Of two keys that are made at once of the same body one is refused.", instead(Exchange.answer, _one_of_a_name, _doing("createKey"))),
    ("certificates-at-most-five", "A KMIP adapter has five client certificates at most.", then(kmip.check_certificate_free, _no_sixth)),
    ("resource-cut-to-128", "The name of a registered resource is cut to 128 characters.", *_writing_registrations()),
)  # fmt: skip

CALLER_DEFECTS: Final = tuple(Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS)
