"""Who is an administrator of a unit."""

import pytest

from kms_conformance.api import covers, impact

ADD, REMOVE, QUERY = 0x02, 0x04, 0x00010002
MOST = 8


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


@covers("tke-administrator-present")
@impact("zeroize")
def test_added_under_another_name(tke):
    """An administrator is a key: under another name the same key cannot be added again, and its certificate stays."""
    unit, (first, second) = tke.unit(), tke.administrators(2)
    unit.add(first).succeeds()
    before, certificate = unit.look(), unit.certificate_of(first.ski).succeeds()["output"]
    unit.add(first.renamed("kms-conformance again")).is_refused("256/38")
    unit.unchanged(before)
    unit.certificate_of(first.ski).succeeds().shows("output", certificate)
    unit.add(second).succeeds()


@covers("tke-administrators-full", "tke-too-few-signatures", "tke-effects")
@impact("zeroize")
def test_eight_signatures(tke):
    """With the most administrators and thresholds of 8 every one of them has to sign, and any command can be signed."""
    unit, people = tke.unit(), tke.administrators(MOST)
    for who in people:
        unit.add(who).succeeds()
    wanted = unit.permissions() | tke.EVERY_REGISTER | tke.ZERO_1SIGN
    unit.set(people, signature=MOST, revocation=MOST, permissions=wanted).succeeds(requirement="tke-effects")
    before, listed = unit.look(), unit.administrators().succeeds(requirement="tke-effects")
    listed.shows("administrators", sorted(who.ski.hex() for who in people), requirement="tke-effects")
    for absent in (0, MOST - 1):
        few = [who for place, who in enumerate(people) if place != absent]
        refused = unit.set([*few, few[0]] if absent else few, signature=1, revocation=1)
        refused.is_refused("208/21", control=unit.attributes().needed(), requirement="tke-too-few-signatures")
    unit.unchanged(before)
    for who in people:
        unit.clear_new([who]).succeeds(requirement="tke-effects")
    unit.set(people, signature=1, revocation=1).succeeds(requirement="tke-effects")
    unit.attributes().succeeds().shows("attributes.signature_threshold", 1, requirement="tke-effects")


@covers("tke-administrator-removed", "tke-foreign-signer")
@impact("zeroize")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_removed_by_place(tke, place):
    """Of several administrators the one who is named is removed, whenever it was added."""
    unit, people = tke.operational(tke.unit()), tke.administrators(3)
    unit.add(people[2], people[:1]).needed()
    gone = people.pop(place)
    unit.remove(gone.ski, people[:1]).succeeds()
    unit.administrators().succeeds().shows("administrators", sorted(who.ski.hex() for who in people))
    for who in people:
        unit.clear_new([who]).succeeds()
    unit.clear_new([gone]).is_refused("257", requirement="tke-foreign-signer")


@covers("tke-administrators-full", "tke-effects")
@impact("zeroize")
def test_room_for_eight(tke):
    """A ninth administrator is refused, thresholds stay whoever is added; after one is removed, another can be added."""
    unit, people = tke.operational(tke.unit()), tke.administrators(9)
    thresholds = unit.attributes().succeeds(requirement="tke-effects")["attributes"]
    for who in people[2:8]:
        unit.add(who, people[:1]).succeeds()
    unit.attributes().succeeds(requirement="tke-effects").shows(
        "attributes", thresholds, requirement="tke-effects"
    )
    before = unit.look()
    unit.add(people[8], people[:1]).is_refused("261/39")
    unit.unchanged(before)
    unit.remove(people[1].ski, people[:1]).succeeds()
    unit.add(people[8], people[:1]).succeeds()


@covers("tke-administrator-unknown")
@impact("zeroize")
@pytest.mark.parametrize(
    "skis",
    [
        lambda _: [b"\1" * 32],
        lambda _: [b"\1" * 31],
        lambda ski: [ski[:8], ski[:-1], bytes([ski[0] ^ 1]) + ski[1:]],
    ],
    ids=["01" * 32, "01" * 31, "similar"],
)
def test_unknown_is_not_removed(tke, skis):
    """An administrator who is not installed, or was removed before, cannot be removed, nor one by a part of the identifier."""
    unit, (first, second, third) = tke.operational(tke.unit()), tke.administrators(3)
    unit.add(third, [first]).needed()
    unit.remove(third.ski, [first]).succeeds()
    before = unit.look()
    for ski in skis(second.ski):
        unit.remove(ski, [first]).is_refused("32/32")
    unit.remove(third.ski, [second]).is_refused("32/32")
    unit.unchanged(before)


@covers("tke-administrator-unknown")
@impact("zeroize")
def test_unknown_is_not_told(tke):
    """The certificate of an administrator who is not installed is not returned."""
    unit, (first,) = tke.unit(), tke.administrators(1)
    unit.add(first).needed()
    unit.certificate_of(first.ski).succeeds()
    for ski in (b"\1" * 32, first.ski[:8], bytes([first.ski[0] ^ 1]) + first.ski[1:]):
        unit.certificate_of(ski).is_refused("32/32")


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


@covers("tke-foreign-signer", "tke-administrator-removed")
@impact("zeroize")
def test_signed_by_who_comes_or_goes(tke):
    """Who is added by a command does not sign it, who is removed by it may, and comes back like anybody else."""
    unit, (first, second, third) = tke.operational(tke.unit()), tke.administrators(3)
    before, control = unit.look(), unit.attributes().needed()
    unit.add(third, [first, third]).is_refused("257", control=control)
    unit.unchanged(before)
    for _ in range(2):
        unit.add(third, [first]).succeeds(requirement="tke-administrator-removed")
        unit.clear_new([third]).succeeds(requirement="tke-administrator-removed")
        unit.remove(third.ski, [third]).succeeds(requirement="tke-administrator-removed")
    listed = sorted([first.ski.hex(), second.ski.hex()])
    unit.administrators().succeeds().shows("administrators", listed, requirement="tke-administrator-removed")


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
