"""``kms-conformance corpus``: make a corpus of requests, and look at one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from kms_conformance.cli.checks import check_contracts
from kms_conformance.contract.corpus import Corpus, read_corpus, shipped_corpus
from kms_conformance.errors import BadValueError, ContractError
from kms_conformance.system import first_system


@click.group("corpus")
def command() -> None:
    """Make a corpus of fuzz requests, or look at one."""


@command.command("build")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the generators.")
@click.option(
    "--size", type=click.IntRange(min=1), default=20_400, show_default=True, help="How many requests."
)
@click.option("--contract", default="", help="Whose operations (default: the first system's).")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("fuzz-corpus.xz"),
    show_default=True,
    help="The file to write.",
)
def build(seed: int, size: int, contract: str, output: Path) -> None:
    """Generate requests for all operations and write them into one compressed file.

    The same seed and size give the same bytes, as long as Schemathesis and Hypothesis are the same; the file says which.
    """
    from kms_conformance.fuzz.generate import build as make  # noqa: PLC0415 - same

    (contract,) = check_contracts((contract or first_system().id,))
    content = make(contract, seed, size, lambda line: click.echo(line, err=True))
    output.write_bytes(content)
    _show(output)


@command.command("show")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--contract", default="", help="Whose corpus, without FILE (default: the first system's).")
def show(file: Path | None, contract: str) -> None:
    """Tell what FILE holds; without it, the corpus that comes with the suite."""
    if file is not None:
        _show(file)
        return

    (contract,) = check_contracts((contract or first_system().id,))
    corpus = shipped_corpus(contract, whole=True)
    if corpus is None:
        raise BadValueError(
            "--contract", contract, "no corpus comes with it", "`kms-conformance corpus build` makes one."
        )
    _tell(corpus)


def _show(path: Path) -> None:

    try:
        corpus = read_corpus(path, whole=True)
    except ContractError:
        hint = "`kms-conformance corpus build` makes one."
        raise BadValueError("FILE", str(path), "that is no corpus", hint) from None
    _tell(corpus)


def _tell(corpus: object) -> None:

    assert isinstance(corpus, Corpus)
    made = ", ".join(f"{name} {number}" for name, number in corpus.about["made_with"].items())
    kinds = ", ".join(
        f"{number} {kind}" for kind, number in sorted(Counter(entry.kind for entry in corpus.entries).items())
    )
    click.echo(f"sha256    {corpus.sha256}")
    click.echo(
        f"requests  {len(corpus.entries)} for {len({entry.operation for entry in corpus.entries})} operations ({kinds})"
    )
    click.echo(f"sample    {corpus.sample}")
    click.echo(f"made      seed {corpus.about['seed']}, by {made}")
