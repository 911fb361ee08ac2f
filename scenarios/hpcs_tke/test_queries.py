"""Queries need no signature, use no transaction counter and change nothing."""

import pytest

from kms_conformance.api import covers, impact

CERTIFICATES = 0x00010003


@covers("tke-08")
def test_attributes(tke):
    """A query returns the attributes of a unit."""
    unit = tke.any_unit()
    answer = unit.attributes().succeeds()
    for name in ("signature_threshold", "revocation_threshold", "permissions", "mode"):
        answer.shows(f"attributes.{name}")


@covers("tke-09")
@impact("zeroize")
def test_administrators(tke):
    """A query returns the administrators' identifiers, and each one's certificate as it was installed."""
    unit, (first, second) = tke.unit(), tke.administrators(2)
    unit.administrators().succeeds().shows("administrators", [])
    unit.add(first).succeeds()
    unit.add(second).succeeds()
    before = unit.look()
    unit.administrators().succeeds().shows("administrators", sorted([first.ski.hex(), second.ski.hex()]))
    for who in (first, second):
        unit.certificate_of(who.ski).succeeds().shows("output", who.certificate_sent.hex())
    unit.unchanged(before)


@covers("tke-09")
def test_registers_and_control_points(tke):
    """Queries return the state of both registers and the control points."""
    unit = tke.any_unit()
    registers = unit.registers().succeeds()
    for name in ("current", "new", "committed"):
        registers.shows(f"registers.{name}")
    unit.control_points().succeeds().matches("output", "^[0-9a-f]{32}$")


@covers("tke-certificate-index", "tke-09")
def test_certificate_chain(tke):
    """Each certificate of the module's chain is returned, and an index beyond the last one is refused."""
    unit = tke.any_unit()
    number = int.from_bytes(unit.certificates().succeeds().output, "big")
    for index in range(number):
        unit.certificates(index).succeeds(requirement="tke-09").matches("output", "^30", requirement="tke-09")
    for index in (number, 0xFFFFFFFF):
        unit.certificates(index).is_refused("96/60")


@covers("tke-response-signed")
def test_signed_answer(tke):
    """The module signs its answers; clients check the signature against the vendor's root certificates."""
    tke.any_unit().attributes().succeeds().shows("signed", value=True)


@covers("tke-unknown-command")
@pytest.mark.parametrize("command", [0x0001FFFF, 0x00010000], ids="{:08x}".format)
def test_unknown_query(tke, command):
    """An unknown query is refused, and known queries still succeed."""
    unit = tke.any_unit()
    attributes = unit.attributes().succeeds()
    unit.query(command).is_refused("84", control=attributes)
    unit.attributes().succeeds().shows("attributes", attributes["attributes"])
