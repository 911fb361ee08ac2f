"""What a command changes: what it names, in the unit that it is sent to, and nothing when it is refused."""

import pytest

from kms_conformance.api import covers, impact

CLEAR_CURRENT, UNKNOWN, RANDOM = 0x1B, 0x7F, 0x8
PARTS = (b"\x5a" * 32, bytes(range(32)))
POINT = bytes(8) + b"\x01" + bytes(7)
OTHER_POINT = bytes(7) + b"\x01" + bytes(8)


def furnished(tke, unit):
    """Give a unit three administrators, thresholds of 2, both keys, and a control point less; return its importer key."""
    by = tke.administrators(3)
    tke.operational(unit, signature=2, revocation=2)
    unit.add(by[2], by[:2]).needed()
    unit.random_key(by[:1]).needed()
    key = unit.importer_of(unit.importer(by[:1]).needed())
    unit.send_parts(key, PARTS, by[:1]).needed()
    unit.remove_control_points(POINT, by[:2]).needed()
    return key


def furnished_units(tke):
    """Return a unit to change, its importer key, and another unit of the instance in the same state, or none."""
    unit, *others = tke.fresh_units()[:2]
    key = furnished(tke, unit)
    for other in others:
        furnished(tke, other)
    return unit, key, others


def seen(unit):
    """Return everything that a unit shows of its state."""
    return {**unit.look(), "points": unit.control_points().needed()["output"]}


def shows(unit, state):
    """Expect everything that a unit shows of its state."""
    unit.unchanged(state)
    unit.control_points().succeeds().shows("output", state["points"])


def finalized(unit, by):
    """Commit the new key and make it the current one."""
    unit.commit(unit.new_pattern(), by).succeeds()
    return unit.finalize(unit.new_pattern(), by)


def imported_again(unit, by):
    """Clear the new key and import the same one."""
    unit.clear_new(by).succeeds()
    return unit.import_key(PARTS, by[:1])


def attributes(was, **values):
    """Return the attributes of a state with some others."""
    return {"attributes": {**was["attributes"], **values}}


def registers(was, **values):
    """Return the registers of a state with some others."""
    return {"registers": {**was["registers"], **values}}


COMMANDS = {
    "add": (
        lambda tke, unit, by: unit.add(tke.administrators(4)[3], by),
        lambda tke, was: {
            "administrators": sorted([*was["administrators"], tke.administrators(4)[3].ski.hex()])
        },
    ),
    "remove": (
        lambda tke, unit, by: unit.remove(tke.administrators(3)[2].ski, by),
        lambda tke, _: {"administrators": sorted(who.ski.hex() for who in tke.administrators(2))},
    ),
    "signature-threshold": (
        lambda _, unit, by: unit.set(by, signature=3),
        lambda _, was: attributes(was, signature_threshold=3),
    ),
    "revocation-threshold": (
        lambda _, unit, by: unit.set(by, revocation=3),
        lambda _, was: attributes(was, revocation_threshold=3),
    ),
    "permissions": (
        lambda _, unit, by: unit.set(by, permissions=unit.permissions() & ~RANDOM),
        lambda _, was: attributes(was, permissions=was["attributes"]["permissions"] & ~RANDOM),
    ),
    "importer": (lambda _, unit, by: unit.importer(by), lambda *_: {}),
    "export-current": (lambda tke, unit, by: unit.export_key(tke.holder(), by), lambda *_: {}),
    "export-new": (lambda tke, unit, by: unit.export_key(tke.holder(), by, new=True), lambda *_: {}),
    "import-again": (lambda _, unit, by: imported_again(unit, by), lambda *_: {}),
    "commit": (
        lambda _, unit, by: unit.commit(unit.new_pattern(), by),
        lambda _, was: registers(was, committed=True),
    ),
    "finalize": (
        lambda _, unit, by: finalized(unit, by),
        lambda _, was: registers(was, current=was["registers"]["new"], new=None),
    ),
    "clear-current": (
        lambda _, unit, by: unit.clear_current(by),
        lambda _, was: registers(was, current=None),
    ),
    "clear-new": (lambda _, unit, by: unit.clear_new(by), lambda _, was: registers(was, new=None)),
    "remove-control-points": (
        lambda _, unit, by: unit.remove_control_points(OTHER_POINT, by),
        lambda _, was: {
            "points": f"{int.from_bytes(bytes.fromhex(was['points'])) & ~int.from_bytes(OTHER_POINT):032x}"
        },
    ),
    "add-control-points": (
        lambda _, unit, by: unit.add_control_points(POINT, by),
        lambda _, was: {
            "points": f"{int.from_bytes(bytes.fromhex(was['points'])) | int.from_bytes(POINT):032x}"
        },
    ),
}
"""Commands, and what each changes of a state."""


