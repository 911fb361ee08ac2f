"""Long sequences of commands to two units, and what each must have left behind.

A small model of a unit, drawn commands that the model permits, now and then one that it refuses, and after every few a
look at both units. Signers are drawn too: exactly as many as a command needs. It is written from the sources, not from
the reference, and does nothing whose outcome no source fixes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

from kms_conformance.adapters.hpcs_tke.forms import PATTERN_OCTETS, join_parts
from kms_conformance.adapters.hpcs_tke.signing import EcAdministrator, Importer
from kms_conformance.adapters.hpcs_tke.wire import CLEAR_NEW_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Sequence as Many

    from kms_conformance.adapters.hpcs_tke.answers import UnitAnswer
    from kms_conformance.adapters.hpcs_tke.unit import Unit
    from kms_conformance.run.answer import Answer
    from kms_conformance.run.case import CaseRun

ROW: Final = "tke-sequences"
IMPORT, EXPORT, ONE_PART, RANDOM = 0x1, 0x2, 0x4, 0x8
ONE_SIGN, POINTS_1SIGN, ZERO_1SIGN = 0x10, 0x20, 0x40
_ROW_OF: Final = {"257": "tke-foreign-signer", "192/22": "tke-signature-invalid"}
"""Rows of rules that a source knows by several codes."""
_FEWEST: Final = 2
"""Administrators that a unit keeps: one can sign in the name of the other."""
_EVERY: Final = 4
"""Commands between two looks."""
_POINT_OCTETS: Final = 16
_TRIED: Final = 3
"""Commands that are sent with too few signatures at a time."""
_SET_UP: Final = (3, 5)
"""The fewest and the most administrators of a unit that is set up."""
_COMMANDS: Final = (
    *("add", "remove", "remove", "thresholds", "thresholds", "permission", "permission", "permission"),
    *("points", "points", "random", "random", "import", "import", "commit", "finalize", "clear", "export"),
    *("clear-beside-committed", "remove-by-fewer"),
    *("export", "too-few", "too-few", "too-high", "stranger", "zeroize"),
    *("prohibit-import", "prohibit-random", "prohibit-second-random", "prohibit-export", "prohibit-zeroize"),
)
_PARTS: Final = (b"\x5a" * 32, bytes(range(32)), b"\xa7" * 31 + b"\0")


@dataclass(slots=True)
class State:
    """What a unit has to hold: administrators, thresholds, permissions, control points, registers."""

    unit: Unit
    administrators: list[EcAdministrator] = field(default_factory=list)
    signature: int = 0
    revocation: int = 0
    permissions: int = 0
    points: int = 0
    first_points: int = 0
    """The control points before any was added or removed."""
    current: str | None = None
    new: str | None = None
    committed: bool | None = False
    """``None``: no source says whether a random key in the new register is."""
    importer: Importer | None = None

    @property
    def spare(self) -> bool:
        """Whether an administrator can be removed."""
        return len(self.administrators) > max(self.signature, self.revocation)

    def allows(self, *bits: int) -> bool:
        """Whether the permission word has all of these bits."""
        return all(self.permissions & bit for bit in bits)


class Sequence:
    """A drawn sequence: the same commands for the same ``seed``.

    ``part`` is number and count of the part of the units that get the drawn commands here, every one of them: parts are
    drawn apart, so that they can be sent beside each other. ``apart`` are units that are set up and then left alone.
    """

    def __init__(
        self,
        case: CaseRun,
        units: Many[Unit],
        people: Many[EcAdministrator],
        seed: str,
        *,
        apart: Many[Unit] = (),
        part: tuple[int, int] = (1, 1),
        listing: Callable[[], Answer],
    ) -> None:
        number, self._parts = part
        self._first = number - 1
        self._random = Random(f"{seed} {number}")  # noqa: S311 - an order, not a secret
        self._case, self._people, self._listing = case, people, listing
        self._made: list[str] = []
        """Patterns of random keys."""
        self._units = [State(unit) for unit in units]
        self._apart = [State(unit) for unit in apart]
        for state in (*self._units, *self._apart):
            self._set_up(state)

    def run(self) -> None:
        """Send every command to every unit, and look at them after every few."""
        commanded = self._units[self._first :: self._parts] or self._units
        drawn = [(state, command) for state in commanded for command in _COMMANDS]
        self._random.shuffle(drawn)
        for number, (state, command) in enumerate(drawn, start=1):
            self._step(state, command)
            if number % _EVERY == 0:
                self._look(self._units)
        self._look([*self._units, *self._apart])
        held = [(state.unit, who) for state in self._units for who in state.administrators]
        shown = self._case.read([partial(unit.certificate_of, who.ski) for unit, who in held])
        for (_, who), certificate in zip(held, shown, strict=True):
            certificate.succeeds(requirement=ROW)
            certificate.shows("output", who.certificate_sent.hex(), requirement=ROW)

    def _set_up(self, state: State) -> None:
        """Bring a unit out of imprint mode with some administrators and thresholds."""
        unit = state.unit
        state.administrators = self._random.sample(self._people, self._random.randint(*_SET_UP))
        for who in state.administrators:
            unit.add(who).succeeds(requirement=ROW)
        state.signature, state.revocation = self._random.choice(((1, 1), (1, 2), (2, 1), (2, 2)))
        state.permissions = unit.permissions() | IMPORT | EXPORT | ONE_PART | RANDOM | ZERO_1SIGN
        state.points = state.first_points = int.from_bytes(unit.control_points().needed().output)
        unit.set(
            self._signers(state, state.signature),
            signature=state.signature,
            revocation=state.revocation,
            permissions=state.permissions,
        ).succeeds(requirement=ROW)

    def _signers(self, state: State, number: int) -> list[EcAdministrator]:
        return self._random.sample(state.administrators, number)

    def _others(self, state: State) -> list[EcAdministrator]:
        return [who for who in self._people if who not in state.administrators]

    # --- commands -------------------------------------------------------------------------------------------------

    def _step(self, state: State, command: str) -> None:
        commands: Mapping[str, Callable[[State], None]] = {
            "add": self._add,
            "remove": self._remove,
            "thresholds": self._thresholds,
            "permission": self._permission,
            "points": self._points,
            "random": self._make_random,
            "import": self._import,
            "commit": self._commit,
            "finalize": self._finalize,
            "clear": self._clear,
            "clear-beside-committed": self._clear_beside_committed,
            "remove-by-fewer": self._remove_by_fewer,
            "export": self._export,
            "too-few": self._too_few,
            "too-high": self._too_high,
            "prohibit-import": partial(self._prohibit, IMPORT, self._import),
            "prohibit-random": partial(self._prohibit, RANDOM, self._make_random),
            "prohibit-second-random": self._prohibit_second_random,
            "prohibit-zeroize": self._prohibit_zeroize,
            "prohibit-export": partial(self._prohibit, EXPORT, self._export),
            "stranger": self._stranger,
            "zeroize": self._zeroize,
        }
        commands[command](state)

    @staticmethod
    def _done(answer: UnitAnswer) -> UnitAnswer:
        return answer.succeeds(requirement=ROW)

    @staticmethod
    def _refused(answer: UnitAnswer, pair: str, state: State) -> None:
        row = _ROW_OF.get(pair, ROW)
        answer.is_refused(pair, control=state.unit.attributes().needed(), requirement=row)

    def _add(self, state: State) -> None:
        if others := self._others(state):
            who = self._random.choice(others)
            self._done(state.unit.add(who, self._signers(state, state.signature)))
            state.administrators.append(who)

    def _remove(self, state: State) -> None:
        if not state.spare:
            self._add(state)
        if state.spare and len(state.administrators) > _FEWEST:
            who = self._random.choice(state.administrators)
            self._done(state.unit.remove(who.ski, self._signers(state, state.revocation)))
            state.administrators.remove(who)

    def _thresholds(self, state: State) -> None:
        lowest = 1 if state.allows(ONE_SIGN) else 2
        most = len(state.administrators)
        new = {name: self._random.randint(lowest, most) for name in ("signature", "revocation")}
        self._done(state.unit.set(self._signers(state, state.signature), **new))
        state.signature, state.revocation = new["signature"], new["revocation"]

    def _remove_by_fewer(self, state: State) -> None:
        """Remove an administrator by fewer signatures than other commands need."""
        fewest = 1 if state.allows(ONE_SIGN) else 2
        while len(state.administrators) <= fewest:
            self._add(state)
        signers = self._signers(state, state.signature)
        self._done(state.unit.set(signers, signature=fewest + 1, revocation=fewest))
        state.signature, state.revocation = fewest + 1, fewest
        self._remove(state)

    def _permission(self, state: State) -> None:
        bits = [IMPORT, EXPORT, ONE_PART, RANDOM, POINTS_1SIGN, ZERO_1SIGN]
        if min(state.signature, state.revocation) > 1:
            bits.append(ONE_SIGN)
        self._permit(state, state.permissions ^ self._random.choice(bits))

    def _permit(self, state: State, permissions: int) -> None:
        self._done(state.unit.set(self._signers(state, state.signature), permissions=permissions))
        state.permissions = permissions

    def _points(self, state: State) -> None:
        # Which other points there are depends on the module's firmware.
        known = [1 << place for place in range(8 * 7, 8 * 9) if state.first_points >> place & 1]
        if not known:
            return
        # Among several some may be there already, or gone already.
        bits = sum(self._random.sample(known, min(len(known), self._random.randint(1, 3))))
        signers = self._signers(state, state.signature)
        remove = self._random.random() < 0.5  # noqa: PLR2004 - as often as not
        ask = state.unit.remove_control_points if remove else state.unit.add_control_points
        if state.allows(POINTS_1SIGN):
            self._refused(ask(bits.to_bytes(_POINT_OCTETS), []), "208/21", state)
        self._done(ask(bits.to_bytes(_POINT_OCTETS), signers))
        state.points = state.points & ~bits if remove else state.points | bits

    def _make_random(self, state: State) -> None:
        if state.current is not None and state.new is not None:
            self._random.choice((self._clear_new, self._clear_current))(state)
        if not state.allows(RANDOM):
            self._refused(state.unit.random_key(self._signers(state, 1)), "80/52", state)
            self._permit(state, state.permissions | RANDOM)
        self._done(state.unit.random_key(self._signers(state, 1)))
        register = "new" if state.current is not None else "current"
        made = state.unit.registers().succeeds(requirement=ROW)
        for earlier in self._made:
            made.differs(f"registers.{register}", earlier, requirement=ROW)
        key = str(made[f"registers.{register}"])
        self._made.append(key)
        if state.current is None:
            state.current = key
        else:
            state.new, state.committed = key, None

    def _import(self, state: State) -> None:
        """Import one to three key parts, equal ones among them, each signed by somebody."""
        if state.new is not None:
            self._clear_new(state)
        if state.importer is None:
            state.importer = state.unit.importer_of(self._done(state.unit.importer(self._signers(state, 1))))
        number = self._random.randint(1 if state.allows(ONE_PART) else 2, 3)
        # Two equal parts alone would make a key of zeros.
        others = _PARTS if number > 2 else _PARTS[1:]  # noqa: PLR2004 - see above
        parts = [_PARTS[0], *self._random.choices(others, k=number - 1)]
        sent = [(part, self._signers(state, 1)) for part in parts]
        if not state.allows(IMPORT):
            self._refused(state.unit.send_signed_parts(state.importer, sent), "80/80", state)
            self._permit(state, state.permissions | IMPORT)
        self._done(state.unit.send_signed_parts(state.importer, sent))
        state.new, state.committed = _pattern_of(parts), False

    def _commit(self, state: State) -> None:
        if state.new is None or state.committed is not False:
            self._import(state)
        self._done(state.unit.commit(state.unit.new_pattern(), self._signers(state, state.signature)))
        state.committed = True

    def _finalize(self, state: State) -> None:
        if state.new is None or state.committed is None:
            self._import(state)
        if not state.committed:
            early = state.unit.finalize(state.unit.new_pattern(), self._signers(state, 1))
            early.is_refused_inside(requirement=ROW)
            self._commit(state)
        self._done(state.unit.finalize(state.unit.new_pattern(), self._signers(state, 1)))
        state.current, state.new, state.committed = state.new, None, False

    def _clear(self, state: State) -> None:
        held = [(state.new, self._clear_new), (state.current, self._clear_current)]
        clear = [clear for key, clear in held if key is not None]
        if clear:
            self._random.choice(clear)(state)

    def _clear_beside_committed(self, state: State) -> None:
        """Clear the current key while the new one is committed."""
        if state.current is None:
            self._make_random(state)
        if not state.committed:
            self._commit(state)
        self._clear_current(state)
        held = state.unit.registers().succeeds(requirement=ROW)
        held.shows("registers.committed", value=True, requirement=ROW)

    def _clear_new(self, state: State) -> None:
        self._done(state.unit.clear_new(self._signers(state, 1)))
        state.new, state.committed = None, False

    def _clear_current(self, state: State) -> None:
        self._done(state.unit.clear_current(self._signers(state, 1)))
        state.current = None

    def _export(self, state: State) -> None:
        """Export a key to the other unit, or to the same one where there is no other."""
        if state.current is None:
            self._make_random(state)
        taker = next((other for other in self._units if other is not state), state)
        held = [(key, new) for key, new in ((state.current, False), (state.new, True)) if key is not None]
        key, new = self._random.choice(held)
        made = self._done(taker.unit.importer(self._signers(taker, 1), taker.unit.P_521))
        taker.importer = None  # a new importer key takes the place of the one before
        holder = taker.unit.importer_of(made)
        if not state.allows(ONE_PART):
            self._permit(state, state.permissions | ONE_PART)
        if not state.allows(EXPORT):
            early = state.unit.export_key(holder, self._signers(state, state.signature), new=new)
            self._refused(early, "80/131", state)
            self._permit(state, state.permissions | EXPORT)
        exported = state.unit.export_key(holder, self._signers(state, state.signature), new=new)
        self._done(exported)
        if taker is not state and taker.new is not None:
            self._clear_new(taker)
        if taker.new is None and taker.allows(IMPORT, ONE_PART):
            self._done(taker.unit.take_part(exported, self._signers(taker, 1)))
            taker.new, taker.committed = key, False

    def _too_few(self, state: State) -> None:
        """Send some commands with one signature fewer than each needs."""
        unit = state.unit
        few = self._signers(state, state.signature - 1)
        zeroizers = 0 if state.allows(ZERO_1SIGN) else len(few)
        commands: list[Callable[[], UnitAnswer]] = [
            lambda: unit.set(few, permissions=state.permissions),
            lambda: unit.importer([]),
            lambda: unit.clear_new([]),
            lambda: unit.zeroize(few[:zeroizers]),
        ]
        if state.current is not None:
            commands.append(lambda: unit.clear_current([]))
        if state.spare:
            who = self._random.choice(state.administrators)
            commands.append(lambda: unit.remove(who.ski, self._signers(state, state.revocation - 1)))
        if others := self._others(state):
            commands.append(lambda: unit.add(others[0], few))
        if not state.allows(POINTS_1SIGN) and state.first_points:
            point = state.first_points & -state.first_points
            commands.append(lambda: unit.remove_control_points(point.to_bytes(_POINT_OCTETS), few))
        if state.allows(EXPORT, ONE_PART) and state.current is not None:
            commands.append(lambda: unit.export_key(Importer.made("secp521r1"), few))
        if state.new is not None and state.committed is False:
            commands.append(lambda: unit.commit(unit.new_pattern(), few))
        for send in self._random.sample(commands, _TRIED):
            self._refused(send(), "208/21", state)

    def _too_high(self, state: State) -> None:
        """Raise each threshold above the number of administrators."""
        most, signers = len(state.administrators), self._signers(state, state.signature)
        self._refused(state.unit.set(signers, signature=most + 1), "209/57", state)
        self._refused(state.unit.set(signers, revocation=most + 1), "209/58", state)

    def _prohibit(self, bit: int, use: Callable[[State], None], state: State) -> None:
        """Take a permission away, and use what it permits: refused, and done once it is given back."""
        if state.allows(bit):
            self._permit(state, state.permissions & ~bit)
        use(state)

    def _prohibit_second_random(self, state: State) -> None:
        """Make a random key without permission where there is one already."""
        if state.current is None:
            self._make_random(state)
        if state.new is not None:
            self._clear_new(state)
        self._prohibit(RANDOM, self._make_random, state)

    def _prohibit_zeroize(self, state: State) -> None:
        """Take the permission to zeroize by one signature away, and zeroize by one where more are needed."""
        if not state.allows(ZERO_1SIGN):
            self._permit(state, state.permissions | ZERO_1SIGN)
        if state.signature == 1:
            self._done(state.unit.set(self._signers(state, 1), signature=2))
            state.signature = 2
        self._permit(state, state.permissions & ~ZERO_1SIGN)
        self._refused(state.unit.zeroize(self._signers(state, 1)), "208/21", state)

    def _stranger(self, state: State) -> None:
        """Let somebody sign who is no administrator here, beside as many as are needed, or one in the name of another."""
        others = self._others(state)
        for who in (others[:1], others[-1:]) if others else ():
            # The first one is whom the command adds.
            signers = [*self._signers(state, state.signature), *who]
            self._refused(state.unit.add(others[0], signers), "257", state)
        signer, other = self._signers(state, 2)
        block = state.unit.block(CLEAR_NEW_KEY)
        forged = signer.sign_for(other, block)
        label = "signed in the name of another"
        self._refused(state.unit.signed(CLEAR_NEW_KEY, block, forged, label=label), "192/22", state)

    def _zeroize(self, state: State) -> None:
        number = 1 if state.allows(ZERO_1SIGN) else state.signature
        self._done(state.unit.zeroize(self._signers(state, number)))
        self._look_at_list()
        state.current = state.new = state.importer = None
        state.committed = False
        # In imprint mode nobody signs, whoever is an administrator already.
        self._done(state.unit.add(self._random.choice(self._people)))
        self._done(state.unit.zeroize())
        self._set_up(state)

    # --- what is there --------------------------------------------------------------------------------------------

    def _look(self, units: Many[State]) -> None:
        """Expect each unit to show exactly what the commands have left."""
        asked: list[Callable[[], UnitAnswer]] = []
        for unit in (state.unit for state in units):
            asked += [unit.attributes, unit.administrators, unit.registers, unit.control_points]
        answers = iter(self._case.read(asked))
        for state in units:
            shown = next(answers).succeeds(requirement=ROW)
            for name, value in (
                ("signature_threshold", state.signature),
                ("revocation_threshold", state.revocation),
                ("permissions", state.permissions),
            ):
                shown.shows(f"attributes.{name}", value, requirement=ROW)
            listed = next(answers).succeeds(requirement=ROW)
            skis = sorted(who.ski.hex() for who in state.administrators)
            listed.shows("administrators", skis, requirement=ROW)
            registers = next(answers).succeeds(requirement=ROW)
            registers.shows("registers.current", state.current, requirement=ROW)
            registers.shows("registers.new", state.new, requirement=ROW)
            if state.committed is not None:
                registers.shows("registers.committed", value=state.committed, requirement=ROW)
            points = next(answers).succeeds(requirement=ROW)
            points.shows("output", f"{state.points:0{2 * _POINT_OCTETS}x}", requirement=ROW)

    def _look_at_list(self) -> None:
        """Expect every unit to be listed, whatever state it is in."""
        listed = self._listing().succeeds(200, requirement=ROW)
        kinds = listed.body if isinstance(listed.body, dict) else {}
        for unit in (state.unit for state in self._units):
            kind = next((kind for kind in kinds if unit.hsm_id in _ids(kinds[kind])), "hsms")
            listed.lists(f"{kind}.*.hsm_id", unit.hsm_id, requirement=ROW)


def _ids(entries: object) -> list[object]:
    """Return the ids in a list of units."""
    listed = entries if isinstance(entries, list) else []
    return [entry.get("hsm_id") for entry in listed if isinstance(entry, dict)]


def _pattern_of(parts: Many[bytes]) -> str:
    return hashlib.sha256(b"\x01" + join_parts(*parts)).digest()[:PATTERN_OCTETS].hex()
