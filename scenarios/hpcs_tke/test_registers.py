"""The two master-key registers: which commands fill, move and clear their keys."""

import hashlib

import pytest

from kms_conformance.api import covers, impact

IMPORT, EXPORT, RANDOM, ONE_PART = 0x1, 0x2, 0x8, 0x4
PARTS = (b"\x5a" * 32, bytes(range(32)), b"\xa7" * 32)
PATTERN_OF_ZERO = bytes.fromhex("4800") * 16
"""A key whose verification pattern begins with an octet of zeros."""
ENDING_IN_ZEROS = (b"\x5a" * 30 + bytes(2), b"\0" * 3 + b"\x33" * 26 + bytes(3))
IMPORT_PARTS = 0x0C
NO_PATTERN = bytes(32)
POINT = bytes(8) + b"\x01" + bytes(7)
EMPTY = {"current": None, "new": None, "committed": False}


def pattern_of(*parts):
    """Return the 28 octets of the verification pattern of the key that key parts make."""
    whole = bytes(32)
    for part in parts:
        whole = bytes(one ^ other for one, other in zip(whole, part, strict=True))
    return hashlib.sha256(b"\x01" + whole).digest()[:28].hex()


def waiting(tke):
    """Return a unit with a current and a new, uncommitted, key, and an administrator.

    The new key is imported: no source says whether a random one has to be committed.
    """
    unit, (first, _) = tke.operational(tke.unit()), tke.administrators(2)
    unit.random_key([first]).needed()
    unit.import_key(PARTS, [first]).needed()
    return unit, [first]


IN_IMPRINT_MODE = {
    "importer": lambda _, unit, by: unit.importer(by),
    "random": lambda _, unit, by: unit.random_key(by),
    "export-current": lambda tke, unit, by: unit.export_key(tke.holder(), by),
    "export-new": lambda tke, unit, by: unit.export_key(tke.holder(), by, new=True),
    "import": lambda tke, unit, by: unit.send_parts(tke.importer_of_nobody(), PARTS[:1], by),
    "commit": lambda _, unit, by: unit.commit(NO_PATTERN, by),
    "finalize": lambda _, unit, by: unit.finalize(NO_PATTERN, by),
    "clear-current": lambda _, unit, by: unit.clear_current(by),
    "clear-new": lambda _, unit, by: unit.clear_new(by),
    "add-control-points": lambda _, unit, by: unit.add_control_points(POINT, by),
    "remove-control-points": lambda _, unit, by: unit.remove_control_points(POINT, by),
}


@covers("tke-imprint-mode")
@impact("zeroize")
@pytest.mark.parametrize("command", IN_IMPRINT_MODE)
def test_imprint_mode(tke, command):
    """In imprint mode a command on keys or control points is refused even when it is well formed."""
    unit, by = tke.unit(), tke.administrators(1)
    control = unit.add(by[0]).succeeds()
    before = unit.look()
    IN_IMPRINT_MODE[command](tke, unit, by).is_refused("179/34", control=control)
    unit.unchanged(before)


@covers("tke-import", "tke-pattern")
@impact("zeroize")
@pytest.mark.parametrize("number", [1, 2, 3])
def test_import(tke, number):
    """Imported key parts fill the new register, uncommitted, and the answer does not contain the key."""
    unit, by = tke.operational(tke.unit()), tke.administrators(1)
    imported = unit.import_key(PARTS[:number], by).succeeds()
    imported.hides("master key", unit.key_of(PARTS[:number]))
    answer = unit.registers().succeeds()
    answer.shows("registers.current", None).shows("registers.committed", value=False)
    answer.shows("registers.new", pattern_of(*PARTS[:number]), requirement="tke-pattern")


@covers("tke-import", "tke-signature-invalid")
@impact("zeroize")
def test_import_after_a_refused_one(tke):
    """Nothing of a refused import is in the next one, whose parts are equal, or begin or end with zeros."""
    unit, by = tke.operational(tke.unit()), tke.administrators(1)
    key = unit.importer_of(unit.importer(by).needed())
    right, forged = unit.part(key.seal(PARTS[0]), by), unit.part(key.seal(PARTS[1]), by, over=b"x")
    unit.command(
        IMPORT_PARTS, right + forged, label="two parts, one of them signed over other octets"
    ).is_refused("192/22", control=unit.attributes().needed(), requirement="tke-signature-invalid")
    unit.registers().succeeds().shows("registers", EMPTY)
    for parts in (
        PARTS[1:],
        ENDING_IN_ZEROS,
        ENDING_IN_ZEROS[:1],
        (*PARTS[:1], *PARTS[:2]),
        (PATTERN_OF_ZERO,),
    ):
        unit.send_parts(key, parts, by).succeeds()
        unit.registers().succeeds().shows("registers.new", pattern_of(*parts))
        unit.clear_new(by).succeeds()


