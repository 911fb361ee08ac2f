"""``kms-conformance keygen``: a key pair for signing bundles."""

from __future__ import annotations

from pathlib import Path

import click

from kms_conformance.verification.keys import make_pair


@click.command("keygen")
@click.argument("name", type=click.Path(path_type=Path, dir_okay=False))
def command(name: Path) -> None:
    """Make an Ed25519 key pair: NAME.key, which signs and which nobody else may read, and NAME.pub, which checks.

    Exit code: 0 made, 2 one of the files is there already or cannot be written.
    """
    private, public, keyid = make_pair(name)
    click.echo(f"{private}: signs bundles (run --sign); keep it to yourself")
    click.echo(f"{public}: checks them (verify --key); publish it with its id {keyid}")
