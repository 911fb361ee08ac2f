"""One domain of a crypto module: what a crypto unit is to its administrators.

Every command is refused or done as a whole: a :class:`Refusal` leaves administrators, attributes, registers and
the transaction counter as they were. Where the order of checks is undocumented (it always is), this module asks:
domain, module, counter, imprint mode, signers, the command's own rules, number of signatures.
"""

from collections.abc import Callable

from kms_reference.hpcs_tke import attributes, ber, codes, messages
from kms_reference.hpcs_tke.administrators import (
    SKI_LENGTH,
    Administrator,
    read_certificate,
)
from kms_reference.hpcs_tke.codes import Pair, Refusal
from kms_reference.hpcs_tke.domain_rules import DEFAULT_CONTROL_POINTS, DomainRules
from kms_reference.hpcs_tke.key_parts import (
    MAX_PARTS,
    ExportRequest,
    Importer,
    combine,
    new_importer,
    read_export_request,
    seal,
)
from kms_reference.hpcs_tke.messages import AdminBlock, AdminRequest, word
from kms_reference.hpcs_tke.module import CryptoModule
from kms_reference.hpcs_tke.permissions import (
    WK_1PART,
    WK_EXPORT,
    WK_IMPORT,
    WK_RANDOM,
)
from kms_reference.rules import Rules, rule

CONTROL_POINT_OCTETS = 16
_ADD_CONTROL_POINTS = 0x80
_REMOVE_CONTROL_POINTS = 0x40
_IMPORT = 0x0C

Command = Callable[[AdminBlock, int], bytes]


class Domain(DomainRules):
    """State and commands of one domain; ``index`` is its number on the module."""

    def __init__(self, module: CryptoModule, index: int, rules: Rules) -> None:
        super().__init__(module, index, rules)
        self.importer: Importer | None = None
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
            _IMPORT: self._import_key,
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
        if not ski:
            return self.list_administrators()
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

    # Master-key registers: operational mode only.

    def _generate_importer(self, block: AdminBlock, signers: int) -> bytes:
        self.require_one(signers)
        importer = new_importer(block.data)
        self.importer = importer
        return importer.public_key()

    def _random_key(self, block: AdminBlock, signers: int) -> bytes:
        self.no_input(block.data)
        self.permitted(WK_RANDOM, codes.RANDOM_PROHIBITED)
        self.require_one(signers)
        return self.registers.load_random()

    def _export_current(self, block: AdminBlock, signers: int) -> bytes:
        return self.export(block, signers, codes.CURRENT_KEY_MISSING, new=False)

    @rule
    def export_new(self, block: AdminBlock, signers: int) -> bytes:
        """Export the new master key.

        Raises:
            Refusal: as :meth:`export`.
        """
        return self.export(block, signers, codes.NEW_KEY_MISSING, new=True)

    def export(self, block: AdminBlock, signers: int, missing: Pair, *, new: bool) -> bytes:
        """Export a master key in parts.

        Raises:
            Refusal: 80/131 and 80/110 without permission, with ``missing`` for an empty register, 208/21 for too
                few signatures, and as :func:`read_export_request`.
        """
        self.permitted(WK_EXPORT, codes.EXPORT_PROHIBITED)
        request = read_export_request(block.data)
        if request.needed == 1:
            self.permitted(WK_1PART, codes.SINGLE_PART_EXPORT)
        key = self.registers.exported(missing, new=new)
        self.require(signers, self.signatures_to_export())
        return self.sealed(key, request)

    @rule
    def sealed(self, key: bytes, request: ExportRequest) -> bytes:
        """Encrypt a key for the holders of its parts."""
        return seal(key, request)

    def _import_key(self, block: AdminBlock, signers: int) -> bytes:
        if signers:
            # The envelope is unsigned: the signatures are on the parts inside.
            raise Refusal(codes.SIGNATURE_MALFORMED)
        self.permitted(WK_IMPORT, codes.IMPORT_PROHIBITED)
        parts = self._part_requests(block.data)
        if self.importer is None:
            raise Refusal(codes.NO_IMPORTER)
        if len(parts) == 1:
            self.permitted(WK_1PART, codes.SINGLE_PART_IMPORT)
        opened = []
        for part in parts:
            self._check_part(block, part)
            opened.append(self.open_part(self.importer, part.block.data))
        return self.load(self.combined(opened))

    @rule
    def combined(self, parts: list[bytes]) -> bytes:
        """Combine all parts to the key."""
        return combine(parts)

    @rule
    def load(self, key: bytes) -> bytes:
        """Load an imported key; answer its pattern.

        Raises:
            Refusal: as :meth:`MasterKeyRegisters.load`.
        """
        return self.registers.load(key)

    @rule
    def open_part(self, importer: Importer, data: bytes) -> bytes:
        """Decrypt a key part.

        Raises:
            Refusal: as :meth:`Importer.open_part`.
        """
        return importer.open_part(data)

    def _part_requests(self, data: bytes) -> list[AdminRequest]:
        try:
            encoded = [element.raw for element in ber.read_elements(data)]
            functions = [messages.read_function(raw) for raw in encoded]
            parts = [messages.read_admin_request(members) for _, members in functions]
        except (ber.BerError, Refusal) as error:
            raise Refusal(codes.PART_MALFORMED) from error
        if not parts:
            raise Refusal(codes.NO_KEY_PARTS)
        if len(parts) > MAX_PARTS:
            raise Refusal(codes.TOO_MANY_PARTS)
        if any(function != messages.FUNCTION_ADMIN for function, _ in functions):
            raise Refusal(codes.PART_FUNCTION)
        return parts

    def _check_part(self, envelope: AdminBlock, part: AdminRequest) -> None:
        if part.block.command != _IMPORT:
            raise Refusal(codes.PART_FUNCTION)
        if (part.domain, part.block.domain) != (self.index, envelope.domain):
            raise Refusal(codes.PART_DOMAIN_DIFFERS)
        if part.block.module != envelope.module:
            raise Refusal(codes.MODULE_MISMATCH)
        if part.block.counter != envelope.counter:
            raise Refusal(codes.COUNTER_WRONG)
        self.require_signed_part(self._count_signers(part.block, part.signers))

    def _commit(self, block: AdminBlock, signers: int) -> bytes:
        self.require(signers, self.signatures_to_commit())
        return self.registers.commit(block.data)

    def _finalize(self, block: AdminBlock, signers: int) -> bytes:
        self.require_one(signers)
        return self.registers.finalize(block.data)

    @rule
    def clear_current(self, block: AdminBlock, signers: int) -> bytes:
        """Empty the current register.

        Raises:
            Refusal: 33 for input, 208/21 without a signature.
        """
        self.no_input(block.data)
        self.require_one(signers)
        self.registers.clear_current()
        return b""

    @rule
    def clear_new(self, block: AdminBlock, signers: int) -> bytes:
        """Empty the new register.

        Raises:
            Refusal: 33 for input, 208/21 without a signature.
        """
        self.no_input(block.data)
        self.require_one(signers)
        self.registers.clear_new()
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
