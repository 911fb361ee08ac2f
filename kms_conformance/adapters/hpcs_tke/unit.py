"""One crypto unit of an instance: queries, signed commands, key parts, and a look that can be compared."""

from __future__ import annotations

from collections.abc import Sequence

from kms_conformance.adapters.hpcs_tke import reading, wire
from kms_conformance.adapters.hpcs_tke.answers import UnitAnswer
from kms_conformance.adapters.hpcs_tke.forms import in_long_lengths, join_parts, pattern_of
from kms_conformance.adapters.hpcs_tke.signing import Administrator, Importer
from kms_conformance.adapters.hpcs_tke.unit_requests import UnitRequests
from kms_conformance.evidence.exchange import JSON
from kms_conformance.run.outcomes import Inconclusive

_NAMES = ("signature", "revocation", "permissions", "mode", "standards")
_COMMANDS = {
    wire.ADD_ADMINISTRATOR: "add an administrator",
    wire.REMOVE_ADMINISTRATOR: "remove an administrator",
    wire.SET_ATTRIBUTES: "set attributes",
    wire.GENERATE_IMPORTER: "generate an importer key",
    wire.RANDOM_KEY: "make a random master key",
    wire.EXPORT_CURRENT_KEY: "export the current master key",
    wire.IMPORT_KEY: "import key parts",
    wire.COMMIT_KEY: "commit the new master key",
    wire.FINALIZE_KEY: "finalize the new master key",
    wire.ZEROIZE: "zeroize",
    wire.ADD_CONTROL_POINTS: "add control points",
    wire.REMOVE_CONTROL_POINTS: "remove control points",
    wire.CLEAR_CURRENT_KEY: "clear the current master key",
    wire.CLEAR_NEW_KEY: "clear the new master key",
    wire.EXPORT_NEW_KEY: "export the new master key",
}
# What comes out may hold a key, though a wrapped one: reports show the reading, not the octets.
_PRIVATE = {wire.IMPORT_KEY, wire.RANDOM_KEY, wire.EXPORT_CURRENT_KEY, wire.EXPORT_NEW_KEY}
_PUBLIC_OUTPUT = {wire.GENERATE_IMPORTER, wire.ADD_ADMINISTRATOR}


_PART, _POLICY, _HOLDER, _KEY_TYPE, _MASTER_KEY = 0x19, 0x1C, 0x1D, 0x1F, 0xC


