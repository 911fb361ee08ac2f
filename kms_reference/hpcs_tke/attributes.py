"""The attributes of a domain and the rules for changing them."""

from dataclasses import dataclass
from typing import NamedTuple

from kms_reference.hpcs_tke import codes
from kms_reference.hpcs_tke.codes import Refusal
from kms_reference.hpcs_tke.messages import word
from kms_reference.hpcs_tke.permissions import (
    CHG_REVOKE_THR,
    CHG_SIGN_THR,
    DEFAULT,
    ONE_SIGN,
    changes_protected,
    sets_control_bit_again,
)
from kms_reference.rules import Rules, rule

SIGNATURE_THRESHOLD = 1
REVOCATION_THRESHOLD = 2
PERMISSIONS = 3
MODE = 4
STANDARDS = 5
_ENTRY = 8


class Attributes(NamedTuple):
    """Thresholds (0 in imprint mode, else 1 to 8), permission word, operational mode, standards (read-only)."""

    signature_threshold: int = 0
    revocation_threshold: int = 0
    permissions: int = DEFAULT
    mode: int = 0
    standards: int = 0

    @property
    def imprint(self) -> bool:
        """True until a signature threshold is set."""
        return self.signature_threshold == 0

    def encode(self) -> bytes:
        """Index and value of each, eight octets an entry."""
        return b"".join(word(index) + word(value) for index, value in enumerate(self, start=1))


def read(data: bytes, old: Attributes) -> Attributes:
    """Read a list of index and value; attributes that are not listed keep their value.

    Raises:
        Refusal: 33 or 33/41 for a list of the wrong length, 209/42 for an unknown index, 209/43 for a repeated
            one, 209/72 for another value of a read-only one.
    """
    if not data:
        raise Refusal(codes.INPUT_LENGTH)
    if len(data) % _ENTRY:
        raise Refusal(codes.ATTRIBUTES_MALFORMED)
    values = dict(enumerate(old, start=1))
    seen: set[int] = set()
    for start in range(0, len(data), _ENTRY):
        index = int.from_bytes(data[start : start + 4], "big")
        if index not in values:
            raise Refusal(codes.ATTRIBUTE_UNKNOWN)
        if index in seen:
            raise Refusal(codes.ATTRIBUTE_REPEATED)
        seen.add(index)
        values[index] = int.from_bytes(data[start + 4 : start + _ENTRY], "big")
    if values[STANDARDS] != old.standards:
        raise Refusal(codes.ATTRIBUTE_READ_ONLY)
    return Attributes(*values.values())


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """A change that a command asks for, and what its rules look at."""

    rules: Rules
    old: Attributes
    new: Attributes
    administrators: int
    module_imprint: bool

    @property
    def leaves_imprint(self) -> bool:
        """True when the domain becomes operational."""
        return self.old.imprint and not self.new.imprint


def check_change(change: AttributeChange) -> None:
    """Refuse a change that a rule forbids.

    Raises:
        Refusal: 209 with the reason of the first rule broken; 209/71 is the documented message 1.
    """
    if not change.old.imprint:
        check_signature_bit(change)
        check_revocation_bit(change)
    check_control_bits(change)
    check_protected(change)
    _check_zero(change)
    check_signature_number(change)
    check_revocation_number(change)
    if not change.new.permissions & ONE_SIGN:
        check_signature_of_one(change)
        check_revocation_of_one(change)
        check_single_sign(change)
    check_module_mode(change)


@rule
def check_signature_bit(change: AttributeChange) -> None:
    """The signature threshold changes while its control bit is on."""
    if change.old.signature_threshold != change.new.signature_threshold:
        _check_bit(change, CHG_SIGN_THR)


@rule
def check_revocation_bit(change: AttributeChange) -> None:
    """The revocation threshold changes while its control bit is on."""
    if change.old.revocation_threshold != change.new.revocation_threshold:
        _check_bit(change, CHG_REVOKE_THR)


def _check_bit(change: AttributeChange, bit: int) -> None:
    if not change.old.permissions & bit:
        raise Refusal(codes.THRESHOLD_PROTECTED)


@rule
def check_control_bits(change: AttributeChange) -> None:
    """A control bit that was reset is not set again."""
    if sets_control_bit_again(change.old.permissions, change.new.permissions):
        raise Refusal(codes.CONTROL_BIT_SET_AGAIN)


@rule
def check_protected(change: AttributeChange) -> None:
    """A permission changes while its control bit is on."""
    if changes_protected(change.old.permissions, change.new.permissions):
        raise Refusal(codes.ATTRIBUTE_PROTECTED)


def _check_zero(change: AttributeChange) -> None:
    if not change.old.imprint:
        check_signature_not_zero(change)
        check_revocation_not_zero(change)
    elif change.new.imprint and change.new.revocation_threshold:
        raise Refusal(codes.IMPRINT_EXIT)
    elif not change.new.imprint:
        check_exit_revocation(change)


@rule
def check_exit_revocation(change: AttributeChange) -> None:
    """Imprint mode is left with a revocation threshold."""
    if not change.new.revocation_threshold:
        raise Refusal(codes.EXIT_WITHOUT_REVOCATION)


@rule
def check_signature_not_zero(change: AttributeChange) -> None:
    """The signature threshold does not go back to 0."""
    if change.new.signature_threshold == 0:
        raise Refusal(codes.SIGNATURE_TO_ZERO)


@rule
def check_revocation_not_zero(change: AttributeChange) -> None:
    """The revocation threshold does not go back to 0."""
    if change.new.revocation_threshold == 0:
        raise Refusal(codes.REVOCATION_TO_ZERO)


@rule
def check_signature_number(change: AttributeChange) -> None:
    """There are as many administrators as the signature threshold asks for."""
    if change.new.signature_threshold > change.administrators:
        raise Refusal(codes.SIGNATURE_ABOVE_ADMINISTRATORS)


@rule
def check_revocation_number(change: AttributeChange) -> None:
    """There are as many administrators as the revocation threshold asks for."""
    if change.new.revocation_threshold > change.administrators:
        raise Refusal(codes.REVOCATION_ABOVE_ADMINISTRATORS)


@rule
def check_signature_of_one(change: AttributeChange) -> None:
    """The signature threshold becomes 1 with the permission for it only."""
    if change.old.signature_threshold != change.new.signature_threshold == 1:
        raise Refusal(codes.SIGNATURE_TO_ONE)


@rule
def check_revocation_of_one(change: AttributeChange) -> None:
    """The revocation threshold becomes 1 with the permission for it only."""
    if change.old.revocation_threshold != change.new.revocation_threshold == 1:
        raise Refusal(codes.REVOCATION_TO_ONE)


@rule
def check_single_sign(change: AttributeChange) -> None:
    """The permission for thresholds of 1 stays while a threshold is 1."""
    old, new = change.old, change.new
    kept_at_one = (
        old.signature_threshold == new.signature_threshold == 1
        or old.revocation_threshold == new.revocation_threshold == 1
    )
    if old.permissions & ONE_SIGN and kept_at_one:
        raise Refusal(codes.SINGLE_SIGN_IN_USE)


@rule
def check_module_mode(change: AttributeChange) -> None:
    """A domain leaves imprint mode after its module."""
    if change.leaves_imprint and change.module_imprint:
        raise Refusal(codes.MODULE_IN_IMPRINT)
