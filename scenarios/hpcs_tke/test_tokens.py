"""The third message of the page: which tokens are accepted."""

import pytest

from kms_conformance.api import Secret, covers, impact, needs

UNUSABLE = {
    "none": None,
    "garbage": "Bearer garbage",
    "three-parts": "Bearer a.b.c",
    "no-bearer": "Basic YTpi",
}


@covers("tke-02", "tke-04")
@pytest.mark.parametrize("value", UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_token(tke, value):
    """Both operations are refused without a usable token and succeed with a fresh one."""
    unit = tke.any_unit()
    listed, asked = tke.list_units().succeeds(200), unit.attributes().succeeds()
    nobody = tke.with_authorization(value)
    nobody.list_units().is_refused("UNAUTHORIZED", control=listed).lacks("hsms")
    unit.seen_by(nobody).attributes().is_refused("UNAUTHORIZED", control=asked).lacks("level")
    tke.list_units().succeeds(200, requirement="tke-04")
    unit.attributes().succeeds(requirement="tke-04").shows("attributes", asked["attributes"])


FORGED = {
    "other-signature": lambda signed, seal: f"{signed}.{'B' if seal.startswith('A') else 'A'}{seal[1:]}",
    "no-signature": lambda signed, _: f"{signed}.",
}
"""Copies of a good token with something else in its signature's place."""


@covers("tke-02", "tke-04")
@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_forged_token(tke, forge):
    """A copy of a good token with another signature is refused, also right after the good one was accepted."""
    unit = tke.any_unit()
    listed, asked = tke.list_units().succeeds(200), unit.attributes().succeeds()
    signed, _, seal = str(tke.current_token()).rpartition(".")
    forger = tke.with_authorization(Secret(f"Bearer {forge(signed, seal)}"))
    forger.list_units().is_refused("UNAUTHORIZED", control=listed).lacks("hsms")
    unit.seen_by(forger).attributes().is_refused("UNAUTHORIZED", control=asked).lacks("level")
    unit.attributes().succeeds(requirement="tke-04")


@covers("tke-02", "tke-04")
@needs(identity="expired")
def test_expired_token(tke):
    """An expired token is refused; a fresh one is accepted."""
    unit = tke.any_unit()
    listed, asked = tke.list_units().succeeds(200), unit.attributes().succeeds()
    late = tke.as_identity("expired")
    late.list_units().is_refused("UNAUTHORIZED", control=listed).lacks("hsms")
    unit.seen_by(late).attributes().is_refused("UNAUTHORIZED", control=asked).lacks("level")
    tke.list_units().succeeds(200, requirement="tke-04")


@covers("tke-03", "tke-04")
@needs(identity="outsider")
def test_token_without_permission(tke):
    """The valid token of a user without a role on the instance is refused; the manager's is accepted."""
    unit = tke.any_unit()
    listed, asked = tke.list_units().succeeds(200), unit.attributes().succeeds()
    stranger = tke.as_identity("outsider")
    stranger.list_units().is_refused("UNAUTHORIZED", control=listed).lacks("hsms")
    unit.seen_by(stranger).attributes().is_refused("UNAUTHORIZED", control=asked).lacks("level")
    tke.list_units().succeeds(200, requirement="tke-04")


@covers("tke-manager-role")
@needs(identity="reader")
def test_reader(tke):
    """A reader can neither list the units nor send a request to one; both need the Manager role."""
    unit = tke.any_unit()
    listed, asked = tke.list_units().succeeds(200), unit.attributes().succeeds()
    reader = tke.as_identity("reader")
    reader.list_units().is_refused("UNAUTHORIZED", control=listed).lacks("hsms")
    unit.seen_by(reader).attributes().is_refused("UNAUTHORIZED", control=asked).lacks("level")


@covers("tke-02")
@impact("zeroize")
def test_refused_command_is_not_done(tke):
    """A command sent without a usable token changes nothing, and succeeds with a fresh token."""
    unit, (first, second) = tke.unit(), tke.administrators(2)
    added = unit.add(first).succeeds()
    before = unit.look()
    unit.seen_by(tke.with_authorization("Bearer garbage")).add(second).is_refused(
        "UNAUTHORIZED", control=added
    ).lacks("level")
    unit.unchanged(before)
    unit.add(second).succeeds()
