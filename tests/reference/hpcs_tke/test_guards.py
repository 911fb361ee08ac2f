"""Every guard of a crypto unit, one broken at a time: its pair, and nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from kms_conformance.adapters.hpcs_tke import wire
from kms_conformance.adapters.hpcs_tke.forms import signer_info
from kms_conformance.adapters.hpcs_tke.signing import Importer, RsaAdministrator

if TYPE_CHECKING:
    from kms_conformance.adapters.hpcs_tke.signing import EcAdministrator
    from tests.reference.hpcs_tke.conftest import Context, Unit

Admins = "list[EcAdministrator]"
ONE_SIGN = 0x10
CHG_ONE_SIGN = 0x00400000
KEY = bytes(range(32))


def refused(unit: Unit, pair: str, attempt: Callable[[], wire.Answer]) -> None:
    """Run an attempt; it must be refused with the pair and leave the unit as it was."""
    before = unit.state()
    answer = attempt()
    assert (answer.level, answer.pair) == ("inner", pair)
    assert unit.state() == before


@pytest.mark.parametrize("command", [0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x12, 0x13, 0x1B, 0x1C, 0x26])
def test_imprint_mode(unit: Unit, command: int) -> None:
    """Register and control point commands are 179/34 in imprint mode."""
    refused(unit, "179/34", lambda: unit.command(command))


@pytest.mark.parametrize(
    ("command", "data"),
    [
        (0x09, wire.word(3)),
        (0x0A, b""),
        (0x0D, bytes(32)),
        (0x0E, bytes(32)),
        (0x12, bytes(16)),
        (0x1B, b""),
        (0x10, b""),
    ],
)
def test_unsigned_commands(operational: Unit, command: int, data: bytes) -> None:
    """Operational units ask for signatures."""
    refused(operational, "208/21", lambda: operational.command(command, data))


def test_one_signer_counts_once(unit: Unit, administrators: list[EcAdministrator]) -> None:
    """Two signatures by one administrator are one."""
    unit.leave_imprint(administrators, 2, revocation=2)
    first = administrators[0]
    refused(unit, "208/21", lambda: unit.add(administrators[2], by=(first, first)))


def test_signature_over_something_else(operational: Unit, administrators: list[EcAdministrator]) -> None:
    """A signature that does not verify is 192/22."""
    first = administrators[0]
    block = operational.block(wire.CLEAR_NEW_KEY)
    request = wire.admin_request(operational.place[1], block, first.sign(block + b"x"))
    refused(operational, "192/22", lambda: operational.send(request))


@pytest.mark.parametrize("infos", [b"\x30\x03\x02\x01\x03", b"\x04\x00", b"\x30"])
def test_malformed_signatures(operational: Unit, infos: bytes) -> None:
    """A signer info that is none is 193."""
    block = operational.block(wire.CLEAR_NEW_KEY)
    refused(
        operational, "193", lambda: operational.send(wire.admin_request(operational.place[1], block, infos))
    )


def test_signature_of_the_wrong_form(operational: Unit, administrators: list[EcAdministrator]) -> None:
    """A P-521 signature that is not two numbers is 193."""
    block = operational.block(wire.CLEAR_NEW_KEY)
    sha512, ecdsa = bytes.fromhex("0609608648016503040203"), bytes.fromhex("06082a8648ce3d040304")
    info = signer_info(administrators[0].ski, sha512, ecdsa, b"not a signature")
    refused(
        operational, "193", lambda: operational.send(wire.admin_request(operational.place[1], block, info))
    )


def test_foreign_signer(operational: Unit, administrators: list[EcAdministrator]) -> None:
    """Someone who is not an administrator is 257, without reason."""
    refused(operational, "257", lambda: operational.command(wire.CLEAR_NEW_KEY, by=(administrators[5],)))


@pytest.mark.parametrize("ahead", [0, 2, -1 % 2**32])
def test_transaction_counter(operational: Unit, administrators: list[EcAdministrator], ahead: int) -> None:
    """Only the next counter is accepted."""
    block = operational.block(wire.CLEAR_NEW_KEY, ahead=ahead)
    request = wire.admin_request(operational.place[1], block, administrators[0].sign(block))
    refused(operational, "163/19", lambda: operational.send(request))


def test_short_counter(operational: Unit) -> None:
    """A counter of another width is 163/18."""
    block = operational.block(wire.CLEAR_NEW_KEY, counter=b"\1")
    refused(operational, "163/18", lambda: operational.send(wire.admin_request(operational.place[1], block)))


def test_replay(operational: Unit, administrators: list[EcAdministrator]) -> None:
    """A command that worked does not work twice."""
    block = operational.block(wire.CLEAR_NEW_KEY)
    request = wire.admin_request(operational.place[1], block, administrators[0].sign(block))
    assert operational.send(request).succeeded
    refused(operational, "163/19", lambda: operational.send(request))


def test_administrator_twice(unit: Unit, administrators: list[EcAdministrator]) -> None:
    """An administrator who is there is 256/38."""
    assert unit.add(administrators[0]).succeeded
    refused(unit, "256/38", lambda: unit.add(administrators[0]))


def test_ninth_administrator(unit: Unit, administrators: list[EcAdministrator]) -> None:
    """There is room for eight."""
    assert all(unit.add(administrator).succeeded for administrator in administrators[:8])
    refused(unit, "261/39", lambda: unit.add(administrators[8]))


@pytest.mark.parametrize("ski", [b"\1" * 32, b"\1" * 31])
def test_unknown_administrator(operational: Unit, administrators: list[EcAdministrator], ski: bytes) -> None:
    """Removing or querying someone who is not there is 32/32."""
    refused(
        operational,
        "32/32",
        lambda: operational.command(wire.REMOVE_ADMINISTRATOR, ski, (administrators[0],)),
    )
    refused(operational, "32/32", lambda: operational.query(wire.QUERY_ADMINISTRATORS, ski))


def test_removal_below_threshold(unit: Unit, administrators: list[EcAdministrator]) -> None:
    """Administrators do not fall below a threshold; one more makes the removal possible."""
    unit.leave_imprint(administrators, 2)
    first, second, third = administrators[:3]
    refused(unit, "209/66", lambda: unit.command(wire.REMOVE_ADMINISTRATOR, second.ski, (first,)))
    assert unit.add(third, by=(first, second)).succeeded
    assert unit.command(wire.REMOVE_ADMINISTRATOR, second.ski, (first,)).succeeded
    assert second.ski not in unit.query(wire.QUERY_ADMINISTRATORS).output


@pytest.mark.parametrize(
    ("pair", "values"),
    [
        ("209/57", {"signature": 3}),
        ("209/58", {"revocation": 3}),
        ("209/76", {"signature": 0}),
        ("209/77", {"revocation": 0}),
        ("209/72", {"standards": 1}),
    ],
)
def test_thresholds(
    operational: Unit, administrators: list[EcAdministrator], pair: str, values: dict[str, int]
) -> None:
    """Thresholds stay between one and the number of administrators."""
    refused(operational, pair, lambda: operational.set((administrators[0],), **values))


@pytest.mark.parametrize(
    ("pair", "values"),
    [
        ("209/57", {"signature": 3, "revocation": 1}),
        ("209/58", {"signature": 1, "revocation": 3}),
        ("209/56", {"signature": 1, "revocation": 0}),
    ],
)
def test_leaving_imprint(
    unit: Unit, administrators: list[EcAdministrator], pair: str, values: dict[str, int]
) -> None:
    """Imprint mode is left with both thresholds between one and the number of administrators."""
    first, second = administrators[:2]
    assert unit.add(first).succeeded
    assert unit.add(second).succeeded
    refused(unit, pair, lambda: unit.set((first, second), **values))
    refused(unit, "208/21", lambda: unit.set((), signature=1, revocation=1))
    assert unit.set((first,), signature=1, revocation=1).succeeded


def test_threshold_of_one_needs_its_permission(unit: Unit, administrators: list[EcAdministrator]) -> None:
    """Without 1SIGN neither threshold becomes one."""
    permissions = unit.attributes()[3] & ~ONE_SIGN
    unit.leave_imprint(administrators, 2, revocation=2, permissions=permissions)
    by = tuple(administrators[:2])
    refused(unit, "209/78", lambda: unit.set(by, signature=1))
    refused(unit, "209/79", lambda: unit.set(by, revocation=1))


def test_single_sign_permission_in_use(operational: Unit, administrators: list[EcAdministrator]) -> None:
    """1SIGN stays while a threshold is one."""
    permissions = operational.attributes()[3] & ~ONE_SIGN
    refused(operational, "209/74", lambda: operational.set((administrators[0],), permissions=permissions))


def test_protected_attribute(unit: Unit, administrators: list[EcAdministrator]) -> None:
    """A permission whose control bit is reset does not change."""
    unit.leave_imprint(administrators, 2, revocation=2, permissions=unit.attributes()[3] & ~CHG_ONE_SIGN)
    permissions = unit.attributes()[3] & ~ONE_SIGN
    refused(unit, "209/70", lambda: unit.set(tuple(administrators[:2]), permissions=permissions))


def test_module_in_imprint(context: Context, unit: Unit, administrators: list[EcAdministrator]) -> None:
    """A domain does not leave imprint mode before its module; once the module has, it does."""
    path = f"/_control/hpcs_tke/instances/{context.instance}/faults"
    assert unit.add(administrators[0]).succeeded
    assert context.http.post(path, json={"fault": "module-imprint"}).status_code == 204
    refused(unit, "209/85", lambda: unit.set((administrators[0],), signature=1, revocation=1))
    assert context.http.post(path, json={"fault": "module-imprint", "clear": True}).status_code == 204
    assert unit.set((administrators[0],), signature=1, revocation=1).succeeded


@pytest.mark.parametrize(
    ("pair", "data"),
    [
        ("33", b""),
        ("33/41", bytes(7)),
        ("209/42", wire.word(9) + bytes(4)),
        ("209/43", (wire.word(1) + wire.word(1)) * 2),
    ],
)
def test_malformed_attribute_lists(
    operational: Unit, administrators: list[EcAdministrator], pair: str, data: bytes
) -> None:
    """An attribute list is pairs of known, different indexes."""
    refused(operational, pair, lambda: operational.command(wire.SET_ATTRIBUTES, data, (administrators[0],)))


@pytest.mark.parametrize(
    "command", [wire.ZEROIZE, wire.CLEAR_CURRENT_KEY, wire.CLEAR_NEW_KEY, wire.RANDOM_KEY]
)
def test_unexpected_input(operational: Unit, administrators: list[EcAdministrator], command: int) -> None:
    """Input where none belongs is 33."""
    refused(operational, "33", lambda: operational.command(command, b"x", (administrators[0],)))


@pytest.mark.parametrize(
    "command", [wire.ADD_ADMINISTRATOR, wire.REMOVE_ADMINISTRATOR, wire.SET_ATTRIBUTES, wire.COMMIT_KEY]
)
def test_missing_input(operational: Unit, administrators: list[EcAdministrator], command: int) -> None:
    """No input where some belongs is 33."""
    refused(operational, "33", lambda: operational.command(command, b"", (administrators[0],)))


def test_unknown_commands(operational: Unit) -> None:
    """A command or query that is none is 84."""
    refused(operational, "84", lambda: operational.command(0x7F))
    refused(operational, "84", lambda: operational.query(0x0001007F))


@pytest.mark.parametrize("data", [b"\x30\x00", b"x" * 400, b"\x30\x82\x01\x00"])
def test_bad_certificates(unit: Unit, data: bytes) -> None:
    """What is not an administrator certificate is refused."""
    refused(unit, "32/40", lambda: unit.command(wire.ADD_ADMINISTRATOR, data))


def test_certificate_queries(unit: Unit) -> None:
    """The chain has a length; the index behind it is 96/60."""
    count = int.from_bytes(unit.query(wire.QUERY_DEVICE_CERTIFICATE).output, "big")
    assert count > 0
    assert all(unit.query(wire.QUERY_DEVICE_CERTIFICATE, wire.word(index)).output for index in range(count))
    refused(unit, "96/60", lambda: unit.query(wire.QUERY_DEVICE_CERTIFICATE, wire.word(count)))


@pytest.mark.parametrize(
    ("bit", "pair", "command"), [(0x1, "80/80", 0x0C), (0x8, "80/52", 0x0A), (0x2, "80/131", 0x0B)]
)
def test_prohibited_register_commands(
    operational: Unit, administrators: list[EcAdministrator], bit: int, pair: str, command: int
) -> None:
    """Import, random and export ask for their permission."""
    first = administrators[0]
    assert operational.set((first,), permissions=operational.attributes()[3] & ~bit).succeeded
    by: tuple[Any, ...] = () if command == wire.IMPORT_KEY else (first,)
    refused(operational, pair, lambda: operational.command(command, b"", by))


@pytest.mark.parametrize(("bit", "pair", "command"), [(0x80, "80/46", 0x12), (0x40, "80/47", 0x13)])
def test_control_point_management(
    operational: Unit, administrators: list[EcAdministrator], bit: int, pair: str, command: int
) -> None:
    """Control points change while their management bits are on."""
    first = administrators[0]
    one = b"\0\1" + bytes(14)
    assert operational.command(0x13, one, (first,)).succeeded
    assert operational.query(wire.QUERY_CONTROL_POINTS).output[1] == 0xFE
    assert operational.command(0x12, one, (first,)).succeeded
    assert operational.query(wire.QUERY_CONTROL_POINTS).output[1] == 0xFF
    assert operational.command(0x13, bytes([bit]) + bytes(15), (first,)).succeeded
    refused(operational, pair, lambda: operational.command(command, one, (first,)))


def test_addressee(operational: Unit, administrators: list[EcAdministrator]) -> None:
    """Another domain instance or module is refused."""
    for changes in (
        {"domain": wire.word(operational.place[1]) + wire.word(9)},
        {"module": b"OTHER!!!" + bytes(8)},
    ):
        block = operational.block(wire.CLEAR_NEW_KEY, **changes)
        request = wire.admin_request(operational.place[1], block, administrators[0].sign(block))
        before = operational.state()
        answer = operational.send(request)
        assert (answer.level, answer.code) == ("inner", 7)
        assert operational.state() == before


def test_rsa_administrator(unit: Unit) -> None:
    """An RSA-2048 administrator signs with X9.31."""
    rsa = RsaAdministrator("rsa")
    assert unit.add(rsa).succeeded
    assert unit.query(wire.QUERY_ADMINISTRATORS).output == rsa.ski
    assert unit.query(wire.QUERY_ADMINISTRATORS, rsa.ski).output == rsa.certificate()
    assert unit.set((rsa,), signature=1, revocation=1).succeeded
    block = unit.block(wire.CLEAR_NEW_KEY)
    request = wire.admin_request(unit.place[1], block, rsa.sign(block + b"x"))
    refused(unit, "192/22", lambda: unit.send(request))


def test_nothing_imported_without_signature(operational: Unit, administrators: list[EcAdministrator]) -> None:
    """Each key part is signed."""
    importer = Importer(
        operational.command(wire.GENERATE_IMPORTER, wire.word(3), (administrators[0],)).output
    )
    refused(operational, "208/21", lambda: operational.send_parts([operational.part(importer.seal(KEY))]))
