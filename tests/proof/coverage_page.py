"""Write `docs/coverage.md`: run every contract's cases against the embedded reference, and tell what that has covered."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from kms_conformance.system import default_systems
from tools.coverage import coverage_of, render

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"


def results_of_runs(folder: Path) -> list[Any]:
    """Run each contract's cases and return their `results.json`; the reports are left in folders of the contracts' names.

    Raises :class:`subprocess.CalledProcessError` when a run fails.
    """
    documents = []
    for contract in default_systems():
        directory = folder / contract
        command = [sys.executable, "-m", "kms_conformance", "run", "--contract", contract]
        subprocess.run(
            [*command, "--report-dir", str(directory)], cwd=folder, check=True, capture_output=True
        )
        documents.append(json.loads((directory / "results.json").read_text(encoding="utf-8")))
    return documents


def main() -> int:
    """Write the page; return 1, with a line for each gap, when the pages are not covered."""
    with tempfile.TemporaryDirectory() as folder:
        coverages = coverage_of(results_of_runs(Path(folder)))
    PAGE.write_text(render(coverages), encoding="utf-8")
    for coverage in coverages:
        counts = ", ".join(f"{number} {state.value}" for state, number in coverage.counts.items() if number)
        click.echo(
            f"{coverage.contract.id}: {len(coverage.promises)} promises, {counts}: {coverage.share:.1%}"
        )
    gaps = [gap for coverage in coverages for gap in coverage.gaps]
    for gap in gaps:
        click.echo(gap)
    return 1 if gaps else 0


if __name__ == "__main__":
    sys.exit(main())
