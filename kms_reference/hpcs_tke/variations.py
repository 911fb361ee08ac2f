"""Variations: what no source fixes of the list of units, of refusals, and of the way in which a crypto unit answers."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from starlette.responses import JSONResponse

from kms_reference.hpcs_tke import ber, codes
from kms_reference.hpcs_tke.administrators import read_signers
from kms_reference.hpcs_tke.app import TkeService
from kms_reference.hpcs_tke.codes import Pair
from kms_reference.hpcs_tke.domain import Domain
from kms_reference.hpcs_tke.messages import COUNTER_LENGTH
from kms_reference.hpcs_tke.permissions import ONE_SIGN, WK_IMPORT
from kms_reference.hpcs_tke.registers import MasterKeyRegisters
from kms_reference.hpcs_tke.unit import CryptoUnit
from kms_reference.switches import Variation, gives, instead, on_refusal, then

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from kms_reference.hpcs_tke.messages import AdminBlock, AdminRequest
    from kms_reference.rules import RefusedError, RuleLike

_RANDOM: Final = 0x0A
_OLDER: Final = 0x61FF0000 | ONE_SIGN | WK_IMPORT
"""The permissions of the older public header."""
_INFORMATION: Final = "00" + "0".rjust(8) + "0".rjust(8) + "TKEPROXY" + "unit".ljust(30) + "done".ljust(100)
_OTHER_PAIRS: Final = {
    codes.COUNTER_WRONG: Pair(163),
    codes.COUNTER_MALFORMED: Pair(163, 19),
    codes.SIGNATURE_REJECTED: Pair(192),
    codes.SIGNATURE_MALFORMED: Pair(193, 22),
    codes.FOREIGN_SIGNER: Pair(257, 33),
    codes.ADMINISTRATOR_PRESENT: Pair(256),
    codes.ADMINISTRATORS_FULL: Pair(261),
    codes.NO_SUCH_ADMINISTRATOR: Pair(32, 33),
    codes.BELOW_THRESHOLD: Pair(209, 68),
    codes.EXIT_WITHOUT_REVOCATION: Pair(209, 36),
    codes.UNKNOWN_COMMAND: Pair(84, 11),
    codes.INPUT_LENGTH: Pair(7),
}
"""Other codes that a source knows for the same refusal."""
_begun: Final[WeakSet[Domain]] = WeakSet()


# -- the list, and refusals of the service -----------------------------------------------------------------------------


def _turned(body: dict[str, Any], *_: Any) -> dict[str, Any]:
    """List everything in the opposite order."""
    return {name: body[name][::-1] for name in reversed(body)}


def _bare(body: dict[str, Any], *_: Any) -> dict[str, Any]:
    """List what a client needs, and nothing beside it."""
    needed = ("hsm_id", "location", "serial_number")
    return {
        kind: [{name: unit[name] for name in needed} for unit in units]
        for kind, units in body.items()
        if kind != "metadata"
    }


def _with_more(body: dict[str, Any], *_: Any) -> dict[str, Any]:
    kinds = {
        kind: [{**unit, "firmware": None, "labels": ["a"]} for unit in units] for kind, units in body.items()
    }
    return {"resources": [], **kinds, "links": {"next": None}}


def _elsewhere(entry: dict[str, object], unit: CryptoUnit) -> dict[str, object]:
    """Tell the place of a unit by a zone, a host of another form and numbers without zeros."""
    place = f"[us-south-2].[rack 4/cs-1].[{unit.location.module_index}].[{unit.location.domain_index}]"
    return {**entry, "location": place}


def _as_json(status: int, **headers: str) -> Any:
    """Refuse by a JSON document."""
    document = {"status": status, "errors": [{"code": "refused", "message": "Unauthorized"}]}
    return lambda *_: JSONResponse(document, status, headers)


def _forbidden(lawful: RuleLike, service: TkeService, request: Request) -> Any:
    return JSONResponse({}, 403) if service.identity_of(request) is not None else lawful(service, request)


def _more_texts(answer: Response, _: TkeService, unit: CryptoUnit, __: str) -> Response:
    """Answer with other texts beside the response."""
    members = {"id": unit.hsm_id, **json.loads(bytes(answer.body)), "status": "done"}
    return JSONResponse(members, headers={"x-request-id": uuid.uuid4().hex, "cache-control": "no-store"})


# -- answers of a unit -------------------------------------------------------------------------------------------------


def _spelled_otherwise(answer: str, *_: Any) -> str:
    """Write small letters and other information, and pad the length, which clients do not look at."""
    information, digits = answer.split(";", 2)[1:]
    said = _INFORMATION if information.startswith("00") else information
    return f"{len(answer):08};{said};{digits.lower()}"


def _in_long_lengths(payload: bytes, *_: Any) -> bytes:
    """Encode lengths in more octets than necessary, as modules do."""

    def long(tag: int, body: bytes) -> bytes:
        return bytes((tag, 0x82)) + len(body).to_bytes(2, "big") + body

    members = b"".join(long(member.tag, member.body) for member in ber.read_sequence(payload))
    return long(ber.SEQUENCE, members)


def _other_pair(pair: Pair, *_: Any) -> Pair:
    return _OTHER_PAIRS.get(pair, pair)


# -- state of a unit ---------------------------------------------------------------------------------------------------


def _sorted_list(_: bytes, domain: Domain) -> bytes:
    return b"".join(sorted(domain.administrators))


def _counted_too(refusal: RefusedError, domain: Domain, _: AdminBlock, __: bytes) -> None:
    domain.advance()
    raise refusal


def _next_instance(domain: Domain) -> None:
    domain.instance += 1


def _older_at_first(lawful: RuleLike, unit: CryptoUnit, request: AdminRequest) -> Any:
    domain = unit.domain
    if domain not in _begun:
        _begun.add(domain)
        domain.attributes = domain.attributes._replace(permissions=_OLDER)
    return lawful(unit, request)


def _committed(lawful: RuleLike, domain: Domain, block: AdminBlock, signers: bytes) -> Any:
    was = domain.registers.new
    output = lawful(domain, block, signers)
    if domain.registers.new is not was:
        domain.registers.committed = True
    return output


def _near_the_end(lawful: RuleLike, unit: CryptoUnit, request: AdminRequest) -> Any:
    """Begin with a transaction counter that soon comes to its highest value."""
    domain = unit.domain
    if domain not in _begun:
        _begun.add(domain)
        domain.counter = (1 << (8 * COUNTER_LENGTH)) - 4
    return lawful(unit, request)


def _signatures_first(lawful: RuleLike, domain: Domain, block: AdminBlock, signers: bytes) -> Any:
    for place, signer in enumerate(read_signers(signers)):
        domain.verified(signer, block.signed, place)
    return lawful(domain, block, signers)


TKE_VARIATIONS: Final = (
    Variation("tke-list-turned", "Units and their kinds are listed in the opposite order.", changes=(gives(TkeService.listed, _turned),)),
    Variation("tke-list-bare", "The list has neither metadata nor what clients do not use of a unit.", changes=(gives(TkeService.listed, _bare),)),
    Variation("tke-list-with-more", "The list and its units have members that no source names.", changes=(gives(TkeService.listed, _with_more),)),
    Variation("tke-other-ids", "Ids of units are UUIDs in capitals.", changes=(instead(TkeService.new_id, lambda *_: str(uuid.uuid4()).upper()),)),
    Variation("tke-other-locations", "Locations name a zone and a host of another form, and numbers without zeros.", changes=(gives(CryptoUnit.listing, _elsewhere),)),
    Variation("tke-refusals-as-json", "Refusals of the service are JSON documents.", changes=(instead(TkeService.unauthorized, _as_json(401, **{"www-authenticate": "Bearer"})), instead(TkeService.unknown_instance, _as_json(404)), instead(TkeService.unknown_unit, _as_json(404)), instead(TkeService.without_request, _as_json(400)))),
    Variation("tke-forbidden", "Without permission, and for an unknown instance, the answer is 403.", changes=(instead(TkeService.unauthorized, _forbidden), instead(TkeService.unknown_instance, _as_json(403)))),
    Variation("tke-more-texts", "Answers have further texts and headers.", changes=(gives(TkeService.answered, _more_texts),)),
    Variation("tke-spelled-otherwise", "Answers are written in small letters, with other information and a padded length.", changes=(gives(CryptoUnit.answer, _spelled_otherwise),)),
    Variation("tke-long-lengths", "Answers of a unit have lengths of more octets than necessary.", changes=(gives(CryptoUnit.message, _in_long_lengths),)),
    Variation("tke-other-codes", "Refusals have the other codes that sources know.", changes=(gives(CryptoUnit.refused, _other_pair),)),
    Variation("tke-administrators-sorted", "Administrators are listed in the order of their identifiers.", changes=(gives(Domain.list_administrators, _sorted_list),)),
    Variation("tke-refusals-counted", "A refused command uses up its transaction counter.", changes=(on_refusal(Domain.run, _counted_too),)),
    Variation("tke-instance-after-zeroizing", "Zeroizing gives a domain another instance number.", changes=(then(Domain.forget_administrators, _next_instance),)),
    Variation("tke-older-permissions", "Units have the permissions of older firmware at first.", changes=(instead(CryptoUnit.output, _older_at_first), gives(Domain.attributes_after_zeroize, lambda new, _: new._replace(permissions=_OLDER)))),
    Variation("tke-random-is-committed", "A random key in the new register needs no commitment.", changes=(instead(Domain.run, _committed, lambda _, block, __: block.command == _RANDOM),)),
    Variation("tke-whole-patterns", "Verification patterns have 32 octets that are not zero.", changes=(gives(MasterKeyRegisters.pattern, lambda _, __, key: hashlib.sha256(b"\x01" + key).digest()),)),
    Variation("tke-counter-wraps", "Transaction counters begin shortly before their highest value.", changes=(instead(CryptoUnit.output, _near_the_end),)),
    Variation("tke-signatures-first", "Signatures are verified before anything else is looked at.", changes=(instead(Domain.run, _signatures_first),)),
)  # fmt: skip
