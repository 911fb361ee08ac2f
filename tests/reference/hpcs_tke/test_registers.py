"""Master keys: in by parts, committed, finalized, cleared, made at random, out and into another unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kms_conformance.adapters.hpcs_tke import wire
from kms_conformance.adapters.hpcs_tke.forms import pattern_of
from kms_conformance.adapters.hpcs_tke.signing import Importer

if TYPE_CHECKING:
    from kms_conformance.adapters.hpcs_tke.signing import EcAdministrator
    from tests.reference.hpcs_tke.conftest import Context, Unit

PARTS = (b"\x11" * 32, b"\x22" * 32, bytes(range(32)))
EMPTY = wire.Registers(None, None, committed=False)


@pytest.mark.parametrize("kind", [0, 3], ids=["rsa", "p521"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_parts_make_the_key(
    operational: Unit, administrators: list[EcAdministrator], kind: int, count: int
) -> None:
    """The exclusive-or of the parts goes new, committed, current; its pattern is that of the key."""
    by = (administrators[0],)
    key = operational.import_key(by[0], *PARTS[:count], kind=kind)
    held = operational.registers()
    assert held.new is not None
    assert held.new[:28] == pattern_of(key)
    assert not held.committed
    assert operational.command(wire.COMMIT_KEY, held.new, by).succeeded
    assert operational.registers().committed
    assert operational.command(wire.FINALIZE_KEY, held.new, by).succeeded
    assert operational.registers() == wire.Registers(held.new, None, committed=False)


def test_wrong_patterns(operational: Unit, administrators: list[EcAdministrator]) -> None:
    """Commit and finalize ask for the pattern of the key that is there."""
    by = (administrators[0],)
    operational.import_key(by[0], *PARTS)
    before = operational.registers()
    assert operational.command(wire.COMMIT_KEY, bytes(32), by).pair == "101/48"
    assert operational.command(wire.FINALIZE_KEY, before.new or b"", by).pair == "102/64"
    assert operational.registers() == before
    assert operational.command(wire.COMMIT_KEY, before.new or b"", by).succeeded
    assert operational.command(wire.FINALIZE_KEY, bytes(32), by).pair == "101/48"
    assert operational.registers().committed


def test_clearing(operational: Unit, administrators: list[EcAdministrator]) -> None:
    """Each register is cleared by its own command."""
    by = (administrators[0],)
    operational.load_key(by[0])
    operational.import_key(by[0], *PARTS)
    assert operational.command(wire.CLEAR_NEW_KEY, by=by).succeeded
    held = operational.registers()
    assert held.new is None
    assert held.current is not None
    assert operational.command(wire.CLEAR_CURRENT_KEY, by=by).succeeded
    assert operational.registers() == EMPTY


def test_random_keys(operational: Unit, administrators: list[EcAdministrator]) -> None:
    """Random keys fill current, then new, then nothing."""
    by = (administrators[0],)
    first = operational.command(wire.RANDOM_KEY, by=by).output
    second = operational.command(wire.RANDOM_KEY, by=by).output
    assert operational.registers() == wire.Registers(first, second, committed=False)
    assert operational.command(wire.RANDOM_KEY, by=by).pair == "80/53"
    assert operational.registers() == wire.Registers(first, second, committed=False)


def test_export_into_another_unit(context: Context, administrators: list[EcAdministrator]) -> None:
    """A recovery unit's random key reaches an operational unit, as the vendor's tools do it."""
    source, target = context.units("source_hsms")[0], context.units()[0]
    by = (administrators[0],)
    for unit in (source, target):
        unit.leave_imprint(administrators)
    pattern = source.command(wire.RANDOM_KEY, by=by).output
    importer = Importer(target.command(wire.GENERATE_IMPORTER, wire.word(3), by).output)
    wanted = wire.parameter_file((0x1C, 1, b""), (0x1D, 0, importer.holder_certificate()), (0x1F, 0xC, b""))
    exported = source.command(wire.EXPORT_CURRENT_KEY, wanted, by)
    entries = wire.read_parameter_file(exported.output)
    assert [entry[:2] for entry in entries] == [(0x19, 0)]
    assert target.send_parts([target.part(entries[0][2], administrators[0])]).succeeded
    assert target.registers().new == pattern


@pytest.mark.parametrize(
    ("data", "pair"),
    [
        (wire.parameter_file((0x1C, 1, b""), (0x1D, 0, b"short")), "3/102"),
        (b"\x30\x03", "7"),
        (wire.octets(b""), "7"),
    ],
)
def test_bad_export_files(
    operational: Unit, administrators: list[EcAdministrator], data: bytes, pair: str
) -> None:
    """An export names its holders properly."""
    operational.load_key(administrators[0])
    assert operational.command(wire.EXPORT_CURRENT_KEY, data, (administrators[0],)).pair == pair


@pytest.mark.parametrize("data", [b"x", b"\x30\x00", b"\x04\x02ab", wire.octets(b"a", b"b", b"c", b"d")])
def test_bad_parts(operational: Unit, administrators: list[EcAdministrator], data: bytes) -> None:
    """Key parts that are no requests leave the registers empty."""
    assert operational.command(wire.GENERATE_IMPORTER, wire.word(3), (administrators[0],)).succeeded
    answer = operational.command(wire.IMPORT_KEY, data)
    assert answer.level == "inner"
    assert operational.registers() == EMPTY


def test_recipient_of_another_kind(operational: Unit, administrators: list[EcAdministrator]) -> None:
    """A part for an RSA importer does not open under a P-521 one, and garbage opens under none."""
    first = administrators[0]
    rsa = Importer(operational.command(wire.GENERATE_IMPORTER, wire.word(0), (first,)).output)
    operational.command(wire.GENERATE_IMPORTER, wire.word(3), (first,))
    for recipient in (rsa.seal(PARTS[0]), b"", b"\x30\x00"):
        assert operational.send_parts([operational.part(recipient, first)]).pair == "32/23"
    assert operational.registers() == EMPTY


def test_zeroizing_empties_both(operational: Unit, administrators: list[EcAdministrator]) -> None:
    """Zeroizing leaves no key."""
    operational.load_key(administrators[0])
    operational.import_key(administrators[0], *PARTS)
    assert operational.command(wire.ZEROIZE, by=(administrators[0],)).succeeded
    assert operational.registers() == EMPTY


def test_crypto_ready(context: Context, operational: Unit, administrators: list[EcAdministrator]) -> None:
    """The KMS may wrap from finalize to zeroize; an instance without units is not guarded."""
    service = context.service
    assert service.crypto_ready("7f1d1c4e-0000-4000-8000-00000000ffff")
    assert not service.crypto_ready(context.instance)
    operational.load_key(administrators[0])
    assert service.crypto_ready(context.instance)
    assert operational.command(wire.ZEROIZE, by=(administrators[0],)).succeeded
    assert not service.crypto_ready(context.instance)
