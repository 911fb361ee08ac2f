"""``kms-conformance judge``: judge a stored run, or a merged campaign, again, without any network."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from kms_conformance.campaign.judged import CampaignExamination, examine_campaign, is_campaign
from kms_conformance.cli.contradictions import show_contradictions
from kms_conformance.errors import ExitCode
from kms_conformance.verification.check import examine


@click.command("judge")
@click.argument("directory", type=click.Path(path_type=Path))
def command(directory: Path) -> None:
    """Judge the run in DIRECTORY again, from its evidence alone, and say whether everything in it is as recorded.

    Where DIRECTORY is a merged campaign, each run below it is judged, and the page of all is made anew from them.
    Exit code: that of the run or campaign when everything is as recorded; 6 with a sentence for each thing that is not; 2
    when DIRECTORY holds neither, or none that can be read.
    """
    if is_campaign(directory):
        sys.exit(_campaign(directory))
    examination = examine(directory)
    click.echo(f"{examination.headline} ({examination.scope})")
    _tell("", examination.notes, examination.problems)
    if not examination.problems:
        click.echo("judged again: the same verdict, findings and counts as recorded")
    sys.exit(ExitCode.NOT_AS_RECORDED if examination.problems else examination.exit_code)


def _campaign(directory: Path) -> int:
    """Print what each run and the page of a campaign give, and return the exit code."""
    outcome = CampaignExamination()
    for told in examine_campaign(directory, outcome):
        place = f"{told.place}: " if told.place else ""
        click.echo(f"{place}{told.headline}")
        _tell(place, told.notes, told.problems)
    if outcome.broken or outcome.exit_code is None:
        return ExitCode.NOT_AS_RECORDED
    click.echo("judged again: each run, the page and its figures are as recorded")
    return outcome.exit_code


def _tell(place: str, notes: Iterable[str], problems: Iterable[str]) -> None:
    for note in notes:
        click.echo(f"note: {place}{note}")
    show_contradictions("not as recorded", [f"{place}{sentence}" for sentence in problems])
