"""Defects of the rules: each breaks one promise of the service, a unit, its domain or its registers."""

from dataclasses import replace
from typing import Any, Final, Never
from weakref import WeakSet

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from kms_reference.hpcs_tke import attributes, ber, codes, frames
from kms_reference.hpcs_tke.administrators import Administrator, RsaPublic
from kms_reference.hpcs_tke.app import TkeService
from kms_reference.hpcs_tke.attributes import AttributeChange, Attributes
from kms_reference.hpcs_tke.codes import Pair, Refusal
from kms_reference.hpcs_tke.domain import Domain
from kms_reference.hpcs_tke.frames import CatcherError, CprbError
from kms_reference.hpcs_tke.key_parts import KEY_LENGTH, verification_pattern
from kms_reference.hpcs_tke.messages import AdminBlock, AdminRequest
from kms_reference.hpcs_tke.permissions import CHG_REVOKE_THR, CHG_SIGN_THR, CONTROL_BITS, WK_RANDOM
from kms_reference.hpcs_tke.registers import MasterKeyRegisters
from kms_reference.hpcs_tke.unit import OPERATIONAL, RECOVERY, CryptoUnit
from kms_reference.rules import RuleLike
from kms_reference.switches import (
    Change,
    Defect,
    Test,
    always,
    gives,
    instead,
    on_refusal,
    refused_but,
    skipped,
    then,
    unchecked,
)

_QUERY_ATTRIBUTES: Final = 0x0001000A
_CONTROL_POINTS: Final = {0x12, 0x13}
_NEED_INPUT: Final = {0x02, 0x04, 0x08, 0x0D, 0x0E, 0x12}
_MALFORMED: Final = {
    codes.CERTIFICATE_MALFORMED,
    codes.PART_MALFORMED,
    codes.BAD_ARGUMENTS,
    codes.ATTRIBUTES_MALFORMED,
}
_LENGTHS: Final = {0x04: 32, 0x09: 4, 0x0D: 32, 0x0E: 32, 0x12: 16}
"""Commands whose input has one length, in octets."""
_REFUSED: Final[WeakSet[TkeService]] = WeakSet()
"""Services that have refused a caller."""


class CrashError(Exception):
    """Stands for an error inside the service."""


def _yes(*_: Any) -> bool:
    return True


def _without(members: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in members.items() if key != name}


# -- the service -------------------------------------------------------------------------------------


def _unauthorized_as(status: int) -> Change:
    return instead(TkeService.unauthorized, lambda *_: PlainTextResponse("Unauthorized", status))


def _empty_list(*_: Any) -> Response:
    return JSONResponse({"metadata": [], "hsms": []})


def _server_error(*_: Any) -> Response:
    return PlainTextResponse("Internal Server Error", 500)


def _leaked_units(_: RuleLike, service: TkeService, request: Request) -> Response:
    units = service.instances.get(request.path_params["crypto_instance"], {})
    return JSONResponse({"hsms": [unit.listing() for unit in units.values()]}, 401)


async def _executed_then_refused(lawful: RuleLike, service: TkeService, request: Request) -> Any:
    body = await request.body()
    answer = await lawful(service, request)
    if answer.status_code == 401:  # noqa: PLR2004 - the status itself
        service.pass_on(request, body)
    return answer


def _accepts_until_refused(lawful: RuleLike, service: TkeService, *caller: Any) -> bool:
    if service in _REFUSED:
        return False
    accepted: bool = lawful(service, *caller)
    if not accepted:
        _REFUSED.add(service)
    return accepted


def _or_first(unit: CryptoUnit | None, service: TkeService, instance: str, _: str) -> CryptoUnit | None:
    return unit or next(iter(service.instances.get(instance, {}).values()), None)


def _of_any_instance(unit: CryptoUnit | None, service: TkeService, _: str, hsm_id: str) -> CryptoUnit | None:
    return unit or next((units[hsm_id] for units in service.instances.values() if hsm_id in units), None)


