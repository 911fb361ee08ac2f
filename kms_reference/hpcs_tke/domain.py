"""One domain of a crypto module: what a crypto unit is to its administrators.

Every command is refused or done as a whole: a :class:`Refusal` leaves administrators, attributes, registers and
the transaction counter as they were. Where the order of checks is undocumented (it always is), this module asks:
domain, module, counter, imprint mode, signers, the command's own rules, number of signatures.
"""

from collections.abc import Callable

from kms_reference.hpcs_tke import attributes, ber, codes, messages
from kms_reference.hpcs_tke.administrators import (
    MAX_ADMINISTRATORS,
    SKI_LENGTH,
    Administrator,
    RsaPublic,
    SignerInfo,
    read_certificate,
    read_signers,
    verifies,
)
from kms_reference.hpcs_tke.attributes import Attributes
from kms_reference.hpcs_tke.codes import Pair, Refusal
from kms_reference.hpcs_tke.defects import ActiveDefects
from kms_reference.hpcs_tke.key_parts import (
    KEY_LENGTH,
    MAX_PARTS,
    Importer,
    combine,
    new_importer,
    read_export_request,
    seal,
)
from kms_reference.hpcs_tke.messages import AdminBlock, AdminRequest, word
from kms_reference.hpcs_tke.module import CryptoModule
from kms_reference.hpcs_tke.permissions import (
    CONTROL_BITS,
    CP_1SIGN,
    WK_1PART,
    WK_EXPORT,
    WK_IMPORT,
    WK_RANDOM,
    ZERO_1SIGN,
)
from kms_reference.hpcs_tke.registers import MasterKeyRegisters

CONTROL_POINT_OCTETS = 16
DEFAULT_CONTROL_POINTS = b"\xff" * 9 + bytes(7)
_ADD_CONTROL_POINTS = 0x80
_REMOVE_CONTROL_POINTS = 0x40
_COUNTER_LIMIT = 1 << (8 * messages.COUNTER_LENGTH)
_IMPORT = 0x0C
_CONTROL_POINTS = {0x12, 0x13}
_NEED_INPUT = {0x02, 0x04, 0x08, 0x0D, 0x0E, 0x12}

Command = Callable[[AdminBlock, int], bytes]


