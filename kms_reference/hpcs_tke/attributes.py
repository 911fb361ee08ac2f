"""The attributes of a domain and the rules for changing them.

``changed`` is a pure function: it answers the attributes that a command leads to, or refuses.
"""

from typing import NamedTuple

from kms_reference.hpcs_tke import codes
from kms_reference.hpcs_tke.codes import Refusal
from kms_reference.hpcs_tke.defects import ActiveDefects
from kms_reference.hpcs_tke.messages import word
from kms_reference.hpcs_tke.permissions import (
    CHG_REVOKE_THR,
    CHG_SIGN_THR,
    CONTROL_BITS,
    DEFAULT,
    ONE_SIGN,
    WK_RANDOM,
    changes_protected,
    sets_control_bit_again,
)

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


def check_change(
    old: Attributes,
    new: Attributes,
    administrators: int,
    broken: ActiveDefects,
    *,
    module_imprint: bool,
) -> None:
    """Refuse a change that a rule forbids.

    Raises:
        Refusal: 209 with the reason of the first rule broken; 209/71 is the documented message 1.
    """
    if not old.imprint:
        _check_control_bits(old, new, broken)
    _check_permissions(old, new, broken)
    _check_zero(old, new, broken)
    if new.signature_threshold > administrators and not broken("tke-threshold-above-administrators"):
        raise Refusal(codes.SIGNATURE_ABOVE_ADMINISTRATORS)
    if new.revocation_threshold > administrators and not broken("tke-revocation-above-administrators"):
        raise Refusal(codes.REVOCATION_ABOVE_ADMINISTRATORS)
    _check_one(old, new, broken)
    if old.imprint and not new.imprint and module_imprint and not broken("tke-module-imprint-ignored"):
        raise Refusal(codes.MODULE_IN_IMPRINT)


def _check_control_bits(old: Attributes, new: Attributes, broken: ActiveDefects) -> None:
    guards = (
        (
            old.signature_threshold != new.signature_threshold,
            CHG_SIGN_THR,
            "tke-signature-control-bit-ignored",
        ),
        (
            old.revocation_threshold != new.revocation_threshold,
            CHG_REVOKE_THR,
            "tke-revocation-control-bit-ignored",
        ),
    )
    for changes, bit, defect in guards:
        if changes and not old.permissions & bit and not broken(defect):
            raise Refusal(codes.THRESHOLD_PROTECTED)


def _check_permissions(old: Attributes, new: Attributes, broken: ActiveDefects) -> None:
    back = new.permissions & (CHG_SIGN_THR | CHG_REVOKE_THR | ~CONTROL_BITS)
    wanted = back if broken("tke-threshold-bits-alone") else new.permissions
    if sets_control_bit_again(old.permissions, wanted) and not broken("tke-control-bit-set-again"):
        raise Refusal(codes.CONTROL_BIT_SET_AGAIN)
    looked_at = ~(old.permissions ^ new.permissions) | WK_RANDOM if broken("tke-random-guard-alone") else ~0
    wanted = (old.permissions & ~looked_at) | (new.permissions & looked_at)
    if changes_protected(old.permissions, wanted) and not broken("tke-protected-attribute-changed"):
        raise Refusal(codes.ATTRIBUTE_PROTECTED)


def _check_zero(old: Attributes, new: Attributes, broken: ActiveDefects) -> None:
    if old.imprint:
        if new.imprint and new.revocation_threshold:
            raise Refusal(codes.IMPRINT_EXIT)
        if (
            not new.imprint
            and not new.revocation_threshold
            and not broken("tke-imprint-left-without-revocation")
        ):
            raise Refusal(codes.EXIT_WITHOUT_REVOCATION)
        return
    if new.signature_threshold == 0 and not broken("tke-signature-threshold-zero"):
        raise Refusal(codes.SIGNATURE_TO_ZERO)
    if new.revocation_threshold == 0 and not broken("tke-revocation-threshold-zero"):
        raise Refusal(codes.REVOCATION_TO_ZERO)


def _check_one(old: Attributes, new: Attributes, broken: ActiveDefects) -> None:
    if new.permissions & ONE_SIGN:
        return
    unchanged = (
        old.signature_threshold == new.signature_threshold,
        old.revocation_threshold == new.revocation_threshold,
    )
    if new.signature_threshold == 1 and not unchanged[0] and not broken("tke-one-signature-not-permitted"):
        raise Refusal(codes.SIGNATURE_TO_ONE)
    if new.revocation_threshold == 1 and not unchanged[1] and not broken("tke-one-revocation-not-permitted"):
        raise Refusal(codes.REVOCATION_TO_ONE)
    kept_at_one = (new.signature_threshold == 1 and unchanged[0]) or (
        new.revocation_threshold == 1 and unchanged[1]
    )
    if old.permissions & ONE_SIGN and kept_at_one and not broken("tke-single-sign-removed-in-use"):
        raise Refusal(codes.SINGLE_SIGN_IN_USE)
