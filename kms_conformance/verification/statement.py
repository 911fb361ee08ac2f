"""What a bundle's signature covers: an in-toto Statement about the run, in a DSSE envelope. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import Error, VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from kms_conformance.contract.severity import Verdict
from kms_conformance.verification.keys import SHOWN, pem_of, public_of
from kms_conformance.verification.product import Product

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
OWN = "kmsConformance"
"""The member of the predicate that is ours; readers of the predicate type ignore what they do not know."""


def statement(
    record: Mapping[str, Any], product: Product, digests: Sequence[tuple[str, str]], key: SSlibKey
) -> dict[str, Any]:
    """Return the statement about a run; ``digests`` are names and SHA-256 of what it is about."""
    issued = datetime.fromisoformat(record["finished"])
    expires = issued + timedelta(days=product.days)
    by_verdict: dict[str, list[str]] = {}
    for case in record["cases"]:
        by_verdict.setdefault(case["verdict"], []).append(case["id"])
    warned = by_verdict.get(Verdict.WARNED, [])
    return {
        "_type": STATEMENT_TYPE,
        "subject": [_digested(name, digest) for name, digest in digests],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": _result(record["exit_code"], warned=bool(warned)),
            "configuration": [
                _digested(f"contract {block['id']}, edition {block['edition']}", block["sha256"])
                for block in record["contracts"]
            ],
            "passedTests": by_verdict.get(Verdict.PASSED, []),
            "warnedTests": warned,
            "failedTests": by_verdict.get(Verdict.FAILED, []),
            OWN: {
                "verdict": record["headline"],
                "attestation": product.attestation,
                "product": product.document(),
                "target": record["target"]["base_url"],
                "challenge": record["options"].get("challenge", ""),
                "run_id": record["run_id"],
                "suite": {name: record["suite"][name] for name in ("version", "commit")},
                "issued": record["finished"],
                "expires": expires.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "public_key": pem_of(key),
            },
        },
    }


def _result(exit_code: int, *, warned: bool) -> str:
    if exit_code:
        return "FAILED"
    return "WARNED" if warned else "PASSED"


def _digested(name: str, digest: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": digest}}


def seal(document: Mapping[str, Any], signer: CryptoSigner) -> bytes:
    """Return the envelope of a statement as it is written: signed, one text only."""
    envelope = Envelope(_text(document), PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return _text(envelope.to_dict())


def unseal(sealed: bytes, trusted: SSlibKey | None) -> tuple[dict[str, Any], SSlibKey]:
    """Return the statement of an envelope and the key that has signed it.

    Without a trusted key the one that the statement itself names is taken: that shows that nothing was changed since, and
    not who has signed. Raises :class:`ValueError` with a sentence where the envelope is not ours or not signed by the key.
    """
    try:
        parsed = json.loads(sealed)
        envelope = Envelope.from_dict(json.loads(sealed))
        document = json.loads(envelope.payload)
        key = public_of(document["predicate"][OWN]["public_key"].encode("ascii"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, Error) as error:
        raise ValueError("its envelope cannot be read") from error
    if trusted is not None and trusted.keyid != key.keyid:
        raise ValueError(
            f"it was signed with another key ({key.keyid[:SHOWN]} instead of {trusted.keyid[:SHOWN]})"
        )
    if envelope.payload_type != PAYLOAD_TYPE or list(envelope.signatures) != [key.keyid]:
        raise ValueError("its envelope holds no signature of the key that its statement names")
    try:
        envelope.verify([trusted or key], threshold=1)
    except VerificationError as error:
        raise ValueError("its signature does not fit what it covers") from error
    # The same envelope can be written in many ways; only ours is taken.
    if _text(parsed) != sealed or _text(envelope.to_dict()) != sealed or _text(document) != envelope.payload:
        raise ValueError("its envelope is not written the way that this suite writes one")
    return document, key


def _text(document: Any) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode("ascii")