class Domain:
    """State and commands of one domain; ``index`` is its number on the module."""

    def __init__(self, module: CryptoModule, index: int, broken: ActiveDefects) -> None:
        self.module = module
        self.index = index
        self.instance = 1
        self.counter = 0
        self.administrators: dict[bytes, Administrator] = {}
        self.attributes = Attributes()
        self.registers = MasterKeyRegisters(broken)
        self.control_points = DEFAULT_CONTROL_POINTS
        self._importer: Importer | None = None
        self._broken = broken
        self._queries: dict[int, Callable[[bytes], bytes]] = {
            0x00010002: self._query_administrators,
            0x00010003: self._query_certificates,
            0x00010006: self._query_control_points,
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
            0x1B: self._clear_current,
            0x1C: self._clear_new,
            0x26: self._export_new,
        }

    @property
    def identifier(self) -> bytes:
        """Domain index and domain instance, eight octets."""
        return word(self.index) + word(self.instance)

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
        self._check_addressee(block)
        self._check_counter(block.counter)
        if not block.data and block.command in _NEED_INPUT and self._broken("tke-missing-input-done"):
            return b""
        output = self._command(block)(block, self._count_signers(block, request.signers))
        if not self._broken("tke-counter-stuck"):
            self.counter = self._next_counter()
        return output

    def _command(self, block: AdminBlock) -> Command:
        command = self._open_in_imprint.get(block.command)
        if command is None:
            command = self._operational.get(block.command)
            if command is None:
                if self._broken("tke-unknown-command-done"):
                    return lambda _block, _signers: b""
                raise Refusal(codes.UNKNOWN_COMMAND)
            opened = block.command in _CONTROL_POINTS and self._broken("tke-control-points-in-imprint")
            if self.attributes.imprint and not opened and not self._broken("tke-registers-in-imprint"):
                raise Refusal(codes.IMPRINT_MODE)
        return command

    def _check_addressee(self, block: AdminBlock) -> None:
        if self._broken("tke-addressee-unchecked"):
            return
        if block.domain != self.identifier:
            raise Refusal(codes.DOMAIN_INSTANCE)
        if block.module != self.module.identifier:
            raise Refusal(codes.MODULE_MISMATCH)

    def _next_counter(self) -> int:
        return (self.counter + 1) % _COUNTER_LIMIT

    def _check_counter(self, counter: bytes) -> None:
        if len(counter) != messages.COUNTER_LENGTH:
            raise Refusal(codes.COUNTER_MALFORMED)
        value = int.from_bytes(counter, "big")
        if value == self._next_counter() or self._broken("tke-counter-unchecked"):
            return
        if value == self.counter and self._broken("tke-replay-accepted"):
            return
        if value != self.counter and self._broken("tke-old-counter-accepted"):
            return
        raise Refusal(codes.COUNTER_WRONG)

    def _count_signers(self, block: AdminBlock, encoded: bytes) -> int:
        """Verify each signature; answer how many different administrators signed."""
        found: list[bytes] = []
        for signer in read_signers(encoded):
            administrator = self.administrators.get(signer.ski)
            if administrator is None:
                if self._broken("tke-foreign-signer-counts"):
                    found.append(signer.ski)
                    continue
                raise Refusal(codes.FOREIGN_SIGNER)
            unread = bool(found) and self._broken("tke-first-signature-verified")
            if not unread and not self._holds(administrator, signer, block.signed):
                raise Refusal(codes.SIGNATURE_REJECTED)
            found.append(signer.ski)
        return len(found) if self._broken("tke-one-signer-counts-twice") else len(set(found))

    def _holds(self, administrator: Administrator, signer: SignerInfo, signed: bytes) -> bool:
        broken = self._broken
        rsa = isinstance(administrator.key, RsaPublic)
        if broken("tke-signatures-unverified") or (rsa and broken("tke-rsa-signature-unverified")):
            return True
        try:
            return verifies(administrator, signer, signed)
        except Refusal:
            if broken("tke-malformed-signature-ignored"):
                return True
            raise

    def _require(self, signers: int, needed: int, *, unless: str = "") -> None:
        """Refuse too few signatures; under the defect ``unless`` one is enough."""
        needed = min(needed, 1) if unless and self._broken(unless) else needed
        if signers < needed and not self._broken("tke-too-few-signatures-accepted"):
            raise Refusal(codes.TOO_FEW_SIGNATURES)

    def _require_one(self, signers: int, unless: str = "tke-commands-unsigned") -> None:
        if not self._broken(unless):
            self._require(signers, 1)

    # Queries: unsigned, uncounted.

    def _query_administrators(self, ski: bytes) -> bytes:
        if not ski:
            return b"" if self._broken("tke-administrators-unlisted") else b"".join(self.administrators)
        if ski not in self.administrators:
            raise Refusal(codes.NO_SUCH_ADMINISTRATOR)
        return self.administrators[ski].certificate

    def _query_certificates(self, data: bytes) -> bytes:
        chain = self.module.certificates()
        if not data:
            return word(len(chain))
        if len(data) != len(word(0)):
            raise Refusal(codes.CERTIFICATE_INDEX_LENGTH)
        index = int.from_bytes(data, "big")
        if index >= len(chain):
            if self._broken("tke-certificate-beyond-chain"):
                return chain[-1]
            raise Refusal(codes.CERTIFICATE_INDEX)
        return chain[index]

    def _query_control_points(self, data: bytes) -> bytes:
        self._no_input(data)
        return self.control_points[:8] if self._broken("tke-control-points-cut") else self.control_points

    def _query_attributes(self, data: bytes) -> bytes:
        self._no_input(data)
        return self.attributes.encode()

    def _no_input(self, data: bytes) -> None:
        if data and not self._broken("tke-input-unchecked"):
            raise Refusal(codes.INPUT_LENGTH)

    # Administrators, attributes, zeroize: also in imprint mode.

    def _add_administrator(self, block: AdminBlock, signers: int) -> bytes:
        administrator = read_certificate(block.data)
        if isinstance(administrator.key, RsaPublic) and self._broken("tke-rsa-administrator-refused"):
            raise Refusal(codes.CERTIFICATE_MALFORMED)
        if administrator.ski in self.administrators:
            if self._broken("tke-administrator-added-twice"):
                return administrator.ski
            raise Refusal(codes.ADMINISTRATOR_PRESENT)
        if len(self.administrators) >= MAX_ADMINISTRATORS and not self._broken("tke-ninth-administrator"):
            raise Refusal(codes.ADMINISTRATORS_FULL)
        needed = self.attributes.signature_threshold
        self._require(signers, max(needed, 1) if self._broken("tke-imprint-asks-signature") else needed)
        self.administrators[administrator.ski] = administrator
        return administrator.ski

    def _remove_administrator(self, block: AdminBlock, signers: int) -> bytes:
        if not block.data:
            raise Refusal(codes.INPUT_LENGTH)
        if len(block.data) != SKI_LENGTH or block.data not in self.administrators:
            if self._broken("tke-unknown-administrator-removed"):
                return b""
            raise Refusal(codes.NO_SUCH_ADMINISTRATOR)
        highest = max(self.attributes.signature_threshold, self.attributes.revocation_threshold)
        if len(self.administrators) - 1 < highest and not self._broken("tke-removal-below-threshold"):
            raise Refusal(codes.BELOW_THRESHOLD)
        needed = self.attributes.revocation_threshold
        if self._broken("tke-removal-by-signature-threshold"):
            needed = self.attributes.signature_threshold
        self._require(signers, needed)
        if not self._broken("tke-removed-administrator-stays"):
            del self.administrators[block.data]
        return b""

    def _set_attributes(self, block: AdminBlock, signers: int) -> bytes:
        old, new = self.attributes, attributes.read(block.data, self.attributes)
        try:
            attributes.check_change(
                old, new, len(self.administrators), self._broken, module_imprint=self.module.imprint
            )
        except Refusal:
            if self._broken("tke-refusal-applies-thresholds"):
                self.attributes = old._replace(
                    signature_threshold=new.signature_threshold, revocation_threshold=new.revocation_threshold
                )
            if self._broken("tke-refusal-applies-permissions"):
                self.attributes = old._replace(permissions=new.permissions)
            raise
        self._require(signers, self._attribute_signatures(old, new))
        self.attributes = new
        return b""

    def _attribute_signatures(self, old: Attributes, new: Attributes) -> int:
        if old.imprint and not new.imprint:
            return 0 if self._broken("tke-imprint-left-unsigned") else new.signature_threshold
        if self._broken("tke-lowered-by-few"):
            return min(old.signature_threshold, new.signature_threshold)
        return old.signature_threshold

    def _zeroize(self, block: AdminBlock, signers: int) -> bytes:
        self._no_input(block.data)
        one_is_enough = self.attributes.permissions & ZERO_1SIGN and not self._broken(
            "tke-zeroize-needs-threshold"
        )
        needed = (
            min(1, self.attributes.signature_threshold)
            if one_is_enough
            else self.attributes.signature_threshold
        )
        if signers < needed and self._broken("tke-refused-zeroize-clears"):
            self.registers.clear_current()
            self.registers.clear_new()
        if not self._broken("tke-zeroize-unsigned"):
            self._require(signers, needed)
        old = self.attributes
        self.attributes = Attributes()
        if self._broken("tke-zeroize-keeps-thresholds"):
            self.attributes = self.attributes._replace(
                signature_threshold=old.signature_threshold, revocation_threshold=old.revocation_threshold
            )
        if self._broken("tke-zeroize-keeps-control-bits"):
            self.attributes = self.attributes._replace(permissions=old.permissions)
        if self._broken("tke-zeroize-keeps-permissions"):
            kept = (self.attributes.permissions & CONTROL_BITS) | (old.permissions & ~CONTROL_BITS)
            self.attributes = self.attributes._replace(permissions=kept)
        if not self._broken("tke-zeroize-keeps-administrators"):
            self.administrators.clear()
        if not self._broken("tke-zeroize-keeps-current-key"):
            self.registers.clear_current()
        if not self._broken("tke-zeroize-keeps-new-key"):
            self.registers.clear_new()
        self.control_points = DEFAULT_CONTROL_POINTS
        self._importer = None
        return b""

    # Master-key registers: operational mode only.

    def _permitted(self, bit: int, refusal: Pair, defect: str) -> None:
        if not self.attributes.permissions & bit and not self._broken(defect):
            raise Refusal(refusal)

    def _generate_importer(self, block: AdminBlock, signers: int) -> bytes:
        self._require_one(signers)
        importer = new_importer(block.data)
        self._importer = importer
        return importer.public_key()

    def _random_key(self, block: AdminBlock, signers: int) -> bytes:
        self._no_input(block.data)
        self._permitted(WK_RANDOM, codes.RANDOM_PROHIBITED, "tke-random-key-prohibition-ignored")
        self._require_one(signers)
        return self.registers.load_random()

    def _export_current(self, block: AdminBlock, signers: int) -> bytes:
        return self._export(block, signers, codes.CURRENT_KEY_MISSING, new=False)

    def _export_new(self, block: AdminBlock, signers: int) -> bytes:
        other = self._broken("tke-export-new-is-current")
        return self._export(block, signers, codes.NEW_KEY_MISSING, new=not other)

    def _export(self, block: AdminBlock, signers: int, missing: Pair, *, new: bool) -> bytes:
        self._permitted(WK_EXPORT, codes.EXPORT_PROHIBITED, "tke-export-prohibition-ignored")
        request = read_export_request(block.data)
        if request.needed == 1:
            self._permitted(WK_1PART, codes.SINGLE_PART_EXPORT, "tke-export-prohibition-ignored")
        key = self.registers.exported(missing, new=new)
        self._require(signers, self.attributes.signature_threshold, unless="tke-export-by-one")
        return key if self._broken("tke-export-in-clear") else seal(key, request)

    def _import_key(self, block: AdminBlock, signers: int) -> bytes:
        if signers:
            # The envelope is unsigned: the signatures are on the parts inside.
            raise Refusal(codes.SIGNATURE_MALFORMED)
        self._permitted(WK_IMPORT, codes.IMPORT_PROHIBITED, "tke-import-prohibition-ignored")
        parts = self._part_requests(block.data)
        if self._importer is None:
            raise Refusal(codes.NO_IMPORTER)
        if len(parts) == 1:
            self._permitted(WK_1PART, codes.SINGLE_PART_IMPORT, "tke-single-part-unguarded")
        opened = []
        for part in parts:
            self._check_part(block, part)
            opened.append(self._opened(self._importer, part.block.data))
        key = combine(opened[:2] if self._broken("tke-third-part-lost") else opened)
        pattern = self.registers.load(key)
        return key if self._broken("tke-import-echoes-key") else pattern

    def _opened(self, importer: Importer, data: bytes) -> bytes:
        try:
            return importer.open_part(data)
        except Refusal:
            if self._broken("tke-unreadable-part-is-zeros"):
                return bytes(KEY_LENGTH)
            raise

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
        self._require_one(self._count_signers(part.block, part.signers), "tke-part-unsigned")

    def _commit(self, block: AdminBlock, signers: int) -> bytes:
        self._require(signers, self.attributes.signature_threshold, unless="tke-commit-by-one")
        return self.registers.commit(block.data)

    def _finalize(self, block: AdminBlock, signers: int) -> bytes:
        self._require_one(signers)
        return self.registers.finalize(block.data)

    def _clear_current(self, block: AdminBlock, signers: int) -> bytes:
        self._no_input(block.data)
        self._require_one(signers)
        if not self._broken("tke-clear-current-does-nothing"):
            self.registers.clear_current()
        return b""

    def _clear_new(self, block: AdminBlock, signers: int) -> bytes:
        self._no_input(block.data)
        self._require_one(signers)
        if not self._broken("tke-clear-new-does-nothing"):
            self.registers.clear_new()
        return b""

    # Control points.

    def _add_control_points(self, block: AdminBlock, signers: int) -> bytes:
        wanted = self._control_points(block.data)
        self._require(signers, self._control_point_signatures(), unless="tke-control-points-by-one")
        forbidden = not self.control_points[0] & _ADD_CONTROL_POINTS
        if forbidden and not self._broken("tke-control-points-unmanaged"):
            raise Refusal(codes.CONTROL_POINTS_NOT_ADDABLE)
        self.control_points = bytes(old | bit for old, bit in zip(self.control_points, wanted, strict=True))
        return b""

    def _remove_control_points(self, block: AdminBlock, signers: int) -> bytes:
        unwanted = self._control_points(block.data)
        self._require(signers, self._control_point_signatures(), unless="tke-control-points-by-one")
        forbidden = not self.control_points[0] & _REMOVE_CONTROL_POINTS
        if forbidden and not self._broken("tke-control-points-unmanaged"):
            raise Refusal(codes.CONTROL_POINTS_NOT_REMOVABLE)
        self.control_points = bytes(
            old & ~bit for old, bit in zip(self.control_points, unwanted, strict=True)
        )
        return b""

    def _control_point_signatures(self) -> int:
        return 1 if self.attributes.permissions & CP_1SIGN else self.attributes.signature_threshold

    @staticmethod
    def _control_points(data: bytes) -> bytes:
        if not data:
            raise Refusal(codes.INPUT_LENGTH)
        if len(data) != CONTROL_POINT_OCTETS:
            raise Refusal(codes.CONTROL_POINTS_MALFORMED)
        return data
