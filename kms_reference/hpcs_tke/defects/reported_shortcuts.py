"""Defects after faults that others reported: what is kept to save work, and numbers that fit no type.

Each is translated to this service where a source fixes what is right.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from starlette.responses import JSONResponse

from kms_reference.hpcs_tke import ber, frames, messages
from kms_reference.hpcs_tke.app import TkeService
from kms_reference.hpcs_tke.domain import Domain
from kms_reference.hpcs_tke.permissions import ZERO_1SIGN
from kms_reference.hpcs_tke.unit import CryptoUnit
from kms_reference.rules import RefusedError
from kms_reference.switches import Change, Defect, gives, instead, on_refusal, then

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from kms_reference.hpcs_tke.administrators import Administrator, SignerInfo
    from kms_reference.hpcs_tke.attributes import Attributes
    from kms_reference.hpcs_tke.codes import Pair, Refusal
    from kms_reference.hpcs_tke.messages import AdminBlock, AdminRequest
    from kms_reference.rules import RuleLike

_SET, _IMPORT, _CLEAR_NEW = 0x08, 0x0C, 0x1C
_SIGNED: Final = (1 << 31) - 1
WINDOW: Final = 0.050
"""Seconds from reading which unit is asked to asking it."""
_asked: WeakKeyDictionary[TkeService, str] = WeakKeyDictionary()
_left: WeakKeyDictionary[Domain, dict[bytes, Administrator]] = WeakKeyDictionary()
_at_first: WeakKeyDictionary[Domain, int] = WeakKeyDictionary()
_answers: WeakKeyDictionary[CryptoUnit, dict[str, str]] = WeakKeyDictionary()
_refused: WeakKeyDictionary[CryptoUnit, int] = WeakKeyDictionary()


def _keep(lawful: RuleLike, domain: Domain, ski: bytes) -> None:
    _left.setdefault(domain, {})[ski] = domain.administrators[ski]
    lawful(domain, ski)


def _of_who_left(refused: RefusedError, domain: Domain, signer: SignerInfo, signed: bytes, _: int) -> bytes:
    """Let administrators who were removed sign key parts."""
    who = _left.get(domain, {}).get(signer.ski)
    command = int.from_bytes(ber.read_octet_strings(signed, {5})[0], "big")
    if who is None or command != _IMPORT or not domain.holds(who, signer, signed):
        raise refused
    return signer.ski


def _first_permissions(domain: Domain, *_: Any) -> None:
    if not domain.attributes.imprint:
        _at_first.setdefault(domain, domain.attributes.permissions)


def _as_at_first(_: int, domain: Domain) -> int:
    """Ask for one signature where the permission was there when imprint mode was left."""
    threshold = domain.attributes.signature_threshold
    first = _at_first.get(domain, domain.attributes.permissions)
    return min(1, threshold) if first & ZERO_1SIGN else threshold


def _forget_first(domain: Domain) -> None:
    _at_first.pop(domain, None)


def _without_sign(domain: Domain, *_: Any) -> None:
    """Lose the highest bit of the permissions."""
    attributes: Attributes = domain.attributes
    domain.attributes = attributes._replace(permissions=attributes.permissions & _SIGNED)


def _stays_committed(domain: Domain, block: AdminBlock, _: bytes) -> bool:
    return block.command == _CLEAR_NEW and domain.registers.committed


def _nothing_cleared(_: RuleLike, domain: Domain, __: AdminBlock, ___: bytes) -> bytes:
    domain.advance()
    return b""


def _answered_before(lawful: RuleLike, unit: CryptoUnit, request: str) -> str:
    """Answer a command that comes again, octet by octet, as before."""
    known = _answers.setdefault(unit, {})
    if request in known:
        return known[request]
    answer: str = lawful(unit, request)
    if _is_command(request):
        known[request] = answer
    return answer


def _is_command(request: str) -> bool:
    try:
        function, members = messages.read_function(frames.parse_request(request).payload)
        return function == messages.FUNCTION_ADMIN and not messages.read_admin_request(members).block.is_query
    except (ValueError, RefusedError):
        return False


def _note_refused(pair: Pair, unit: CryptoUnit, _: Refusal, __: AdminRequest) -> Pair:
    _refused[unit] = pair.code
    return pair


def _with_number(lawful: RuleLike, service: TkeService, unit: CryptoUnit, text: str) -> Response:
    """Tell the return code of a refusal beside the response, as a number."""
    _refused.pop(unit, None)
    answer: Response = lawful(service, unit, text)
    code = _refused.pop(unit, None)
    if code is None:
        return answer
    return JSONResponse({**json.loads(bytes(answer.body)), "returnCode": code})


async def _of_the_last(lawful: RuleLike, service: TkeService, request: Request) -> Any:
    """Keep in one place which unit is asked, whoever asks."""
    _asked[service] = request.path_params["hsm_id"]
    await request.body()
    await asyncio.sleep(WINDOW)
    request.path_params["hsm_id"] = _asked[service]
    return await lawful(service, request)


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("tke-removed-signs-parts", ("tke-foreign-signer",), "An administrator who was removed can sign key parts.", instead(Domain.remove, _keep), on_refusal(Domain.verified, _of_who_left)),
    ("tke-zeroize-permission-at-first", ("tke-too-few-signatures", "tke-sequences"), "Zeroizing looks at the permission that was there when imprint mode was left.", then(Domain.run, _first_permissions), then(Domain.forget_administrators, _forget_first), gives(Domain.signatures_to_zeroize, _as_at_first)),
    ("tke-highest-permission-lost", ("tke-effects", "tke-sequences"), "Setting attributes loses the highest bit of the permissions.", then(Domain.run, _without_sign, lambda _, block, __: block.command == _SET)),
    ("tke-committed-key-stays", ("tke-clear-new",), "A new key that was committed is not cleared.", instead(Domain.run, _nothing_cleared, _stays_committed)),
    ("tke-answered-before", ("tke-transaction-counter",), "A command that is sent again is answered as before, without a refusal.", instead(CryptoUnit.answer, _answered_before)),
    ("tke-number-beside-refusal", ("tke-refusal-inside-200",), "The answer to a refused command has a number beside its texts.", gives(CryptoUnit.refused, _note_refused), instead(TkeService.answered, _with_number)),
    ("tke-unit-of-another-request", ("tke-effects",), "Of two requests at once each is for the unit of the later one.", instead(TkeService.send, _of_the_last)),
)  # fmt: skip

SHORTCUT_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
