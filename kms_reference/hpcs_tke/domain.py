"""One domain of a crypto module: what a crypto unit is to its administrators.

Every command is refused or done as a whole: a :class:`Refusal` leaves administrators, attributes, registers and
the transaction counter as they were. Where the order of checks is undocumented (it always is), this module asks:
domain, module, counter, imprint mode, signers, the command's own rules, number of signatures.
"""

from collections.abc import Callable

from kms_reference.hpcs_tke import attributes, codes
from kms_reference.hpcs_tke.administrators import (
    SKI_LENGTH,
    Administrator,
    read_certificate,
)
from kms_reference.hpcs_tke.codes import Refusal
from kms_reference.hpcs_tke.domain_registers import IMPORT, DomainRegisters
from kms_reference.hpcs_tke.domain_rules import DEFAULT_CONTROL_POINTS
from kms_reference.hpcs_tke.messages import AdminBlock, AdminRequest, word
from kms_reference.hpcs_tke.module import CryptoModule
from kms_reference.rules import Rules, rule

CONTROL_POINT_OCTETS = 16
_ADD_CONTROL_POINTS = 0x80
_REMOVE_CONTROL_POINTS = 0x40

Command = Callable[[AdminBlock, int], bytes]


class Domain(DomainRegisters):
    """State and commands of one domain; ``index`` is its number on the module."""

    def __init__(self, module: CryptoModule, index: int, rules: Rules) -> None:
        super().__init__(module, index, rules)
        self._queries: dict[int, Callable[[bytes], bytes]] = {
            0x00010002: self._query_administrators,
            0x00010003: self._query_certificates,
            0x00010006: self.query_control_points,
            0x0001000A: self._query_attributes,
        }
        self._open_in_imprint: dict[int, Command] = {
            0x02: self._add_administrator,
            0x04: self._remove_administrator,
            0x08: self._set_attributes,
            0x10: self._zeroize,
        }
        self._operational: dict[int, Command] = {
            0x09: self._generate_importer,
            0x0A: self._random_key,
            0x0B: self._export_current,
            IMPORT: self._import_key,
            0x0D: self._commit,
            0x0E: self._finalize,
            0x12: self._add_control_points,
            0x13: self._remove_control_points,
            0x1B: self.clear_current,
            0x1C: self.clear_new,
            0x26: self.export_new,
        }

    def info(self, subtype: bytes) -> bytes:
        """Answer an information query: 1 is the module, 3 the domain.

        Raises:
            Refusal: 7 for another subtype.
        """
        kinds = {word(1): self.module.identifier + bytes(64), word(3): self.registers.info()}
        if subtype not in kinds:
            raise Refusal(codes.BAD_ARGUMENTS)
        return kinds[subtype]

    def execute(self, request: AdminRequest) -> bytes:
        """Run a command or query; answer its output.

        Raises:
            Refusal: the codes of the rule that the command breaks.
        """
        block = request.block
        if block.is_query:
            query = self._queries.get(block.command)
            if query is None:
                raise Refusal(codes.UNKNOWN_COMMAND)
            return query(block.data)
        self.check_addressee(block)
        self._check_counter(block.counter)
        return self.run(block, request.signers)

    @rule
    def run(self, block: AdminBlock, signers: bytes) -> bytes:
        """Run a command and count it; answer its output.

        Raises:
            Refusal: the codes of the rule that the command breaks.
        """
        command = self.find_command(block)
        self.check_mode(block)
        output = command(block, self._count_signers(block, signers))
        self.advance()
        return output

    @rule
    def find_command(self, block: AdminBlock) -> Command:
        """Find what a command does.

        Raises:
            Refusal: 84 for an unknown one.
        """
        command = self._open_in_imprint.get(block.command) or self._operational.get(block.command)
        if command is None:
            raise Refusal(codes.UNKNOWN_COMMAND)
        return command

    @rule
    def check_mode(self, block: AdminBlock) -> None:
        """Registers and control points are for operational mode.

        Raises:
            Refusal: 179/34 in imprint mode.
        """
        if self.attributes.imprint and block.command in self._operational:
            raise Refusal(codes.IMPRINT_MODE)

    # Queries: unsigned, uncounted.

    def _query_administrators(self, ski: bytes) -> bytes:
        return self.certificate_of(ski) if ski else self.list_administrators()

    @rule
    def certificate_of(self, ski: bytes) -> bytes:
        """Tell an administrator's certificate.

        Raises:
            Refusal: 32/32 for somebody who is not an administrator.
        """
        if ski not in self.administrators:
            raise Refusal(codes.NO_SUCH_ADMINISTRATOR)
        return self.administrators[ski].certificate

    @rule
    def list_administrators(self) -> bytes:
        """List the identifiers of all administrators."""
        return b"".join(self.administrators)

    def _query_certificates(self, data: bytes) -> bytes:
        chain = self.module.certificates()
        if not data:
            return word(len(chain))
        if len(data) != len(word(0)):
            raise Refusal(codes.CERTIFICATE_INDEX_LENGTH)
        return self.certificate(chain, int.from_bytes(data, "big"))

    @rule
    def certificate(self, chain: list[bytes], index: int) -> bytes:
        """Find a certificate of the chain.

        Raises:
            Refusal: 96/60 for an index behind its end.
        """
        if index >= len(chain):
            raise Refusal(codes.CERTIFICATE_INDEX)
        return chain[index]

    @rule
    def query_control_points(self, data: bytes) -> bytes:
        """Tell the control points, 16 octets.

        Raises:
            Refusal: 33 when there is input.
        """
        self.no_input(data)
        return self.control_points

    def _query_attributes(self, data: bytes) -> bytes:
        self.no_input(data)
        return self.attributes.encode()

    # Administrators, attributes, zeroize: also in imprint mode.

    def _add_administrator(self, block: AdminBlock, signers: int) -> bytes:
        administrator = self.read_administrator(block.data)
        if administrator.ski in self.administrators:
            return self.add_again(administrator)
        self.check_place()
        self.require(signers, self.signatures_to_add())
        self.administrators[administrator.ski] = administrator
        return administrator.ski

    @rule
    def read_administrator(self, certificate: bytes) -> Administrator:
        """Read the certificate of a new administrator: P-521 or RSA-2048.

        Raises:
            Refusal: as :func:`read_certificate`.
        """
        return read_certificate(certificate)

    @rule
    def add_again(self, administrator: Administrator) -> bytes:  # noqa: ARG002 - a defect asks who it is
        """Refuse an administrator who is there.

        Raises:
            Refusal: 256/38.
        """
        raise Refusal(codes.ADMINISTRATOR_PRESENT)

    def _remove_administrator(self, block: AdminBlock, signers: int) -> bytes:
        if not block.data:
            raise Refusal(codes.INPUT_LENGTH)
        if len(block.data) != SKI_LENGTH or block.data not in self.administrators:
            return self.remove_unknown()
        self.check_enough_stay()
        self.require(signers, self.signatures_to_remove())
        self.remove(block.data)
        return b""

    @rule
    def remove_unknown(self) -> bytes:
        """Refuse to remove somebody who is not an administrator.

        Raises:
            Refusal: 32/32.
        """
        raise Refusal(codes.NO_SUCH_ADMINISTRATOR)

    def _set_attributes(self, block: AdminBlock, signers: int) -> bytes:
        new = attributes.read(block.data, self.attributes)
        self.check_attributes(new)
        self.require(signers, self.signatures_to_set(new))
        self.attributes = new
        return b""

    def _zeroize(self, block: AdminBlock, signers: int) -> bytes:
        self.no_input(block.data)
        self.check_zeroize(signers)
        self.attributes = self.attributes_after_zeroize()
        self.forget_administrators()
        self.zeroize_current()
        self.zeroize_new()
        self.control_points = DEFAULT_CONTROL_POINTS
        self.importer = None
        return b""

    # Control points.

    def _add_control_points(self, block: AdminBlock, signers: int) -> bytes:
        wanted = self._control_points(block.data)
        self.require(signers, self.signatures_for_control_points())
        self.check_managed(_ADD_CONTROL_POINTS, codes.CONTROL_POINTS_NOT_ADDABLE)
        self.control_points = bytes(old | bit for old, bit in zip(self.control_points, wanted, strict=True))
        return b""

    def _remove_control_points(self, block: AdminBlock, signers: int) -> bytes:
        unwanted = self._control_points(block.data)
        self.require(signers, self.signatures_for_control_points())
        self.check_managed(_REMOVE_CONTROL_POINTS, codes.CONTROL_POINTS_NOT_REMOVABLE)
        self.control_points = bytes(
            old & ~bit for old, bit in zip(self.control_points, unwanted, strict=True)
        )
        return b""

    @staticmethod
    def _control_points(data: bytes) -> bytes:
        if not data:
            raise Refusal(codes.INPUT_LENGTH)
        if len(data) != CONTROL_POINT_OCTETS:
            raise Refusal(codes.CONTROL_POINTS_MALFORMED)
        return data