def _one_is_enough(ready: bool, service: TkeService, instance: str) -> bool:
    units = service.instances.get(instance)
    if units is None:
        return ready
    operational = (unit for unit in units.values() if unit.kind == OPERATIONAL)
    return any(unit.domain.registers.current is not None for unit in operational)


# -- the unit ----------------------------------------------------------------------------------------


def _answered_as(status: int, text: str) -> RuleLike:
    def answered(lawful: RuleLike, service: TkeService, unit: CryptoUnit, request: str) -> Any:
        try:
            return lawful(service, unit, request)
        except CrashError:
            return PlainTextResponse(text, status)

    return answered


_as_bad_request: Final = _answered_as(400, "Bad Request")


def crash(rule: RuleLike, act: RuleLike, when: Test = always) -> tuple[Change, Change]:
    """Fail inside a rule, which the service answers with a server error."""
    return instead(rule, act, when), instead(TkeService.answered, _answered_as(500, "Internal Server Error"))


def _crash(*_: Any) -> Never:
    raise CrashError


def _crash_at_bad_frame(lawful: RuleLike, unit: CryptoUnit, request: str) -> Any:
    try:
        frames.parse_request(request)
    except (CatcherError, CprbError) as error:
        raise CrashError from error
    return lawful(unit, request)


def _crash_at_refusal(lawful: RuleLike, unit: CryptoUnit, payload: bytes) -> Any:
    try:
        return lawful(unit, payload)
    except Refusal as refusal:
        raise CrashError from refusal


def _strict_lengths(lawful: RuleLike, unit: CryptoUnit, domain: int, payload: bytes) -> Any:
    """Refuse a length that is longer than necessary, as strict DER readers do."""
    try:
        element, _ = ber.read_element(payload)
    except ber.BerError:
        return lawful(unit, domain, payload)
    if ber.encode(element.tag, element.body) != element.raw:
        raise Refusal(codes.BAD_ARGUMENTS, outer=True)
    return lawful(unit, domain, payload)


def _catcher_error(_: RuleLike, __: CryptoUnit, refusal: Refusal, ___: AdminRequest) -> Never:
    raise CatcherError((frames.SYNTAX, refusal.pair.code))


def _outer(_: RuleLike, __: CryptoUnit, refusal: Refusal, ___: AdminRequest) -> Never:
    raise Refusal(refusal.pair, outer=True)


def _threshold(_: CryptoUnit, refusal: Refusal, __: AdminRequest) -> bool:
    return refusal.pair == codes.THRESHOLD_PROTECTED


def _odd_length(_: CryptoUnit, __: Refusal, request: AdminRequest) -> bool:
    return _LENGTHS.get(request.block.command & 0xFF) not in {None, len(request.block.data)}


# -- the domain --------------------------------------------------------------------------------------


def _no_rsa(administrator: Administrator, *_: Any) -> Administrator:
    if isinstance(administrator.key, RsaPublic):
        raise Refusal(codes.CERTIFICATE_MALFORMED)
    return administrator


def _by_one(signatures: RuleLike) -> Change:
    return gives(signatures, lambda needed, _: min(needed, 1))


def _prohibition_ignored(*refusals: Pair) -> Change:
    return unchecked(Domain.permitted, lambda _, __, refusal: refusal in refusals)


def _apply_thresholds(domain: Domain, new: Attributes) -> None:
    domain.attributes = domain.attributes._replace(
        signature_threshold=new.signature_threshold, revocation_threshold=new.revocation_threshold
    )


def _apply_permissions(domain: Domain, new: Attributes) -> None:
    domain.attributes = domain.attributes._replace(permissions=new.permissions)


def _with_old_thresholds(new: Attributes, domain: Domain) -> Attributes:
    old = domain.attributes
    return new._replace(
        signature_threshold=old.signature_threshold, revocation_threshold=old.revocation_threshold
    )


def _with_old_permissions(new: Attributes, domain: Domain) -> Attributes:
    kept = (new.permissions & CONTROL_BITS) | (domain.attributes.permissions & ~CONTROL_BITS)
    return new._replace(permissions=kept)


