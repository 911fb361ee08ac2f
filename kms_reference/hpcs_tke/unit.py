"""A crypto unit as the TKE service addresses it: one domain of one module behind the HTP string."""

from typing import NamedTuple

from kms_reference.hpcs_tke import codes, frames, messages
from kms_reference.hpcs_tke.codes import Pair, Refusal
from kms_reference.hpcs_tke.domain import Domain
from kms_reference.hpcs_tke.frames import CatcherError, CprbError
from kms_reference.hpcs_tke.messages import AdminRequest
from kms_reference.hpcs_tke.module import CryptoModule
from kms_reference.rules import Rules, rule

OPERATIONAL = "operational"
RECOVERY = "recovery"
FAILOVER = "failover"


class Location(NamedTuple):
    """Where a unit is; written as four bracketed parts joined by dots."""

    region: str
    host: str
    module_index: int
    domain_index: int

    def __str__(self) -> str:
        return f"[{self.region}].[{self.host}].[{self.module_index:02}].[{self.domain_index:02}]"


class CryptoUnit:
    """One unit of an instance; ``kind`` is operational, recovery or failover."""

    def __init__(self, hsm_id: str, kind: str, location: Location, serial: str, rules: Rules) -> None:
        self.hsm_id = hsm_id
        self.kind = kind
        self.location = location
        self.module = CryptoModule(serial)
        self.domain = Domain(self.module, location.domain_index, rules)
        self.rules = rules

    @rule
    def listing(self) -> dict[str, object]:
        """Describe the unit as an entry of the list of units."""
        return {
            "hsm_id": self.hsm_id,
            "location": str(self.location),
            "serial_number": self.module.serial,
            "state": "active",
            "version": 1,
        }

    @rule
    def answer(self, request: str) -> str:
        """Answer an HTPRequest with an HTPResponse; malformed input gets an error at the level it broke."""
        try:
            frame = frames.parse_request(request)
        except (CatcherError, CprbError) as error:
            return frames.build_error(error)
        if frame.module_index != self.location.module_index:
            return frames.build_error(CatcherError(frames.MODULE_INDEX_RANGE))
        try:
            payload = self.message(frame.domain_index, frame.payload)
        except Refusal as refusal:
            payload = messages.outer_refusal(frame.domain_index, refusal.pair)
        except CatcherError as error:
            return frames.build_error(error)
        return frames.build_response(frame.domain_index, payload)

    @rule
    def message(self, domain: int, payload: bytes) -> bytes:
        """Answer an EP11 message.

        Raises:
            Refusal: outer, when the message is not understood or is for another domain.
        """
        function, members, request = self.read(payload)
        if function == messages.FUNCTION_INFO:
            return self._info(domain, members)
        if request is None:
            raise Refusal(codes.UNKNOWN_COMMAND, outer=True)
        self.check_domain(domain, request)
        return self._admin(request)

    @rule
    def read(self, payload: bytes) -> tuple[bytes, list[bytes], AdminRequest | None]:
        """Take a message apart: its function, its members, and what an administrative request says.

        Raises:
            Refusal: outer 7 for a malformed one.
        """
        function, members = messages.read_function(payload)
        request = messages.read_admin_request(members) if function == messages.FUNCTION_ADMIN else None
        return function, members, request

    @rule
    def check_domain(self, domain: int, request: AdminRequest) -> None:
        """A message names this unit's domain, wherever it names one.

        Raises:
            Refusal: outer 3 otherwise.
        """
        named = {domain, request.domain, int.from_bytes(request.block.domain[:4], "big")}
        if named != {self.location.domain_index}:
            raise Refusal(codes.BAD_DOMAIN, outer=True)

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
            answer = self.output(request)
        except Refusal as refusal:
            if refusal.outer:
                raise
            answer = self.refused(refusal, request)
        domain = self.domain
        block = messages.response_block(
            request.block, domain.identifier, self.module.identifier, domain.counter, answer
        )
        return messages.admin_response(index, block, self.module.signer_info(block))

    @rule
    def output(self, request: AdminRequest) -> bytes:
        """Run a command or query; answer its output.

        Raises:
            Refusal: as :meth:`Domain.execute`.
        """
        return self.domain.execute(request)

    @rule
    def refused(self, refusal: Refusal, request: AdminRequest) -> Pair:  # noqa: ARG002 - a defect asks for the request
        """Choose the codes of the answer to a refused command: both of the refusal's."""
        return refusal.pair
