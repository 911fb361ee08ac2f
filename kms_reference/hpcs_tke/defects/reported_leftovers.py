"""Defects after faults that others reported: what is kept too long, and rules that look at a part of what they are about.

The faults were those of wallets of several signers, caches of tokens, soft deletion, masks of bits and probes of
readiness. Each is translated to this service where a source fixes what is right.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, WeakSet

from kms_reference.hpcs_tke import attributes, ber, codes
from kms_reference.hpcs_tke.app import TkeService
from kms_reference.hpcs_tke.codes import Refusal
from kms_reference.hpcs_tke.domain import Domain
from kms_reference.hpcs_tke.permissions import WK_1PART
from kms_reference.switches import Change, Defect, gives, instead, on_refusal, then, unchecked

if TYPE_CHECKING:
    from kms_reference.caller import Identity
    from kms_reference.hpcs_tke.administrators import SignerInfo
    from kms_reference.hpcs_tke.attributes import AttributeChange, Attributes
    from kms_reference.hpcs_tke.messages import AdminBlock
    from kms_reference.hpcs_tke.unit import CryptoUnit
    from kms_reference.rules import RefusedError, RuleLike

_ZEROIZE: Final = 0x10
_WORDS: Final = 1 << 32
"""So many numbers does a word of 32 bits have."""
_FOURTH_OCTET: Final = 0xFF000000

_gone: WeakKeyDictionary[Domain, int] = WeakKeyDictionary()
_certificates: WeakKeyDictionary[Domain, dict[bytes, bytes]] = WeakKeyDictionary()
_zeroized: WeakSet[Domain] = WeakSet()
_ready: WeakKeyDictionary[TkeService, set[str]] = WeakKeyDictionary()
_payloads: WeakKeyDictionary[TkeService, set[str]] = WeakKeyDictionary()


# -- what is kept too long ---------------------------------------------------------------------------------------------


def _count_gone(domain: Domain, _: bytes) -> None:
    _gone[domain] = _gone.get(domain, 0) + 1


def _none_gone(domain: Domain) -> None:
    _gone.pop(domain, None)


def _places_taken(lawful: RuleLike, domain: Domain) -> None:
    """Count the administrators who are there and those who were removed."""
    lawful(domain)
    if len(domain.administrators) + _gone.get(domain, 0) >= 8:  # noqa: PLR2004 - the most there can be
        raise Refusal(codes.ADMINISTRATORS_FULL)


def _keep_certificate(domain: Domain, ski: bytes) -> None:
    kept = _certificates.setdefault(domain, {})
    kept[ski] = domain.administrators[ski].certificate


def _removed_but_kept(lawful: RuleLike, domain: Domain, ski: bytes) -> None:
    _keep_certificate(domain, ski)
    lawful(domain, ski)


def _kept_certificate(refused: RefusedError, domain: Domain, ski: bytes) -> bytes:
    try:
        return _certificates.get(domain, {})[ski]
    except KeyError:
        raise refused from None


def _note_zeroized(domain: Domain) -> None:
    _zeroized.add(domain)


def _without_zeroized(lawful: RuleLike, service: TkeService, units: dict[str, CryptoUnit]) -> Any:
    """List the units that were not zeroized, or left imprint mode again."""
    listed = {
        name: unit
        for name, unit in units.items()
        if unit.domain not in _zeroized or not unit.domain.attributes.imprint
    }
    return lawful(service, listed)


def _stays_ready(ready: bool, service: TkeService, instance: str) -> bool:
    known = _ready.setdefault(service, set())
    if ready and instance in service.instances:
        known.add(instance)
    return ready or instance in known


def _known_by_payload(
    lawful: RuleLike, service: TkeService, header: str | None, identity: Identity | None
) -> bool:
    """Know a token by its payload, once it was verified."""
    payload = "".join((header or "").split(".")[1:2])
    known = _payloads.setdefault(service, set())
    accepted: bool = lawful(service, header, identity)
    if accepted:
        known.add(payload)
    return accepted or bool(payload and payload in known)


# -- rules that look at a part -----------------------------------------------------------------------------------------


def _signature_threshold_alone(_: RuleLike, domain: Domain) -> None:
    if len(domain.administrators) - 1 < domain.attributes.signature_threshold:
        raise Refusal(codes.BELOW_THRESHOLD)


def _same_thresholds(needed: int, domain: Domain, new: Attributes) -> int:
    """Ask for one signature where both thresholds stay."""
    return min(needed, 1) if new[:2] == domain.attributes[:2] else needed


def _three_octets(lawful: RuleLike, change: AttributeChange) -> None:
    """Look at the control bits of three octets."""
    old = change.old._replace(permissions=change.old.permissions | _FOURTH_OCTET)
    lawful(replace(change, old=old))


def _from_the_end(_: RefusedError, __: Domain, chain: list[bytes], index: int) -> bytes:
    return chain[index - _WORDS]


def _encoded_anew(lawful: RuleLike, domain: Domain, signer: SignerInfo, signed: bytes, place: int) -> Any:
    """Verify a signature over the members of a block in the shortest encoding."""
    return lawful(domain, signer, ber.encode_octet_strings(*ber.read_octet_strings(signed, {5})), place)


def _parts_as_one(lawful: RuleLike, domain: Domain, parts: list[bytes]) -> Any:
    if not domain.attributes.permissions & WK_1PART:
        raise Refusal(codes.SINGLE_PART_IMPORT)
    return lawful(domain, parts)


def _nothing_done(_: RuleLike, domain: Domain, __: AdminBlock, ___: bytes) -> bytes:
    domain.advance()
    return b""


def _in_imprint(domain: Domain, block: AdminBlock, _: bytes) -> bool:
    return block.command == _ZEROIZE and domain.attributes.imprint and not block.data


def _exactly(lawful: RuleLike, domain: Domain, signers: int, needed: int) -> None:
    lawful(domain, signers, needed)
    if signers > needed > 0:
        raise Refusal(codes.TOO_FEW_SIGNATURES)


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("tke-zeroize-by-one", ("tke-too-few-signatures",), "One signature zeroizes a unit without the permission for that.", gives(Domain.signatures_to_zeroize, lambda needed, _: min(needed, 1))),
    ("tke-removal-by-signature-threshold-alone", ("tke-removal-below-threshold",), "Administrators can fall below the revocation threshold.", instead(Domain.check_enough_stay, _signature_threshold_alone)),
    ("tke-removed-take-places", ("tke-administrators-full",), "Administrators who were removed count among the eight.", then(Domain.remove, _count_gone), then(Domain.forget_administrators, _none_gone), instead(Domain.check_place, _places_taken)),
    ("tke-ready-stays", ("tke-crypto-ready",), "Once an instance could wrap it can go on without a master key.", gives(TkeService.crypto_ready, _stays_ready)),
    ("tke-token-known-by-payload", ("tke-02",), "A token that was once good is good with any signature.", instead(TkeService.accepts, _known_by_payload)),
    ("tke-certificate-index-signed", ("tke-certificate-index",), "A certificate index of four octets is read as a signed number and counts from the end.", on_refusal(Domain.certificate, _from_the_end, lambda _, chain, index: index >= _WORDS - len(chain))),
    ("tke-removed-certificate-told", ("tke-administrator-unknown",), "The certificate of an administrator who was removed is told.", instead(Domain.remove, _removed_but_kept), on_refusal(Domain.certificate_of, _kept_certificate)),
    ("tke-signed-block-encoded-anew", ("tke-frame-non-minimal",), "A signature over a block with lengths longer than necessary is refused.", instead(Domain.verified, _encoded_anew)),
    ("tke-parts-need-single-permission", ("tke-single-part",), "Several key parts need the permission for a single one.", instead(Domain.combined, _parts_as_one)),
    ("tke-permissions-by-one", ("tke-too-few-signatures",), "Permissions are changed by one signature.", gives(Domain.signatures_to_set, _same_thresholds)),
    ("tke-zeroized-unit-unlisted", ("tke-01", "tke-sequences"), "A unit that was zeroized is not listed until it leaves imprint mode.", then(Domain.forget_administrators, _note_zeroized), instead(TkeService.listed, _without_zeroized)),
    ("tke-control-bits-of-three-octets", ("tke-attribute-protected",), "Control bits in the highest octet guard nothing.", instead(attributes.check_protected, _three_octets)),
    ("tke-part-of-earlier-import", ("tke-transaction-counter",), "A key part of an earlier import is accepted again.", unchecked(Domain.check_part_counter)),
    ("tke-imprint-zeroize-does-nothing", ("tke-imprint-zeroized",), "In imprint mode zeroizing succeeds and does nothing.", instead(Domain.run, _nothing_done, _in_imprint)),
    ("tke-more-signatures-refused", ("tke-effects",), "A command with more signatures than it needs is refused.", instead(Domain.require, _exactly)),
)  # fmt: skip

LEFTOVER_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
