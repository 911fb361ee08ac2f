"""What ``run --sign`` needs before it starts, and what it does at its end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kms_conformance.errors import BadValueError, ExitCode
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs import results
from kms_conformance.target.target import Target
from kms_conformance.verification import bundle
from kms_conformance.verification.keys import read_signer
from kms_conformance.verification.product import Product, read_product

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner


@dataclass(frozen=True, slots=True)
class Signing:
    """The product of a run, and the key that will sign it."""

    product: Product
    signer: CryptoSigner | None

    def conclude(self, run: Run, report_dir: Path) -> int:
        """Write ``bundle.zip``, or say what the run lacks to be signed; return the exit code.

        A run that was to be signed and is not does not end with 0.
        """
        if self.signer is None:
            return int(run.exit_code)
        record = results.render(run)
        lacking = bundle.missing(record)
        for sentence in lacking:
            click.echo(f"no bundle: {sentence}", err=True)
        if lacking:
            return int(run.exit_code) or int(ExitCode.NOT_VERIFIED)
        click.echo(f"bundle: {bundle.write(report_dir, record, self.product, self.signer)}")
        click.echo(self.product.attestation)
        return int(run.exit_code)


def signing_of(
    key: Path | None,
    product: Path | None,
    profile: str,
    target: Target | None,
    selection: list[str],
    shard: str,
) -> Signing | None:
    """Return what signs the run, ``None`` where nothing was asked for.

    Raises :class:`BadValueError` or :class:`kms_conformance.errors.KeyFileError` before the first request, where a bundle
    could not come out.
    """
    about = read_product(product) if product else None
    if key is None:
        return Signing(about, None) if about else None
    if about is None:
        raise BadValueError(
            "--sign", str(key), "the statement has to name the product", "add --product FILE."
        )
    if profile != Profile.CERTIFY:
        raise BadValueError("--profile", profile, "only a certification is signed", "add --profile certify.")
    if selection or shard:
        chosen = " ".join(selection) or f"--shard {shard}"
        raise BadValueError("--sign", chosen, "only a whole run is signed", f"leave out {chosen}.")
    if target is None or not target.base_url.startswith("https:"):
        url = target.base_url if target else "the embedded reference"
        advice = "name an endpoint that speaks https."
        raise BadValueError("--sign", url, "without TLS nothing shows which server has answered", advice)
    return Signing(about, read_signer(key))
