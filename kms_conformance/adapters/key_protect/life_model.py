"""A model of a key's life: which answers its state allows, and what each step does to it.

Pure. Where the sources leave the order of rules open or contradict each other, more than one answer is allowed; nothing
here is guessed into a promise. Times are seconds on the instance's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

ACTIVE, SUSPENDED, DEACTIVATED, DESTROYED, GONE = 1, 2, 3, 5, -1
SETTLE, HOUR, PURGE_WAIT, DAY = 30.0, 3600.0, 4 * 3600.0, 86400.0
AUTHORISED_FOR, RESTORE_WINDOW, KEPT = 7 * DAY, 30 * DAY, 90 * DAY
_SLACK = 2.0

Outcome = tuple[int, str]
"""Status and reason code; ``""`` is a success, ``*`` any code or none."""

OK = frozenset({(200, ""), (201, ""), (204, "")})
ROOT = frozenset({(400, "KEY_ROOT_REQ_ERR")})
STATE = frozenset({(409, "KEY_ACTION_INVALID_STATE_ERR")})
EARLY = frozenset({(409, "REQ_TOO_EARLY_ERR")})
DELETED = frozenset({(410, "*")})
UNKNOWN = frozenset({(404, "*")})
UNMET = frozenset({(409, "AUTHORIZATIONS_NOT_MET")})
NOT_DUAL = frozenset({(409, "NOT_DUAL_AUTH_ERR")})


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of a key. ``kind`` is ``root``, ``imported`` or ``standard``; ``first`` is who authorised deletion."""

    kind: str
    state: int = ACTIVE
    now: float = 0.0
    acted: float = -DAY
    touched: float = -DAY
    rotated: float | None = None
    deleted: float | None = None
    expires: float | None = None
    dual: bool = False
    first: str = ""
    authorised: float = 0.0
    versions: int = 1
    before: int = ACTIVE

    @property
    def present(self) -> int:
        """The state now: a key expires on its date, and the service purges it long after its deletion."""
        if self.state == DESTROYED and self.deleted is not None and self.now > self.deleted + KEPT:
            return GONE
        if self.state in {ACTIVE, SUSPENDED} and self.expires is not None and self.now >= self.expires:
            return DEACTIVATED
        return self.state

    @property
    def settling(self) -> bool:
        """Whether the hour after expiry runs, within which the state may be either."""
        return self.expires is not None and self.expires - _SLACK <= self.now < self.expires + HOUR

    def later(self, seconds: float) -> Life:
        """Return the key after a wait."""
        return replace(self, now=self.now + seconds)


def allowed(life: Life, step: str, who: str = "manager") -> frozenset[Outcome]:
    """Return the answers that a step may get."""
    if life.present == GONE:
        return UNKNOWN
    if life.deleted is not None and life.now > life.deleted + KEPT - DAY:
        return UNKNOWN | _allowed(life, step, who)
    if life.settling:
        both = (replace(life, expires=None), replace(life, expires=life.now - 1))
        return frozenset().union(*(_allowed(either, step, who) for either in both))
    return _allowed(life, step, who)


def _allowed(life: Life, step: str, who: str) -> frozenset[Outcome]:
    rule = _RULES.get(step)
    if rule is not None:
        return rule(life)
    assert step == "delete", step
    return _delete(life, who)


def after(life: Life, step: str, status: int, who: str = "manager") -> Life:
    """Return the key after a step that got an answer with this status."""
    if not 200 <= status < 300 or step not in _EFFECTS:  # noqa: PLR2004 - the class of successes
        return life
    return replace(_EFFECTS[step](life, who), touched=life.now)


def _used(life: Life, states: set[int]) -> frozenset[Outcome]:
    """Return what an action on a root key gets that needs one of some states."""
    if life.kind == "standard":
        return ROOT if life.present == ACTIVE else ROOT | STATE | DELETED
    if life.present in states:
        return OK
    return STATE | DELETED if life.present == DESTROYED else STATE


def _rotate(life: Life) -> frozenset[Outcome]:
    limit = frozenset({(409, "KEY_ROTATION_NOT_PERMITTED")})
    if life.kind == "standard" or life.present in {SUSPENDED, DESTROYED}:
        return _used(life, set())
    ran = None if life.rotated is None else life.now - life.rotated
    if ran is None or ran > HOUR + _SLACK:
        good = OK
    elif ran < HOUR - _SLACK:
        good = limit
    else:
        good = OK | limit
    return good if life.present == ACTIVE else good | STATE


def _enable(life: Life) -> frozenset[Outcome]:
    if life.present != SUSPENDED or life.kind == "standard":
        return _used(life, set())
    return _settled(life)


