"""``bundle.zip``: a certification run with its product and a signed statement, for somebody who was not there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import SplitResult, urlsplit

from securesystemslib.signer import CryptoSigner

from kms_conformance.contract.contract import contract_folder
from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import ReportDirError
from kms_conformance.judging.verdict import Profile
from kms_conformance.outputs import har, manifest, results
from kms_conformance.outputs.files import BUNDLE, digest_and_size, put_by, read_file
from kms_conformance.verification.archive import ArchiveWriter
from kms_conformance.verification.product import Product
from kms_conformance.verification.statement import seal, statement

NAME = BUNDLE
ENVELOPE, PRODUCT, TARGET, CONTRACTS = "attestation.dsse.json", "product.json", "target.json", "contracts"
ARCHIVE = "bundle.zip up to attestation.dsse.json"
SIGNED = (manifest.NAME, results.NAME, har.NAME, PRODUCT, TARGET)
"""The files that the statement names beside the archive, which covers all."""
_EXECUTED = frozenset({Verdict.PASSED, Verdict.WARNED, Verdict.FAILED, Verdict.NOT_APPLICABLE})
_FEW = 8


def write(directory: Path, record: Mapping[str, Any], product: Product, signer: CryptoSigner) -> Path:
    """Write ``bundle.zip`` of the run whose reports are in a directory, and return its path.

    ``record`` is its ``results.json``, of which :func:`missing` says nothing. Raises :class:`ReportDirError`.
    """
    try:
        return put_by(directory / NAME, lambda file: _write(file, directory, record, product, signer))
    except OSError as error:
        raise ReportDirError(str(directory), error.strerror or str(error)) from error


def _write(
    file: BinaryIO, directory: Path, record: Mapping[str, Any], product: Product, signer: CryptoSigner
) -> None:
    listed = json.loads(read_file(directory / manifest.NAME))["files"]
    files: dict[str, bytes | Path] = {name: directory / name for name in (*listed, manifest.NAME)}
    files |= added(record, product)
    writer = ArchiveWriter(file)
    for name, content in sorted(files.items()):
        writer.add(name, content)
    digests = [(ARCHIVE, writer.digest()), *((name, _digest(files[name])) for name in SIGNED)]
    sealed = seal(statement(record, product, digests, signer.public_key), signer)
    writer.close(ENVELOPE, sealed)


def added(record: Mapping[str, Any], product: Product) -> dict[str, bytes]:
    """Return the files that a bundle has beside those of the run, by name."""
    files = {PRODUCT: _text(product.document()), TARGET: _text(record["target"])}
    for block in record["contracts"]:
        for entry in sorted(contract_folder(block["id"]).iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".yaml"):
                files[f"{CONTRACTS}/{block['id']}/{entry.name}"] = entry.read_bytes()
    return files


def missing(record: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each thing that a run lacks to be a certification; none where it lacks nothing.

    Whether it is conformant is another question: a failed run can be certified to have failed.
    """
    return list(_missing(record))


def _missing(record: Mapping[str, Any]) -> Iterator[str]:
    if record["profile"] != Profile.CERTIFY:
        yield f"its profile is {record['profile']}, not certify"
    for name in ("partial", "interrupted", "trouble"):
        if record[name]:
            yield f"it is not a whole run: {record[name]}"
    if record["options"].get("baseline") is not None or record["baseline"]:
        yield "a baseline was given"
    fuzz = record["options"].get("fuzz", {})
    if not fuzz.get("on") or fuzz.get("corpus") != "whole" or not fuzz.get("generated"):
        yield "it was not fuzzed with the whole corpus and generated requests"
    if record["options"].get("defects") or record["options"].get("variations"):
        yield "it judged the embedded reference with defects or variations"
    # A row that a failure kept from being judged was put to the test, and the run is not conformant anyway.
    failed = {case["id"] for case in record["cases"] if case["verdict"] == Verdict.FAILED}
    open_rows = [
        row["id"]
        for row in record["requirements"]
        if not row["excluded"] and row["verdict"] not in _EXECUTED and failed.isdisjoint(row["cases"])
    ]
    if open_rows:
        more = f" and {len(open_rows) - _FEW} more" if len(open_rows) > _FEW else ""
        yield f"{len(open_rows)} required rows were not executed: {', '.join(open_rows[:_FEW])}{more}"
    if record["clock_skew"] is None:
        yield "the clock skew is not known: no answer had a Date"
    yield from _unknown_server(record)


def _unknown_server(record: Mapping[str, Any]) -> Iterator[str]:
    tables = [table for table in record["target"].values() if isinstance(table, Mapping)]
    addresses = [record["target"]["base_url"], *(table.get("base_url") for table in tables)]
    for address in filter(None, dict.fromkeys(addresses)):
        yield from _unknown(urlsplit(address), record)


def _unknown(url: SplitResult, record: Mapping[str, Any]) -> Iterator[str]:
    name = f"{url.hostname}:{url.port or (443 if url.scheme == 'https' else 80)}"
    server = next((block for block in record["servers"] if block["name"] == name), None)
    if server is None or not server["addresses"]:
        yield f"the address of the server {name} was not recorded"
    if server is None or not server["certificates"]:
        yield f"no TLS certificate of {name} was recorded" + (
            "" if url.scheme == "https" else f": the target speaks {url.scheme}"
        )


def _digest(content: bytes | Path) -> str:
    if isinstance(content, Path):
        return digest_and_size(content)[0]
    return hashlib.sha256(content).hexdigest()


def _text(document: Any) -> bytes:
    return manifest.text_of(document).encode("utf-8", "backslashreplace")
