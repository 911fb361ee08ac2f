"""Thresholds, permissions and control bits: one rule broken at a time."""

import pytest

from kms_conformance.api import covers, impact, needs


def hex_of(value):
    """Return a command as its number in hexadecimal digits."""
    return f"{value:02x}" if isinstance(value, int) else value or "nothing"


ONE_SIGN = 0x10
COMMIT, FINALIZE = 0x0D, 0x0E
GUARDS = {
    "import": (0x01, 0x00010000),
    "export": (0x02, 0x00020000),
    "single-part": (0x04, 0x00040000),
    "random": (0x08, 0x00080000),
    "single-signature": (ONE_SIGN, 0x00400000),
    "control-points": (0x20, 0x00800000),
    "zeroize": (0x40, 0x01000000),
}
"""Permissions, and the control bit that must be on for each to change."""


@covers("tke-revocation-above-administrators", "tke-signature-above-administrators")
@impact("zeroize")
def test_above_administrators_in_imprint_mode(tke):
    """Leaving imprint mode with a threshold above the number of administrators is refused."""
    unit, by = tke.unit(), tke.administrators(2)
    for who in by:
        unit.add(who).succeeds()
    before = unit.look()
    unit.set(by, signature=1, revocation=3).is_refused("209/58", control=unit.attributes().needed())
    # The threshold needs more signatures than there are administrators: a second reason to refuse it.
    unit.set(by, signature=3, revocation=1).is_refused_inside(
        requirement="tke-signature-above-administrators"
    )
    unit.unchanged(before)
    unit.set(by, signature=2, revocation=2).succeeds()


@impact("zeroize")
@pytest.mark.parametrize(
    ("threshold", "pair"),
    [
        pytest.param("signature", "209/57", marks=covers("tke-signature-above-administrators")),
        pytest.param("revocation", "209/58", marks=covers("tke-revocation-above-administrators")),
    ],
)
def test_above_administrators(tke, threshold, pair):
    """After imprint mode, raising a threshold above the number of administrators is refused."""
    unit, (first, _) = tke.operational(tke.unit()), tke.administrators(2)
    before = unit.look()
    unit.set([first], **{threshold: 3}).is_refused(pair)
    unit.unchanged(before)
    unit.set([first], **{threshold: 2}).succeeds()


@covers("tke-exit-without-revocation")
@impact("zeroize")
def test_no_exit_without_revocation(tke):
    """Leaving imprint mode with a revocation threshold of 0 is refused."""
    unit, (first,) = tke.unit(), tke.administrators(1)
    unit.add(first).succeeds()
    before = unit.look()
    unit.set([first], signature=1).is_refused("209/56", control=unit.attributes().needed())
    unit.unchanged(before)
    unit.set([first], signature=1, revocation=1).succeeds()


@impact("zeroize")
@pytest.mark.parametrize(
    ("threshold", "pair"),
    [
        pytest.param("signature", "209/76", marks=covers("tke-signature-to-zero")),
        pytest.param("revocation", "209/77", marks=covers("tke-revocation-to-zero")),
    ],
)
def test_not_to_zero(tke, threshold, pair):
    """Setting a threshold back to 0 is refused; only zeroizing resets it."""
    unit, (first, _) = tke.operational(tke.unit()), tke.administrators(2)
    before = unit.look()
    unit.set([first], **{threshold: 0}).is_refused(pair)
    unit.unchanged(before)


@impact("zeroize")
@pytest.mark.parametrize(
    ("threshold", "pair"),
    [
        pytest.param("signature", "209/78", marks=covers("tke-signature-to-one")),
        pytest.param("revocation", "209/79", marks=covers("tke-revocation-to-one")),
    ],
)
def test_one_needs_its_permission(tke, threshold, pair):
    """A threshold of 1 needs the permission for single signatures, one of 2 does not."""
    unit, by = tke.unit(), tke.administrators(2)
    without = (unit.permissions() | tke.ZERO_1SIGN) & ~ONE_SIGN
    for who in by:
        unit.add(who).needed()
    unit.set(by, signature=2, revocation=2, permissions=without).succeeds()
    before = unit.look()
    unit.set(by, **{threshold: 1}).is_refused(pair)
    unit.unchanged(before)
    unit.set(by, permissions=without | ONE_SIGN, **{threshold: 1}).succeeds()


