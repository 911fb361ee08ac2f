"""State of one domain, and the rules that its commands keep: who may, how many must sign, what is counted."""

from kms_reference.hpcs_tke import attributes, codes, messages
from kms_reference.hpcs_tke.administrators import (
    MAX_ADMINISTRATORS,
    Administrator,
    SignerInfo,
    read_signers,
    verifies,
)
from kms_reference.hpcs_tke.attributes import AttributeChange, Attributes
from kms_reference.hpcs_tke.codes import Pair, Refusal
from kms_reference.hpcs_tke.messages import AdminBlock, word
from kms_reference.hpcs_tke.module import CryptoModule
from kms_reference.hpcs_tke.permissions import (
    CP_1SIGN,
    ZERO_1SIGN,
)
from kms_reference.hpcs_tke.registers import MasterKeyRegisters
from kms_reference.rules import Rules, rule

DEFAULT_CONTROL_POINTS = b"\xff" * 9 + bytes(7)
_COUNTER_LIMIT = 1 << (8 * messages.COUNTER_LENGTH)


class DomainRules:
    """What a domain holds, and its rules; ``index`` is its number on the module."""

    def __init__(self, module: CryptoModule, index: int, rules: Rules) -> None:
        self.rules = rules
        self.module = module
        self.index = index
        self.instance = 1
        self.counter = 0
        self.administrators: dict[bytes, Administrator] = {}
        self.attributes = Attributes()
        self.registers = MasterKeyRegisters(rules)
        self.control_points = DEFAULT_CONTROL_POINTS

    @property
    def identifier(self) -> bytes:
        """Domain index and domain instance, eight octets."""
        return word(self.index) + word(self.instance)

    @rule
    def advance(self) -> None:
        """Move the transaction counter."""
        self.counter = self._next_counter()

    @rule
    def check_addressee(self, block: AdminBlock) -> None:
        """A command names this domain and this module.

        Raises:
            Refusal: 7/14 or 7/16 otherwise.
        """
        if block.domain != self.identifier:
            raise Refusal(codes.DOMAIN_INSTANCE)
        if block.module != self.module.identifier:
            raise Refusal(codes.MODULE_MISMATCH)

    def _next_counter(self) -> int:
        return (self.counter + 1) % _COUNTER_LIMIT

    def _check_counter(self, counter: bytes) -> None:
        if len(counter) != messages.COUNTER_LENGTH:
            raise Refusal(codes.COUNTER_MALFORMED)
        self.check_count(int.from_bytes(counter, "big"))

    @rule
    def check_count(self, value: int) -> None:
        """A command carries the next transaction counter.

        Raises:
            Refusal: 163/19 otherwise.
        """
        if value != self._next_counter():
            raise Refusal(codes.COUNTER_WRONG)

    def _count_signers(self, block: AdminBlock, encoded: bytes) -> int:
        signers = enumerate(read_signers(encoded))
        return self.number_of([self.verified(signer, block.signed, place) for place, signer in signers])

    @rule
    def number_of(self, signers: list[bytes]) -> int:
        """Count the different administrators who signed."""
        return len(set(signers))

    @rule
    def verified(self, signer: SignerInfo, signed: bytes, place: int) -> bytes:  # noqa: ARG002 - a defect asks for the place
        """Verify one signature, the first being at place 0; answer whose it is.

        Raises:
            Refusal: 257 for one of somebody who is not an administrator, 192/22 for a wrong one, 193 for a malformed one.
        """
        administrator = self.administrators.get(signer.ski)
        if administrator is None:
            raise Refusal(codes.FOREIGN_SIGNER)
        if not self.holds(administrator, signer, signed):
            raise Refusal(codes.SIGNATURE_REJECTED)
        return signer.ski

    @rule
    def holds(self, administrator: Administrator, signer: SignerInfo, signed: bytes) -> bool:
        """Tell whether a signature is the administrator's.

        Raises:
            Refusal: 193 for a malformed one.
        """
        return verifies(administrator, signer, signed)

    @rule
    def require(self, signers: int, needed: int) -> None:
        """Refuse too few signatures.

        Raises:
            Refusal: 208/21.
        """
        if signers < needed:
            raise Refusal(codes.TOO_FEW_SIGNATURES)

    @rule
    def require_one(self, signers: int) -> None:
        """Refuse a command without any signature.

        Raises:
            Refusal: 208/21.
        """
        self.require(signers, 1)

    @rule
    def require_signed_part(self, signers: int) -> None:
        """Refuse a key part without any signature.

        Raises:
            Refusal: 208/21.
        """
        self.require(signers, 1)

    @rule
    def no_input(self, data: bytes) -> None:
        """Refuse input where a command takes none.

        Raises:
            Refusal: 33.
        """
        if data:
            raise Refusal(codes.INPUT_LENGTH)

    @rule
    def check_place(self) -> None:
        """Refuse a ninth administrator.

        Raises:
            Refusal: 261/39.
        """
        if len(self.administrators) >= MAX_ADMINISTRATORS:
            raise Refusal(codes.ADMINISTRATORS_FULL)

    @rule
    def signatures_to_add(self) -> int:
        """Tell how many signatures adding an administrator needs; none in imprint mode."""
        return self.attributes.signature_threshold

    @rule
    def check_enough_stay(self) -> None:
        """As many administrators stay as the higher threshold asks for.

        Raises:
            Refusal: 209/66 otherwise.
        """
        highest = max(self.attributes.signature_threshold, self.attributes.revocation_threshold)
        if len(self.administrators) - 1 < highest:
            raise Refusal(codes.BELOW_THRESHOLD)

    @rule
    def signatures_to_remove(self) -> int:
        """Tell how many signatures removing an administrator needs."""
        return self.attributes.revocation_threshold

    @rule
    def remove(self, ski: bytes) -> None:
        """Remove an administrator."""
        del self.administrators[ski]

    @rule
    def check_attributes(self, new: Attributes) -> None:
        """Refuse attributes that a rule forbids.

        Raises:
            Refusal: as :func:`attributes.check_change`.
        """
        number, imprint = len(self.administrators), self.module.imprint
        attributes.check_change(AttributeChange(self.rules, self.attributes, new, number, imprint))

    @rule
    def signatures_to_set(self, new: Attributes) -> int:
        """Tell how many signatures new attributes need: as many as the threshold before, in imprint mode as the new one."""
        if self.attributes.imprint and not new.imprint:
            return new.signature_threshold
        return self.attributes.signature_threshold

    @rule
    def check_zeroize(self, signers: int) -> None:
        """Refuse to zeroize with too few signatures.

        Raises:
            Refusal: 208/21.
        """
        self.require(signers, self.signatures_to_zeroize())

    @rule
    def signatures_to_zeroize(self) -> int:
        """Tell how many signatures zeroizing needs: one is enough where the permission says so."""
        threshold = self.attributes.signature_threshold
        return min(1, threshold) if self.attributes.permissions & ZERO_1SIGN else threshold

    @rule
    def attributes_after_zeroize(self) -> Attributes:
        """Tell what zeroizing leaves of the attributes: the default of each."""
        return Attributes()

    @rule
    def forget_administrators(self) -> None:
        """Remove all administrators."""
        self.administrators.clear()

    @rule
    def zeroize_current(self) -> None:
        """Forget the current master key."""
        self.registers.clear_current()

    @rule
    def zeroize_new(self) -> None:
        """Forget the new master key."""
        self.registers.clear_new()

    @rule
    def permitted(self, bit: int, refusal: Pair) -> None:
        """Refuse what no permission allows.

        Raises:
            Refusal: with ``refusal``.
        """
        if not self.attributes.permissions & bit:
            raise Refusal(refusal)

    @rule
    def signatures_to_export(self) -> int:
        """Tell how many signatures an export needs."""
        return self.attributes.signature_threshold

    @rule
    def signatures_to_commit(self) -> int:
        """Tell how many signatures committing the new key needs."""
        return self.attributes.signature_threshold

    @rule
    def check_managed(self, bit: int, refusal: Pair) -> None:
        """Refuse what the control points for managing control points do not allow.

        Raises:
            Refusal: with ``refusal``.
        """
        if not self.control_points[0] & bit:
            raise Refusal(refusal)

    @rule
    def signatures_for_control_points(self) -> int:
        """Tell how many signatures setting control points needs."""
        return 1 if self.attributes.permissions & CP_1SIGN else self.attributes.signature_threshold
