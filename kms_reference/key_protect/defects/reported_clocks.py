"""Defects of what time runs from, and of whose time it is, after faults that others reported.

Vault, Keycloak, Quartz, cert-manager, Azure's emulators, moto, LocalStack, Superset and others; each is translated to this
API where a source fixes what is right: a span runs from what begins it whatever else is done meanwhile, its end is there
for whoever asks first, and it ends for those whose time it is and for nobody else.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import actions, import_tokens, keys, registrations, rings
from kms_reference.key_protect.app import answered
from kms_reference.key_protect.clock import DAY, parse_stamp, stamp
from kms_reference.key_protect.defects.conditions import Memory, of_operation
from kms_reference.key_protect.errors import RefusalError, bad_field, unknown_key
from kms_reference.key_protect.instance import HOUR, MONTH, NEVER, Instance
from kms_reference.key_protect.model import State
from kms_reference.key_protect.wire import KEY_TYPE, Call
from kms_reference.rules import as_stated
from kms_reference.switches import Change, Defect, gives, instead, skipped, then

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.model import ImportToken, Key, Registration
    from kms_reference.key_protect.wire import Reply
    from kms_reference.rules import Draft, Mutator, RuleLike

_WEEK: Final = 7 * DAY
_LAST_OF_32_BITS: Final = 2**31 - 1
_LAST_DATE: Final = 253_402_300_799.0
_LIVING: Final = (State.ACTIVE, State.SUSPENDED)

_known: Final = Memory()


# -- what a span runs from ---------------------------------------------------------------------------------------------


def _rotation_after(moment: Callable[[Instance, Key], float]) -> Change:
    """Let a rotation policy run from a later moment."""

    def act(due: float, instance: Instance, key: Key) -> float:
        assert key.rotation is not None
        return max(due, moment(instance, key) + key.rotation.interval * MONTH)

    return gives(Instance.rotation_due, act)


def _noting(what: str) -> Callable[..., None]:
    def act(call: Call, key: Key | None = None, *_: Any) -> None:
        found = key or call.key_as_is()
        _known(call.instance, what)[found.id] = call.now

    return act


def _noted(what: str) -> Callable[[Instance, Key], float]:
    return lambda instance, key: _known(instance, what).get(key.id, 0.0)


def _since_update(moment: float, _: Call, key: Key) -> float:
    return max(moment, key.updated)


def _purged_since_update(due: float, _: Instance, key: Key) -> float:
    return NEVER if key.deleted is None else max(due, key.updated + 90 * DAY)


def _authorised_since_update(stands: bool, call: Call, key: Key) -> bool:
    others = key.authorized_by not in {"", call.identity.iam_id}
    return stands or (others and call.now < key.updated + _WEEK)


def _token_renewed(call: Call, token: ImportToken) -> None:
    token.created = call.now


def _month_of(moment: float) -> float:
    """Return the seconds of the month of the calendar that begins at a moment."""
    at = datetime.fromtimestamp(moment, UTC)
    return monthrange(at.year, at.month)[1] * DAY


def _within_a_month(moment: float, _: Call, __: Key) -> float:
    return moment + _month_of(moment) - MONTH


def _three_months(due: float, _: Instance, key: Key) -> float:
    """Purge a key three months of the calendar after its deletion."""
    moment = key.deleted
    if moment is None:
        return due
    for _number in range(3):
        moment += _month_of(moment)
    return moment


def _until_the_end_of_the_day(moment: float, call: Call, _: Key) -> float:
    last = moment + 30 * DAY
    return call.now - 30 * DAY if call.now // DAY == last // DAY else moment


def _in_milliseconds(due: float, _: Instance, key: Key) -> float:
    """Count an interval in milliseconds of 32 bits."""
    assert key.rotation is not None
    span = int(key.rotation.interval * MONTH * 1_000) & 0xFFFFFFFF
    return due - key.rotation.interval * MONTH + max(span, 1_000) / 1_000


# -- what is shown of it -------------------------------------------------------------------------------------------------


def _shown(member: str, span: float) -> Mutator:
    """Show a moment as counted from the reading."""

    def mutate(draft: Draft) -> None:
        resources = draft.body.get("resources") if isinstance(draft.body, dict) else None
        for entry in resources or () if not draft.refused else ():
            if entry.get("type") != KEY_TYPE:
                continue
            holder = entry if member in entry else entry.get("dualAuthDelete", {})
            if member in holder:
                holder[member] = stamp(draft.call.now + span)

    return mutate


# -- who asks first ------------------------------------------------------------------------------------------------------


def _when_read(rule: Any, *operations: str) -> tuple[Change, ...]:
    """Do what time does to a key when one of these operations reads it, and not before."""
    lawful = as_stated(rule)

    def read(key: Key | None, call: Call) -> Key | None:
        if key is not None:
            lawful(call.instance, key, call.now)
        return key

    return skipped(rule), gives(Call.find_key, read, lambda call: call.operation.id in operations)


def _purged_when_read() -> tuple[Change, ...]:
    lawful = as_stated(Instance.purge_due)

    def read(key: Key | None, call: Call) -> Key | None:
        if key is not None and call.now >= lawful(call.instance, key):
            call.instance.remove(key)
            raise unknown_key()
        return key

    return gives(Instance.purge_due, lambda *_: NEVER), gives(Call.find_key, read)


# -- whose time it is ----------------------------------------------------------------------------------------------------


def _earliest_purge(due: float, instance: Instance, key: Key) -> float:
    lawful = as_stated(Instance.purge_due)
    if key.deleted is None:
        return due
    earliest: float = min(lawful(instance, other) for other in instance.keys.values())
    return earliest


def _earliest_rotation(due: float, instance: Instance, key: Key) -> float:
    """Rotate every key with a policy when the first one is due."""
    lawful = as_stated(Instance.rotation_due)
    others = [
        lawful(instance, other)
        for other in instance.keys.values()
        if other.rotation is not None and other.rotation.enabled and other.state == State.ACTIVE
    ]
    since = max(key.created, key.rotated or 0.0) + DAY
    earliest: float = min((moment for moment in others if moment > since), default=due)
    return earliest


def _all_dated(lawful: RuleLike, instance: Instance, key: Key, now: float) -> None:
    before = key.state
    lawful(instance, key, now)
    if key.state != before:
        for other in instance.keys.values():
            if other.expires is not None and other.state in _LIVING:
                other.state = State.DEACTIVATED


def _others_lapsed(stands: bool, call: Call, key: Key) -> bool:
    others = [one for one in call.instance.keys.values() if one is not key and one.authorized_by]
    return stands and not any(call.now >= one.authorized + _WEEK for one in others)


def _purge_all(call: Call, key: Key) -> None:
    for other in list(call.instance.keys.values()):
        if other is not key and other.deleted is not None and call.now >= other.deleted + 4 * HOUR:
            call.instance.remove(other)


def _revive_all(lawful: RuleLike, call: Call, key: Key) -> None:
    deleted = key.deleted or 0.0
    lawful(call, key)
    for other in call.instance.keys.values():
        if other.deleted is not None and abs(other.deleted - deleted) < HOUR:
            other.state, other.deleted, other.deleted_by = State.ACTIVE, None, ""


def _note_gone(due: float, instance: Instance, key: Key) -> float:
    if instance.now() >= due:
        _known(instance, "registered").update(
            {(key.id, crn): (key, one) for crn, one in key.registrations.items()}
        )
        _known(instance, "rings")[key.ring] = True
    return due


def _with_gone(reply: Reply, call: Call) -> Reply:
    gone: dict[Any, tuple[Key, Registration]] = _known(call.instance, "registered")
    if gone and call.operation.id == "getRegistrationsAllKeys":
        views = [registrations.view_of(call, key, one) for key, one in gone.values()]
        reply.body.setdefault("resources", []).extend(views)
        reply.body["metadata"]["collectionTotal"] += len(views)
    return reply


def _ring_of_gone(call: Call, _: list[Key]) -> None:
    if call.args["ring"] in _known(call.instance, "rings"):
        raise RefusalError("KEY_RING_NOT_EMPTY_ERR")


# -- dates ---------------------------------------------------------------------------------------------------------------


def _dated(change: Callable[[float], None]) -> Change:
    def act(body: dict[str, Any], _: Call) -> dict[str, Any]:
        for resource in body.get("resources", ()) if isinstance(body.get("resources"), list) else ():
            text = resource.get("expirationDate") if isinstance(resource, dict) else None
            moment = parse_stamp(text) if isinstance(text, str) else None
            if moment is not None:
                change(moment)
        return body

    return gives(keys.creation_body, act)


def _in_32_bits(moment: float) -> None:
    if moment > _LAST_OF_32_BITS:
        raise bad_field("expirationDate", "a date in the future")


def _an_hour_later(moment: float) -> None:
    if moment + HOUR > _LAST_DATE:
        raise OverflowError("the date has five digits of a year")


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    ("rotation-counts-from-last-update", "A rotation policy runs from the last change of the key, whatever it was.", _rotation_after(lambda _, key: key.updated)),
    ("wrapping-restarts-interval", "A rotation policy runs from the last time that the key has wrapped.", then(actions.wrap, _noting("wrapped")), _rotation_after(_noted("wrapped"))),
    ("enabling-restarts-interval", "A rotation policy runs from the last time that the key was enabled.", then(actions.resume, _noting("enabled")), _rotation_after(_noted("enabled"))),
    ("purge-counts-from-last-update", "The four hours before a purge run from the last change of the deleted key.", gives(keys.purgeable_since, _since_update)),
    ("auto-purge-counts-from-last-update", "The 90 days before a key goes of itself run from its last change.", gives(Instance.purge_due, _purged_since_update)),
    ("restore-counts-from-last-update", "The 30 days for a restore run from the last change of the deleted key.", gives(keys.restorable_since, _since_update)),
    ("authorisation-counts-from-last-update", "An authorisation stands for seven days after the last change of the key.", gives(keys.authorized_before, _authorised_since_update)),
    ("token-renewed-by-retrieval", "An import token lives anew from each retrieval.", then(import_tokens.count_retrieval, _token_renewed)),
    ("restore-within-a-calendar-month", "A key can be restored for a month of the calendar.", gives(keys.restorable_since, _within_a_month)),
    ("auto-purge-after-three-calendar-months", "A deleted key goes of itself after three months of the calendar.", gives(Instance.purge_due, _three_months)),
    ("restore-until-the-end-of-the-day", "A key can be restored until the end of the thirtieth day.", gives(keys.restorable_since, _until_the_end_of_the_day)),
    ("interval-overflows-milliseconds", "A rotation interval is counted in milliseconds of 32 bits.", gives(Instance.rotation_due, _in_milliseconds)),
    ("expires-when-read", "A key expires when its metadata are read, and not before.", *_when_read(Instance.expire, "getKeyMetadata", "getKey")),
    ("rotates-when-read", "A rotation policy runs when the key is read, and not before.", *_when_read(Instance.rotate_by_policy, "getKeyMetadata", "getKey", "getKeyVersions")),
    ("purges-when-read", "A deleted key goes of itself when it is asked for, and not before.", *_purged_when_read()),
    ("auto-purge-takes-all-deleted", "When a key goes of itself all deleted keys go.", gives(Instance.purge_due, _earliest_purge)),
    ("policy-rotation-takes-all", "When a policy rotates a key all keys with a policy are rotated.", gives(Instance.rotation_due, _earliest_rotation)),
    ("expiry-takes-all-dated", "When a key expires all keys with an expiration date do.", instead(Instance.expire, _all_dated)),
    ("lapse-ends-all-authorisations", "When one authorisation has lapsed none stands.", gives(keys.authorized_before, _others_lapsed)),
    ("purge-takes-all-purgeable", "Purging a key purges every key that may be purged.", then(keys.forget, _purge_all)),
    ("restore-takes-all-deleted", "Restoring a key restores those that were deleted within the same hour.", instead(keys.revive, _revive_all)),
    ("auto-purge-leaves-registrations", "The list over all keys holds registrations of keys that went of themselves.", gives(Instance.purge_due, _note_gone), gives(answered, _with_gone, of_operation("getRegistrationsAllKeys"))),
    ("auto-purge-leaves-ring-full", "A key ring counts as full once a key in it went of itself.", gives(Instance.purge_due, _note_gone), then(rings.check_empty, _ring_of_gone)),
    ("expiry-in-32-bits", "A date after 2038 is one of the past.", _dated(_in_32_bits)),
    ("last-date-crashes", "The last date of the calendar crashes the service.", _dated(_an_hour_later)),
)  # fmt: skip

CLOCK_DEFECTS: Final = (
    *(Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS),
    Defect("restore-date-from-reading", "A deleted key says that it can be restored for 30 days from now.", (), _shown("restoreExpirationDate", 30 * DAY)),
    Defect("purge-date-from-reading", "A deleted key says that it goes of itself in 90 days from now.", (), _shown("purgeScheduledOn", 90 * DAY)),
    Defect("authorisation-date-from-reading", "A key says that an authorisation stands for seven days from now.", (), _shown("authExpiration", _WEEK)),
)  # fmt: skip
