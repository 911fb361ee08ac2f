"""``summary.md``: a page to read first, made for a pull request or a job's summary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.groups import FindingGroup
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run, counts_of, headline
from kms_conformance.outputs.about import facts, left_behind
from kms_conformance.outputs.files import put
from kms_conformance.outputs.html import NAME as REPORT
from kms_conformance.outputs.html import section_places
from kms_conformance.outputs.opted_out import opted_out
from kms_conformance.outputs.overview import (
    MOST_TEXT,
    Section,
    contract_title,
    failure_groups,
    first_of,
    group_title,
    rows_text,
    rule_of,
    sections,
    unjudged_rows,
    untested,
    warning_groups,
    with_verdict,
)
from kms_conformance.outputs.rerun import rerun_command
from kms_conformance.outputs.text import duration_text, one_line, plural, rfc3339, shorten

NAME = "summary.md"
# A job's summary has room for a megabyte; beyond this many the report tells the rest.
MOST_GROUPS = 50
MOST_CASES = 20
MOST_NAMES = 3

_ID = re.compile(r"[A-Za-z0-9]+")
_RUN = re.compile("`+")
_MARKUP = re.compile(r"([\\`*_\[\]<>|#~])")


def write(run: Run, directory: Path) -> Path:
    """Write ``summary.md`` and return its path."""
    return put(directory / NAME, render(run))


def render(run: Run) -> str:
    """Return the page in Markdown; its first line is the verdict line."""
    parts = [
        [f"**{_plain(headline(run))}**"],
        _about(run),
        _counts(run),
        _failures(run),
        _accepted(run),
        _left_behind(run),
        _others(run),
        _unjudged(run),
        _warnings(run),
        _untested(run),
        _opted_out(run),
        _sections(run),
        _made(run),
        [
            f"Every request and answer: [{REPORT}]({REPORT}) and `transcript.har`. The verdict as data: `results.json`."
        ],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _about(run: Run) -> list[str]:
    target = run.meta.get("target", {})
    parts = [f"Profile {_code(run.profile.value)}, edition {_code(str(run.meta.get('edition', 'page')))}"]
    if target.get("base_url"):
        parts.append(f"endpoint {_code(str(target['base_url']))}")
    parts.append(f"{rfc3339(run.started)}, {duration_text(run.finished - run.started)}")
    return [", ".join(parts) + "."]


def _counts(run: Run) -> list[str]:
    return [
        "| verdict | cases |",
        "|---|---:|",
        *(f"| {name} | {number} |" for name, number in counts_of(run)),
    ]


def _failures(run: Run) -> list[str]:
    groups = failure_groups(run)
    if not groups:
        return []
    cases = len({case_id for group in groups for case_id in group.cases})
    lines = [f"## What failed: {plural(cases, 'case')}, {plural(len(groups), 'cause')}"]
    for group in groups[:MOST_GROUPS]:
        lines += ["", *_group(run, group)]
    if len(groups) > MOST_GROUPS:
        lines += [
            "",
            f"And {plural(len(groups) - MOST_GROUPS, 'more cause')}: see [{REPORT}]({REPORT}#failures).",
        ]
    return lines


def _group(run: Run, group: FindingGroup) -> list[str]:
    title, _ = group_title(run, group)
    lines = [f"### {plural(len(group.cases), 'case')}: {_plain(one_line(title or group.contract))}", ""]
    if rule := rule_of(run, group):
        lines.append(f"- rule: {_plain(rule)}")
    if group.expected:
        lines.append(f"- expected: {_code(group.expected)}")
    lines += [
        f"- got: {_code(shorten(one_line(group.got), MOST_TEXT))}",
        f"- rows: {_names(group.rows)}",
        f"- cases: {_names(group.cases)}",
    ]
    if group.exchange:
        lines.append(f"- evidence: {_linked(group.exchange)}")
    lines.append(f"- again: {_code(rerun_command(run, group.case))}")
    return lines


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(map(_code, names[:MOST_NAMES]))
    return shown + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")


def _linked(exchange: str) -> str:
    """Return a link to an exchange in the report, or its id where that is no word of ours."""
    return f"[{exchange}]({REPORT}#{exchange})" if _ID.fullmatch(exchange) else _code(exchange)


def _accepted(run: Run) -> list[str]:
    """Return what the baseline accepts, and what is wrong with the baseline itself."""
    lines: list[str] = []
    broken_entries = [entry for entry in run.baseline if entry.breaks_run]
    if broken_entries:
        lines += [
            "## The baseline is wrong",
            "",
            *(f"- {_plain(entry.message)}" for entry in broken_entries),
            "",
        ]
    accepted = [case for case in with_verdict(run, Verdict.FAILED) if case.id in run.accepted]
    if accepted:
        lines += ["## Failures that the baseline accepts", ""]
        lines += [
            f"- {_code(case.id)}: {_plain(one_line(case.message))}; {_plain(run.accepted[case.id])}"
            for case in accepted
        ]
    return lines[:-1] if lines and not lines[-1] else lines


def _left_behind(run: Run) -> list[str]:
    lines = left_behind(run)
    if not lines:
        return []
    items = [f"- {_plain(one_line(line))}" for line in lines[:MOST_CASES]]
    if len(lines) > MOST_CASES:
        items.append(f"- and {len(lines) - MOST_CASES} more")
    return ["## Left behind", "", *items, "", "`kms-conformance sweep --yes` tries again to remove it."]


def _others(run: Run) -> list[str]:
    lines: list[str] = []
    for verdict, title in (
        (Verdict.ERROR, "Errors of the suite"),
        (Verdict.INCONCLUSIVE, "Inconclusive: a precondition did not hold"),
    ):
        cases = with_verdict(run, verdict)
        if cases:
            lines += ["", f"## {title}", "", *_listed(cases)]
    return lines[1:]


def _listed(cases: Sequence[CaseResult]) -> list[str]:
    lines = [
        f"- {_code(case.id)}: {_plain(one_line(case.message or case.title))}" for case in cases[:MOST_CASES]
    ]
    if len(cases) > MOST_CASES:
        lines.append(f"- and {len(cases) - MOST_CASES} more")
    return lines


def _unjudged(run: Run) -> list[str]:
    groups = unjudged_rows(run)
    if not groups:
        return []
    lines = [f"- {_names(rows)}: {_plain(one_line(why))}" for why, rows in groups[:MOST_CASES]]
    if len(groups) > MOST_CASES:
        lines.append(f"- and {len(groups) - MOST_CASES} more")
    return ["## Rows that a finding kept from being judged", "", *lines]


def _untested(run: Run) -> list[str]:
    groups = untested(run)
    if not groups:
        return []
    lines = ["## Not tested, and what to add", "", "| what is missing | cases |", "|---|---:|"]
    return lines + [f"| {_plain(one_line(missing))} | {len(cases)} |" for missing, cases in groups]


def _opted_out(run: Run) -> list[str]:
    rows = opted_out(run)
    if not rows:
        return []
    lines = ["## Not asked in another way", ""]
    lines += ["Cases are repeated with the same request in other forms, called views; these are not:", ""]
    lines += ["| view | why not | cases |", "|---|---|---|"]
    return lines + [
        f"| {_code(row.view)} | {_plain(one_line(row.why))} | {_names(row.cases)} |" for row in rows
    ]


def _warnings(run: Run) -> list[str]:
    groups = warning_groups(run)
    if not groups:
        return []
    lines = [
        f"- {first_of(group, _code(group.case))}: "
        + (f"expected {_code(group.expected)}, " if group.expected else "")
        + f"got {_code(shorten(one_line(group.got), MOST_TEXT))}"
        + (f" ({_linked(group.exchange)})" if group.exchange else "")
        for group in groups[:MOST_CASES]
    ]
    if len(groups) > MOST_CASES:
        lines.append(f"- and {len(groups) - MOST_CASES} more")
    return ["## Warnings", "", *lines]


def _sections(run: Run) -> list[str]:
    """Return the sections of which a row failed; the report has all."""
    all_sections = sections(run)
    if not all_sections:
        return []
    failed = [section for section in all_sections if _failed(section)]
    lines = [
        "## By section",
        "",
        f"Rows: {rows_text(run)}.",
        f"{plural(len(failed), 'section')} of {len(all_sections)} failed; all are in [{REPORT}]({REPORT}#sections).",
    ]
    if not failed:
        return lines
    places = section_places(run)
    return [
        *lines,
        "",
        "| contract | section | rows judged | failed |",
        "|---|---|---:|---:|",
        *(_section(run, section, places[section.contract, section.anchor]) for section in failed),
    ]


def _section(run: Run, section: Section, place: str) -> str:
    title = _plain(one_line(section.title))
    contract = _plain(one_line(contract_title(run, section.contract)))
    judged = f"{len(section.judged)} of {len(section.demanded)}"
    return f"| {contract} | [{title}]({REPORT}#{place}) | {judged} | {_failed(section)} |"


def _failed(section: Section) -> int:
    return sum(result.verdict is Verdict.FAILED for result in section.demanded)


def _made(run: Run) -> list[str]:
    rows = [f"| {name} | {_plain(one_line(text))} |" for name, text in facts(run)]
    return ["## How this run was made", "", "| | |", "|---|---|", *rows]


def _plain(text: str) -> str:
    """Return a text that Markdown shows as it is; a server has chosen part of it."""
    return _MARKUP.sub(r"\\\1", one_line(text))


def _code(text: str) -> str:
    """Return a text as a code span."""
    line = one_line(text) or " "
    fence = _fence(line, 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _fence(text: str, least: int) -> str:
    """Return a row of backticks longer than any in the text."""
    return "`" * max(least, 1 + max((len(run) for run in _RUN.findall(text)), default=0))