@covers("tke-effects")
@impact("zeroize")
@pytest.mark.parametrize("command", COMMANDS)
def test_done(tke, command):
    """A command changes what it names and nothing else, neither in its unit nor in another one."""
    unit, _, others = furnished_units(tke)
    before, others_before = seen(unit), [seen(other) for other in others]
    ask, changes = COMMANDS[command]
    ask(tke, unit, tke.administrators(2)).succeeds()
    shows(unit, {**before, **changes(tke, before)})
    for other, state in zip(others, others_before, strict=True):
        shows(other, state)


@covers("tke-effects", "tke-13")
@impact("zeroize")
def test_zeroized(tke):
    """Zeroizing empties its unit and leaves every other unit as it was."""
    unit, _, others = furnished_units(tke)
    others_before = [seen(other) for other in others]
    unit.zeroize(tke.administrators(2)).succeeds(requirement="tke-13")
    unit.administrators().succeeds().shows("administrators", [], requirement="tke-13")
    unit.registers().succeeds().shows(
        "registers", {"current": None, "new": None, "committed": False}, requirement="tke-13"
    )
    for other, state in zip(others, others_before, strict=True):
        shows(other, state)


REFUSALS = {
    "add": ("tke-administrator-present", "256/38", lambda unit, _, by: unit.add(by[0], by)),
    "remove": ("tke-administrator-unknown", "32/32", lambda unit, _, by: unit.remove(b"\1" * 32, by)),
    "signature-threshold": (
        "tke-signature-above-administrators",
        "209/57",
        lambda unit, _, by: unit.set(by, signature=4),
    ),
    "one-of-two-thresholds": (
        "tke-revocation-above-administrators",
        "209/58",
        lambda unit, _, by: unit.set(by, signature=1, revocation=4),
    ),
    "import": (
        "tke-too-few-signatures",
        "208/21",
        lambda unit, key, _: unit.send_parts(key, PARTS[:1], []),
    ),
    "commit": ("tke-commit-mismatch", "101/48", lambda unit, _, by: unit.commit(b"\1" * 32, by)),
    "finalize": (
        "tke-finalize-uncommitted",
        "",
        lambda unit, _, by: unit.finalize(unit.new_pattern(), by),
    ),
    "random": ("tke-random", "", lambda unit, _, by: unit.random_key(by)),
    "clear-current": (
        "tke-input",
        "33",
        lambda unit, _, by: unit.command(CLEAR_CURRENT, b"\0", by),
    ),
    "add-control-points": (
        "tke-too-few-signatures",
        "208/21",
        lambda unit, _, by: unit.add_control_points(POINT, by[:1]),
    ),
    "unknown": ("tke-unknown-command", "84", lambda unit, _, by: unit.command(UNKNOWN, by=by)),
    "zeroize": ("tke-too-few-signatures", "208/21", lambda unit, *_: unit.zeroize()),
}
"""Commands that break one rule each: the row of the rule, its pair (none where no source fixes it), and the command."""


@impact("zeroize")
@pytest.mark.parametrize(
    ("row", "pair", "ask"),
    [
        pytest.param(row, pair, ask, id=name, marks=covers("tke-effects-refused", row))
        for name, (row, pair, ask) in REFUSALS.items()
    ],
)
def test_refused(tke, row, pair, ask):
    """A refused command changes nothing, neither in its unit nor in another one, and the unit works as before."""
    unit, key, others = furnished_units(tke)
    by = tke.administrators(2)
    before, others_before = seen(unit), [seen(other) for other in others]
    refused = ask(unit, key, by)
    if pair:
        refused.is_refused(pair, control=unit.attributes().needed(), requirement=row)
    else:
        refused.is_refused_inside(requirement=row)
    shows(unit, before)
    for other, state in zip(others, others_before, strict=True):
        shows(other, state)
    unit.clear_new(by).succeeds()
    unit.send_parts(key, PARTS, by[:1]).succeeds()
    shows(unit, before)
