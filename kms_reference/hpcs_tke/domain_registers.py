"""Commands on the two master-key registers of a domain; all of them need operational mode."""

from kms_reference.hpcs_tke import ber, codes, messages
from kms_reference.hpcs_tke.codes import Pair, Refusal
from kms_reference.hpcs_tke.domain_rules import DomainRules
from kms_reference.hpcs_tke.key_parts import (
    MAX_PARTS,
    ExportRequest,
    Importer,
    combine,
    new_importer,
    read_export_request,
    seal,
)
from kms_reference.hpcs_tke.messages import AdminBlock, AdminRequest
from kms_reference.hpcs_tke.module import CryptoModule
from kms_reference.hpcs_tke.permissions import (
    WK_1PART,
    WK_EXPORT,
    WK_IMPORT,
    WK_RANDOM,
)
from kms_reference.rules import Rules, rule

IMPORT = 0x0C


class DomainRegisters(DomainRules):
    """A domain whose registers are filled, exported, committed, finalized and cleared."""

    def __init__(self, module: CryptoModule, index: int, rules: Rules) -> None:
        super().__init__(module, index, rules)
        self.importer: Importer | None = None

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
        if part.block.command != IMPORT:
            raise Refusal(codes.PART_FUNCTION)
        if (part.domain, part.block.domain) != (self.index, envelope.domain):
            raise Refusal(codes.PART_DOMAIN_DIFFERS)
        if part.block.module != envelope.module:
            raise Refusal(codes.MODULE_MISMATCH)
        self.check_part_counter(envelope, part)
        self.require_signed_part(self._count_signers(part.block, part.signers))

    @rule
    def check_part_counter(self, envelope: AdminBlock, part: AdminRequest) -> None:
        """A key part carries the counter of its envelope.

        Raises:
            Refusal: 163/19 otherwise.
        """
        if part.block.counter != envelope.counter:
            raise Refusal(codes.COUNTER_WRONG)

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
