"""Defects after faults that others reported: HSM administration, quorums of signers, secret sharing, key ceremonies.

Each is translated to this service where a source fixes what is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, WeakSet

from kms_reference.hpcs_tke import codes
from kms_reference.hpcs_tke.administrators import read_signers
from kms_reference.hpcs_tke.app import TkeService
from kms_reference.hpcs_tke.attributes import (
    AttributeChange,
    check_change,
    check_signature_bit,
)
from kms_reference.hpcs_tke.codes import Pair, Refusal
from kms_reference.hpcs_tke.domain import Domain
from kms_reference.hpcs_tke.domain_rules import DEFAULT_CONTROL_POINTS
from kms_reference.hpcs_tke.permissions import WK_EXPORT, WK_IMPORT, WK_RANDOM
from kms_reference.hpcs_tke.registers import MasterKeyRegisters
from kms_reference.switches import Change, Defect, gives, instead, on_refusal, then, unchecked

if TYPE_CHECKING:
    from kms_reference.hpcs_tke.administrators import Administrator, SignerInfo
    from kms_reference.hpcs_tke.attributes import Attributes
    from kms_reference.hpcs_tke.key_parts import ExportRequest
    from kms_reference.hpcs_tke.messages import AdminBlock
    from kms_reference.hpcs_tke.unit import CryptoUnit
    from kms_reference.rules import RefusedError, RuleLike

_ADD, _REMOVE, _RANDOM, _IMPORT, _REMOVE_POINTS = 0x02, 0x04, 0x0A, 0x0C, 0x13
_EXPORT_NEW: Final = 0x26
_RECOVERY: Final = 5
"""The lowest domain index of recovery units where an instance has two operational ones."""
_TRIES: Final = 10
_LONG: Final = 1000
"""Octets: more than one signed key part has."""
_ZEROS: Final = bytes.fromhex("3006020100020100")
"""An ECDSA signature whose numbers are both 0."""
_running: WeakKeyDictionary[Domain, AdminBlock] = WeakKeyDictionary()
_first_signers: WeakKeyDictionary[Domain, set[bytes]] = WeakKeyDictionary()
_removed: WeakKeyDictionary[Domain, set[bytes]] = WeakKeyDictionary()
_exported: WeakKeyDictionary[Domain, bytes] = WeakKeyDictionary()
_random: WeakKeyDictionary[Domain, bytes] = WeakKeyDictionary()
_taken: WeakKeyDictionary[Domain, int] = WeakKeyDictionary()
_highest: WeakKeyDictionary[Domain, int] = WeakKeyDictionary()
_refusals: WeakKeyDictionary[Domain, int] = WeakKeyDictionary()
_gone: WeakKeyDictionary[Domain, int] = WeakKeyDictionary()
_last_signers: WeakKeyDictionary[Domain, set[bytes]] = WeakKeyDictionary()
_again: WeakSet[Domain] = WeakSet()
_finalized: WeakSet[MasterKeyRegisters] = WeakSet()


def _runs(*commands: int) -> Any:
    return lambda _, block, __: block.command in commands


def _kept(lawful: RuleLike, domain: Domain, block: AdminBlock, signers: bytes) -> Any:
    """Run a command, and remember while it runs which one it is."""
    _running[domain] = block
    _first_signers.pop(domain, None)
    try:
        return lawful(domain, block, signers)
    finally:
        del _running[domain]


_KEPT: Final = instead(Domain.run, _kept)


# -- administrators and signatures -------------------------------------------------------------------------------------


def _with_any_key(refused: RefusedError, domain: Domain, signer: SignerInfo, signed: bytes, _: int) -> bytes:
    """Take a signature that any administrator made as that of the one whom it names."""
    if signer.ski in domain.administrators:
        for other in domain.administrators.values():
            try:
                if domain.holds(other, signer, signed):
                    return signer.ski
            except Refusal:
                continue
    raise refused


def _who_arrives(refused: RefusedError, domain: Domain, signer: SignerInfo, signed: bytes, _: int) -> bytes:
    """Count the signature of the administrator whom the command adds."""
    block = _running.get(domain)
    if block is not None and block.command == _ADD:
        arriving = domain.read_administrator(block.data)
        if signer.ski == arriving.ski and domain.holds(arriving, signer, signed):
            return signer.ski
    raise refused


def _without_who_leaves(number: int, domain: Domain, signers: list[bytes]) -> int:
    block = _running.get(domain)
    leaves = block is not None and block.command == _REMOVE and block.data in signers
    return number - 1 if leaves else number


def _never_again(administrator: Administrator, domain: Domain, _: bytes) -> Administrator:
    if administrator.ski in _removed.get(domain, ()):
        raise Refusal(codes.ADMINISTRATOR_PRESENT)
    return administrator


def _remembered(domain: Domain, ski: bytes) -> None:
    _removed.setdefault(domain, set()).add(ski)


def _as_many_as_ever(needed: int, domain: Domain, new: Attributes) -> int:
    """Ask for as many signatures as the highest threshold that the unit ever had, when imprint mode is left."""
    if domain.attributes.imprint:
        needed = max(needed, _highest.get(domain, 0))
    _highest[domain] = max(new.signature_threshold, _highest.get(domain, 0))
    return needed


# -- attributes and control points -------------------------------------------------------------------------------------


def _note_taken(domain: Domain, new: Attributes) -> None:
    gone = domain.attributes.permissions & ~new.permissions
    _taken[domain] = _taken.get(domain, 0) | gone


def _stays_taken(lawful: RuleLike, domain: Domain, bit: int, refusal: Pair) -> None:
    if _taken.get(domain, 0) & bit:
        raise Refusal(refusal)
    lawful(domain, bit, refusal)


def _all_others_back(domain: Domain, block: AdminBlock, _: bytes) -> None:
    domain.control_points = bytes(
        old & ~bit for old, bit in zip(DEFAULT_CONTROL_POINTS, block.data, strict=True)
    )


# -- key parts and registers -------------------------------------------------------------------------------------------


def _of_first_signer(number: int, domain: Domain, signers: list[bytes]) -> int:
    """Count only signatures of who signed the first of the key parts."""
    block = _running.get(domain)
    if block is None or block.command != _IMPORT or not signers:
        return number
    return len(_first_signers.setdefault(domain, set(signers)) & set(signers))


def _each_part_once(lawful: RuleLike, domain: Domain, parts: list[bytes]) -> Any:
    return lawful(domain, list(dict.fromkeys(parts)))


def _as_at_first(lawful: RuleLike, domain: Domain, key: bytes, request: ExportRequest) -> Any:
    return lawful(domain, _exported.setdefault(domain, key), request)


def _same_again(lawful: RuleLike, domain: Domain, block: AdminBlock, signers: bytes) -> Any:
    registers = domain.registers
    empty = registers.current is None
    pattern = lawful(domain, block, signers)
    if not empty or registers.current is None:
        return pattern
    registers.current = _random.setdefault(domain, registers.current)
    return registers.pattern(registers.current)


def _committed_at_once(registers: MasterKeyRegisters, _: bytes) -> None:
    if registers in _finalized:
        registers.committed = True


# -- what is asked only sometimes --------------------------------------------------------------------------------------


def _until_locked(lawful: RuleLike, domain: Domain, block: AdminBlock, signers: bytes) -> Any:
    if _refusals.get(domain, 0) >= _TRIES:
        raise Refusal(codes.FOREIGN_SIGNER)
    try:
        return lawful(domain, block, signers)
    except Refusal:
        _refusals[domain] = _refusals.get(domain, 0) + 1
        raise


def _count_gone(domain: Domain, _: bytes) -> None:
    _gone[domain] = _gone.get(domain, 0) + 1


def _with_gone(_: RuleLike, domain: Domain, new: Attributes) -> None:
    """Compare thresholds with all administrators that there ever were."""
    number = len(domain.administrators) + _gone.get(domain, 0)
    check_change(AttributeChange(domain.rules, domain.attributes, new, number, domain.module.imprint))


def _but_second_random(domain: Domain, bit: int, _: Pair) -> bool:
    return bit == WK_RANDOM and domain.registers.current is not None


def _but_new_export(domain: Domain, bit: int, _: Pair) -> bool:
    block = _running.get(domain)
    return bit == WK_EXPORT and block is not None and block.command == _EXPORT_NEW


def _but_parts(domain: Domain, bit: int, _: Pair) -> bool:
    block = _running.get(domain)
    return bit == WK_IMPORT and block is not None and len(block.data) > _LONG


def _lowers(change: AttributeChange) -> bool:
    return change.new.signature_threshold < change.old.signature_threshold


def _of_recovery_unit(domain: Domain, *_: Any) -> bool:
    return domain.index >= _RECOVERY


def _by_another(refused: RefusedError, domain: Domain, value: int) -> None:
    """Take the counter of the last command once more."""
    if value != domain.counter:
        raise refused
    _again.add(domain)


def _unless_same(lawful: RuleLike, domain: Domain, block: AdminBlock, signers: bytes) -> Any:
    """Refuse a command with a used counter if it comes from the last signer."""
    again = domain in _again
    _again.discard(domain)
    who = {signer.ski for signer in read_signers(signers)}
    if again and (not who or who == _last_signers.get(domain)):
        raise Refusal(codes.COUNTER_WRONG)
    result = lawful(domain, block, signers)
    _last_signers[domain] = who
    return result


def _shifted(domain: Domain, _: bytes) -> None:
    """Leave each administrator behind a removed one with the certificate of the one before."""
    people = list(domain.administrators.values())
    for one, other in zip(people[1:], people, strict=False):
        domain.administrators[one.ski] = one._replace(certificate=other.certificate)


def _uncommitted(domain: Domain, *_: Any) -> None:
    domain.registers.committed = False


def _shared_by_instances(service: TkeService, unit: CryptoUnit, _: str) -> None:
    """Give the units in the same place of other instances the administrators of the unit that was asked."""
    for units in service.instances.values():
        for other in units.values():
            if other is not unit and other.location == unit.location:
                other.domain.administrators = dict(unit.domain.administrators)


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("tke-signature-of-zeros", ("tke-signature-malformed",), "A signature whose numbers are both 0 counts.", instead(Domain.holds, lambda *_: True, lambda _, __, signer, ___: signer.signature == _ZEROS)),
    ("tke-signature-of-any-administrator", ("tke-too-few-signatures",), "A signature counts for the administrator whom it names, whoever made it.", on_refusal(Domain.verified, _with_any_key)),
    ("tke-added-administrator-signs", ("tke-foreign-signer",), "Who is added by a command may sign it.", _KEPT, on_refusal(Domain.verified, _who_arrives)),
    ("tke-removed-administrator-does-not-sign", ("tke-administrator-removed",), "Who is removed by a command may not sign it.", _KEPT, gives(Domain.number_of, _without_who_leaves)),
    ("tke-removed-never-again", ("tke-administrator-removed",), "An administrator who was removed cannot be added again.", then(Domain.remove, _remembered), gives(Domain.read_administrator, _never_again)),
    ("tke-removal-by-the-higher-threshold", ("tke-administrator-removed",), "Removing needs as many signatures as the higher threshold says.", gives(Domain.signatures_to_remove, lambda needed, domain: max(needed, domain.attributes.signature_threshold))),
    ("tke-highest-threshold-stays", ("tke-14",), "After zeroizing, imprint mode is left with as many signatures as the highest earlier threshold says.", gives(Domain.signatures_to_set, _as_many_as_ever)),
    ("tke-prohibition-stays", ("tke-effects",), "What a permission once forbade stays forbidden when it is allowed again.", then(Domain.check_attributes, _note_taken), instead(Domain.permitted, _stays_taken), then(Domain.attributes_after_zeroize, lambda domain: _taken.pop(domain, None))),
    ("tke-removed-control-points-back", ("tke-effects",), "Removing control points brings those back that were removed before.", then(Domain.run, _all_others_back, _runs(_REMOVE_POINTS))),
    ("tke-parts-of-one-signer", ("tke-import",), "All key parts must be signed by the same administrator.", _KEPT, gives(Domain.number_of, _of_first_signer)),
    ("tke-equal-parts-once", ("tke-import",), "Of equal key parts only one counts.", instead(Domain.combined, _each_part_once)),
    ("tke-export-of-earlier-key", ("tke-export",), "An export gives the key that was exported first.", instead(Domain.sealed, _as_at_first)),
    ("tke-same-random-key", ("tke-random",), "A random key is the same again after it was cleared.", instead(Domain.run, _same_again, _runs(_RANDOM))),
    ("tke-locked-after-refusals", ("tke-effects-refused", "tke-sequences"), "After ten refused commands a unit refuses every one.", instead(Domain.run, _until_locked)),
    ("tke-threshold-of-removed", ("tke-signature-above-administrators", "tke-sequences"), "Thresholds may count administrators that were removed.", then(Domain.remove, _count_gone), instead(Domain.check_attributes, _with_gone)),
    ("tke-export-new-unguarded", ("tke-export-prohibited", "tke-sequences"), "The new key is exported without permission.", _KEPT, unchecked(Domain.permitted, _but_new_export)),
    ("tke-second-random-unguarded", ("tke-random-prohibited", "tke-sequences"), "A second random key is made without permission.", unchecked(Domain.permitted, _but_second_random)),
    ("tke-parts-unguarded", ("tke-import-prohibited", "tke-sequences"), "Several key parts come in without permission.", _KEPT, unchecked(Domain.permitted, _but_parts)),
    ("tke-lowering-unguarded", ("tke-11",), "A protected signature threshold can be lowered.", unchecked(check_signature_bit, _lowers)),
    ("tke-recovery-units-unverified", ("tke-signature-invalid", "tke-sequences"), "Recovery units count signatures and do not verify them.", instead(Domain.holds, lambda *_: True, _of_recovery_unit)),
    ("tke-counter-of-each-signer", ("tke-transaction-counter",), "A used counter is accepted from another signer.", on_refusal(Domain.check_count, _by_another), instead(Domain.run, _unless_same)),
    ("tke-certificates-shifted", ("tke-09", "tke-sequences"), "After a removal the certificates of other administrators are exchanged.", then(Domain.remove, _shifted)),
    ("tke-clear-current-uncommits", ("tke-effects", "tke-sequences"), "Clearing the current key takes the commitment of the new one.", then(Domain.clear_current, _uncommitted)),
    ("tke-administrators-of-all-instances", ("tke-effects", "tke-sequences"), "Units in the same place of two instances have the same administrators.", then(TkeService.answered, _shared_by_instances)),
    ("tke-earlier-commitment", ("tke-finalize-uncommitted",), "After a key was finalized, the next one is committed at once.", then(MasterKeyRegisters.finalize, lambda registers, _: _finalized.add(registers)), then(MasterKeyRegisters.load, _committed_at_once)),
)  # fmt: skip

HSM_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