@covers("tke-import", "tke-pattern")
@impact("zeroize")
def test_parts_of_two_administrators(tke):
    """Each key part may be signed by another administrator; together they are the key."""
    unit, both = tke.operational(tke.unit()), tke.administrators(2)
    key = unit.importer_of(unit.importer(both[:1]).needed())
    for signers in (both, both[::-1]):
        signed = [(part, [who]) for part, who in zip(PARTS[:2], signers, strict=True)]
        unit.send_signed_parts(key, signed).succeeds()
        answer = unit.registers().succeeds()
        answer.shows("registers.new", pattern_of(*PARTS[:2]), requirement="tke-pattern")
        unit.clear_new(signers[1:]).needed()


@covers("tke-import-prohibited", "tke-effects")
@impact("zeroize")
def test_import_prohibited(tke):
    """Importing a key part needs its permission, and works again once that is given back."""
    unit, by = tke.operational(tke.unit()), tke.administrators(1)
    permissions = unit.permissions()
    key = unit.importer_of(unit.importer(by).succeeds())
    unit.send_parts(key, PARTS[:1], by).succeeds()
    unit.clear_new(by).succeeds()
    unit.set(by, permissions=permissions & ~IMPORT).succeeds()
    unit.send_parts(key, PARTS[:1], by).is_refused("80/80")
    unit.registers().succeeds().shows("registers", EMPTY)
    unit.set(by, permissions=permissions).succeeds(requirement="tke-effects")
    unit.send_parts(key, PARTS[:1], by).succeeds(requirement="tke-effects")


@covers("tke-random")
@impact("zeroize")
def test_random_keys(tke):
    """The first random key fills the current register, the second the new register, a third is refused; none comes again."""
    unit, by = tke.operational(tke.unit()), tke.administrators(1)
    unit.random_key(by).succeeds()
    unit.registers().succeeds().matches("registers.current", "^[0-9a-f]{56}$").shows("registers.new", None)
    unit.random_key(by).succeeds()
    answer = unit.registers().succeeds().matches("registers.new", "^[0-9a-f]{56}$")
    answer.differs("registers.new", answer["registers.current"])
    unit.random_key(by).is_refused_inside()
    unit.registers().succeeds().shows("registers", answer["registers"])
    unit.clear_current(by).succeeds()
    unit.random_key(by).succeeds()
    again = unit.registers().succeeds().shows("registers.new", answer["registers.new"])
    again.differs("registers.current", answer["registers.current"])


@covers("tke-random-prohibited", "tke-effects")
@impact("zeroize")
def test_random_prohibited(tke):
    """Making a random key needs its permission, and works again once that is given back."""
    unit, by = tke.operational(tke.unit()), tke.administrators(1)
    permissions = unit.permissions()
    unit.random_key(by).succeeds()
    unit.clear_current(by).succeeds()
    unit.set(by, permissions=permissions & ~RANDOM).succeeds()
    unit.random_key(by).is_refused("80/52")
    unit.registers().succeeds().shows("registers", EMPTY)
    unit.set(by, permissions=permissions).succeeds(requirement="tke-effects")
    unit.random_key(by).succeeds(requirement="tke-effects")


@covers("tke-commit-mismatch", "tke-finalize-mismatch", "tke-finalize-uncommitted", "tke-finalize")
@impact("zeroize")
def test_commit_and_finalize(tke):
    """Committing and finalizing need the key's own verification pattern, in this order."""
    unit, by = waiting(tke)
    answer = unit.registers().succeeds()
    held, pattern = answer["registers"], unit.new_pattern()
    # Only the last of the 28 octets that are compared differs.
    other = pattern[:27] + bytes([pattern[27] ^ 0xFF]) + pattern[28:]
    control, current = unit.attributes().needed(), unit.current_pattern()
    unit.finalize(pattern, by).is_refused_inside(requirement="tke-finalize-uncommitted")
    for wrong in (other, current):
        unit.commit(wrong, by).is_refused("101/48", control=control)
    unit.registers().succeeds().shows("registers", held, requirement="tke-commit-mismatch")
    unit.commit(pattern, by).succeeds()
    for wrong in (other, current):
        unit.finalize(wrong, by).is_refused("101/48", control=control, requirement="tke-finalize-mismatch")
    unit.registers().succeeds().shows(
        "registers", {**held, "committed": True}, requirement="tke-finalize-mismatch"
    )
    unit.finalize(pattern, by).succeeds()
    done = {"current": held["new"], "new": None, "committed": False}
    unit.registers().succeeds().shows("registers", done, requirement="tke-finalize")
    unit.import_key(PARTS[:2], by).needed()
    unit.finalize(unit.new_pattern(), by).is_refused_inside(requirement="tke-finalize-uncommitted")
    done |= {"new": pattern_of(*PARTS[:2])}
    unit.registers().succeeds().shows("registers", done, requirement="tke-finalize-uncommitted")


