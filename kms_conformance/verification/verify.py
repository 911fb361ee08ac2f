"""A bundle checked offline: its form, its signature, every digest, its completeness, and then every exchange again.

The order is that of trust: nothing is unpacked before the signature over it was checked, and nothing is judged before
every file is the one that was signed. Each refusal is one sentence.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import SSlibKey

from kms_conformance import __version__
from kms_conformance.contract.schemas import SCHEMA_FILES
from kms_conformance.errors import BundleError, ContractError, RecordError, UnknownSystemError
from kms_conformance.outputs import har, manifest, results
from kms_conformance.outputs.files import digest_and_size
from kms_conformance.run.options import challenge_mark
from kms_conformance.verification import bundle
from kms_conformance.verification.archive import LARGEST_FILE, Archive, mapped
from kms_conformance.verification.check import Examination, examine
from kms_conformance.verification.keys import SHOWN
from kms_conformance.verification.product import Product, product_of
from kms_conformance.verification.statement import OWN, statement, unseal

_NEARLY_ALL = 0.9
_APART = timedelta(minutes=10)
"""How far two clocks may be apart."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A bundle that was not refused before its exchanges were judged.

    ``about`` are lines on product, signer, validity and key; ``examination`` is what ``judge`` says of the run; ``own`` is the
    statement's own part, ``key`` has signed it, and ``record`` is ``results.json``.
    """

    about: tuple[str, ...]
    examination: Examination
    own: Mapping[str, Any]
    key: SSlibKey
    record: Mapping[str, Any]


def verify(
    path: Path, key: SSlibKey | None = None, challenge: str = "", now: datetime | None = None
) -> Verified:
    """Check a bundle; ``key`` is the signer's, known from elsewhere, ``challenge`` what the run had to carry.

    Raises :class:`BundleError` with one sentence where it is refused, :class:`kms_conformance.errors.RecordError` where
    another version of the suite has to check it.
    """
    archive, signed, signer = _opened(path, key)
    own = signed["predicate"][OWN]
    _demand_valid(path, own, now or datetime.now(UTC))
    if challenge and own["challenge"] != challenge:
        reason = f"it carries {own['challenge']!r}" if own["challenge"] else "it carries none"
        raise BundleError(str(path), f"it does not answer the challenge {challenge!r}: {reason}")
    with tempfile.TemporaryDirectory(prefix="kms-conformance-") as name:
        directory = Path(name)
        try:
            archive.unpack(directory)
        except OSError as error:
            raise BundleError(str(path), f"it cannot be unpacked ({error.strerror})") from error
        record = _demand_as_signed(path, directory, archive, signed, signer)
        _demand_challenge(path, directory, record)
        lacking = bundle.missing(record)
        if lacking:
            raise BundleError(str(path), f"its run is no certification: {'; '.join(lacking)}")
        about = _about(own, signer, known=key is not None)
        return Verified(about, examine(directory), own, signer, record)


def _opened(path: Path, key: SSlibKey | None) -> tuple[Archive, dict[str, Any], SSlibKey]:
    """Return archive, statement and key; nothing is unpacked, and the signature covers all of it."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BundleError(str(path), f"it is larger than any bundle ({path.stat().st_size:,} bytes)")
        content = mapped(path)
    except OSError as error:
        raise BundleError(str(path), error.strerror or str(error)) from error
    archive = Archive(path, content)
    if archive.last.name != bundle.ENVELOPE:
        raise BundleError(str(path), f"it does not end with {bundle.ENVELOPE}, so that nobody has signed it")
    try:
        signed, signer = unseal(archive.envelope, key)
    except ValueError as error:
        raise BundleError(str(path), str(error)) from error
    complaint = SCHEMA_FILES.complaint("statement", signed)
    if complaint:
        raise BundleError(
            str(path), f"its statement is not of the form of schemas/statement.schema.json: {complaint}"
        )
    if signed["subject"][0] != {"name": bundle.ARCHIVE, "digest": {"sha256": archive.digest}}:
        raise BundleError(str(path), "its files are not those that were signed")
    return archive, signed, signer


