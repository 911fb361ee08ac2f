"""Malformed request strings, headers and messages: every length and type field wrong in turn."""

import pytest

from kms_conformance.api import covers, impact

STRINGS = [
    "empty",
    "no-fields",
    "length-too-small",
    "length-too-large",
    "length-no-number",
    "length-negative",
    "length-endless",
    "first-word",
    "second-word",
    "module-no-number",
    "module-of-another",
    "user-field",
    "field-too-many",
    "digits-odd",
    "digits-none",
    "digits-other",
    "not-ascii",
    "very-long",
]
HEADERS = [
    "length-0",
    "length-31",
    "length-highest",
    "version",
    "flags",
    "type",
    "code",
    "size-0",
    "size-too-small",
    "size-too-large",
    "size-highest",
    "cut-at-1",
    "cut-at-31",
    "no-message",
]
ADD = 0x02
FIELDS = [
    "message",
    "function",
    "domain",
    "block",
    "signatures",
    "block-members",
    "command",
    "domain-id",
    "module",
    "counter",
    "input",
]


@covers("tke-frame-no-server-error", "tke-frame-length")
@pytest.mark.parametrize("damage", STRINGS)
def test_request_string(tke, damage):
    """A malformed request string causes no server error, and the unit answers the next request."""
    unit = tke.any_unit()
    attributes = unit.attributes().succeeds()
    clean = unit.malformed_string(damage)
    clean.is_refused_cleanly(
        control=attributes, requirement="tke-frame-no-server-error", recorded="tke-frame-length"
    )
    unit.attributes().succeeds().shows("attributes", attributes["attributes"])


@covers("tke-frame-no-server-error", "tke-frame-header")
@pytest.mark.parametrize("damage", HEADERS)
def test_header(tke, damage):
    """A header with one wrong field causes no server error, and the unit answers the next request."""
    unit = tke.any_unit()
    attributes = unit.attributes().succeeds()
    clean = unit.malformed_header(damage)
    clean.is_refused_cleanly(
        control=attributes, requirement="tke-frame-no-server-error", recorded="tke-frame-header"
    )
    unit.attributes().succeeds().shows("attributes", attributes["attributes"])


@covers("tke-frame-no-server-error", "tke-frame-ber")
@pytest.mark.parametrize("field", FIELDS)
def test_message(tke, field):
    """A message with one malformed element causes no server error, and the unit answers the next request."""
    unit = tke.any_unit()
    attributes = unit.attributes().succeeds()
    for clean in unit.wrong_fields(field):
        clean.is_refused_cleanly(
            control=attributes, requirement="tke-frame-no-server-error", recorded="tke-frame-ber"
        )
    unit.attributes().succeeds().shows("attributes", attributes["attributes"])


@covers("tke-frame-no-server-error", "tke-frame-ber")
@pytest.mark.parametrize("number", [0, 99, 0xFFFFFFFF])
def test_unknown_kind(tke, number):
    """An unknown kind of information, or an unknown function, causes no server error."""
    unit = tke.any_unit()
    attributes = unit.attributes().succeeds()
    for clean in (unit.information(number), unit.function(number)):
        clean.is_refused_cleanly(
            control=attributes, requirement="tke-frame-no-server-error", recorded="tke-frame-ber"
        )
    unit.attributes().succeeds().shows("attributes", attributes["attributes"])


@covers("tke-frame-bad-domain")
def test_another_domain(tke):
    """A message that is addressed to another domain is refused."""
    unit = tke.any_unit()
    attributes = unit.attributes().succeeds()
    for index in (unit.domain_index + 1, 0xFFFFFFFF):
        unit.query_of_domain(index).is_refused("3", control=attributes)
        unit.registers_of_domain(index).is_refused("3", control=attributes)


@covers("tke-frame-non-minimal")
def test_long_lengths(tke):
    """Lengths that are encoded in more octets than necessary are accepted."""
    unit = tke.any_unit()
    unit.registers().succeeds(requirement="tke-frame-non-minimal")
    unit.longer_lengths().succeeds(requirement="tke-frame-non-minimal")


@covers("tke-frame-non-minimal", "tke-signature-invalid")
@impact("zeroize")
def test_signed_in_long_lengths(tke):
    """A signature covers the octets that are sent, be their lengths encoded in more octets than necessary."""
    unit, by = tke.operational(tke.unit(), signature=2, revocation=2), tke.administrators(3)
    before = unit.look()
    forged = unit.in_long_lengths(ADD, by[2].certificate_sent, by[:2], over_short=True)
    forged.is_refused_anyhow(requirement="tke-signature-invalid")
    unit.unchanged(before, requirement="tke-signature-invalid")
    unit.in_long_lengths(ADD, by[2].certificate_sent, by[:2]).succeeds(requirement="tke-frame-non-minimal")
