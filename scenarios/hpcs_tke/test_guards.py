"""Every rule about who may send a command holds for each command: signatures, signers, counters, addressees, callers."""

import pytest

from kms_conformance.api import covers, impact, needs

PARTS = (b"\x5a" * 32, bytes(range(32)))
POINT = bytes(8) + b"\x01" + bytes(7)
IMPORTER, IMPORT = 0x09, 0x0C

# Name: number, signatures it needs where both thresholds are 2, its input, and the query that shows what it changes.
ON_THE_UNIT = {
    "add": (0x02, 2, lambda tke, _: tke.administrators(4)[3].certificate_sent, "administrators"),
    "remove": (0x04, 2, lambda tke, _: tke.administrators(4)[3].ski, "administrators"),
    "set": (0x08, 2, lambda *_: bytes.fromhex("0000000200000001"), "attributes"),
    "remove-control-points": (0x13, 2, lambda *_: POINT, "control_points"),
    "add-control-points": (0x12, 2, lambda *_: POINT, "control_points"),
    "zeroize": (0x10, 1, lambda *_: b"", "administrators"),
}
ON_KEYS = {
    "random": (0x0A, 1, lambda *_: b"", "registers"),
    "export-current": (0x0B, 2, lambda tke, unit: unit.export_file(tke.holder()), "registers"),
    "importer": (IMPORTER, 1, lambda *_: bytes(4), "registers"),
    "import": (IMPORT, 1, lambda *_: b"", "registers"),
    "export-new": (0x26, 2, lambda tke, unit: unit.export_file(tke.holder()), "registers"),
}
ON_REGISTERS = {
    "commit": (0x0D, 2, lambda _, unit: unit.new_pattern(), "registers"),
    "finalize": (0x0E, 1, lambda _, unit: unit.new_pattern(), "registers"),
    "clear-current": (0x1B, 1, lambda *_: b"", "registers"),
    "clear-new": (0x1C, 1, lambda *_: b"", "registers"),
}


def send(unit, command, data, by, key, *, over=b"", **changes):
    """Send a command; with ``over`` the last signature is over more octets than there are."""
    if command == IMPORT:
        parts = b"".join(unit.part(key.seal(part), by, over=over) for part in PARTS)
        return unit.command(IMPORT, parts, label=f"2 parts, signed by {len(by)}", **changes)
    block = unit.block(command, data, **changes)
    signed = [who.sign(block) for who in by[:-1]] + [who.sign(block + over) for who in by[-1:]]
    return unit.signed(command, block, b"".join(signed), label=f"signed by {len(by)}")


def sent_by_reader(tke, unit, sent):
    """Send a command, signed as it has to be, with the token of a reader."""
    unit.attributes().needed()  # what the command needs of them is known then: a reader may not ask
    return send(unit.seen_by(tke.as_identity("reader")), *sent)


def other_module(unit):
    """Return the identifier of another module."""
    return bytes(octet ^ 0x01 for octet in unit.attributes().needed().heard.module)


BREACHES = {
    "tke-too-few-signatures": ("208/21", lambda _, unit, sent: send(unit, *sent[:2], sent[2][:-1], sent[3])),
    "tke-foreign-signer": (
        "257",
        lambda tke, unit, sent: send(unit, *sent[:2], [*sent[2][:-1], tke.administrators(5)[4]], sent[3]),
    ),
    "tke-signature-invalid": ("192/22", lambda _, unit, sent: send(unit, *sent, over=b"x")),
    "tke-transaction-counter": (
        "163/19",
        lambda _, unit, sent: send(unit, *sent, counter=unit.attributes().needed().heard.counter),
    ),
    "tke-addressee": ("", lambda _, unit, sent: send(unit, *sent, module=other_module(unit))),
    "tke-manager-role": ("UNAUTHORIZED", sent_by_reader),
}
"""Rows of rules, the codes with which a breach is refused (none where no source fixes them), and how a command breaks it."""


@covers(*BREACHES, "tke-effects")
@needs(identity="reader")
@impact("zeroize")
@pytest.mark.parametrize("commands", [ON_THE_UNIT, ON_KEYS, ON_REGISTERS], ids=["unit", "keys", "registers"])
def test_each_command(tke, commands):
    """A command that breaks a rule about who may send it is refused and changes nothing, and is done without the breach."""
    unit, by = tke.operational(tke.unit(), signature=2, revocation=2), tke.administrators(2)
    key, stranger = None, tke.administrators(5)[4]
    # Who signs as a stranger was an administrator before.
    unit.add(stranger, by).needed()
    unit.remove(stranger.ski, by).needed()
    if commands is ON_REGISTERS:
        unit.import_key(PARTS, by[:1]).needed()
    for name, (command, signers, data, query) in commands.items():
        sent = (command, data(tke, unit), by[:signers], key)
        look, control = getattr(unit, query), unit.attributes().needed()
        before = look().needed()[query if query != "control_points" else "output"]
        for row, (code, breach) in BREACHES.items():
            refused = breach(tke, unit, sent)
            if code:
                refused.is_refused(code, control=control, requirement=row)
            else:
                refused.is_refused_anyhow(requirement=row)
        look().shows(query if query != "control_points" else "output", before, requirement="tke-effects")
        done = send(unit, *sent).succeeds(requirement="tke-effects")
        if name != "zeroize":
            # There may be a second reason to refuse it, such as an administrator who is there now.
            unit.sent_again().is_refused_anyhow(requirement="tke-transaction-counter")
        key = unit.importer_of(done) if command == IMPORTER else key


PART_BREACHES = {
    "earlier-counter": ("tke-transaction-counter", lambda unit: {"counter": unit.counter}),
    "other-module": ("tke-addressee", lambda unit: {"module": other_module(unit)}),
}
"""What the signed request of a key part says otherwise than its envelope, and the row of the rule."""


@covers("tke-transaction-counter", "tke-addressee", "tke-import")
@impact("zeroize")
def test_each_key_part(tke):
    """A key part is a signed command: one of an earlier import, or for another unit, is refused, be it the first or the last."""
    unit, by = tke.operational(tke.unit()), tke.administrators(1)
    key = unit.importer_of(unit.importer(by).needed())
    earlier = unit.part(key.seal(PARTS[0]), by)
    unit.command(IMPORT, earlier, label="1 part").succeeds(requirement="tke-import")
    unit.clear_new(by).needed()
    before = unit.look()
    unit.command(IMPORT, earlier, label="the part of an earlier import").is_refused_anyhow(
        requirement="tke-transaction-counter"
    )
    for label, (row, changes) in PART_BREACHES.items():
        for place in (0, 1):
            parts = [
                unit.part(key.seal(part), by, **(changes(unit) if number == place else {}))
                for number, part in enumerate(PARTS)
            ]
            refused = unit.command(IMPORT, b"".join(parts), label=f"part {place + 1} with {label}")
            refused.is_refused_anyhow(requirement=row)
    unit.unchanged(before, requirement="tke-transaction-counter")
    unit.send_parts(key, PARTS, by).succeeds(requirement="tke-import")
