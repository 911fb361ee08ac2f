"""What a job of GitHub Actions shows of a run: its summary, and an annotation for each cause of failures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from kms_conformance.judging.groups import FindingGroup
from kms_conformance.judging.verdict import Run, headline
from kms_conformance.outputs import summary
from kms_conformance.outputs.overview import failure_groups, group_title
from kms_conformance.outputs.text import plural, visible

LARGEST, MOST_ANNOTATIONS = 60_000, 10
"""Bytes of the summary, of which a step has room for more; annotations of a kind that a step may have."""
_CUT = "\n\nThe rest is in the report; a step's summary has no room for it.\n"


def tell(run: Run, environ: Mapping[str, str]) -> Iterator[str]:
    """Add the summary to the job's, where there is a job; yield the lines that annotate it."""
    place = environ.get("GITHUB_STEP_SUMMARY")
    if place:
        try:
            with Path(place).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(short_summary(run))
        except OSError as error:
            yield _command("warning", "KMS conformance", f"no summary could be added: {error.strerror}")
    if environ.get("GITHUB_ACTIONS") == "true":
        yield from workflow_commands(run)


def short_summary(run: Run) -> str:
    """Return ``summary.md``, cut at a line where it would be too large."""
    text = summary.render(run)
    if len(text.encode("utf-8", "backslashreplace")) <= LARGEST:
        return text
    room = LARGEST - len(_CUT)
    cut = text.encode("utf-8", "backslashreplace")[:room].decode("utf-8", "ignore")
    return cut.rpartition("\n")[0] + _CUT


def workflow_commands(run: Run) -> Iterator[str]:
    """Yield a workflow command for each cause of failures, the last one for all that are left; one where nothing failed."""
    groups = failure_groups(run)
    if not groups and run.exit_code:
        yield _command("error", "KMS conformance", headline(run))
    shown = groups if len(groups) <= MOST_ANNOTATIONS else groups[: MOST_ANNOTATIONS - 1]
    for group in shown:
        yield _command("error", _title(run, group), _annotation(group))
    if len(shown) < len(groups):
        rest = len(groups) - len(shown)
        yield _command("error", "KMS conformance", f"and {plural(rest, 'more cause')}; the report has all")


def _title(run: Run, group: FindingGroup) -> str:
    return f"{plural(len(group.cases), 'case')}: {group_title(run, group)[0] or group.contract}"


def _annotation(group: FindingGroup) -> str:
    expected = f"expected {group.expected}, " if group.expected else ""
    return f"{expected}got {group.got} (first in {group.case})"


def _command(kind: str, title: str, message: str) -> str:
    """Return a workflow command, in which a server's words cannot begin another one."""
    return f"::{kind} title={_escaped(title, ',:')}::{_escaped(message, '')}"


def _escaped(text: str, more: str) -> str:
    text = visible(" ".join(text.split())).replace("%", "%25")
    for character in more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text