def _settled(life: Life) -> frozenset[Outcome]:
    """Return what waits thirty seconds after the last action gets; which actions count is not documented."""
    if life.now - life.acted < SETTLE - _SLACK:
        return EARLY
    return OK | EARLY if life.now - life.touched < SETTLE + _SLACK else OK


def _authorise(life: Life) -> frozenset[Outcome]:
    if life.present != ACTIVE:
        return STATE | NOT_DUAL | DELETED
    return OK if life.dual else NOT_DUAL


def _delete(life: Life, who: str) -> frozenset[Outcome]:
    if life.present == DESTROYED:
        return DELETED
    if not life.dual:
        return OK
    age = life.now - life.authorised
    if not life.first or life.first == who or age > AUTHORISED_FOR + _SLACK:
        return UNMET
    return OK if age < AUTHORISED_FOR - _SLACK else OK | UNMET


def _restore(life: Life) -> frozenset[Outcome]:
    if life.kind == "standard":
        # The page restores root keys only, today's service every kind.
        return ROOT | (_restorable(life) if life.present == DESTROYED else STATE)
    if life.present != DESTROYED:
        return STATE
    only_imported = frozenset({(400, "KEY_IMPT_REQ_ERR")}) if life.kind == "root" else frozenset()
    return _restorable(life) | only_imported


def _restorable(life: Life) -> frozenset[Outcome]:
    assert life.deleted is not None
    too_late: frozenset[Outcome] = frozenset()
    if life.expires is not None and life.now >= life.expires - _SLACK:
        too_late |= {(400, "KEY_EXPIRED_ERR")}
    if life.now > life.deleted + RESTORE_WINDOW - _SLACK:
        too_late |= {(400, "KEY_RESTORE_EXPIRED")}
    return too_late or _settled(life)


def _purge(life: Life) -> frozenset[Outcome]:
    if life.present != DESTROYED or life.deleted is None:
        return STATE
    ran = life.now - life.deleted
    if ran < PURGE_WAIT - _SLACK:
        return EARLY
    return OK if ran > PURGE_WAIT + _SLACK else OK | EARLY


def _versions(life: Life) -> frozenset[Outcome]:
    return OK if life.present == ACTIVE else STATE | DELETED


def _open(life: Life) -> frozenset[Outcome]:
    # Sources disagree on whether an expired key still opens what it has closed (E10).
    return _used(life, {ACTIVE, DEACTIVATED}) | (STATE if life.present == DEACTIVATED else frozenset())


def _open_wrongly(life: Life) -> frozenset[Outcome]:
    if life.present not in {ACTIVE, DEACTIVATED} or life.kind == "standard":
        return _used(life, set())
    broken: frozenset[Outcome] = frozenset({(422, "*"), (400, "*")})
    return broken | (STATE if life.present == DEACTIVATED else frozenset())


def _require_two(life: Life) -> frozenset[Outcome]:
    return OK if life.present == ACTIVE else OK | frozenset({(409, "*"), (410, "*")})


_RULES: Mapping[str, Callable[[Life], frozenset[Outcome]]] = {
    "metadata": lambda _: OK,
    "get_key": lambda _: OK,
    "versions": _versions,
    "wrap": lambda life: _used(life, {ACTIVE}),
    "unwrap": _open,
    "rewrap": _open,
    "unwrap_other_aad": _open_wrongly,
    "rotate": _rotate,
    "disable": lambda life: _used(life, {ACTIVE}),
    "enable": _enable,
    "set_for_deletion": _authorise,
    "unset_for_deletion": _authorise,
    "restore": _restore,
    "purge": _purge,
    "require_two": _require_two,
}

_EFFECTS: Mapping[str, Callable[[Life, str], Life]] = {
    "disable": lambda life, _: replace(life, state=SUSPENDED, acted=life.now),
    "enable": lambda life, _: replace(life, state=ACTIVE),
    "rotate": lambda life, _: replace(life, rotated=life.now, versions=life.versions + 1),
    "set_for_deletion": lambda life, who: replace(life, first=who, authorised=life.now),
    "unset_for_deletion": lambda life, _: replace(life, first=""),
    "delete": lambda life, _: replace(
        life, before=life.present, state=DESTROYED, acted=life.now, deleted=life.now, first=""
    ),
    "restore": lambda life, _: replace(
        life, state=DEACTIVATED if life.before == DEACTIVATED else ACTIVE, deleted=None
    ),
    "purge": lambda life, _: replace(life, state=GONE),
    "require_two": lambda life, _: replace(life, dual=True),
}
