"""Judge servers that nobody here has written, and compare what is found with what is known of them.

Run by ``make foreign``. What is repaired or broken upstream is shown as a difference and fails nothing of ours;
``--keep`` writes it down as known, ``--report`` the field report. A defect of the proxy that no case sees does fail.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]

from defects import unseen
from field_report import Judged, write_report
from findings import cases_of, differences, findings_of, keep, known_findings
from servers import (
    ROOT,
    SERVERS,
    NotInstallableError,
    NotStartedError,
    Server,
    installed,
    running,
    target_text,
)

LONGEST_RUN = 600
REPORTS = ROOT / "reports" / "out" / "foreign"
"""Where the reports are left that the field report was made of, with a script for each failed case."""


def results_of(server: Server, url: str, folder: Path, expression: str = "") -> dict[str, Any]:
    """Judge a server from the command line; return ``results.json``. The reports are left in the folder.

    ``expression`` chooses cases, as ``run -k`` does.
    """
    (folder / "target.toml").write_text(target_text(url, server), encoding="utf-8")
    command = [sys.executable, "-m", "kms_conformance", "run", "--target", "target.toml"]
    ended = subprocess.run(
        [*command, "--report-dir", "report", *(["-k", expression] if expression else [])],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_RUN,
    )
    if ended.returncode not in {0, 1, 3}:
        sys.exit(f"{server.name}: the suite ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    document: dict[str, Any] = json.loads((folder / "report" / "results.json").read_text(encoding="utf-8"))
    return document


def judge(
    server: Server, proved: set[str], *, defects: bool, keeps_reports: bool, expression: str = ""
) -> tuple[Judged, list[str]]:
    """Judge a server; return what was found, and a line for each defect of the proxy that no case sees.

    Raises :class:`NotInstallableError` and :class:`NotStartedError`.
    """
    programs = installed(server)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with running(server, programs, folder) as url:
            results = results_of(server, url, folder, expression)
            if keeps_reports:
                shutil.copytree(folder / "report", REPORTS / server.name, dirs_exist_ok=True)
            missed = list(unseen(server, url, folder, results, proved)) if defects else []
        return Judged.of(server, results, folder / "report"), [f"{server.name}: {line}" for line in missed]


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(SERVERS)))
@click.option("--keep", "keeps", is_flag=True, help="Write what is found down as known.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the field report to this file.")
@click.option("-k", "expression", default="", metavar="EXPR", help="Only these cases, as with `run -k`.")
@click.option("--defects/--no-defects", default=True, help="Prove rows with the defects of a proxy.")
def main(names: tuple[str, ...], expression: str, *, keeps: bool, report: Path | None, defects: bool) -> None:
    """Judge the servers, or those that are named."""
    if expression and (keeps or report or defects):
        raise click.UsageError(
            "some cases are compared only: leave out --keep and --report, and add --no-defects."
        )
    judged: list[Judged] = []
    missed: list[str] = []
    proved: set[str] = set()
    for server in (SERVERS[name] for name in names or SERVERS):
        try:
            one, unproved = judge(
                server, proved, defects=defects, keeps_reports=report is not None, expression=expression
            )
        except NotInstallableError as error:
            click.echo(f"{server.name} {server.version}: skipped, it cannot be installed here: {error}")
            continue
        except NotStartedError as error:
            click.echo(f"{server.name} {server.version}: skipped, it does not start here: {error}")
            continue
        judged.append(one)
        missed += unproved
        results = one.results
        findings = findings_of(results)
        counts = ", ".join(f"{number} {verdict}" for verdict, number in results["counts"].items() if number)
        click.echo(f"{server.name} {server.version}: {counts}; {len(findings)} rows broken")
        for line in differences(
            known_findings(server.name, cases_of(results) if expression else None), findings
        ):
            click.echo(f"  {line}")
        if keeps:
            click.echo(f"  kept in {keep(server.name, server.version, findings)}")
    if report is not None and judged:
        write_report(report, judged)
        click.echo(f"written: {report}")
    if proved:
        click.echo(f"{len(proved)} defects of the proxy are seen")
    for line in missed:
        click.echo(f"no case sees {line}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