def _random_guard_alone(lawful: RuleLike, change: AttributeChange) -> None:
    old, new = change.old.permissions, change.new.permissions
    guarded = (old & ~WK_RANDOM) | (new & WK_RANDOM)
    lawful(replace(change, new=change.new._replace(permissions=guarded)))


def _threshold_bits_alone(lawful: RuleLike, change: AttributeChange) -> None:
    back = change.new.permissions & (CHG_SIGN_THR | CHG_REVOKE_THR | ~CONTROL_BITS)
    lawful(replace(change, new=change.new._replace(permissions=back)))


# -- the registers -----------------------------------------------------------------------------------


def _any_pattern(rule: RuleLike) -> Change:
    return instead(
        rule,
        lambda lawful, registers, _: lawful(registers, verification_pattern(registers.new)),
        lambda registers, pattern: bool(pattern) and registers.new is not None,
    )


def _clear(domain: Domain) -> None:
    domain.registers.clear_current()
    domain.registers.clear_new()


def _keep_registers(lawful: RuleLike, domain: Domain, block: AdminBlock, signers: int) -> Any:
    registers = domain.registers
    held = registers.current, registers.new, registers.committed
    output = lawful(domain, block, signers)
    registers.current, registers.new, registers.committed = held
    return output


def _keep_new(lawful: RuleLike, registers: MasterKeyRegisters, pattern: bytes) -> Any:
    held = registers.new, registers.committed
    output = lawful(registers, pattern)
    registers.new, registers.committed = held
    return output


def _keep_commitment(lawful: RuleLike, registers: MasterKeyRegisters, *key: bytes) -> Any:
    committed = registers.committed
    output = lawful(registers, *key)
    registers.committed = committed
    return output


