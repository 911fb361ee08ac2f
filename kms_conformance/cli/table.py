"""``kms-conformance table``: products by sections, of verified bundles only."""

from __future__ import annotations

import sys
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import click

from kms_conformance.errors import BundleError, ExitCode, RecordError
from kms_conformance.outputs.files import put
from kms_conformance.outputs.table import Listed, render
from kms_conformance.verification.bundle import NAME
from kms_conformance.verification.keys import read_public
from kms_conformance.verification.verify import verify


@click.command("table")
@click.argument("places", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PUB",
    help="A key that may sign; without any, every key may.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="table.html",
    show_default=True,
    help="Where the page goes.",
)
def command(places: tuple[Path, ...], keys: tuple[Path, ...], output: Path) -> None:
    """Write one static page of the bundles in DIR... (or of the bundles themselves): products by sections.

    Each bundle is verified first, and one that is refused is not shown. Exit code: 0 all are shown, 6 some were refused,
    2 a key cannot be read.
    """
    trusted = {read_public(key).keyid for key in keys}
    shown, refused = [], 0
    for place in places:
        path = place / NAME if place.is_dir() else place
        try:
            shown.append(_verified(path, trusted))
        except (BundleError, RecordError) as error:
            click.echo(f"not shown: {error.sentence}", err=True)
            refused += 1
    put(output, render(shown, f"{datetime.now(UTC):%Y-%m-%d}"))
    click.echo(f"{output}: {len(shown)} of {len(places)} bundles")
    sys.exit(ExitCode.NOT_AS_RECORDED if refused else ExitCode.CONFORMANT)


def _verified(path: Path, trusted: Collection[str]) -> Listed:
    """Return what the table shows of a bundle; raise :class:`BundleError` where it is refused."""
    verified = verify(path)
    signer = verified.key.keyid
    if trusted and signer not in trusted:
        raise BundleError(str(path), f"none of the given keys has signed it, but {signer[:16]}")
    if verified.examination.problems:
        raise BundleError(str(path), verified.examination.problems[0])
    return Listed(verified.own, signer, verified.record)
