"""The product that a bundle is about, and who signs it: ``product.toml`` (``schemas/product.schema.json``)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kms_conformance.contract.schemas import SCHEMA_FILES
from kms_conformance.errors import BadValueError
from kms_conformance.outputs.files import read_file

CERTIFIER = "certifier"
_USUAL_DAYS = 365
_EXAMPLE = "docs/certification-programme.md shows a whole file."


@dataclass(frozen=True, slots=True)
class Product:
    """``about`` has vendor, name, version, url and contact; ``role`` and ``signer`` say who signs, for ``days``."""

    about: Mapping[str, str]
    role: str
    signer: str
    days: int

    @property
    def attestation(self) -> str:
        """Who vouches for the run, in a sentence."""
        if self.role == CERTIFIER:
            return f"Witnessed: {self.signer}, as certifier, has made the run and signs it with its own key."
        return f"Self-attested: {self.signer}, as vendor, has made the run and signs it with its own key; nobody else has seen it."

    def document(self) -> dict[str, Any]:
        """Return the block as it stands in a bundle."""
        return {
            "product": dict(self.about),
            "signer": {"role": self.role, "name": self.signer},
            "validity": {"days": self.days},
        }


def read_product(path: Path) -> Product:
    """Read ``product.toml``; raise :class:`BadValueError`."""
    try:
        document = tomllib.loads(read_file(path).decode("utf-8"))
    except OSError as error:
        raise BadValueError("--product", str(path), error.strerror or str(error), _EXAMPLE) from error
    except (ValueError, RecursionError) as error:
        raise BadValueError("--product", str(path), f"it is not TOML ({error})", _EXAMPLE) from error
    try:
        return product_of(document)
    except ValueError as error:
        raise BadValueError("--product", str(path), str(error), _EXAMPLE) from error


def product_of(document: Any) -> Product:
    """Return the product of a document; raise :class:`ValueError` where it breaks the schema."""
    complaint = SCHEMA_FILES.complaint("product", document)
    if complaint:
        raise ValueError(complaint)
    return Product(
        document["product"],
        document["signer"]["role"],
        document["signer"]["name"],
        document.get("validity", {}).get("days", _USUAL_DAYS),
    )
