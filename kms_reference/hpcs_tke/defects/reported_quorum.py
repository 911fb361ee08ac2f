"""Defects after faults that others reported: thresholds of signatures in wallets and updaters, shares, tokens of HSMs.

Each is translated to this service where a source fixes what is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from kms_reference.hpcs_tke import attributes, codes
from kms_reference.hpcs_tke.administrators import SKI_LENGTH
from kms_reference.hpcs_tke.codes import Refusal
from kms_reference.hpcs_tke.domain import Domain
from kms_reference.hpcs_tke.key_parts import verification_pattern
from kms_reference.hpcs_tke.registers import MasterKeyRegisters
from kms_reference.switches import Change, Defect, gives, instead, then, unchecked

if TYPE_CHECKING:
    from kms_reference.hpcs_tke.administrators import Administrator, SignerInfo
    from kms_reference.hpcs_tke.attributes import AttributeChange
    from kms_reference.hpcs_tke.messages import AdminBlock
    from kms_reference.rules import RuleLike

_ADD, _REMOVE, _RANDOM, _ADD_POINTS, _REMOVE_POINTS = 0x02, 0x04, 0x0A, 0x12, 0x13
_SHORT: Final = 8
_TINY: Final = 4
_MANY: Final = 5
_LOW_BITS: Final = (1 << 32) - 1
_MOST: Final = 7

_first_thresholds: WeakKeyDictionary[Domain, int] = WeakKeyDictionary()
_verified: WeakKeyDictionary[Domain, set[tuple[bytes, bytes]]] = WeakKeyDictionary()
_parts_seen: WeakKeyDictionary[Domain, int] = WeakKeyDictionary()


def _runs(*commands: int) -> Any:
    return lambda _, block, __: block.command in commands


# -- thresholds and signatures -----------------------------------------------------------------------------------------


def _as_at_first(needed: int, domain: Domain) -> int:
    """Ask for as many signatures as the first threshold since imprint mode."""
    return _first_thresholds.setdefault(domain, needed)


def _no_first(domain: Domain, *_: Any) -> None:
    _first_thresholds.pop(domain, None)


def _signature_cached(
    lawful: RuleLike, domain: Domain, who: Administrator, signer: SignerInfo, signed: bytes
) -> bool:
    """Take a signature that was once verified as verified, whatever it stands on."""
    known = _verified.setdefault(domain, set())
    if (signer.ski, signer.signature) in known:
        return True
    held: bool = lawful(domain, who, signer, signed)
    if held:
        known.add((signer.ski, signer.signature))
    return held


def _first_part_alone(lawful: RuleLike, domain: Domain, signers: int) -> None:
    """Look at the signatures of the first key part of an import only."""
    _parts_seen[domain] = _parts_seen.get(domain, 0) + 1
    if _parts_seen[domain] == 1:
        lawful(domain, signers)


def _counted_anew(lawful: RuleLike, domain: Domain, block: AdminBlock, signers: bytes) -> Any:
    _parts_seen.pop(domain, None)
    return lawful(domain, block, signers)


def _threshold_raised(domain: Domain, *_: Any) -> None:
    """Let the signature threshold grow with the fifth administrator."""
    if len(domain.administrators) == _MANY and not domain.attributes.imprint:
        threshold = domain.attributes.signature_threshold + 1
        domain.attributes = domain.attributes._replace(signature_threshold=threshold)


def _eight_are_too_many(change: AttributeChange) -> bool:
    return change.new.signature_threshold > _MOST


def _too_many(_: RuleLike, __: AttributeChange) -> None:
    raise Refusal(codes.SIGNATURE_ABOVE_ADMINISTRATORS)


def _imprint_signed(lawful: RuleLike, domain: Domain, signers: int) -> None:
    lawful(domain, signers)
    if domain.attributes.imprint and domain.administrators and not signers:
        raise Refusal(codes.TOO_FEW_SIGNATURES)


# -- administrators ----------------------------------------------------------------------------------------------------


def _by_beginning(lawful: RuleLike, domain: Domain, block: AdminBlock, signers: bytes) -> Any:
    """Take the beginning of an identifier for the whole one."""
    if len(block.data) < SKI_LENGTH:
        fits = [ski for ski in domain.administrators if block.data and ski.startswith(block.data)]
        block = block._replace(data=fits[0]) if fits else block
    return lawful(domain, block, signers)


# -- control points ----------------------------------------------------------------------------------------------------


def _replaced(domain: Domain, block: AdminBlock, _: bytes) -> None:
    domain.control_points = block.data


def _turned(lawful: RuleLike, domain: Domain, block: AdminBlock, signers: bytes) -> Any:
    """Turn the control points named, instead of setting or clearing them."""
    before = domain.control_points
    output = lawful(domain, block, signers)
    domain.control_points = bytes(old ^ bit for old, bit in zip(before, block.data, strict=True))
    return output


# -- registers ---------------------------------------------------------------------------------------------------------


def _agree(count: int) -> RuleLike:
    """Compare so many octets of a verification pattern."""

    def compared(lawful: RuleLike, registers: MasterKeyRegisters, pattern: bytes) -> Any:
        own = verification_pattern(registers.new) if registers.new is not None else b""
        alike = own and len(pattern) == len(own) and pattern[:count] == own[:count]
        return lawful(registers, own if alike else pattern)

    return compared


def _no_random(_: RuleLike, __: Domain, ___: AdminBlock, ____: bytes) -> Any:
    raise Refusal(codes.REGISTERS_FULL)


def _new_is_full(domain: Domain, block: AdminBlock, _: bytes) -> bool:
    registers = domain.registers
    return block.command == _RANDOM and registers.current is None and registers.new is not None


def _current_is_full(_: RuleLike, __: MasterKeyRegisters, ___: bytes) -> Any:
    raise Refusal(codes.REGISTERS_FULL)


def _exchanged(encoded: bytes, registers: MasterKeyRegisters) -> bytes:
    """Exchange the patterns of the two registers where both are full."""
    if registers.current is None or registers.new is None:
        return encoded
    return encoded[:4] + encoded[36:68] + encoded[4:36] + encoded[68:]


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("tke-raised-by-the-new", ("tke-effects",), "A signature threshold is raised by as many signatures as the new one says.", gives(Domain.signatures_to_set, lambda needed, _, new: max(needed, new.signature_threshold))),
    ("tke-commit-by-first-threshold", ("tke-effects",), "Committing asks for as many signatures as the first threshold said.", gives(Domain.signatures_to_commit, _as_at_first), then(Domain.forget_administrators, _no_first)),
    ("tke-fifth-raises-threshold", ("tke-effects",), "The fifth administrator raises the signature threshold.", then(Domain.run, _threshold_raised, _runs(_ADD))),
    ("tke-imprint-zeroized-signed", ("tke-13", "tke-sequences"), "In imprint mode zeroizing asks for a signature once there are administrators.", instead(Domain.check_zeroize, _imprint_signed)),
    ("tke-pattern-compared-short", ("tke-commit-mismatch",), "The first eight octets of a pattern are enough to commit.", instead(MasterKeyRegisters.commit, _agree(_SHORT))),
    ("tke-finalize-compared-short", ("tke-finalize-mismatch",), "The first four octets of a pattern are enough to finalize.", instead(MasterKeyRegisters.finalize, _agree(_TINY))),
    ("tke-counter-ahead-accepted", ("tke-transaction-counter",), "A transaction counter that is farther ahead is accepted.", unchecked(Domain.check_count, lambda domain, value: value > domain.counter)),
    ("tke-counter-compared-short", ("tke-transaction-counter",), "Four octets of the transaction counter are compared.", unchecked(Domain.check_count, lambda domain, value: value & _LOW_BITS == (domain.counter + 1) & _LOW_BITS)),
    ("tke-verified-signature-again", ("tke-signature-invalid",), "A signature that was verified once counts on any command.", instead(Domain.holds, _signature_cached)),
    ("tke-control-points-replaced", ("tke-effects",), "Adding control points replaces those that are there.", then(Domain.run, _replaced, _runs(_ADD_POINTS))),
    ("tke-addition-turns-control-points", ("tke-effects",), "Adding a control point that is there removes it.", instead(Domain.run, _turned, _runs(_ADD_POINTS))),
    ("tke-removal-turns-control-points", ("tke-effects",), "Removing a control point that is not there adds it.", instead(Domain.run, _turned, _runs(_REMOVE_POINTS))),
    ("tke-no-random-beside-new", ("tke-random",), "No random key is made for an empty current register while the new one is full.", instead(Domain.run, _no_random, _new_is_full)),
    ("tke-finalize-needs-empty-current", ("tke-finalize",), "A key is not finalized while another one is current.", instead(MasterKeyRegisters.finalize, _current_is_full, lambda registers, _: registers.current is not None)),
    ("tke-patterns-exchanged", ("tke-pattern", "tke-effects"), "While both registers are full each shows the other's pattern.", gives(MasterKeyRegisters.info, _exchanged)),
    ("tke-first-part-signed-alone", ("tke-too-few-signatures",), "Only the first key part must be signed.", instead(Domain.require_signed_part, _first_part_alone), instead(Domain.run, _counted_anew)),
    ("tke-administrator-by-beginning", ("tke-administrator-unknown",), "An administrator is removed by the beginning of the identifier.", instead(Domain.run, _by_beginning, _runs(_REMOVE))),
    ("tke-four-administrators-listed", ("tke-09", "tke-administrators-full", "tke-sequences"), "At most four administrators are listed.", gives(Domain.list_administrators, lambda listed, _: listed[: 4 * SKI_LENGTH])),
    ("tke-threshold-eight-refused", ("tke-effects",), "A signature threshold of eight is refused.", instead(attributes.check_signature_number, _too_many, _eight_are_too_many)),
)  # fmt: skip

QUORUM_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
