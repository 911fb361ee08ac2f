"""``kms-conformance verify``: check a signed bundle, offline."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kms_conformance.cli.contradictions import show_contradictions
from kms_conformance.errors import ExitCode
from kms_conformance.verification.keys import read_public
from kms_conformance.verification.verify import verify


@click.command("verify")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--key", type=click.Path(path_type=Path), metavar="PUB", help="Public key of who should have signed."
)
@click.option("--challenge", default="", metavar="TEXT", help="The text that the run had to carry.")
def command(bundle: Path, key: Path | None, challenge: str) -> None:
    """Check BUNDLE without any network: signature, digests, completeness, and every exchange again.

    Without --key it is shown that nothing was changed since it was signed, and not who has signed it.

    Exit code: that of the run when everything is as recorded; 6 with a sentence when the bundle is refused; 2 when a key
    cannot be read, or the bundle is of another version of the suite.
    """
    verified = verify(bundle, read_public(key) if key else None, challenge)
    examination = verified.examination
    click.echo(f"{examination.headline} ({examination.scope})")
    for line in verified.about:
        click.echo(line)
    for note in examination.notes:
        click.echo(f"note: {note}")
    show_contradictions("refused", examination.problems)
    if not examination.problems:
        click.echo("verified: signature, digests, completeness, and every exchange judged again")
    sys.exit(ExitCode.NOT_AS_RECORDED if examination.problems else examination.exit_code)