class Unit(UnitRequests):
    """A crypto unit as the list of units describes it: signed commands, and key parts."""

    # --- commands -------------------------------------------------------------------------------------------------

    def command(
        self,
        command: int,
        data: bytes = b"",
        by: Sequence[Administrator] = (),
        *,
        label: str = "",
        **changes: bytes,
    ) -> UnitAnswer:
        """Send a command with the signatures of ``by``."""
        block = self.block(command, data, **changes)
        return self.signed(
            command, block, b"".join(who.sign(block) for who in by), label=label or _signed_by(by)
        )

    def signed(self, command: int, block: bytes, signer_infos: bytes, *, label: str = "") -> UnitAnswer:
        """Send an encoded block with encoded signer infos."""
        step = _COMMANDS.get(command, f"command {command:#x}") + (f", {label}" if label else "")
        self._sent = (command, block, signer_infos)
        shows = reading.octets if command in _PUBLIC_OUTPUT else reading.withheld
        answer = self.message(
            wire.admin_request(self.domain_index, block, signer_infos),
            step=step,
            contents=shows,
            public=command not in _PRIVATE,
            shown=self._shown_import(block, signer_infos) if command == wire.IMPORT_KEY else None,
        )
        # Each answer of the unit holds its counter; where one held none, the next command queries it first.
        self._counter = answer.heard.counter if answer.ok else None
        if command == wire.ZEROIZE:
            self._known = None  # the domain may get another instance number
        return answer

    def sent_again(self) -> UnitAnswer:
        """Send the last command again, octet by octet."""
        return self.signed(*self._sent, label="sent again")

    def _shown_import(self, block: bytes, signer_infos: bytes) -> JSON:
        """Return the evidence of an import: the request without the encrypted parts, and what they hold, as secrets."""
        withheld = f"({len(self._text(block, signer_infos))} characters with wrapped key parts)"
        try:
            data = wire.members_of(block, (5,))[4]
            parts = [self._parts.get(wire.tlv(part.tag, part.value), {}) for part in wire.nodes(data)]
            if signers := [part["administrators"] for part in parts if "administrators" in part]:
                return {"request": withheld, "administrators": signers[0]}
            text = self._text(wire.without_parts(block), signer_infos)
        except wire.WireError:
            return {"request": withheld}
        keys = [bytes.fromhex(str(part["part"])) for part in parts if "part" in part]
        if not keys or len(keys) < len(parts):
            return {"request": text, "parts": parts}
        whole = join_parts(*keys)
        registers = {"new": pattern_of(whole).hex()}
        return {"request": text, "parts": parts, "key": whole.hex(), "registers": registers}

    def _text(self, block: bytes, signer_infos: bytes) -> str:
        """Return the string of a request around an encoded block."""
        payload = wire.admin_request(self.domain_index, block, signer_infos)
        return wire.htp_request(self.module_index, wire.Header(self.domain_index).encode(payload))

    def in_long_lengths(
        self, command: int, data: bytes, by: Sequence[Administrator], *, over_short: bool = False
    ) -> UnitAnswer:
        """Send a command whose block has lengths of more octets than necessary.

        With ``over_short`` it is signed as if they had as few as possible.
        """
        block = self.block(command, data)
        sent = in_long_lengths(block)
        infos = b"".join(who.sign(block if over_short else sent) for who in by)
        label = "in long lengths" + (", signed over short ones" if over_short else "")
        return self.signed(command, sent, infos, label=label)

    def add(self, who: Administrator, by: Sequence[Administrator] = ()) -> UnitAnswer:
        """Install an administrator."""
        return self.command(wire.ADD_ADMINISTRATOR, who.certificate_sent, by)

    def remove(self, ski: bytes, by: Sequence[Administrator] = ()) -> UnitAnswer:
        """Remove an administrator."""
        return self.command(wire.REMOVE_ADMINISTRATOR, ski, by)

    def set(self, by: Sequence[Administrator], **values: int) -> UnitAnswer:
        """Set attributes: ``signature``, ``revocation``, ``permissions``, ``mode``, ``standards``."""
        listed = {_NAMES.index(name) + 1: value for name, value in values.items()}
        changes = ", ".join(
            f"{name} {value:#x}" if value > len(_NAMES) * 2 else f"{name} {value}"
            for name, value in values.items()
        )
        return self.command(
            wire.SET_ATTRIBUTES, wire.attribute_list(listed), by, label=f"{changes}, {_signed_by(by)}"
        )

    def zeroize(self, by: Sequence[Administrator] = ()) -> UnitAnswer:
        """Zeroize the unit: what its master key protects is lost."""
        return self.command(wire.ZEROIZE, by=by)

    def commit(self, pattern: bytes, by: Sequence[Administrator]) -> UnitAnswer:
        """Commit the new master key of a verification pattern."""
        return self.command(wire.COMMIT_KEY, pattern, by)

    def finalize(self, pattern: bytes, by: Sequence[Administrator]) -> UnitAnswer:
        """Make the new master key of a verification pattern the current one."""
        return self.command(wire.FINALIZE_KEY, pattern, by)

    def random_key(self, by: Sequence[Administrator]) -> UnitAnswer:
        """Let the unit make a master key."""
        return self.command(wire.RANDOM_KEY, by=by)

    def clear_current(self, by: Sequence[Administrator]) -> UnitAnswer:
        """Clear the current master key."""
        return self.command(wire.CLEAR_CURRENT_KEY, by=by)

    def clear_new(self, by: Sequence[Administrator]) -> UnitAnswer:
        """Clear the new master key."""
        return self.command(wire.CLEAR_NEW_KEY, by=by)

    def add_control_points(self, bitmap: bytes, by: Sequence[Administrator]) -> UnitAnswer:
        """Switch control points on (16 octets)."""
        return self.command(wire.ADD_CONTROL_POINTS, bitmap, by)

    def remove_control_points(self, bitmap: bytes, by: Sequence[Administrator]) -> UnitAnswer:
        """Switch control points off (16 octets)."""
        return self.command(wire.REMOVE_CONTROL_POINTS, bitmap, by)

    # --- key parts ------------------------------------------------------------------------------------------------

    def importer(self, by: Sequence[Administrator], kind: int = UnitRequests.RSA_2048) -> UnitAnswer:
        """Let the unit make an importer key, of a kind from above."""
        return self.command(wire.GENERATE_IMPORTER, wire.word(kind), by)

    def send_parts(self, key: Importer, parts: Sequence[bytes], by: Sequence[Administrator]) -> UnitAnswer:
        """Send key parts (32 octets each), each signed, in their unsigned envelope.

        The parts, and the key that they make, are secrets of the run from here on.
        """
        signed = [(part, by) for part in parts]
        return self._send_signed(key, signed, label=f"{len(parts)} parts, {_signed_by(by)}")

    def send_signed_parts(
        self, key: Importer, signed: Sequence[tuple[bytes, Sequence[Administrator]]]
    ) -> UnitAnswer:
        """Send key parts as :meth:`send_parts` does, each with signers of its own."""
        return self._send_signed(key, signed, label=f"{len(signed)} parts, each with its own signers")

    def _send_signed(
        self, key: Importer, signed: Sequence[tuple[bytes, Sequence[Administrator]]], *, label: str
    ) -> UnitAnswer:
        parts = [part for part, _ in signed]
        for part in (*parts, join_parts(*parts)):
            self._tke.case.context.redactor.remember(part.hex(), "master_key")
        encoded = [self.part(key.seal(part), by) for part, by in signed]
        for request, part in zip(encoded, parts, strict=True):
            ends = [len(part) - len(part.lstrip(b"\0")), len(part) - len(part.rstrip(b"\0"))]
            self._parts[request] = {"part": part.hex(), "zeros": ends}
        return self.command(wire.IMPORT_KEY, b"".join(encoded), label=label)

    def part_for(self, key: Importer, by: Sequence[Administrator]) -> bytes:
        """Encode the signed request of a key part of zeros."""
        return self.part(key.seal(bytes(32)), by)

    def part(
        self, sealed: bytes, by: Sequence[Administrator], *, over: bytes = b"", **changes: bytes
    ) -> bytes:
        """Encode the signed request of a key part that is sealed already, or of anything in its place.

        With ``over`` the signatures are over more octets than there are; ``changes`` are those of :meth:`block`.
        """
        block = self.block(wire.IMPORT_KEY, sealed, **changes)
        signatures = b"".join(who.sign(block + over) for who in by)
        request = wire.admin_request(self.domain_index, block, signatures)
        self._parts[request] = {"forged": True} if over else {}
        return request

    def key_of(self, parts: Sequence[bytes]) -> str:
        """Return the key that key parts make, in hexadecimal digits: what no answer may carry."""
        return join_parts(*parts).hex()

    def import_key(self, parts: Sequence[bytes], by: Sequence[Administrator]) -> UnitAnswer:
        """Import key parts under an importer key made for them."""
        return self.send_parts(self.importer_of(self.importer(by).needed()), parts, by)

    def importer_of(self, answer: UnitAnswer) -> Importer:
        """Return the importer key that the unit printed; raise :class:`Inconclusive` when it is none that can be used."""
        made = Importer(answer.output)
        try:
            made.seal(bytes(32))
        except wire.WireError as error:
            raise Inconclusive(str(error)) from None
        return made

    def new_pattern(self) -> bytes:
        """Return the verification pattern of the new master key as the unit tells it (32 octets)."""
        try:
            pattern = wire.read_registers(self.registers().needed().output).new
        except wire.WireError as error:
            raise Inconclusive(str(error)) from None
        if pattern is None:
            raise Inconclusive("the new register is empty")
        return pattern

    def current_pattern(self) -> bytes:
        """Return the verification pattern of the current master key as the unit tells it (32 octets)."""
        try:
            pattern = wire.read_registers(self.registers().needed().output).current
        except wire.WireError as error:
            raise Inconclusive(str(error)) from None
        if pattern is None:
            raise Inconclusive("the current register is empty")
        return pattern

    def load_key(self, by: Sequence[Administrator]) -> None:
        """Make the unit hold a current master key, of its own making."""
        self.random_key(by).needed()

    def export_key(self, holder: Importer, by: Sequence[Administrator], *, new: bool = False) -> UnitAnswer:
        """Export the current (or the ``new``) master key in one part, for the holder of a P-521 importer key."""
        command = wire.EXPORT_NEW_KEY if new else wire.EXPORT_CURRENT_KEY
        return self.command(command, self.export_file(holder), by)

    def export_file(self, holder: Importer) -> bytes:
        """Encode the parameter file of an export in one part."""
        entries = (
            (_POLICY, 1, b""),
            (_HOLDER, 0, holder.holder_certificate()),
            (_KEY_TYPE, _MASTER_KEY, b""),
        )
        return wire.parameter_file(*entries)

    def take_part(self, exported: UnitAnswer, by: Sequence[Administrator]) -> UnitAnswer:
        """Import the one part of another unit's export, unread; an output of zeros, as a record shows it, holds none."""
        try:
            entries = wire.read_parameter_file(exported.output) if exported.output.strip(b"\0") else ()
        except wire.WireError as error:
            raise Inconclusive(f"{exported.exchange.step}: {error}") from None
        parts = [data for tag, _, data in entries if tag == _PART]
        part = self.part(b"".join(parts), by)
        self._parts[part] = {"administrators": [who.ski.hex() for who in by]}
        return self.command(wire.IMPORT_KEY, part, label=f"1 part, {_signed_by(by)}")


def _signed_by(by: Sequence[Administrator]) -> str:
    return f"signed by {len(by)}" if by else "unsigned"