@covers("tke-clear-new", "tke-clear-current")
@impact("zeroize")
@pytest.mark.parametrize("committed", [False, True], ids=["uncommitted", "committed"])
def test_clear(tke, committed):
    """Each register is cleared on its own, and clearing the new key removes its commitment."""
    unit, by = waiting(tke)
    held = unit.registers().succeeds()["registers"]
    if committed:
        unit.commit(unit.new_pattern(), by).needed()
    unit.clear_new(by).succeeds()
    emptied = {"current": held["current"], "new": None, "committed": False}
    unit.registers().succeeds().shows("registers", emptied)
    unit.import_key(PARTS[:2], by).needed()
    new = unit.registers().succeeds().shows("registers.committed", value=False)["registers.new"]
    unit.clear_current(by).succeeds()
    emptied = {"current": None, "new": new, "committed": False}
    unit.registers().succeeds().shows("registers", emptied, requirement="tke-clear-current")


@covers("tke-export")
@impact("zeroize")
@pytest.mark.parametrize("register", ["current", "new"])
def test_export(tke, register):
    """An exported key is encrypted, and the unit that imports it shows the same verification pattern."""
    by = tke.administrators(1)
    unit, recovery = tke.operational(tke.unit()), tke.operational(tke.fresh_units("source_hsms")[0])
    recovery.import_key(PARTS, by).needed()
    pattern = recovery.new_pattern()
    recovery.commit(pattern, by).needed()
    if register == "current":
        recovery.finalize(pattern, by).needed()
    else:
        recovery.random_key(by).needed()
    holder = unit.importer_of(unit.importer(by, unit.P_521).needed())
    exported = recovery.export_key(holder, by, new=register == "new").succeeds()
    exported.hides("master key", recovery.key_of(PARTS))
    unit.take_part(exported, by).succeeds()
    unit.registers().succeeds().shows("registers.new", pattern_of(*PARTS))


@covers("tke-export")
@impact("zeroize")
@pytest.mark.parametrize("register", ["current", "new"])
def test_export_of_the_next_key(tke, register):
    """An export gives the key that is in the register now, not one that was exported before."""
    by = tke.administrators(1)
    unit, recovery = tke.operational(tke.unit()), tke.operational(tke.fresh_units("source_hsms")[0])
    holder = unit.importer_of(unit.importer(by, unit.P_521).needed())
    for _ in range(2):
        recovery.random_key(by).needed()
    clear = {"current": recovery.clear_current, "new": recovery.clear_new}[register]
    for _ in range(2):
        held = recovery.registers().needed()[f"registers.{register}"]
        unit.take_part(recovery.export_key(holder, by, new=register == "new").succeeds(), by).succeeds()
        unit.registers().succeeds().shows("registers.new", held)
        unit.clear_new(by).needed()
        clear(by).needed()
        recovery.random_key(by).needed()


@covers("tke-export-prohibited", "tke-effects")
@impact("zeroize")
def test_export_prohibited(tke):
    """Exporting a key needs its permission, and works again once that is given back."""
    unit, by = tke.operational(tke.unit()), tke.administrators(1)
    permissions = unit.permissions()
    unit.random_key(by).needed()
    holder = unit.importer_of(unit.importer(by, unit.P_521).needed())
    unit.export_key(holder, by).succeeds()
    unit.set(by, permissions=permissions & ~EXPORT).succeeds()
    unit.export_key(holder, by).is_refused("80/131").lacks("withheld")
    unit.set(by, permissions=permissions).succeeds(requirement="tke-effects")
    unit.export_key(holder, by).succeeds(requirement="tke-effects")


@covers("tke-single-part")
@impact("zeroize")
def test_single_part_prohibited(tke):
    """Without the permission for single parts a key is imported in two parts, not in one."""
    unit, by = tke.operational(tke.unit()), tke.administrators(1)
    permissions = unit.permissions()
    key = unit.importer_of(unit.importer(by).succeeds())
    unit.send_parts(key, PARTS[:1], by).succeeds()
    unit.clear_new(by).succeeds()
    unit.set(by, permissions=permissions & ~ONE_PART).succeeds()
    unit.send_parts(key, PARTS[:1], by).is_refused_inside()
    unit.registers().succeeds().shows("registers", EMPTY)
    unit.send_parts(key, PARTS[:2], by).succeeds()


WITHOUT_KEY = {
    "commit": lambda _, unit, by: unit.commit(NO_PATTERN, by),
    "finalize": lambda _, unit, by: unit.finalize(NO_PATTERN, by),
    "export-current": lambda tke, unit, by: unit.export_key(tke.holder(), by),
    "export-new": lambda tke, unit, by: unit.export_key(tke.holder(), by, new=True),
}


@covers("tke-register-empty")
@impact("zeroize")
@pytest.mark.parametrize("command", WITHOUT_KEY)
def test_empty_register(tke, command):
    """Commit, finalize and export are refused for an empty register, and the other register is unchanged."""
    unit, by = tke.operational(tke.unit()), tke.administrators(1)
    if command != "export-current":
        unit.random_key(by).needed()
    before = unit.look()
    WITHOUT_KEY[command](tke, unit, by).is_refused_inside()
    unit.unchanged(before)
