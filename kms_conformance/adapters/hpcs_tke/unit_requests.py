"""Requests to one crypto unit: any message, malformed ones, and the queries that change nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self, TypedDict, Unpack

from kms_conformance.adapters.hpcs_tke import malformed, reading, wire
from kms_conformance.adapters.hpcs_tke.answers import UnitAnswer
from kms_conformance.run.answer import Answer
from kms_conformance.run.outcomes import Inconclusive

if TYPE_CHECKING:
    from kms_conformance.evidence.exchange import JSON
    from kms_conformance.run.case import CaseRun

_LOCATION = re.compile(r"\[[^\]]*\]\.\[[^\]]*\]\.\[(\d{1,9})\]\.\[(\d{1,9})\]")
_QUERIES: Mapping[int, tuple[str, reading.Contents]] = {
    wire.QUERY_ATTRIBUTES: ("query the attributes", reading.attributes),
    wire.QUERY_ADMINISTRATORS: ("query the administrators", reading.administrators),
    wire.QUERY_CONTROL_POINTS: ("query the control points", reading.octets),
    wire.QUERY_DEVICE_CERTIFICATE: ("query the certificates", reading.octets),
}


class RequestMembers(TypedDict, total=False):
    """Members of a :class:`Request` that a request to a unit may give."""

    raw: bytes | None
    step: str
    shown: JSON
    reading: Callable[[JSON], JSON] | None


class Sender(Protocol):
    """What a unit needs of the system that it belongs to: the case, and a way to send."""

    case: CaseRun

    def send_to(self, hsm_id: str, body: JSON = None, **members: Unpack[RequestMembers]) -> Answer:
        """Send anything to a unit."""


class UnitRequests:
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
        self._sent: tuple[int, bytes, bytes] = (0, b"", b"")
        self._parts: dict[bytes, dict[str, JSON]] = {}
        """What is known of each encoded key part that was made for this unit."""

    def seen_by(self, tke: Sender) -> Self:
        """Return the same unit as somebody else sees it."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__, _tke=tke)
        return other

    # --- raw ------------------------------------------------------------------------------------------------------

    def post(self, body: Any = None, *, raw: bytes | None = None, step: str = "") -> Answer:
        """Post any body."""
        return self._tke.send_to(self.hsm_id, body, raw=raw, step=step)

    def frame(
        self,
        text: str,
        *,
        step: str,
        contents: reading.Contents = reading.octets,
        public: bool = True,
        shown: JSON = None,
    ) -> UnitAnswer:
        """Send a request string; ``contents`` reads the output, which is shown where it is ``public``.

        ``shown`` is the evidence in the request's place, where that is not fit to be shown.
        """
        answer = self._tke.send_to(
            self.hsm_id,
            {"request": text},
            step=step,
            shown=shown,
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
        attributes, administrators, registers = self._seen()
        return {
            **reading.attributes(attributes.needed().output),
            **reading.administrators(administrators.needed().output),
            **reading.registers(registers.needed().output),
        }

    def unchanged(self, before: Mapping[str, Any], *, requirement: str | None = None) -> None:
        """Expect the unit to look as it did before."""
        for name, answer in zip(("attributes", "administrators", "registers"), self._seen(), strict=True):
            answer.shows(name, before[name], requirement=requirement)

    def _seen(self) -> list[UnitAnswer]:
        """Query attributes, administrators and registers, in any order."""
        return self._tke.case.read([self.attributes, self.administrators, self.registers])

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
