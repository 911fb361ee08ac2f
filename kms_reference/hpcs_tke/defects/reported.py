"""Defects after faults that others reported: wallets of several signers, Vault's shares, HSM tools, key ceremonies.

Each is translated to this service where a source fixes what is right.
"""

from __future__ import annotations

import asyncio
from copy import copy
from typing import TYPE_CHECKING, Any, Final

from kms_reference.hpcs_tke import codes
from kms_reference.hpcs_tke.app import TkeService
from kms_reference.hpcs_tke.codes import Refusal
from kms_reference.hpcs_tke.domain import Domain
from kms_reference.hpcs_tke.key_parts import KEY_LENGTH, verification_pattern
from kms_reference.hpcs_tke.registers import COMPARED, MasterKeyRegisters
from kms_reference.switches import Change, Defect, gives, instead, on_refusal, then

if TYPE_CHECKING:
    from starlette.requests import Request

    from kms_reference.hpcs_tke.administrators import Administrator, SignerInfo
    from kms_reference.hpcs_tke.unit import CryptoUnit
    from kms_reference.rules import RefusedError, RuleLike

WINDOW: Final = 0.050
"""Seconds from reading a unit's state to writing it."""
_ZEROIZE: Final = 0x10
_FEW: Final = 4
_PREFIX: Final = 16
_kept: dict[int, list[bytes]] = {}
"""Key parts that were opened and not combined yet, by domain."""


# -- administrators and signatures -------------------------------------------------------------------------------------


def _renamed(_: RefusedError, domain: Domain, administrator: Administrator) -> bytes:
    """Take another certificate of an administrator who is there."""
    domain.administrators[administrator.ski] = administrator
    return administrator.ski


def _with_another_certificate(domain: Domain, administrator: Administrator) -> bool:
    return domain.administrators[administrator.ski].certificate != administrator.certificate


def _neighbours(_: int, __: Domain, signers: list[bytes]) -> int:
    """Count a signer again where another one has signed in between."""
    return sum(one != before for one, before in zip(signers, [b"", *signers], strict=False))


def _last_cannot_sign(_: RuleLike, __: Domain, ___: SignerInfo, ____: bytes, _____: int) -> bytes:
    raise Refusal(codes.FOREIGN_SIGNER)


def _is_eighth(domain: Domain, signer: SignerInfo, _: bytes, __: int) -> bool:
    return signer.ski in list(domain.administrators)[7:]


def _last_removed(_: RuleLike, domain: Domain, __: bytes) -> None:
    domain.administrators.popitem()


# -- key parts and registers -------------------------------------------------------------------------------------------


def _keep(part: bytes, domain: Domain, *_: Any) -> bytes:
    _kept.setdefault(id(domain), []).append(part)
    return part


def _all_kept(lawful: RuleLike, domain: Domain, _: list[bytes]) -> Any:
    return lawful(domain, _kept.pop(id(domain)))


def _without_last_zeros(part: bytes, *_: Any) -> bytes:
    return part.rstrip(b"\0").rjust(KEY_LENGTH, b"\0")


def _own_pattern(lawful: RuleLike, registers: MasterKeyRegisters, _: bytes) -> Any:
    assert registers.new is not None
    return lawful(registers, verification_pattern(registers.new))


def _of_current(registers: MasterKeyRegisters, pattern: bytes) -> bool:
    """Whether a pattern is that of the current key while a new one waits."""
    if registers.current is None or registers.new is None:
        return False
    return pattern[:COMPARED] == verification_pattern(registers.current)[:COMPARED]


def _count_anew(domain: Domain, *_: Any) -> None:
    domain.counter = 0


# -- units -------------------------------------------------------------------------------------------------------------


def _of_all_instances(body: dict[str, Any], service: TkeService, _: dict[str, CryptoUnit]) -> dict[str, Any]:
    units = [unit for units in service.instances.values() for unit in units.values()]
    return {**body, "hsms": [unit.listing() for unit in units if unit.kind == "operational"]}


def _beginning_like(
    unit: CryptoUnit | None, service: TkeService, instance: str, hsm_id: str
) -> CryptoUnit | None:
    units = service.instances.get(instance, {}).values()
    return unit or next((one for one in units if one.hsm_id[:_PREFIX] == hsm_id[:_PREFIX]), None)


def _race(*members: str) -> Change:
    """Execute a command on members of a domain's state as they were before a pause."""

    async def send(lawful: RuleLike, service: TkeService, request: Request) -> Any:
        unit = service.find_unit(request.path_params["crypto_instance"], request.path_params["hsm_id"])
        early = {} if unit is None else {name: copy(getattr(unit.domain, name)) for name in members}
        await request.body()
        await asyncio.sleep(WINDOW)
        if unit is not None:
            for name, value in early.items():
                setattr(unit.domain, name, value)
        return await lawful(service, request)

    return instead(TkeService.send, send)


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("tke-renamed-administrator-added", ("tke-administrator-present",), "An administrator who is there can be added under another name.", on_refusal(Domain.add_again, _renamed, _with_another_certificate)),
    ("tke-signer-counts-again", ("tke-too-few-signatures",), "A signer counts again after another one.", gives(Domain.number_of, _neighbours)),
    ("tke-four-signatures-at-most", ("tke-effects",), "Four signatures count at most.", gives(Domain.number_of, lambda number, *_: min(number, _FEW))),
    ("tke-eighth-cannot-sign", ("tke-effects",), "The eighth administrator cannot sign.", instead(Domain.verified, _last_cannot_sign, _is_eighth)),
    ("tke-last-removed", ("tke-administrator-removed",), "Whoever is named, the last administrator is removed.", instead(Domain.remove, _last_removed)),
    ("tke-counter-restarts", ("tke-replay-after-zeroizing",), "Zeroizing a unit lets its transaction counter begin again.", then(Domain.run, _count_anew, lambda _, block, __: block.command == _ZEROIZE)),
    ("tke-refused-part-kept", ("tke-import",), "A key part of a refused import counts in the next one.", gives(Domain.open_part, _keep), instead(Domain.combined, _all_kept)),
    ("tke-last-zeros-of-part-lost", ("tke-import",), "A key part loses the zeros at its end.", gives(Domain.open_part, _without_last_zeros)),
    ("tke-commit-by-current-pattern", ("tke-commit-mismatch",), "The pattern of the current key commits the new one.", instead(MasterKeyRegisters.commit, _own_pattern, _of_current)),
    ("tke-finalize-by-current-pattern", ("tke-finalize-mismatch",), "The pattern of the current key finalizes the new one.", instead(MasterKeyRegisters.finalize, _own_pattern, _of_current)),
    ("tke-list-of-all-instances", ("tke-01",), "The list of units holds those of other instances.", gives(TkeService.listed, _of_all_instances)),
    ("tke-unit-by-its-beginning", ("tke-06",), "A unit is found by the beginning of its id.", gives(TkeService.find_unit, _beginning_like)),
    ("tke-two-commands-at-once", ("tke-transaction-counter",), "Two commands with one counter are both done at once.", _race("counter")),
    ("tke-command-undoes-another", ("tke-transaction-counter",), "A command writes back the administrators and the counter that it had read.", _race("counter", "administrators")),
)  # fmt: skip

REPORTED_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
