"""One crypto unit of an instance: queries, signed commands, key parts, and a look that can be compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from kms_conformance.adapters.hpcs_tke import malformed, reading, wire
from kms_conformance.adapters.hpcs_tke.answers import UnitAnswer
from kms_conformance.adapters.hpcs_tke.signing import Administrator, Importer, join_parts
from kms_conformance.run.answer import Answer
from kms_conformance.run.outcomes import Inconclusive

if TYPE_CHECKING:
    from kms_conformance.evidence.exchange import JSON
    from kms_conformance.run.case import CaseRun

_LOCATION = re.compile(r"\[[^\]]*\]\.\[[^\]]*\]\.\[(\d{1,9})\]\.\[(\d{1,9})\]")
_NAMES = ("signature", "revocation", "permissions", "mode", "standards")
_QUERIES: Mapping[int, tuple[str, reading.Contents]] = {
    wire.QUERY_ATTRIBUTES: ("query the attributes", reading.attributes),
    wire.QUERY_ADMINISTRATORS: ("query the administrators", reading.administrators),
    wire.QUERY_CONTROL_POINTS: ("query the control points", reading.octets),
    wire.QUERY_DEVICE_CERTIFICATE: ("query the certificates", reading.octets),
}
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
# What goes in or comes out may hold a key, though a wrapped one: reports show the reading, not the octets.
_PRIVATE = {wire.IMPORT_KEY, wire.RANDOM_KEY, wire.EXPORT_CURRENT_KEY, wire.EXPORT_NEW_KEY}
_PUBLIC_OUTPUT = {wire.GENERATE_IMPORTER, wire.ADD_ADMINISTRATOR}


_PART, _POLICY, _HOLDER, _KEY_TYPE, _MASTER_KEY = 0x19, 0x1C, 0x1D, 0x1F, 0xC


class Sender(Protocol):
    """What a unit needs of the system that it belongs to: the case, and a way to send."""

    case: CaseRun

    def send_to(
        self,
        hsm_id: str,
        body: JSON = None,
        *,
        raw: bytes | None = None,
        step: str = "",
        shown: JSON = None,
        reading: Callable[[JSON], JSON] | None = None,
    ) -> Answer:
        """Send anything to a unit."""


class Unit:
    """A crypto unit as the list of units describes it."""

    RSA_2048, P_521 = 0, 3
    """Kinds of importer keys; only for RSA-2048 the form of key parts is public."""

    def __init__(self, tke: Sender, entry: Mapping[str, Any]) -> None:
        self._tke = tke
        self.hsm_id, self.serial = str(entry.get("hsm_id", "")), str(entry.get("serial_number", ""))
        place = _LOCATION.fullmatch(str(entry.get("location", "")))
        if not self.hsm_id or place is None:
            raise Inconclusive(
                "the list describes a unit without an id or a location of four bracketed parts"
            )
        self.module_index, self.domain_index = int(place[1]), int(place[2])
        self._known: wire.Answer | None = None
        self._counter: bytes | None = None

    def seen_by(self, tke: Sender) -> Unit:
        """Return the same unit as somebody else sees it."""
        other = Unit.__new__(Unit)
        other.__dict__.update(self.__dict__, _tke=tke)
        return other

    # --- raw ------------------------------------------------------------------------------------------------------

    def post(self, body: Any = None, *, raw: bytes | None = None, step: str = "") -> Answer:
        """Post any body."""
        return self._tke.send_to(self.hsm_id, body, raw=raw, step=step)

    def frame(
        self, text: str, *, step: str, contents: reading.Contents = reading.octets, public: bool = True
    ) -> UnitAnswer:
        """Send a request string; ``contents`` reads the output."""
        answer = self._tke.send_to(
            self.hsm_id,
            {"request": text},
            step=step,
            shown=None if public else {"request": f"({len(text)} characters with wrapped key parts)"},
            reading=reading.reading(contents, public=public),
        )
        return UnitAnswer(answer.case, answer.reply, answer.exchange, asked=step.partition(",")[0])

    def message(self, payload: bytes, *, header: wire.Header | None = None, **how: Any) -> UnitAnswer:
        """Send a message in a right frame; ``header`` replaces the right one."""
        cprb = (header or wire.Header(self.domain_index)).encode(payload)
        return self.frame(wire.htp_request(self.module_index, cprb), **how)

    def malformed_string(self, name: str) -> UnitAnswer:
        """Send a query whose request string has one thing wrong; names are those of ``malformed.STRINGS``."""
        text = malformed.STRINGS[name](self.module_index, self.domain_index)
        return self.frame(text, step=f"string with wrong {name}")

    def malformed_header(self, name: str) -> UnitAnswer:
        """Send a query whose header has one thing wrong; names are those of ``malformed.HEADERS``."""
        text = malformed.HEADERS[name](self.module_index, self.domain_index)
        return self.frame(text, step=f"header with wrong {name}")

    def wrong_fields(self, name: str) -> Iterator[UnitAnswer]:
        """Send queries in which an element has a wrong type or length; names are those of ``malformed.FIELDS``."""
        for damage, text in malformed.damaged_elements(self.module_index, self.domain_index, name):
            yield self.frame(text, step=f"{name} with {damage}")

    def longer_lengths(self) -> UnitAnswer:
        """Query the registers by a message whose lengths take more octets than they need."""
        return self.message(
            malformed.longer_lengths(self.domain_index),
            step="query in long lengths",
            contents=reading.registers,
        )

    def query_of_domain(self, index: int) -> UnitAnswer:
        """Query the attributes of the domain with another index, through this unit."""
        asked = wire.query_request(wire.QUERY_ATTRIBUTES, index)
        header = wire.Header(index)
        return self.message(asked, header=header, step="query the attributes", contents=reading.attributes)

    def registers_of_domain(self, index: int) -> UnitAnswer:
        """Query the registers of the domain with another index, through this unit."""
        asked, header = wire.info_request(index), wire.Header(index)
        return self.message(asked, header=header, step="query the registers", contents=reading.registers)

    # --- queries --------------------------------------------------------------------------------------------------

    def query(self, command: int = wire.QUERY_ATTRIBUTES, data: bytes = b"", *, step: str = "") -> UnitAnswer:
        """Send an unsigned query."""
        named, contents = _QUERIES.get(command, (f"query {command:#x}", reading.octets))
        contents = reading.octets if data else contents
        return self.message(
            wire.query_request(command, self.domain_index, data), step=step or named, contents=contents
        )

    def attributes(self) -> UnitAnswer:
        """Query the attributes; the answer also names the domain, the module and the counter."""
        answer = self.query()
        if answer.ok:
            self._known, self._counter = answer.heard, answer.heard.counter
        return answer

    def administrators(self) -> UnitAnswer:
        """Query the identifiers of the administrators."""
        return self.query(wire.QUERY_ADMINISTRATORS)

    def registers(self) -> UnitAnswer:
        """Query both master-key registers."""
        asked = wire.info_request(self.domain_index)
        return self.message(asked, step="query the registers", contents=reading.registers)

    def information(self, subtype: int) -> UnitAnswer:
        """Ask for information of a kind that may be none."""
        asked = wire.info_request(self.domain_index, subtype)
        return self.message(asked, step=f"query information {subtype:#x}")

    def function(self, number: int) -> UnitAnswer:
        """Send an information query under the number of another function."""
        asked = (wire.word(number), wire.word(self.domain_index), wire.word(wire.INFO_DOMAIN), wire.word(0))
        return self.message(wire.octets(*asked), step=f"call function {number:#x}")

    def control_points(self) -> UnitAnswer:
        """Query the control points (16 octets)."""
        return self.query(wire.QUERY_CONTROL_POINTS)

    def certificate_of(self, ski: bytes) -> UnitAnswer:
        """Query the certificate of an administrator."""
        return self.query(wire.QUERY_ADMINISTRATORS, ski, step="query an administrator")

    def certificates(self, index: int | None = None) -> UnitAnswer:
        """Query how many certificates the module's chain has, or one of them."""
        data = b"" if index is None else wire.word(index)
        number = "" if index is None else f", number {index}"
        return self.query(wire.QUERY_DEVICE_CERTIFICATE, data, step=f"query the certificates{number}")

    def permissions(self) -> int:
        """Return the permission word."""
        answer = self.attributes().needed()
        word = reading.attributes(answer.output)["attributes"].get("permissions")
        if not isinstance(word, int):
            raise Inconclusive("the attributes have no permissions")
        return word

    def look(self) -> Mapping[str, Any]:
        """Return what a refusal must leave alone: attributes, administrators and registers, as the reports show them."""
        return {
            **reading.attributes(self.attributes().needed().output),
            **reading.administrators(self.administrators().needed().output),
            **reading.registers(self.registers().needed().output),
        }

    def unchanged(self, before: Mapping[str, Any], *, requirement: str | None = None) -> None:
        """Expect the unit to look as it did before."""
        for ask in (self.attributes, self.administrators, self.registers):
            name = ask.__name__
            ask().shows(name, before[name], requirement=requirement)

    # --- commands -------------------------------------------------------------------------------------------------

    def block(self, command: int, data: bytes = b"", **changes: bytes) -> bytes:
        """Encode the signed part of a command for the unit as it now is.

        ``domain``, ``module`` and ``counter`` replace the right fields.
        """
        if self._known is None or self._counter is None:
            self.attributes().needed()
        last_answer = self._known
        assert last_answer is not None
        fields = {
            "domain": last_answer.domain,
            "module": last_answer.module,
            "counter": wire.next_counter(self._counter or b""),
            **changes,
        }
        return wire.admin_block(command, fields["domain"], fields["module"], fields["counter"], data)

    @property
    def counter(self) -> bytes:
        """The counter in the unit's last answer."""
        return self._counter or b""

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
        public = command not in _PRIVATE
        shows = reading.octets if command in _PUBLIC_OUTPUT else reading.withheld
        answer = self.message(
            wire.admin_request(self.domain_index, block, signer_infos),
            step=step,
            contents=shows,
            public=public,
        )
        # Each answer of the unit holds its counter; where one held none, the next command queries it first.
        self._counter = answer.heard.counter if answer.ok else None
        if command == wire.ZEROIZE:
            self._known = None  # the domain may get another instance number
        return answer

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

    def importer(self, by: Sequence[Administrator], kind: int = RSA_2048) -> UnitAnswer:
        """Let the unit make an importer key, of a kind from above."""
        return self.command(wire.GENERATE_IMPORTER, wire.word(kind), by)

    def send_parts(self, key: Importer, parts: Sequence[bytes], by: Sequence[Administrator]) -> UnitAnswer:
        """Send key parts (32 octets each), each signed, in their unsigned envelope.

        The parts, and the key that they make, are secrets of the run from here on.
        """
        for part in (*parts, join_parts(*parts)):
            self._tke.case.context.redactor.remember(part.hex(), "master_key")
        encoded = b"".join(self.part(key.seal(part), by) for part in parts)
        return self.command(wire.IMPORT_KEY, encoded, label=f"{len(parts)} parts, {_signed_by(by)}")

    def part_for(self, key: Importer, by: Sequence[Administrator]) -> bytes:
        """Encode the signed request of a key part of zeros."""
        return self.part(key.seal(bytes(32)), by)

    def part(self, sealed: bytes, by: Sequence[Administrator], *, over: bytes = b"") -> bytes:
        """Encode the signed request of a key part that is sealed already, or of anything in its place.

        With ``over`` the signatures are over more octets than there are.
        """
        block = self.block(wire.IMPORT_KEY, sealed)
        signatures = b"".join(who.sign(block + over) for who in by)
        return wire.admin_request(self.domain_index, block, signatures)

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
        return self.command(wire.IMPORT_KEY, part, label=f"1 part, {_signed_by(by)}")


def _signed_by(by: Sequence[Administrator]) -> str:
    return f"signed by {len(by)}" if by else "unsigned"
