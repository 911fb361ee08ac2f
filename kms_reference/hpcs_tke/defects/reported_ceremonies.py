"""Defects after faults that others reported: rules that one command alone forgets, counters, stores that units share.

Each is translated to this service where a source fixes what is right.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from kms_reference.hpcs_tke import codes, frames, messages
from kms_reference.hpcs_tke.administrators import RsaPublic
from kms_reference.hpcs_tke.app import TkeService
from kms_reference.hpcs_tke.codes import Refusal
from kms_reference.hpcs_tke.domain import Domain
from kms_reference.hpcs_tke.registers import MasterKeyRegisters
from kms_reference.hpcs_tke.unit import CryptoUnit
from kms_reference.rules import RefusedError
from kms_reference.switches import Change, Defect, gives, instead, on_refusal, then

if TYPE_CHECKING:
    from starlette.requests import Request

    from kms_reference.hpcs_tke.administrators import SignerInfo
    from kms_reference.hpcs_tke.messages import AdminBlock, AdminRequest
    from kms_reference.rules import RuleLike

_SET, _ZEROIZE, _IMPORT, _FINALIZE = 0x08, 0x10, 0x0C, 0x0E
_WORD: Final = 4

_running: WeakKeyDictionary[Domain, int] = WeakKeyDictionary()
_first_kind: WeakKeyDictionary[Domain, bool] = WeakKeyDictionary()
_shared: WeakKeyDictionary[TkeService, dict[tuple[str, int], MasterKeyRegisters]] = WeakKeyDictionary()


def _noted(lawful: RuleLike, unit: CryptoUnit, request: AdminRequest) -> Any:
    """Run a command or query, and remember while it runs which one it is."""
    _running[unit.domain] = request.block.command
    try:
        return lawful(unit, request)
    finally:
        del _running[unit.domain]


_NOTED: Final = instead(CryptoUnit.output, _noted)


def _during(command: int) -> Any:
    return lambda domain, *_: _running.get(domain) == command


# -- what one command alone forgets ------------------------------------------------------------------------------------


def _stranger_counts(_: RefusedError, __: Domain, signer: SignerInfo, ___: bytes, ____: int) -> bytes:
    return signer.ski


def _is_stranger(command: int) -> Any:
    def stranger(domain: Domain, signer: SignerInfo, *_: Any) -> bool:
        return _running.get(domain) == command and signer.ski not in domain.administrators

    return stranger


def _forgiven(*_: Any) -> None:
    """Let pass what is refused."""


def _unverified(lawful: RuleLike, domain: Domain, who: Any, signer: SignerInfo, signed: bytes) -> bool:
    lawful(domain, who, signer, signed)
    return True


def _one_kind(lawful: RuleLike, domain: Domain, signer: SignerInfo, signed: bytes, place: int) -> Any:
    """Take all signatures of a command for signatures of the kind of the first."""
    ski = lawful(domain, signer, signed, place)
    rsa = isinstance(domain.administrators[signer.ski].key, RsaPublic)
    if place == 0:
        _first_kind[domain] = rsa
    elif rsa != _first_kind.get(domain):
        raise Refusal(codes.SIGNATURE_MALFORMED)
    return ski


async def _command_of_anybody(lawful: RuleLike, service: TkeService, request: Request) -> Any:
    """Ask for the role before a query, and before a command for any role."""
    body = await request.body()
    answer = await lawful(service, request)
    if answer.status_code != 401:  # noqa: PLR2004 - the status itself
        return answer
    identity = service.identity_of(request)
    return service.pass_on(request, body) if identity and identity.roles and _is_command(body) else answer


def _is_command(body: bytes) -> bool:
    try:
        frame = frames.parse_request(json.loads(body)["request"])
        function, members = messages.read_function(frame.payload)
        return function == messages.FUNCTION_ADMIN and not messages.read_admin_request(members).block.is_query
    except (ValueError, KeyError, TypeError, RefusedError, frames.CatcherError, frames.CprbError):
        return False


# -- counters ----------------------------------------------------------------------------------------------------------


def _part_counted(domain: Domain, *_: Any) -> None:
    domain.advance()


# -- what is stored ----------------------------------------------------------------------------------------------------


def _in_order(lawful: RuleLike, domain: Domain, block: AdminBlock, signers: bytes) -> Any:
    """Take a list of attributes for one in ascending order."""
    if len(block.data) % (2 * _WORD) == 0:
        entries = [block.data[start : start + 2 * _WORD] for start in range(0, len(block.data), 2 * _WORD)]
        indexes = sorted(entry[:_WORD] for entry in entries)
        data = b"".join(index + entry[_WORD:] for index, entry in zip(indexes, entries, strict=True))
        block = block._replace(data=data)
    return lawful(domain, block, signers)


def _of_module(lawful: RuleLike, service: TkeService, unit: CryptoUnit, text: str) -> Any:
    """Keep the registers of all units in places of the same module in one."""
    instance = next(name for name, units in service.instances.items() if units.get(unit.hsm_id) is unit)
    kept = _shared.setdefault(service, {})
    unit.domain.registers = kept.setdefault((instance, unit.location.module_index), unit.domain.registers)
    return lawful(service, unit, text)


def _without_zeros(encoded: bytes, registers: MasterKeyRegisters) -> bytes:
    """Show patterns without the zeros at their beginning."""
    del registers
    shown = b"".join(part.lstrip(b"\0").ljust(len(part), b"\0") for part in (encoded[4:36], encoded[36:68]))
    return encoded[:4] + shown + encoded[68:]


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("tke-attributes-in-order", ("tke-effects", "tke-revocation-to-one"), "A list of attributes is read as if it were in ascending order.", instead(Domain.run, _in_order, lambda _, block, __: block.command == _SET)),
    ("tke-import-counts-parts", ("tke-counter-advances",), "An import moves the counter once more for each key part.", then(Domain.open_part, _part_counted)),
    ("tke-registers-of-module", ("tke-effects", "tke-export", "tke-sequences"), "Units of one module share their registers.", instead(TkeService.answered, _of_module)),
    ("tke-reader-commands", ("tke-manager-role",), "Any role on the instance is enough for a command.", instead(TkeService.send, _command_of_anybody)),
    ("tke-zeroize-by-stranger", ("tke-foreign-signer",), "A stranger's signature is enough to zeroize.", _NOTED, on_refusal(Domain.verified, _stranger_counts, _is_stranger(_ZEROIZE))),
    ("tke-finalize-unverified", ("tke-signature-invalid",), "Signatures under finalizing are counted, not verified.", _NOTED, instead(Domain.holds, _unverified, _during(_FINALIZE))),
    ("tke-zeroize-replayed", ("tke-transaction-counter",), "Any transaction counter is accepted for zeroizing.", _NOTED, on_refusal(Domain.check_count, _forgiven, _during(_ZEROIZE))),
    ("tke-attributes-for-any-module", ("tke-addressee",), "Attributes are set for another module.", on_refusal(Domain.check_addressee, _forgiven, lambda _, block: block.command == _SET)),
    ("tke-mixed-signers-refused", ("tke-rsa-signatures",), "Signatures of two kinds of keys are not accepted together.", instead(Domain.verified, _one_kind)),
    ("tke-pattern-without-zeros", ("tke-pattern", "tke-import"), "A verification pattern loses the zeros at its beginning.", gives(MasterKeyRegisters.info, _without_zeros)),
)  # fmt: skip

CEREMONY_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
