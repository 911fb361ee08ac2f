"""Who is an administrator of a unit."""

import pytest

from kms_conformance.api import covers, impact

REMOVE, QUERY = 0x04, 0x00010002


@covers("tke-administrator-present")
@impact("zeroize")
def test_added_once(tke):
    """An administrator who is installed already cannot be added again."""
    unit, (first, second) = tke.unit(), tke.administrators(2)
    unit.add(first).succeeds()
    before = unit.look()
    unit.add(first).is_refused("256/38")
    unit.unchanged(before)
    unit.add(second).succeeds()


@covers("tke-administrators-full")
@impact("zeroize")
def test_room_for_eight(tke):
    """A ninth administrator is refused; after one is removed, another can be added."""
    unit, people = tke.unit(), tke.administrators(9)
    for who in people[:8]:
        unit.add(who).succeeds()
    before = unit.look()
    unit.add(people[8]).is_refused("261/39")
    unit.unchanged(before)
    unit.remove(people[0].ski).succeeds()
    unit.add(people[8]).succeeds()


@covers("tke-administrator-unknown")
@impact("zeroize")
@pytest.mark.parametrize("ski", ["01" * 32, "01" * 31])
def test_unknown_is_not_removed(tke, ski):
    """An administrator who is not installed, or was removed before, cannot be removed."""
    unit, (first, second, third) = tke.operational(tke.unit()), tke.administrators(3)
    unit.add(third, [first]).needed()
    unit.remove(third.ski, [first]).succeeds()
    before = unit.look()
    unit.remove(bytes.fromhex(ski), [first]).is_refused("32/32")
    unit.remove(third.ski, [second]).is_refused("32/32")
    unit.unchanged(before)


@covers("tke-administrator-unknown")
@impact("zeroize")
def test_unknown_is_not_told(tke):
    """The certificate of an administrator who is not installed is not returned."""
    unit, (first,) = tke.unit(), tke.administrators(1)
    unit.add(first).needed()
    unit.certificate_of(first.ski).succeeds()
    unit.certificate_of(b"\1" * 32).is_refused("32/32")


@covers("tke-administrator-removed", "tke-foreign-signer", "tke-administrator-unknown")
@impact("zeroize")
def test_removed(tke):
    """With enough signatures an administrator is removed, whose signature is refused afterwards."""
    unit, (first, second, third) = tke.operational(tke.unit()), tke.administrators(3)
    unit.add(third, [first]).succeeds()
    unit.clear_new([third]).succeeds()
    unit.remove(third.ski, [first]).succeeds()
    unit.administrators().succeeds().shows("administrators", sorted([first.ski.hex(), second.ski.hex()]))
    unit.certificate_of(first.ski).succeeds()
    unit.certificate_of(third.ski).is_refused("32/32", requirement="tke-administrator-unknown")
    unit.clear_new([third]).is_refused("257", requirement="tke-foreign-signer")


@covers("tke-removal-below-threshold", "tke-administrator-removed")
@impact("zeroize")
@pytest.mark.parametrize("threshold", ["signature", "revocation"])
def test_not_below_the_threshold(tke, threshold):
    """An administrator who is needed to reach a threshold cannot be removed until another is added."""
    unit, (first, second, third) = tke.operational(tke.unit(), **{threshold: 2}), tke.administrators(3)
    before = unit.look()
    control = unit.attributes().needed()
    unit.remove(second.ski, [first, second]).is_refused("209/66", control=control)
    unit.unchanged(before)
    unit.add(third, [first, second]).succeeds()
    unit.remove(second.ski, [first, third]).succeeds(requirement="tke-administrator-removed")
