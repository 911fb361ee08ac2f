"""Commands with malformed input: refused without a server error, and nothing changes."""

import pytest

from kms_conformance.api import covers, impact

ADD, REMOVE, SET, IMPORTER, EXPORT, IMPORT, COMMIT = 0x02, 0x04, 0x08, 0x09, 0x0B, 0x0C, 0x0D
FINALIZE, ADD_POINTS, CLEAR_NEW, EXPORT_NEW = 0x0E, 0x12, 0x1C, 0x26
INPUTS = {
    "certificate": (ADD, lambda tke, _: tke.administrators(3)[2].certificate_sent),
    "identifier": (REMOVE, lambda tke, _: tke.administrators(3)[2].ski),
    "attributes": (SET, lambda _, __: bytes(3) + b"\x63" + bytes(4)),
    "importer-type": (IMPORTER, lambda _, __: bytes(3) + b"\x63"),
    "parameter-file": (EXPORT, lambda tke, unit: unit.export_file(tke.holder())),
    "parameter-file-new": (EXPORT_NEW, lambda tke, unit: unit.export_file(tke.holder())),
    "key-part": (IMPORT, lambda tke, unit: unit.part_for(tke.importer_of_nobody(), tke.administrators(1))),
    "pattern": (COMMIT, lambda _, __: bytes(32)),
    "final-pattern": (FINALIZE, lambda _, __: bytes(32)),
    "control-points": (ADD_POINTS, lambda _, __: b"\xff" * 16),
}
"""Commands, and for each an input of the right form, of which damaged copies are sent."""


@covers("tke-malformed-input")
@impact("zeroize")
@pytest.mark.parametrize("kind", INPUTS)
def test_malformed_input(tke, kind):
    """Input that is cut, all zeros or of an impossible length causes no server error and changes nothing."""
    unit, (first, _) = tke.operational(tke.unit()), tke.administrators(2)
    command, make = INPUTS[kind]
    unit.random_key([first]).needed()
    if kind in {"pattern", "final-pattern", "parameter-file-new"}:
        unit.random_key([first]).needed()
    before = unit.look()
    right = make(tke, unit)
    # The envelope of key parts is unsigned.
    by = [] if command == IMPORT else [first]
    # Well formed, but names nothing that exists; a well-formed certificate would be installed.
    alone = {} if kind == "certificate" else {"about nothing": right}
    for damage, data in {**alone, **tke.damaged(right)}.items():
        unit.command(command, data, by, label=f"input {damage}").is_no_server_error()
    unit.unchanged(before)


@covers("tke-malformed-input")
@impact("zeroize")
def test_malformed_key_part(tke):
    """A malformed signed key part is refused, and the register stays as it was."""
    unit, by = tke.operational(tke.unit()), tke.administrators(1)
    key = unit.importer_of(unit.importer(by).needed())
    before = unit.look()
    for damage, sealed in tke.damaged(key.seal(bytes(32))).items():
        unit.command(IMPORT, unit.part(sealed, by), label=f"key part {damage}").is_refused_anyhow()
    unit.unchanged(before)
    unit.send_parts(key, [bytes(range(32))], by).succeeds()


@covers("tke-malformed-input")
@impact("zeroize")
def test_key_part_for_another_importer(tke):
    """A signed key part that was encrypted for another importer key is refused."""
    unit, by = tke.operational(tke.unit()), tke.administrators(1)
    key = unit.importer_of(unit.importer(by).needed())
    sealed = tke.importer_of_nobody().seal(bytes(32))
    answer = unit.command(IMPORT, unit.part(sealed, by), label="key part for another importer")
    if answer.is_no_server_error().ok:
        # One part in 256 decrypts to what looks like a key by chance; two in a row do not.
        sealed = tke.importer_of_nobody().seal(bytes(range(32)))
        answer = unit.command(IMPORT, unit.part(sealed, by), label="another key part for another importer")
    answer.is_refused_anyhow()
    unit.send_parts(key, [bytes(range(32))], by).succeeds()


@covers("tke-malformed-input")
@impact("zeroize")
def test_malformed_signer_info(tke):
    """Malformed signer infos do not count as signatures; too many of them cause no server error."""
    unit, (first, _) = tke.operational(tke.unit()), tke.administrators(2)
    for _ in range(2):
        unit.random_key([first]).needed()
    before = unit.look()
    right = first.sign(unit.block(CLEAR_NEW))
    for damage, infos in tke.damaged(right).items():
        unit.signed(
            CLEAR_NEW, unit.block(CLEAR_NEW), infos, label=f"signer info {damage}"
        ).is_refused_anyhow()
    short = first.signed_as(31, unit.block(CLEAR_NEW))
    unit.signed(CLEAR_NEW, unit.block(CLEAR_NEW), short, label="a short identifier").is_refused_anyhow()
    unit.unchanged(before)
    block = unit.block(CLEAR_NEW)
    unit.signed(CLEAR_NEW, block, first.sign(block) * 9, label="signed nine times").is_no_server_error()