def _demand_valid(path: Path, own: Mapping[str, Any], now: datetime) -> None:
    try:
        issued, expires = (datetime.fromisoformat(own[name]) for name in ("issued", "expires"))
        early, late = now + _APART < issued, now > expires
    except (ValueError, TypeError) as error:
        raise BundleError(str(path), f"its validity cannot be read ({error})") from error
    if late:
        raise BundleError(str(path), f"it has expired on {own['expires'][:10]}")
    if early:
        raise BundleError(str(path), f"it was signed in the future, on {own['issued'][:16]}")


def _demand_as_signed(
    path: Path, directory: Path, archive: Archive, signed: Mapping[str, Any], signer: SSlibKey
) -> dict[str, Any]:
    """Return ``results.json`` once every file and the whole statement follow from it; raise :class:`BundleError`."""
    try:
        record, product = _read(path, directory)
        _demand_files(path, directory, archive, bundle.added(record, product))
        digests = [(bundle.ARCHIVE, archive.digest)]
        digests += [(name, digest_and_size(directory / name)[0]) for name in bundle.SIGNED]
        anew = statement(record, product, digests, signer)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(str(path), f"a file in it is missing or of another form ({error!r})") from error
    except (UnknownSystemError, ContractError) as error:
        raise BundleError(str(path), f"it is about a contract that is not here ({error.sentence})") from error
    if anew != signed:
        raise BundleError(str(path), "its statement says something else than its results")
    if record.get("product", {}) != dict(product.about):
        raise BundleError(str(path), "its results name another product than product.json")
    return record


def _read(path: Path, directory: Path) -> tuple[dict[str, Any], Product]:
    """Return the results and the product of an unpacked bundle."""
    record: dict[str, Any] = json.loads((directory / results.NAME).read_text(encoding="utf-8"))
    product = product_of(json.loads((directory / bundle.PRODUCT).read_text(encoding="utf-8")))
    if record["suite"]["version"] != __version__:
        raise RecordError(str(path), f"it was made by version {record['suite']['version']} of the suite")
    complaint = SCHEMA_FILES.complaint("results", record)
    if complaint:
        raise BundleError(str(path), f"its results.json breaks schemas/results.schema.json: {complaint}")
    return record, product


def _demand_files(path: Path, directory: Path, archive: Archive, added: Mapping[str, bytes]) -> None:
    """Demand the files that run and contract give, and no other; ``judge`` looks into those of the run."""
    listed = json.loads((directory / manifest.NAME).read_text(encoding="utf-8"))["files"]
    names = {entry.name for entry in archive.entries[:-1]}
    stray = sorted(names ^ {*listed, manifest.NAME, *added})
    if stray:
        raise BundleError(str(path), f"it lacks {stray[0]}, or has it although no run writes it")
    for name, content in added.items():
        if (directory / name).read_bytes() != content:
            raise BundleError(str(path), f"its {name} is not what run and contract give")


def _demand_challenge(path: Path, directory: Path, record: Mapping[str, Any]) -> None:
    """Demand that a challenge is in the run id and in the requests; ``judge`` looks at each of them."""
    challenge = record["options"].get("challenge", "")
    if not challenge:
        return
    if not record["run_id"].startswith(f"{challenge_mark(challenge)}-"):
        reason = f"its run id {record['run_id']} does not come from the challenge {challenge!r}"
        raise BundleError(str(path), reason)
    carried = f' challenge/{challenge}"'.encode()
    with (directory / har.NAME).open("rb") as file:
        carrying = sum(line.count(carried) for line in file)
    kept = record["requests"]["kept"]
    if carrying < _NEARLY_ALL * kept:
        raise BundleError(
            str(path), f"only {carrying} of its {kept} requests carry the challenge {challenge!r}"
        )


def _about(own: Mapping[str, Any], signer: SSlibKey, *, known: bool) -> tuple[str, ...]:
    product = own["product"]["product"]
    vouched = "the key that was given" if known else "a key that nobody has vouched for: give --key"
    return (
        f"{product['vendor']}: {product['name']} {product['version']} ({product['url']}, {product['contact']})",
        own["attestation"],
        f"signed by {signer.keyid[:SHOWN]}, {vouched}",
        f"valid from {own['issued'][:10]} to {own['expires'][:10]}"
        + (f"; answers the challenge {own['challenge']!r}" if own["challenge"] else "; no challenge"),
    )
