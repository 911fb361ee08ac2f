"""Defects of how time is counted, and of whom a sweep or a span forgets, after faults that others reported.

A difference of dates of which only the seconds of a day are taken, a day of the year, a map of timers with one place for a
moment, a sweep that takes a few at a time, a refusal that starts a span: seen in schedulers and stores of many kinds. Each is
translated to this API where a source fixes what is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import actions, key_input, key_policies, keys
from kms_reference.key_protect.clock import DAY
from kms_reference.key_protect.defects.conditions import Memory
from kms_reference.key_protect.errors import RefusalError
from kms_reference.key_protect.instance import HOUR, MONTH, Instance
from kms_reference.switches import After, Change, Defect, gives, instead, refused_but, then

if TYPE_CHECKING:
    from kms_reference.key_protect.key_input import Material
    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.wire import Call
    from kms_reference.rules import Draft, RuleLike

_AT_A_TIME: Final = 8

_known: Final = Memory()


# -- how time is counted -------------------------------------------------------------------------------------------------


def _hour_of_each_day(lawful: RuleLike, call: Call, key: Key, members: Any) -> None:
    """Take the seconds of the difference of two dates, without its days."""
    last = actions.last_rotation(call, key)
    if last is not None and (call.now - last) % DAY < HOUR:
        raise RefusalError("KEY_ROTATION_NOT_PERMITTED")
    lawful(call, key, members)


def _same_time_today(since: float, call: Call, _: Key) -> float:
    return since + (call.now - since) // DAY * DAY


def _purged_since_expiry(due: float, _: Instance, key: Key) -> float:
    if key.deleted is None or key.expires is None or key.expires >= key.deleted:
        return due
    return key.expires + 90 * DAY


# -- whom time forgets ---------------------------------------------------------------------------------------------------


def _one_timer_for_a_moment(lawful: RuleLike, instance: Instance, key: Key, now: float) -> None:
    """Let the last of the keys that expire at one second expire."""
    assert key.expires is not None
    dated = [one for one in instance.keys.values() if one.expires and int(one.expires) == int(key.expires)]
    if dated[-1] is key:
        lawful(instance, key, now)


def _few_at_a_time(lawful: RuleLike, instance: Instance, key: Key, now: float) -> None:
    """Let a few keys expire in a sweep, and the others a day later."""
    before = key.state
    left, done = _known(instance, "left"), _known(instance, "done")
    if now < left.get(key.id, 0.0):
        return
    if key.expires is not None and now >= key.expires and done.get(now, 0) >= _AT_A_TIME:
        left[key.id] = now + DAY
        return
    lawful(instance, key, now)
    if key.state != before:
        done[now] = done.get(now, 0) + 1


# -- what begins or ends a span ------------------------------------------------------------------------------------------


def _note_notified(call: Call, key: Key, _: Material) -> None:
    _known(call.instance, "notified")[key.id] = key.notified


def _not_notified(draft: Draft) -> None:
    key = draft.call.key_as_is()
    key.notified = _known(draft.call.instance, "notified").get(key.id, key.notified)


def _unauthorised(_: Call, key: Key) -> None:
    key.authorized_by = ""


def _note_failed(call: Call, _: bytes) -> None:
    key = call.instance.find(call.args.get("id", ""))
    if key is not None:
        _known(call.instance, "failed")[key.id] = call.now


def _since_failure(last: float | None, call: Call, key: Key) -> float | None:
    failed = _known(call.instance, "failed").get(key.id)
    return last if failed is None else max(last or 0.0, failed)


def _note_refused(call: Call, _: int) -> None:
    key = call.instance.find(call.args.get("id", ""))
    if key is not None:
        _known(call.instance, "refused policy")[key.id] = call.now


def _since_refusal(due: float, instance: Instance, key: Key) -> float:
    refused = _known(instance, "refused policy").get(key.id)
    return (
        due if refused is None or key.rotation is None else max(due, refused + key.rotation.interval * MONTH)
    )


def _of_rotation(call: Call, *_: Any, **__: Any) -> bool:
    return call.operation.id == "rotateKey"


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    ("rotation-hour-of-each-day", "A key is not rotated within the hour of its last rotation on any later day.", instead(actions.check_hour, _hour_of_each_day)),
    ("purge-wait-of-each-day", "A key is not purged within four hours of its deletion on any later day.", gives(keys.purgeable_since, _same_time_today)),
    ("auto-purge-counts-from-expiry", "A key that had expired when it was deleted goes of itself 90 days after its expiry.", gives(Instance.purge_due, _purged_since_expiry)),
    ("one-expiry-for-a-second", "Of the keys that expire at the same second one does.", instead(Instance.expire, _one_timer_for_a_moment, lambda _, key, __: key.expires is not None)),
    ("eight-expire-at-a-time", "Of many keys that expire at one time eight do, and the others a day later.", instead(Instance.expire, _few_at_a_time)),
    ("disabling-withdraws-authorisation", "Disabling a key withdraws the authorisation of its deletion.", then(actions.suspend, _unauthorised)),
    ("bad-material-starts-hour", "A rotation that is refused for its material starts the hour.", refused_but(key_input.check_root_size, _note_failed, _of_rotation), gives(actions.last_rotation, _since_failure)),
    ("refused-policy-restarts-interval", "A rotation policy that is refused for its interval starts the interval of the one before anew.", refused_but(key_policies.check_interval, _note_refused), gives(Instance.rotation_due, _since_refusal)),
)  # fmt: skip

CALENDAR_DEFECTS: Final = (
    *(Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS),
    Defect("rotation-is-no-notification", "A rotation does not put off a sync.", (), changes=(then(actions.add_version, _note_notified),), after=After("rotateKey", _not_notified)),
)  # fmt: skip