def _finalize_nothing(_: RuleLike, registers: MasterKeyRegisters, pattern: bytes) -> bytes:
    registers.current = None
    return pattern


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("tke-missing-token-accepted", ("tke-unauthorized-err",), "A request without a token is served.", gives(TkeService.accepts, _yes, lambda _, header, __: header is None)),
    ("tke-bad-token-accepted", ("tke-unauthorized-err",), "A garbage or expired token is served.", gives(TkeService.accepts, _yes, lambda _, header, identity: header is not None and identity is None)),
    ("tke-stranger-accepted", ("tke-unauthorized-err",), "A valid token without a role on the instance is served.", gives(TkeService.accepts, _yes, lambda _, __, identity: identity is not None)),
    ("tke-unauthorized-as-400", ("tke-unauthorized-err",), "A missing or bad token is answered with 400.", _unauthorized_as(400)),
    ("tke-unauthorized-as-404", ("tke-unauthorized-err",), "A missing or bad token is answered with 404.", _unauthorized_as(404)),
    ("tke-unauthorized-as-500", ("tke-unauthorized-err",), "A missing or bad token is answered with 500.", _unauthorized_as(500)),
    ("tke-unauthorized-as-empty-list", ("tke-unauthorized-err",), "A missing or bad token sees an empty list with 200.", instead(TkeService.unauthorized, _empty_list)),
    ("tke-unauthorized-leaks-units", ("tke-unauthorized-err",), "The 401 carries the list of units.", instead(TkeService.unauthorized, _leaked_units)),
    ("tke-unauthorized-after-execution", ("tke-unauthorized-err",), "A command with a bad token is executed, then refused.", instead(TkeService.send, _executed_then_refused)),
    ("tke-fresh-token-refused", ("tke-unauthorized-err",), "After one 401 even a fresh token is refused.", instead(TkeService.accepts, _accepts_until_refused)),
    ("tke-unknown-instance-empty-list", ("tke-no-instance-err",), "An unknown instance is an empty list with 200.", instead(TkeService.unknown_instance, _empty_list)),
    ("tke-unknown-instance-500", ("tke-no-instance-err",), "An unknown instance is a server error.", instead(TkeService.unknown_instance, _server_error)),
    ("tke-unknown-unit-is-first", ("tke-06",), "An unknown unit is taken for the first one.", gives(TkeService.find_unit, _or_first)),
    ("tke-unknown-unit-500", ("tke-06",), "An unknown unit is a server error.", instead(TkeService.unknown_unit, _server_error)),
    ("tke-bad-json-500", ("tke-07",), "A body that is not JSON is a server error.", instead(TkeService.without_request, _server_error)),
    ("tke-missing-request-empty-answer", ("tke-07",), "A body without a request is answered 200 and nothing.", instead(TkeService.without_request, lambda *_: JSONResponse({"response": ""}))),
    ("tke-list-without-hsms", ("tke-01",), "The list has no hsms member.", gives(TkeService.listed, lambda body, *_: _without(body, "hsms"))),
    ("tke-list-without-serial", ("tke-01",), "Units have no serial number.", gives(CryptoUnit.listing, lambda entry, _: _without(entry, "serial_number"))),
    ("tke-list-numeric-ids", ("tke-01",), "Unit ids are numbers.", gives(CryptoUnit.listing, lambda entry, _: {**entry, "hsm_id": 7})),
    ("tke-list-short-location", ("tke-01",), "Locations have three parts.", gives(CryptoUnit.listing, lambda entry, _: {**entry, "location": entry["location"].rpartition(".")[0]})),
    ("tke-serial-mismatch", ("tke-08",), "The listed serial number is not that of the module.", gives(CryptoUnit.listing, lambda entry, _: {**entry, "serial_number": entry["serial_number"][::-1]})),
    ("tke-attributes-incomplete", ("tke-08",), "The attribute query leaves out the permissions.", gives(CryptoUnit.output, lambda output, *_: output[:16] + output[24:], lambda _, request: request.block.command == _QUERY_ATTRIBUTES)),
    ("tke-bad-frame-500", ("tke-frame-no-server-error",), "A malformed request string or header is a server error.", *crash(CryptoUnit.answer, _crash_at_bad_frame)),
    ("tke-any-domain-answered", ("tke-frame-bad-domain",), "A message for another domain is answered.", unchecked(CryptoUnit.check_domain)),
    ("tke-input-unchecked", ("tke-input",), "Input that a command does not take is ignored.", unchecked(Domain.no_input)),
    ("tke-missing-input-done", ("tke-input",), "A command without its input succeeds and does nothing.", instead(Domain.run, lambda *_: b"", lambda _, block, __: not block.data and block.command in _NEED_INPUT)),
    ("tke-administrators-unlisted", ("tke-09",), "The list of administrators is empty.", gives(Domain.list_administrators, lambda *_: b"")),
    ("tke-control-points-cut", ("tke-09",), "Control points are told in eight octets.", gives(Domain.query_control_points, lambda points, *_: points[:8])),
    ("tke-rsa-administrator-refused", ("tke-rsa-signatures",), "An RSA administrator is not installed.", gives(Domain.read_administrator, _no_rsa)),
    ("tke-rsa-signature-unverified", ("tke-rsa-signatures",), "RSA signatures are counted, not verified.", instead(Domain.holds, _yes, lambda _, administrator, *__: isinstance(administrator.key, RsaPublic))),
    ("tke-random-overwrites", ("tke-random",), "A third random key replaces the second.", unchecked(MasterKeyRegisters.check_room)),
    ("tke-malformed-signature-ignored", ("tke-signature-malformed",), "A malformed signature counts.", unchecked(Domain.holds, gives=lambda: True)),
    ("tke-malformed-500", ("tke-frame-ber",), "A malformed message is a server error.", *crash(CryptoUnit.read, _crash_at_refusal)),
    ("tke-long-lengths-refused", ("tke-frame-non-minimal",), "Lengths longer than necessary are refused.", instead(CryptoUnit.message, _strict_lengths)),
    ("tke-refusal-as-http-400", ("tke-no-change-threshold-err",), "A refusal of the module is HTTP 400.", instead(CryptoUnit.refused, _crash), instead(TkeService.answered, _as_bad_request)),
    ("tke-refusal-in-catcher", ("tke-no-change-threshold-err",), "A refusal of the module is reported as a catcher error.", instead(CryptoUnit.refused, _catcher_error)),
    ("tke-refusal-in-outer", ("tke-no-change-threshold-err",), "A refusal's return code stands in the outer answer, without reason.", instead(CryptoUnit.refused, _outer)),
    ("tke-reason-omitted", ("tke-no-change-threshold-err",), "A refusal has no reason code.", gives(CryptoUnit.refused, lambda pair, *_: Pair(pair.code))),
    ("tke-threshold-wrong-reason", ("tke-no-change-threshold-err",), "The protected threshold is refused with reason 70.", gives(CryptoUnit.refused, lambda pair, *_: Pair(pair.code, codes.ATTRIBUTE_PROTECTED.reason), _threshold)),
    ("tke-threshold-wrong-return", ("tke-no-change-threshold-err",), "The protected threshold is refused with return code 80.", gives(CryptoUnit.refused, lambda pair, *_: Pair(codes.FUNCTION_CANCELED, pair.reason), _threshold)),
    ("tke-signature-control-bit-ignored", ("tke-no-change-threshold-err",), "A protected signature threshold is changed.", unchecked(attributes.check_signature_bit)),
    ("tke-revocation-control-bit-ignored", ("tke-no-change-threshold-err", "tke-11"), "A protected revocation threshold is changed.", unchecked(attributes.check_revocation_bit)),
    ("tke-control-bit-set-again", ("tke-12",), "A control bit that was reset can be set.", unchecked(attributes.check_control_bits)),
    ("tke-refusal-applies-thresholds", ("tke-no-change-threshold-err",), "The thresholds change although the command is refused.", refused_but(Domain.check_attributes, _apply_thresholds)),
    ("tke-refusal-applies-permissions", ("tke-12", "tke-attribute-protected"), "The permissions change although the command is refused.", refused_but(Domain.check_attributes, _apply_permissions)),
    ("tke-protected-attribute-changed", ("tke-attribute-protected",), "A protected permission is changed.", unchecked(attributes.check_protected)),
    ("tke-counter-unchecked", ("tke-transaction-counter",), "Any transaction counter is accepted.", unchecked(Domain.check_count)),
    ("tke-replay-accepted", ("tke-transaction-counter",), "The counter of the last command is accepted again.", unchecked(Domain.check_count, lambda domain, value: value == domain.counter)),
    ("tke-counter-stuck", ("tke-counter-advances",), "A command does not move the transaction counter.", skipped(Domain.advance)),
    ("tke-signatures-unverified", ("tke-signature-invalid",), "Signatures are counted, not verified.", instead(Domain.holds, _yes)),
    ("tke-too-few-signatures-accepted", ("tke-too-few-signatures",), "The number of signatures is not looked at.", unchecked(Domain.require)),
    ("tke-one-signer-counts-twice", ("tke-too-few-signatures",), "Two signatures of one administrator count as two.", gives(Domain.number_of, lambda _, __, signers: len(signers))),
    ("tke-foreign-signer-counts", ("tke-foreign-signer",), "A stranger's signature counts.", on_refusal(Domain.verified, lambda _, __, signer, *___: signer.ski, lambda domain, signer, *_: signer.ski not in domain.administrators)),
    ("tke-registers-in-imprint", ("tke-imprint-mode",), "Master-key commands work in imprint mode.", unchecked(Domain.check_mode)),
    ("tke-imprint-asks-signature", ("tke-14",), "Imprint mode asks for a signature to add an administrator.", gives(Domain.signatures_to_add, lambda needed, _: max(needed, 1))),
    ("tke-zeroize-unsigned", ("tke-13",), "An operational unit is zeroized without a signature.", unchecked(Domain.check_zeroize)),
    ("tke-zeroize-needs-threshold", ("tke-13",), "Zeroizing ignores the one-signature permission.", gives(Domain.signatures_to_zeroize, lambda _, domain: domain.attributes.signature_threshold)),
    ("tke-zeroize-keeps-administrators", ("tke-13",), "Administrators survive zeroizing.", skipped(Domain.forget_administrators)),
    ("tke-zeroize-keeps-thresholds", ("tke-13",), "Thresholds survive zeroizing.", gives(Domain.attributes_after_zeroize, _with_old_thresholds)),
    ("tke-zeroize-keeps-control-bits", ("tke-14", "tke-no-change-threshold-err"), "Reset control bits survive zeroizing.", gives(Domain.attributes_after_zeroize, lambda new, domain: new._replace(permissions=domain.attributes.permissions))),
    ("tke-zeroize-keeps-current-key", ("tke-13",), "The current master key survives zeroizing.", skipped(Domain.zeroize_current)),
    ("tke-zeroize-keeps-new-key", ("tke-13",), "The new master key survives zeroizing.", skipped(Domain.zeroize_new)),
    ("tke-administrator-added-twice", ("tke-administrator-present",), "An administrator can be added twice.", on_refusal(Domain.add_again, lambda _, __, administrator: administrator.ski)),
    ("tke-ninth-administrator", ("tke-administrators-full",), "A ninth administrator is accepted.", unchecked(Domain.check_place)),
    ("tke-unknown-administrator-removed", ("tke-administrator-unknown",), "Removing a stranger succeeds.", unchecked(Domain.remove_unknown, gives=bytes)),
    ("tke-removed-administrator-stays", ("tke-administrator-removed",), "A removed administrator stays.", skipped(Domain.remove)),
    ("tke-removal-below-threshold", ("tke-removal-below-threshold",), "Administrators can fall below a threshold.", unchecked(Domain.check_enough_stay)),
    ("tke-threshold-above-administrators", ("tke-signature-above-administrators",), "The signature threshold can exceed the administrators.", unchecked(attributes.check_signature_number)),
    ("tke-revocation-above-administrators", ("tke-revocation-above-administrators",), "The revocation threshold can exceed the administrators.", unchecked(attributes.check_revocation_number)),
    ("tke-imprint-left-without-revocation", ("tke-exit-without-revocation",), "Imprint mode can be left with revocation threshold 0.", unchecked(attributes.check_exit_revocation)),
    ("tke-signature-threshold-zero", ("tke-signature-to-zero",), "The signature threshold can go back to 0.", unchecked(attributes.check_signature_not_zero)),
    ("tke-revocation-threshold-zero", ("tke-revocation-to-zero",), "The revocation threshold can go to 0.", unchecked(attributes.check_revocation_not_zero)),
    ("tke-one-signature-not-permitted", ("tke-signature-to-one",), "The signature threshold can be 1 without the permission.", unchecked(attributes.check_signature_of_one)),
    ("tke-one-revocation-not-permitted", ("tke-revocation-to-one",), "The revocation threshold can be 1 without the permission.", unchecked(attributes.check_revocation_of_one)),
    ("tke-single-sign-removed-in-use", ("tke-single-sign-in-use",), "The permission goes while a threshold is 1.", unchecked(attributes.check_single_sign)),
    ("tke-module-imprint-ignored", ("tke-module-imprint",), "A domain leaves imprint mode before its module.", unchecked(attributes.check_module_mode)),
    ("tke-import-prohibition-ignored", ("tke-import-prohibited",), "Key parts come in although prohibited.", _prohibition_ignored(codes.IMPORT_PROHIBITED)),
    ("tke-random-key-prohibition-ignored", ("tke-random-prohibited",), "Random keys are made although prohibited.", _prohibition_ignored(codes.RANDOM_PROHIBITED)),
    ("tke-export-prohibition-ignored", ("tke-export-prohibited",), "Keys go out although prohibited.", _prohibition_ignored(codes.EXPORT_PROHIBITED, codes.SINGLE_PART_EXPORT)),
    ("tke-export-in-clear", ("tke-export",), "The exported key is not encrypted.", instead(Domain.sealed, lambda _, __, key, ___: key)),
    ("tke-import-echoes-key", ("tke-import",), "Importing answers with the key itself.", gives(Domain.load, lambda _, __, key: key)),
    ("tke-control-points-unmanaged", ("tke-control-points",), "Control point management bits are ignored.", unchecked(Domain.check_managed)),
    ("tke-commit-any-pattern", ("tke-commit-mismatch",), "Any verification pattern commits.", _any_pattern(MasterKeyRegisters.commit)),
    ("tke-finalize-any-pattern", ("tke-finalize-mismatch",), "Any verification pattern finalizes.", _any_pattern(MasterKeyRegisters.finalize)),
    ("tke-finalize-uncommitted", ("tke-finalize-uncommitted",), "An uncommitted key can be finalized.", unchecked(MasterKeyRegisters.check_committed)),
    ("tke-finalize-keeps-new", ("tke-finalize",), "Finalizing leaves the new register full.", instead(MasterKeyRegisters.finalize, _keep_new)),
    ("tke-finalize-loses-key", ("tke-finalize",), "Finalizing leaves the current register empty.", then(MasterKeyRegisters.finalize, lambda registers, _: registers.clear_current())),
    ("tke-pattern-wrong", ("tke-pattern",), "Verification patterns are not those of the keys.", gives(MasterKeyRegisters.pattern, lambda pattern, *_: pattern[::-1])),
    ("tke-clear-current-does-nothing", ("tke-clear-current",), "Clearing the current register does nothing.", instead(Domain.clear_current, _keep_registers)),
    ("tke-clear-new-does-nothing", ("tke-clear-new",), "Clearing the new register does nothing.", instead(Domain.clear_new, _keep_registers)),
    ("tke-certificate-beyond-chain", ("tke-certificate-index",), "An index behind the chain gets the root.", on_refusal(Domain.certificate, lambda _, __, chain, ___: chain[-1])),
    ("tke-unknown-command-done", ("tke-unknown-command",), "An unknown command succeeds.", unchecked(Domain.find_command, gives=lambda: lambda _, __: b"")),
    ("tke-reader-accepted", ("tke-manager-role",), "Any role on the instance is enough.", gives(TkeService.accepts, _yes, lambda _, __, identity: identity is not None and bool(identity.roles))),
    ("tke-unit-of-any-instance", ("tke-06",), "An instance reaches the units of another one.", gives(TkeService.find_unit, _of_any_instance)),
    ("tke-recovery-without-serial", ("tke-01",), "Recovery units have no serial number.", gives(CryptoUnit.listing, lambda entry, _: _without(entry, "serial_number"), lambda unit: unit.kind == RECOVERY)),
    ("tke-one-unit-ready", ("tke-crypto-ready",), "One operational unit with a master key is enough to wrap.", gives(TkeService.crypto_ready, _one_is_enough)),
    ("tke-malformed-input-500", ("tke-malformed-input",), "Malformed input of a command is a server error.", *crash(CryptoUnit.refused, _crash, lambda _, refusal, __: refusal.pair in _MALFORMED)),
    ("tke-odd-length-500", ("tke-malformed-input",), "Input of another length than the command has is a server error.", *crash(CryptoUnit.refused, _crash, _odd_length)),
    ("tke-unreadable-part-is-zeros", ("tke-malformed-input",), "A key part that cannot be opened comes in as zeros.", unchecked(Domain.open_part, gives=lambda: bytes(KEY_LENGTH))),
    ("tke-malformed-signer-500", ("tke-malformed-input",), "A malformed signer info is a server error.", *crash(CryptoUnit.refused, _crash, lambda _, refusal, __: refusal.pair == codes.SIGNATURE_MALFORMED)),
    ("tke-first-signature-verified", ("tke-signature-invalid",), "Only the first signature is verified.", instead(Domain.verified, lambda _, __, signer, *___: signer.ski, lambda domain, signer, _, place: place > 0 and signer.ski in domain.administrators)),
    ("tke-old-counter-accepted", ("tke-transaction-counter",), "Only the last counter is refused.", unchecked(Domain.check_count, lambda domain, value: value != domain.counter)),
    ("tke-addressee-unchecked", ("tke-addressee",), "A command for another module or domain is done.", unchecked(Domain.check_addressee)),
    ("tke-commands-unsigned", ("tke-too-few-signatures",), "Commands that need one signature need none.", unchecked(Domain.require_one)),
    ("tke-part-unsigned", ("tke-too-few-signatures",), "A key part needs no signature.", unchecked(Domain.require_signed_part)),
    ("tke-commit-by-one", ("tke-too-few-signatures",), "One signature is enough to commit.", _by_one(Domain.signatures_to_commit)),
    ("tke-export-by-one", ("tke-too-few-signatures",), "One signature is enough to export.", _by_one(Domain.signatures_to_export)),
    ("tke-control-points-by-one", ("tke-too-few-signatures",), "One signature sets control points.", _by_one(Domain.signatures_for_control_points)),
    ("tke-removal-by-signature-threshold", ("tke-too-few-signatures",), "Removing asks the signature threshold.", gives(Domain.signatures_to_remove, lambda _, domain: domain.attributes.signature_threshold)),
    ("tke-lowered-by-few", ("tke-too-few-signatures",), "A threshold is lowered by as many as the new one.", gives(Domain.signatures_to_set, lambda needed, _, new: min(needed, new.signature_threshold), lambda domain, new: not (domain.attributes.imprint and not new.imprint))),
    ("tke-imprint-left-unsigned", ("tke-too-few-signatures",), "Imprint mode is left without signatures.", gives(Domain.signatures_to_set, lambda *_: 0, lambda domain, new: domain.attributes.imprint and not new.imprint)),
    ("tke-refused-zeroize-clears", ("tke-too-few-signatures",), "A refused zeroizing empties the registers.", refused_but(Domain.check_zeroize, lambda domain, _: _clear(domain))),
    ("tke-random-guard-alone", ("tke-attribute-protected",), "Only one control bit guards.", instead(attributes.check_protected, _random_guard_alone)),
    ("tke-threshold-bits-alone", ("tke-12",), "Other control bits can be set again.", instead(attributes.check_control_bits, _threshold_bits_alone)),
    ("tke-zeroize-keeps-permissions", ("tke-13",), "Permissions survive zeroizing.", gives(Domain.attributes_after_zeroize, _with_old_permissions)),
    ("tke-control-points-in-imprint", ("tke-imprint-mode",), "Control points are set in imprint mode.", unchecked(Domain.check_mode, lambda _, block: block.command in _CONTROL_POINTS)),
    ("tke-export-new-is-current", ("tke-export",), "Exporting the new key exports the current one.", instead(Domain.export_new, lambda _, domain, block, signers: domain.export(block, signers, codes.NEW_KEY_MISSING, new=False))),
    ("tke-nothing-finalized", ("tke-register-empty",), "Finalizing nothing empties the current register.", instead(MasterKeyRegisters.finalize, _finalize_nothing, lambda registers, _: registers.new is None)),
    ("tke-third-part-lost", ("tke-import",), "A third key part does not count.", instead(Domain.combined, lambda lawful, domain, parts: lawful(domain, parts[:2]))),
    ("tke-clear-new-keeps-commitment", ("tke-clear-new",), "A cleared key leaves its commitment.", instead(MasterKeyRegisters.clear_new, _keep_commitment), instead(MasterKeyRegisters.load, _keep_commitment)),
    ("tke-single-part-unguarded", ("tke-single-part",), "A single part needs no permission.", _prohibition_ignored(codes.SINGLE_PART_IMPORT)),
    ("tke-always-crypto-ready", ("tke-crypto-ready",), "Wrapping works without a current master key.", gives(TkeService.crypto_ready, _yes)),
)  # fmt: skip

RULE_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
