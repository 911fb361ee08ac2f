"""The first message of the page (thresholds that cannot be changed), and the resolution that it advises."""

import pytest

from kms_conformance.api import covers, impact

THRESHOLD_BITS = 0x00300000
"""The control bits that let the signature and the revocation threshold change."""
CONTROL_BITS = 0x01FF0000
"""The control bits that every edition of the public header has."""
IMPORT = 0x01


def protected(tke):
    """Return a unit with thresholds 1 and 1 and reset threshold control bits, and its two administrators."""
    unit = tke.unit()
    wanted = (unit.permissions() | tke.EVERY_REGISTER | tke.ZERO_1SIGN) & ~THRESHOLD_BITS
    return tke.operational(unit, permissions=wanted), tke.administrators(2)


@covers("tke-10", "tke-refusal-inside-200", "tke-counter-after-refusal")
@impact("zeroize")
def test_protected_thresholds(tke):
    """With both control bits reset the thresholds cannot be changed, and nothing else changes."""
    unit, (first, _) = protected(tke)
    before = unit.look()
    counter = unit.counter
    refused = unit.set([first], signature=2, revocation=2).is_refused("209/71")
    refused.shows("level", "inner", requirement="tke-refusal-inside-200")
    refused.shows("counter", counter.hex(), requirement="tke-counter-after-refusal")
    unit.unchanged(before)


@covers("tke-11")
@impact("zeroize")
@pytest.mark.parametrize("threshold", ["signature", "revocation"])
def test_one_protected_threshold(tke, threshold):
    """With both control bits reset, changing only one threshold is refused."""
    unit, (first, _) = protected(tke)
    before = unit.look()
    unit.set([first], **{threshold: 2}).is_refused("209/71")
    unit.unchanged(before)


@covers("tke-11")
@impact("zeroize")
@pytest.mark.parametrize("threshold", ["signature", "revocation"])
def test_one_protected_threshold_lowered(tke, threshold):
    """A threshold whose control bit was reset cannot be lowered, though the permission for single signatures is given."""
    unit, both = tke.unit(), tke.administrators(2)
    wanted = (unit.permissions() | tke.EVERY_REGISTER | tke.ZERO_1SIGN) & ~THRESHOLD_BITS
    tke.operational(unit, signature=2, revocation=2, permissions=wanted)
    before = unit.look()
    unit.set(both, **{threshold: 1}).is_refused("209/71", control=unit.attributes().needed())
    unit.unchanged(before)


@covers("tke-threshold-unchanged")
@impact("zeroize")
def test_thresholds_that_stay(tke):
    """A protected threshold may be set to its present value: the control bit forbids changes only."""
    unit, (first, _) = protected(tke)
    unit.set([first], signature=1, revocation=1).shows("level", "ok")


@covers("tke-12")
@impact("zeroize")
def test_control_bits_do_not_come_back(tke):
    """A control bit that was reset cannot be set again."""
    unit, (first, _) = protected(tke)
    permissions = unit.permissions() & ~CONTROL_BITS
    unit.set([first], permissions=permissions).succeeds()
    before = unit.look()
    for place in range(16, 25):
        unit.set([first], permissions=permissions | 1 << place).is_refused("209/69")
    unit.unchanged(before)


@covers("tke-13")
@impact("zeroize")
def test_zeroizing_lifts_the_restriction(tke):
    """Zeroizing restores imprint mode and empties the unit; one signature suffices where that is permitted."""
    unit, (first, _) = protected(tke)
    unit.set([first], permissions=unit.permissions() & ~(CONTROL_BITS | IMPORT)).succeeds()
    for _ in range(2):
        unit.random_key([first]).needed()
    unit.zeroize([first]).succeeds()
    answer = unit.attributes().succeeds()
    answer.shows("attributes.signature_threshold", 0).shows("attributes.revocation_threshold", 0)
    answer.shows("may_change", dict.fromkeys(answer["may_change"], True))
    answer.shows("allowed.import", value=True).shows("allowed.single_signature", value=True)
    unit.administrators().succeeds().shows("administrators", [])
    unit.registers().succeeds().shows("registers", {"current": None, "new": None, "committed": False})


@covers("tke-14")
@impact("zeroize")
def test_setting_up(tke):
    """In imprint mode administrators are added and removed unsigned; leaving it needs the new threshold."""
    unit, (first, second, third) = tke.unit(), tke.administrators(3)
    for who in (first, second, third):
        unit.add(who).succeeds()
    unit.remove(third.ski).succeeds()
    unit.administrators().succeeds().shows("administrators", sorted([first.ski.hex(), second.ski.hex()]))
    unit.set([first, second], signature=2, revocation=2).succeeds()
    unit.add(third, [first, second]).succeeds()


@covers("tke-14")
@impact("zeroize")
def test_after_zeroizing(tke):
    """After zeroizing, administrators can be installed, and thresholds set to 2 and changed again."""
    unit, (first, second) = protected(tke)
    unit.set([first], signature=2, revocation=2).is_refused("209/71")
    unit.zeroize([first]).succeeds()
    for who in (first, second):
        unit.add(who).succeeds()
    unit.set(
        [first, second], signature=2, revocation=2, permissions=unit.permissions() | tke.ZERO_1SIGN
    ).succeeds()
    answer = unit.attributes().succeeds()
    answer.shows("attributes.signature_threshold", 2).shows("attributes.revocation_threshold", 2)
    unit.set([first, second], signature=1, revocation=1).succeeds()
    answer = unit.attributes().succeeds()
    answer.shows("attributes.signature_threshold", 1).shows("attributes.revocation_threshold", 1)


@covers("tke-too-few-signatures", "tke-13", "tke-14")
@impact("zeroize")
def test_zeroizing_unsigned(tke):
    """Outside imprint mode zeroizing needs a signature; one suffices where the permission is given, and once it is set up anew."""
    unit, by = tke.operational(tke.unit(), signature=2), tke.administrators(2)
    for _ in range(2):
        unit.random_key(by).succeeds()
    before = unit.look()
    unit.zeroize().is_refused("208/21", control=unit.attributes().needed())
    unit.unchanged(before)
    unit.zeroize(by[:1]).succeeds(requirement="tke-13")
    for who in by:
        unit.add(who).succeeds(requirement="tke-14")
    # Thresholds from before count no more.
    unit.set(by[:1], signature=1, revocation=1).succeeds(requirement="tke-14")


@covers("tke-too-few-signatures")
@impact("zeroize")
def test_zeroizing_needs_the_threshold(tke):
    """Without the permission for a single signature, zeroizing needs as many as the threshold says."""
    unit, by = tke.unit(), tke.administrators(2)
    permissions = (unit.permissions() | tke.EVERY_REGISTER) & ~tke.ZERO_1SIGN
    tke.operational(unit, signature=2, permissions=permissions)
    for _ in range(2):
        unit.random_key(by).needed()
    before = unit.look()
    for signers in (by[:1], [by[0], by[0]]):
        unit.zeroize(signers).is_refused("208/21", control=unit.attributes().needed())
    unit.unchanged(before)
    unit.zeroize(by).succeeds()
