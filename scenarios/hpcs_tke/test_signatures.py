"""Signatures and transaction counters of commands."""

import pytest

from kms_conformance.api import covers, impact

CLEAR_NEW, ADD = 0x1C, 0x02


@covers("tke-too-few-signatures")
@impact("zeroize")
def test_too_few_signatures(tke):
    """A command needs as many administrators' signatures as the threshold says."""
    unit, (first, second, third) = tke.operational(tke.unit(), signature=2), tke.administrators(3)
    before = unit.look()
    control = unit.clear_new([first]).succeeds()
    for by in ([], [first], [first, first]):
        unit.add(third, by).is_refused("208/21", control=control)
    unit.clear_new([]).is_refused("208/21")
    unit.unchanged(before)
    unit.add(third, [first, second]).succeeds()


@covers("tke-signature-invalid")
@impact("zeroize")
def test_signature_over_something_else(tke):
    """A signature must be over the very octets of the command."""
    unit, (first, _) = tke.operational(tke.unit()), tke.administrators(2)
    unit.clear_new([first]).succeeds()
    before = unit.look()
    block = unit.block(CLEAR_NEW)
    unit.signed(CLEAR_NEW, block, first.sign(block + b"x"), told="signature over other octets").is_refused(
        "192/22"
    )
    unit.unchanged(before)
    unit.clear_new([first]).succeeds()


@covers("tke-signature-malformed")
@impact("zeroize")
@pytest.mark.parametrize("signature", ["", "0400", "3000", "30030201"])
def test_malformed_signature(tke, signature):
    """A signature of another form than its key makes is refused."""
    unit, (first, _) = tke.operational(tke.unit()), tke.administrators(2)
    unit.clear_new([first]).succeeds()
    before = unit.look()
    block = unit.block(CLEAR_NEW)
    malformed = first.enclose(bytes.fromhex(signature))
    unit.signed(CLEAR_NEW, block, malformed, told="malformed signature").is_refused("193")
    unit.unchanged(before)


@covers("tke-foreign-signer")
@impact("zeroize")
def test_foreign_signer(tke):
    """Only installed administrators sign."""
    unit, (first, _, stranger) = tke.operational(tke.unit()), tke.administrators(3)
    unit.clear_new([first]).succeeds()
    before = unit.look()
    unit.clear_new([stranger]).is_refused("257")
    unit.unchanged(before)


@covers("tke-transaction-counter")
@impact("zeroize")
@pytest.mark.parametrize("counter", ["used before", "one octet short", "empty"])
def test_wrong_counter(tke, counter):
    """A command is done once: its counter is refused the second time, and so is one of another width."""
    unit, (first, _) = tke.operational(tke.unit()), tke.administrators(2)
    unit.clear_new([first]).succeeds()
    used = unit.counter
    before = unit.look()
    wrong = {"used before": used, "one octet short": used[1:], "empty": b""}[counter]
    unit.command(CLEAR_NEW, by=[first], counter=wrong).is_refused("163/19")
    unit.unchanged(before)
    unit.clear_new([first]).succeeds()


@covers("tke-counter-advances")
@impact("zeroize")
def test_counter_advances(tke):
    """After a command that succeeded the counter is the one that it carried."""
    unit, (first, second) = tke.unit(), tke.administrators(2)
    unit.attributes().succeeds()
    start = unit.counter
    unit.add(first).succeeds()
    told = unit.attributes().succeeds().shows("counter", tke.next_counter(start).hex())
    unit.add(second).succeeds()
    unit.attributes().succeeds().shows("counter", tke.next_counter(told.heard.counter).hex())


@covers("tke-rsa-signatures")
@impact("zeroize")
def test_rsa_administrator(tke):
    """An administrator with an RSA key is installed, and the signature counts only over the right octets."""
    unit, rsa, (first, _) = tke.unit(), tke.rsa_administrator(), tke.administrators(2)
    tke.operational(unit)
    unit.add(rsa, [first]).succeeds()
    unit.administrators().succeeds().lists("administrators", rsa.ski.hex())
    unit.clear_new([rsa]).succeeds()
    unit.set([rsa], revocation=2).succeeds()
    unit.attributes().succeeds().shows("attributes.revocation_threshold", 2)
    block = unit.block(CLEAR_NEW)
    forged = unit.signed(CLEAR_NEW, block, rsa.sign(block + b"x"), told="RSA signature over other octets")
    forged.shows("level", "inner")
