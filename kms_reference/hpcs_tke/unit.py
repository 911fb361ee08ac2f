"""A crypto unit as the TKE service addresses it: one domain of one module behind the HTP string."""

from typing import NamedTuple

from kms_reference.hpcs_tke import ber, codes, frames, messages
from kms_reference.hpcs_tke.codes import THRESHOLD_PROTECTED, Pair, Refusal
from kms_reference.hpcs_tke.defects import ActiveDefects
from kms_reference.hpcs_tke.domain import Domain
from kms_reference.hpcs_tke.frames import CatcherError, CprbError
from kms_reference.hpcs_tke.messages import AdminRequest
from kms_reference.hpcs_tke.module import CryptoModule

OPERATIONAL = "operational"
RECOVERY = "recovery"
FAILOVER = "failover"
_MALFORMED = {
    codes.CERTIFICATE_MALFORMED,
    codes.PART_MALFORMED,
    codes.BAD_ARGUMENTS,
    codes.ATTRIBUTES_MALFORMED,
}
# Commands whose input has one length, in octets.
_LENGTHS = {0x04: 32, 0x09: 4, 0x0D: 32, 0x0E: 32, 0x12: 16}


class Location(NamedTuple):
    """Where a unit is; written as four bracketed parts joined by dots."""

    region: str
    host: str
    module_index: int
    domain_index: int

    def __str__(self) -> str:
        return f"[{self.region}].[{self.host}].[{self.module_index:02}].[{self.domain_index:02}]"


class ModuleRefusedError(Exception):
    """Only under a defect: a refusal that the service turns into an HTTP error."""


class CryptoUnit:
    """One unit of an instance; ``kind`` is operational, recovery or failover."""

    def __init__(
        self, hsm_id: str, kind: str, location: Location, serial: str, broken: ActiveDefects
    ) -> None:
        self.hsm_id = hsm_id
        self.kind = kind
        self.location = location
        self.module = CryptoModule(serial)
        self.domain = Domain(self.module, location.domain_index, broken)
        self._broken = broken

    def listing(self) -> dict[str, object]:
        """Describe the unit as an entry of the list of units."""
        broken = self._broken
        entry: dict[str, object] = {
            "hsm_id": 7 if broken("tke-list-numeric-ids") else self.hsm_id,
            "location": str(self.location).rpartition(".")[0]
            if broken("tke-list-short-location")
            else str(self.location),
            "serial_number": self.module.serial[::-1]
            if broken("tke-serial-mismatch")
            else self.module.serial,
            "state": "active",
            "version": 1,
        }
        recovery = self.kind == RECOVERY and broken("tke-recovery-without-serial")
        if broken("tke-list-without-serial") or recovery:
            del entry["serial_number"]
        return entry

    def answer(self, request: str) -> str:
        """Answer an HTPRequest with an HTPResponse; malformed input gets an error at the level it broke."""
        try:
            frame = frames.parse_request(request)
        except (CatcherError, CprbError) as error:
            if self._broken("tke-bad-frame-500"):
                raise RuntimeError("defect tke-bad-frame-500") from error
            return frames.build_error(error)
        if frame.module_index != self.location.module_index:
            return frames.build_error(CatcherError(frames.MODULE_INDEX_RANGE))
        try:
            payload = self._message(frame.domain_index, frame.payload)
        except Refusal as refusal:
            payload = messages.outer_refusal(frame.domain_index, refusal.pair)
        except CatcherError as error:
            return frames.build_error(error)
        return frames.build_response(frame.domain_index, payload)

    def _message(self, domain: int, payload: bytes) -> bytes:
        self._check_lengths(payload)
        try:
            function, members = messages.read_function(payload)
            request = messages.read_admin_request(members) if function == messages.FUNCTION_ADMIN else None
        except Refusal as error:
            if self._broken("tke-malformed-500"):
                raise RuntimeError("defect tke-malformed-500") from error
            raise
        if function == messages.FUNCTION_INFO:
            return self._info(domain, members)
        if request is None:
            raise Refusal(codes.UNKNOWN_COMMAND, outer=True)
        named = {domain, request.domain, int.from_bytes(request.block.domain[:4], "big")}
        if named != {self.location.domain_index} and not self._broken("tke-any-domain-answered"):
            raise Refusal(codes.BAD_DOMAIN, outer=True)
        return self._admin(request)

    def _check_lengths(self, payload: bytes) -> None:
        """Only under a defect: refuse a length that is longer than necessary, as strict DER readers do."""
        if not self._broken("tke-long-lengths-refused"):
            return
        try:
            element, _ = ber.read_element(payload)
        except ber.BerError:
            return
        if ber.encode(element.tag, element.body) != element.raw:
            raise Refusal(codes.BAD_ARGUMENTS, outer=True)

    def _info(self, domain: int, members: list[bytes]) -> bytes:
        named, subtype, _ = members
        if {domain, int.from_bytes(named, "big")} != {self.location.domain_index}:
            return messages.info_response(domain, codes.BAD_DOMAIN.code, b"")
        try:
            return messages.info_response(domain, 0, self.domain.info(subtype))
        except Refusal as refusal:
            return messages.info_response(domain, refusal.pair.code, b"")

    def _admin(self, request: AdminRequest) -> bytes:
        index = self.location.domain_index
        answer: Pair | bytes
        try:
            answer = self._output(request)
        except Refusal as refusal:
            if refusal.outer:
                raise
            self._crash(refusal, request)
            answer = self._pair(refusal.pair)
            if self._broken("tke-refusal-in-outer"):
                return messages.outer_refusal(index, answer)
        domain = self.domain
        block = messages.response_block(
            request.block, domain.identifier, self.module.identifier, domain.counter, answer
        )
        return messages.admin_response(index, block, self.module.signer_info(block))

    def _crash(self, refusal: Refusal, request: AdminRequest) -> None:
        """Only under a defect: fail where something inside a command could not be read."""
        length = _LENGTHS.get(request.block.command & 0xFF)
        if length not in (None, len(request.block.data)) and self._broken("tke-odd-length-500"):
            raise RuntimeError("defect tke-odd-length-500") from refusal
        if refusal.pair in _MALFORMED and self._broken("tke-malformed-input-500"):
            raise RuntimeError("defect tke-malformed-input-500") from refusal
        if refusal.pair == codes.SIGNATURE_MALFORMED and self._broken("tke-malformed-signer-500"):
            raise RuntimeError("defect tke-malformed-signer-500") from refusal

    def _output(self, request: AdminRequest) -> bytes:
        output = self.domain.execute(request)
        if request.block.command == 0x0001000A and self._broken("tke-attributes-incomplete"):  # noqa: PLR2004 - the attribute query
            return output[:16] + output[24:]
        return output

    def _pair(self, pair: Pair) -> Pair:
        """Choose the codes to answer; defects bend them here."""
        if pair == THRESHOLD_PROTECTED and self._broken("tke-threshold-wrong-reason"):
            return Pair(pair.code, codes.ATTRIBUTE_PROTECTED.reason)
        if pair == THRESHOLD_PROTECTED and self._broken("tke-threshold-wrong-return"):
            return Pair(codes.FUNCTION_CANCELED, pair.reason)
        if self._broken("tke-reason-omitted"):
            return Pair(pair.code)
        if self._broken("tke-refusal-in-catcher"):
            raise CatcherError((frames.SYNTAX, pair.code))
        if self._broken("tke-refusal-as-http-400"):
            raise ModuleRefusedError
        return pair
