"""Message 1 of the TKE page and its resolution, from end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kms_conformance.adapters.hpcs_tke import wire

if TYPE_CHECKING:
    from kms_conformance.adapters.hpcs_tke.signing import EcAdministrator
    from tests.reference.hpcs_tke.conftest import Unit

THRESHOLD_BITS = 0x00300000


@pytest.fixture
def restricted(unit: Unit, administrators: list[EcAdministrator]) -> Unit:
    """Prepare a unit with thresholds 1/1 whose threshold control bits are reset."""
    unit.leave_imprint(administrators, permissions=(unit.attributes()[3] | 0x40) & ~THRESHOLD_BITS)
    return unit


@pytest.mark.parametrize(
    "thresholds",
    [
        pytest.param({"signature": 2, "revocation": 2}, id="both"),
        pytest.param({"signature": 2}, id="signature"),
        pytest.param({"revocation": 2}, id="revocation"),
    ],
)
def test_protected_threshold_is_refused(
    restricted: Unit, administrators: list[EcAdministrator], thresholds: dict[str, int]
) -> None:
    """Any threshold change is 209/71 and changes nothing."""
    before = restricted.state()
    answer = restricted.set((administrators[0],), **thresholds)
    assert (answer.level, answer.pair) == ("inner", "209/71")
    assert restricted.state() == before


def test_unchanged_thresholds_are_fine(restricted: Unit, administrators: list[EcAdministrator]) -> None:
    """The control bit guards changes, not the command."""
    assert restricted.set((administrators[0],), signature=1, revocation=1).succeeded


def test_control_bits_cannot_be_set_again(restricted: Unit, administrators: list[EcAdministrator]) -> None:
    """Setting a reset control bit is 209/69."""
    before = restricted.state()
    permissions = restricted.attributes()[3] | THRESHOLD_BITS
    assert restricted.set((administrators[0],), permissions=permissions).pair == "209/69"
    assert restricted.state() == before


def test_zeroizing_resolves_it(restricted: Unit, administrators: list[EcAdministrator]) -> None:
    """One signature zeroizes; then administrators, then 2/2 by two signers, then another change."""
    first, second = administrators[:2]
    assert restricted.command(wire.ZEROIZE).pair == "208/21"
    assert restricted.command(wire.ZEROIZE, by=(second,)).succeeded
    attributes = restricted.attributes()
    assert (attributes[1], attributes[2]) == (0, 0)
    assert attributes[3] & THRESHOLD_BITS == THRESHOLD_BITS
    assert restricted.query(wire.QUERY_ADMINISTRATORS).output == b""
    assert restricted.registers() == wire.Registers(None, None, committed=False)
    assert restricted.add(first).succeeded
    assert restricted.add(second).succeeded
    assert restricted.set((first,), signature=2, revocation=2).pair == "208/21"
    assert restricted.set((first, second), signature=2, revocation=2).succeeded
    assert restricted.set((first, second), signature=1, revocation=1).succeeded


def test_golden_query_frame(unit: Unit) -> None:
    """The attribute query is framed as a known-good client frames it."""
    frame = wire.htp_request(2, wire.Header(3).encode(wire.query_request(wire.QUERY_ATTRIBUTES, 3)))
    assert frame == (
        "181;PCI request;XPNUM   ;2;        ;002004000080543400000000000000030000000000000000000000000000002A"
        "30280404000100290404000000030418301604040001000A040800000003000000000400040004000400"
    )
    assert unit.raw(frame).succeeded
