"""Bundles for tests: certification runs of a small contract, signed, and the same bundles taken apart and put together."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kms_conformance.errors import BundleError
from kms_conformance.evidence.serialization import from_document, to_document
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs import manifest, results
from kms_conformance.run.options import FuzzOptions, Options
from kms_conformance.run.session import Session
from kms_conformance.verification import archive, bundle
from kms_conformance.verification.keys import read_public, read_signer
from kms_conformance.verification.product import Product
from kms_conformance.verification.statement import seal, statement
from kms_conformance.verification.verify import verify

CHALLENGE = "board-2026-11-29"
DEFECT = "iks-no-credentials-as-200"
URL = "https://kms.example.test"
CERTIFICATE = {
    "tls": "TLSv1.3",
    "cipher": "TLS_AES_256_GCM_SHA384",
    "sha256": "ab" * 32,
    "subject": "CN=kms.example.test",
    "issuer": "CN=Example CA",
    "not_before": "2026-01-01T00:00:00Z",
    "not_after": "2027-01-01T00:00:00Z",
}
PRODUCT = {
    "product": {
        "vendor": "Example Ltd",
        "name": "Example KMS",
        "version": "4.2",
        "url": "https://kms.example.test",
        "contact": "kms@example.test",
    },
    "signer": {"role": "vendor", "name": "Example Ltd"},
}
TAMPERINGS = 1000


@dataclass(frozen=True)
class Made:
    """Report directories of a sound and of a broken server, with the bundles of both, and the keys."""

    folder: Path
    sound: Path
    broken: Path
    product: Product

    @property
    def key(self) -> Path:
        """The signer's public key."""
        return self.folder / "vendor.pub"

    @property
    def bundle(self) -> Path:
        """The bundle of the sound server."""
        return self.sound / bundle.NAME


def certified(defect: str, product: Product) -> Run:
    """Return a certification run of a whole contract, the smallest, as it would come from a server with TLS."""
    from cases import collected  # noqa: PLC0415 - beside this file
    from in_process import reference, without_sockets  # noqa: PLC0415 - same

    cases = collected("iks")
    options = Options(
        profile=Profile.CERTIFY,
        contracts=("iks",),
        challenge=CHALLENGE,
        product=product.about,
        fuzz=FuzzOptions(whole=True, generate=True),
    )
    with without_sockets(), reference(defect=defect) as (target, _):
        session = Session(options, target)
        session.expects(len(cases))
        for case in cases.values():
            session.run_case(session.open(case.info), case.body)
        run = session.outcome()
        session.close()
    servers = [
        {"name": server, "addresses": [server], "certificates": [CERTIFICATE]} for server in served(run)
    ]
    text = json.dumps(to_document(replace(run, meta={**run.meta, "servers": servers})))
    for server in served(run):
        text = text.replace(f"http://{server}", f"https://{server}")
    return from_document(Run, json.loads(text))


def served(run: Run) -> list[str]:
    """Return host and port of each address of a run's target."""
    target = json.dumps(run.meta["target"])
    return sorted({word.split("/")[2] for word in target.split('"') if word.startswith("http")})


def refused(path: Path, made: Made, **options: Any) -> str:
    """Return the sentence by which a bundle is refused; fail when it is accepted."""
    try:
        verified = verify(path, read_public(made.key), **options)
    except BundleError as error:
        return error.why
    assert verified.examination.problems, "it was accepted"
    return verified.examination.problems[0]


def files_of(path: Path, folder: Path) -> dict[str, bytes]:
    """Return the files of a bundle by name, without its envelope."""
    shutil.rmtree(folder, ignore_errors=True)
    archive.Archive(path, path.read_bytes()).unpack(folder)
    return {
        place.relative_to(folder).as_posix(): place.read_bytes()
        for place in sorted(folder.rglob("*"))
        if place.is_file()
    }


def packed(path: Path, files: dict[str, bytes], sealed: bytes) -> Path:
    """Write a bundle of these files with this envelope."""
    path.write_bytes(archive_of(sorted(files.items()), bundle.ENVELOPE, sealed))
    return path


def archive_of(
    files: Iterable[tuple[str, bytes]], name: str, content: bytes | Callable[[str], bytes]
) -> bytes:
    """Return an archive of these files and a last entry, which may depend on the digest of what is before it."""
    file = io.BytesIO()
    writer = archive.ArchiveWriter(file)
    for one, text in files:
        writer.add(one, text)
    writer.close(name, content if isinstance(content, bytes) else content(writer.digest()))
    return file.getvalue()


def signed_anew(path: Path, files: dict[str, bytes], key: Path, product: Product) -> Path:
    """Write a bundle of these files with everything that whoever has a key can make fit, the manifest included."""
    listed = json.loads(files[manifest.NAME])
    listed["files"] = {
        name: {"sha256": _digest(files[name]), "size": len(files[name])} for name in listed["files"]
    }
    files = {**files, manifest.NAME: manifest.text_of(listed).encode()}
    signer = read_signer(key)

    def sealed(digest: str) -> bytes:
        digests = [(bundle.ARCHIVE, digest), *((name, _digest(files[name])) for name in bundle.SIGNED)]
        return seal(statement(json.loads(files[results.NAME]), product, digests, signer.public_key), signer)

    path.write_bytes(archive_of(sorted(files.items()), bundle.ENVELOPE, sealed))
    return path


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
