"""Defects of time after faults that others reported: Vault, cert-manager, Keycloak, LocalStack, cron libraries, parsers of dates.

Each is translated to this API where a source fixes what is right: what time does changes what it names and nothing else,
months have 30 days, spans count seconds, a date is the one that was sent.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import actions, keys
from kms_reference.key_protect.clock import DAY, parse_stamp, stamp
from kms_reference.key_protect.errors import bad_field
from kms_reference.key_protect.instance import HOUR, Instance
from kms_reference.key_protect.model import State
from kms_reference.switches import Change, Defect, gives, instead, on_refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.model import Key, Version
    from kms_reference.key_protect.wire import Call, Members
    from kms_reference.rules import Draft, RefusedError, RuleLike

_MINUTE: Final = 60.0
_WEEK: Final = 7 * DAY
_LAST_OF_NANOSECONDS: Final = 2**63 / 1e9
_FRACTION: Final = re.compile(r"\.(\d+)")
_OFFSET: Final = re.compile(r"([+-]\d\d):\d\d$")
_OF_LEAP_DAYS: Final = re.compile(r"\d{4}-02-29[Tt]")

# What a defect remembers, by the ids of keys.
_due: dict[tuple[str, int], float] = {}
_by_policy: dict[str, set[str]] = {}


# -- what a policy does ------------------------------------------------------------------------------------------------


def _calendar_months(due: float, _: Instance, key: Key) -> float:
    """Count months of the calendar, and end with the month where it is too short."""
    assert key.rotation is not None
    begin = datetime.fromtimestamp(max(key.rotation.updated, key.rotated or 0.0), UTC)
    if due > begin.timestamp() + 400 * DAY:
        return due
    months = begin.month - 1 + key.rotation.interval
    year, month = begin.year + months // 12, months % 12 + 1
    return begin.replace(year=year, month=month, day=min(begin.day, monthrange(year, month)[1])).timestamp()


def _earliest(due: float, _: Instance, key: Key) -> float:
    """Let a policy that is written anew run no later than the one before."""
    at = (key.id, len(key.versions))
    _due[at] = min(due, _due.get(at, due))
    return _due[at]


def _rotated(act: Callable[[Key], None], *, of: int = State.ACTIVE) -> Change:
    """Do something to a key that a policy has rotated in a state."""

    def rotate(lawful: RuleLike, instance: Instance, key: Key, now: float) -> None:
        before, state = len(key.versions), key.state
        key.state = State.ACTIVE
        lawful(instance, key, now)
        key.state = state
        if len(key.versions) > before:
            _by_policy.setdefault(key.id, set()).update(one.id for one in key.versions[before:])
            act(key)

    return instead(Instance.rotate_by_policy, rotate, lambda _, key, __: key.state == of)


def _nothing(_: Key) -> None:
    """Do nothing besides."""


def _without_tags(key: Key) -> None:
    key.tags = []


def _unauthorised(key: Key) -> None:
    key.authorized_by = ""


def _entries(act: Callable[[dict[str, Any], set[str]], None]) -> Callable[[Draft], None]:
    """Change what is shown of keys whose newest version was made by a policy."""

    def mutate(draft: Draft) -> None:
        resources = draft.body.get("resources") if isinstance(draft.body, dict) else None
        for entry in resources if isinstance(resources, list) else ():
            made = _by_policy.get(entry.get("id", ""), set()) if isinstance(entry, dict) else set()
            if made and entry.get("keyVersion", {}).get("id") in made:
                act(entry, made)

    return mutate


def _undated(entry: dict[str, Any], _: set[str]) -> None:
    entry.pop("lastRotateDate", None)


def _first_version(entry: dict[str, Any], _: set[str]) -> None:
    entry["keyVersion"] = {"id": entry["id"], "creationDate": entry["creationDate"]}


def _older(version: Version, _: Call, key: Key) -> Version:
    """Wrap with the newest version that no policy has made."""
    made = _by_policy.get(key.id, set())
    return next((one for one in reversed(key.versions) if one.id not in made), version)


# -- what the end of a period does -------------------------------------------------------------------------------------


def _expired(act: Callable[[Instance, Key], None]) -> Change:
    """Do something to a key that expires."""

    def expire(lawful: RuleLike, instance: Instance, key: Key, now: float) -> None:
        before = key.state
        lawful(instance, key, now)
        if key.state != before:
            act(instance, key)

    return instead(Instance.expire, expire)


def _nameless(instance: Instance, key: Key) -> None:
    for alias in key.aliases:
        instance.alias_index.pop(alias, None)
    key.aliases = {}


def _of_one_user(_: Instance, key: Key) -> None:
    key.dual_auth = None


def _lapsed(needed: bool, call: Call, key: Key) -> bool:
    """Need one user only where an authorisation has lapsed."""
    return needed and not (key.authorized_by and call.now >= key.authorized + _WEEK)


def _alias_kept(due: float, instance: Instance, key: Key) -> float:
    """Keep the aliases of a key that the service is about to purge by itself."""
    if instance.now() >= due:
        for alias in key.aliases:
            instance.alias_index[alias] = "purged"
    return due


# -- dates -------------------------------------------------------------------------------------------------------------


def _dated(change: Callable[[str], str]) -> Change:
    """Read the expiration date of a new key otherwise."""

    def act(body: dict[str, Any], _: Call) -> dict[str, Any]:
        for resource in body.get("resources", ()) if isinstance(body.get("resources"), list) else ():
            text = resource.get("expirationDate") if isinstance(resource, dict) else None
            if isinstance(text, str) and parse_stamp(text) is not None:
                resource["expirationDate"] = change(text)
        return body

    return gives(keys.creation_body, act)


def _in_milliseconds(text: str) -> str:
    found = _FRACTION.search(text)
    if found is None:
        return text
    whole = parse_stamp(_FRACTION.sub("", text)) or 0.0
    return stamp(whole + int(found[1]) / 1_000)


def _whole_hours(text: str) -> str:
    return _OFFSET.sub(r"\1:00", text)


def _no_leap_day(text: str) -> str:
    if _OF_LEAP_DAYS.match(text):
        raise bad_field("expirationDate", "a date that there is")
    return text


def _leap_day_in_march(text: str) -> str:
    return _OF_LEAP_DAYS.sub(lambda found: found[0].replace("-02-29", "-03-01"), text)


def _in_summer(text: str) -> str:
    """Read a date within summer time as one of a clock that is an hour ahead."""
    moment = parse_stamp(text) or 0.0
    at = datetime.fromtimestamp(moment, UTC)
    begin, end = (_last_sunday(at.year, month) for month in (3, 10))
    return stamp(moment - HOUR) if begin <= at < end else text


def _last_sunday(year: int, month: int) -> datetime:
    last = datetime(year, month, 31, 1, tzinfo=UTC)
    return last - timedelta(days=(last.weekday() + 1) % 7)


def _in_nanoseconds(text: str) -> str:
    moment = parse_stamp(text) or 0.0
    return stamp(moment - 2 * _LAST_OF_NANOSECONDS) if moment > _LAST_OF_NANOSECONDS else text


# -- clocks ------------------------------------------------------------------------------------------------------------


def _another_hour(refusal: RefusedError, call: Call, key: Key, _: Members) -> None:
    """Rotate again as soon as the clock shows another hour."""
    if key.rotated is None or call.now // HOUR == key.rotated // HOUR:
        raise refusal


def _another_minute(refusal: RefusedError, call: Call, key: Key, _: str) -> None:
    """Be settled as soon as the clock shows another minute."""
    if call.now // _MINUTE == key.acted // _MINUTE:
        raise refusal


def _seven_dates(stands: bool, call: Call, key: Key) -> bool:
    """Let an authorisation end with the sixth day after its own."""
    return stands and call.now // DAY < key.authorized // DAY + 7


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    ("interval-in-calendar-months", "The months of a rotation interval are those of the calendar.", gives(Instance.rotation_due, _calendar_months)),
    ("longer-interval-keeps-date", "A key whose rotation interval is made longer still rotates on the earlier date.", gives(Instance.rotation_due, _earliest)),
    ("deleted-key-rotates", "A rotation policy rotates a deleted key as well.", _rotated(_nothing, of=State.DESTROYED)),
    ("policy-rotation-wraps-with-older", "After a rotation by policy the version before goes on wrapping.", _rotated(_nothing), gives(actions.wrapping_version, _older)),
    ("policy-rotation-loses-tags", "A rotation by policy loses the tags of the key.", _rotated(_without_tags)),
    ("policy-rotation-withdraws-authorisation", "A rotation by policy withdraws the authorisation of a deletion.", _rotated(_unauthorised)),
    ("expiry-frees-aliases", "A key that expires loses its aliases.", _expired(_nameless)),
    ("expiry-ends-dual-auth", "A key that expires is deleted by one user.", _expired(_of_one_user)),
    ("auto-purge-keeps-aliases", "The aliases of a key that went of itself are not free.", gives(Instance.purge_due, _alias_kept)),
    ("hour-of-the-clock", "A key is rotated again as soon as the clock shows another hour.", on_refusal(actions.check_hour, _another_hour)),
    ("settled-by-the-minute", "A key is enabled or restored as soon as the clock shows another minute.", on_refusal(keys.check_settled, _another_minute)),
    ("authorised-for-seven-dates", "An authorisation ends with the sixth day after its own.", gives(keys.authorized_before, _seven_dates)),
)  # fmt: skip

_DATE_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    ("fraction-in-milliseconds", "The fraction of a second counts milliseconds, whatever its length.", _dated(_in_milliseconds)),
    ("offset-in-whole-hours", "The minutes of an offset are left out.", _dated(_whole_hours)),
    ("leap-day-refused", "A key cannot expire on a leap day.", _dated(_no_leap_day)),
    ("leap-day-in-march", "A key that expires on a leap day expires on the day after.", _dated(_leap_day_in_march)),
    ("summer-dates-an-hour-early", "A date within summer time is read as one of a clock that is an hour ahead.", _dated(_in_summer)),
    ("expiry-in-nanoseconds", "A date after 2262 is one of the past.", _dated(_in_nanoseconds)),
)  # fmt: skip

DATE_DEFECTS: Final = tuple(
    Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _DATE_ROWS
)
"""Faults in how a date is read."""

LAPSE_DEFECTS: Final = (
    Defect("lapse-ends-dual-auth", "A key whose authorisation has lapsed is deleted by one user.", (), changes=(gives(keys.needs_two_users, _lapsed),)),
)  # fmt: skip

TIME_DEFECTS: Final = (
    *(Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS),
    Defect("policy-rotation-undated", "A rotation by policy has no date.", (), _entries(_undated), changes=(_rotated(_nothing),)),
    Defect("policy-rotation-shows-first-version", "After a rotation by policy a key shows its first version.", (), _entries(_first_version), changes=(_rotated(_nothing),)),
)  # fmt: skip
"""Faults in what time does, and in when it does it."""