@covers("tke-single-sign-in-use")
@impact("zeroize")
@pytest.mark.parametrize(
    "used_by",
    [{"signature": 1, "revocation": 2}, {"signature": 2, "revocation": 1}],
    ids=["signature", "revocation"],
)
def test_permission_in_use(tke, used_by):
    """The permission for single signatures cannot be removed while a threshold is 1."""
    unit, by = tke.operational(tke.unit(), **used_by), tke.administrators(2)
    permissions = unit.permissions()
    before = unit.look()
    unit.set(by, permissions=permissions & ~ONE_SIGN).is_refused("209/74")
    unit.unchanged(before)
    unit.set(by, signature=2, revocation=2).succeeds()
    unit.set(by, permissions=permissions & ~ONE_SIGN).succeeds()


@covers("tke-attribute-protected")
@impact("zeroize")
@pytest.mark.parametrize("permission", GUARDS)
def test_protected_permission(tke, permission):
    """A permission can be changed until its control bit is reset, and not afterwards."""
    bit, guard = GUARDS[permission]
    unit, by = tke.operational(tke.unit(), signature=2, revocation=2), tke.administrators(2)
    permissions = unit.permissions()
    unit.set(by, permissions=permissions ^ bit).succeeds()
    unit.set(by, permissions=permissions & ~guard).succeeds()
    before = unit.look()
    unit.set(by, permissions=(permissions & ~guard) ^ bit).is_refused("209/70")
    unit.unchanged(before)


@covers("tke-module-imprint")
@impact("zeroize")
@needs(control=True)
def test_module_in_imprint_mode(tke):
    """A domain cannot leave imprint mode before its module has left it."""
    unit, (first,) = tke.unit(), tke.administrators(1)
    unit.add(first).succeeds()
    before = unit.look()
    tke.fault(unit, "module-imprint")
    unit.set([first], signature=1, revocation=1).is_refused("209/85", control=unit.attributes().needed())
    unit.unchanged(before)
    tke.fault(unit, "module-imprint", clear=True)
    unit.set([first], signature=1, revocation=1).succeeds()


@covers("tke-control-points", "tke-effects")
@impact("zeroize")
@pytest.mark.parametrize("managed", ["adding", "removing"])
def test_control_points(tke, managed):
    """Control points are added and removed only while their management bits are set, and a second time changes nothing."""
    unit, (first, _) = tke.operational(tke.unit()), tke.administrators(2)
    bit = {"adding": b"\x80", "removing": b"\x40"}[managed] + bytes(15)
    point = bytes(8) + b"\x01" + bytes(7)
    ask, other = unit.add_control_points, unit.remove_control_points
    ask, other = (ask, other) if managed == "adding" else (other, ask)
    for change in (unit.remove_control_points, unit.add_control_points):
        change(point, [first]).succeeds()
        left = unit.control_points().succeeds()["output"]
        change(point, [first]).succeeds()
        unit.control_points().succeeds().shows("output", left, requirement="tke-effects")
    unit.remove_control_points(bit, [first]).succeeds()
    before = unit.control_points().succeeds()["output"]
    ask(point, [first]).is_refused({"adding": "80/46", "removing": "80/47"}[managed])
    unit.control_points().succeeds().shows("output", before)
    (unit.remove_control_points if managed == "adding" else unit.add_control_points)(
        point, [first]
    ).succeeds()


@covers("tke-input")
@impact("zeroize")
@pytest.mark.parametrize(
    ("command", "data"),
    [
        (0x02, ""),
        (0x04, ""),
        (0x08, ""),
        (0x08, "00"),
        (0x0D, ""),
        (0x0E, ""),
        (0x10, "00"),
        (0x12, ""),
        (0x13, ""),
        (0x1B, "00"),
        (0x1C, "00"),
    ],
    ids=hex_of,
)
def test_input_where_it_belongs(tke, command, data):
    """A command that lacks its input, or has input that it does not take, is refused."""
    unit, (first, _) = tke.operational(tke.unit()), tke.administrators(2)
    control = unit.clear_new([first]).succeeds()
    if command in {COMMIT, FINALIZE}:
        # Everything else that these commands need is given.
        unit.import_key([b"\x5a" * 32], [first]).needed()
    if command == FINALIZE:
        unit.commit(unit.new_pattern(), [first]).needed()
    before = unit.look()
    unit.command(command, bytes.fromhex(data), [first]).is_refused("33", control=control)
    unit.unchanged(before)


@covers("tke-unknown-command")
@impact("zeroize")
def test_unknown_command(tke):
    """An unknown command is refused and changes nothing."""
    unit, (first, _) = tke.operational(tke.unit()), tke.administrators(2)
    control = unit.clear_new([first]).succeeds()
    before = unit.look()
    unit.command(0x7F, by=[first]).is_refused("84", control=control)
    unit.unchanged(before)
