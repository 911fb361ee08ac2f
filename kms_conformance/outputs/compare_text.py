"""A comparison of two runs for reading: lines for a terminal, Markdown for a pull request. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kms_conformance.outputs.compare import summary_line
from kms_conformance.outputs.text import duration_text, one_line, plural, shorten

_MOST, _WIDTH = 20, 160
_BLOCKS = (
    ("newly_failing", "Newly failing"),
    ("fixed", "Fixed"),
    ("other_verdict", "Another verdict"),
    ("new", "New cases"),
    ("gone", "Gone cases"),
)


def lines(document: Mapping[str, Any], *, whole: bool = False) -> Iterator[str]:
    """Yield the comparison as lines of text; ``whole`` leaves nothing out."""
    for name in ("before", "after"):
        run = document[name]
        yield f"{name + ':':8}{run['headline']}  ({run['base_url']}, {run['finished'][:16]}, {run['directory']})"
    yield ""
    yield f"{'SAME' if document['same'] else 'DIFFERENT'}: {summary_line(document)}"
    for title, entries in _blocks(document):
        yield ""
        yield f"{title} ({len(entries)})"
        shown = entries if whole else entries[:_MOST]
        yield from (f"  {shorten(one_line(entry), 10_000 if whole else _WIDTH)}" for entry in shown)
        if len(shown) < len(entries):
            yield f"  ... and {len(entries) - len(shown)} more (--format json has all)"


def markdown(document: Mapping[str, Any]) -> str:
    """Return the comparison as Markdown."""
    output = [
        f"### Conformance: {'same' if document['same'] else 'different'}",
        "",
        summary_line(document),
        "",
    ]
    output += ["| | verdict | endpoint | finished |", "|---|---|---|---|"]
    for name in ("before", "after"):
        run = document[name]
        output.append(
            f"| {name} | {_cell(run['headline'])} | {_cell(run['base_url'])} | {run['finished'][:16]} |"
        )
    for title, entries in _blocks(document):
        output += ["", f"<details><summary>{title}: {len(entries)}</summary>", ""]
        output += [f"- {_cell(shorten(one_line(entry), 300))}" for entry in entries[:_MOST]]
        if len(entries) > _MOST:
            output.append(f"- and {len(entries) - _MOST} more")
        output += ["", "</details>"]
    return "\n".join(output) + "\n"


def _blocks(document: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield each block that has entries, with them in words."""
    blocks: list[tuple[str, list[str]]] = [
        ("New causes", [_group(group) for group in document["new_groups"]]),
        ("Causes that are gone", [_group(group) for group in document["gone_groups"]]),
    ]
    blocks += [(title, [_case(entry) for entry in document[name]]) for name, title in _BLOCKS]
    blocks.append(
        ("Renamed cases", [f"{entry['before']} is now {entry['after']}" for entry in document["renamed"]])
    )
    blocks.append(("Changed answers", [_answer(entry) for entry in document["changed_answers"]]))
    blocks.append(("Slower", [_slow(entry) for entry in document["slower"]]))
    yield from ((title, entries) for title, entries in blocks if entries)


def _group(group: Mapping[str, Any]) -> str:
    expected = f"expected {group['expected']}, " if group["expected"] else ""
    return f"{group['severity']}, {plural(group['cases'], 'case')}, {group['section']}: {expected}got {group['got']}"


def _case(entry: Mapping[str, Any]) -> str:
    verdict = f"{entry['was']} -> {entry['verdict']}" if "was" in entry else str(entry["verdict"])
    message = f": {entry['message']}" if entry["message"] else ""
    return f"{verdict}  {entry['case']}{message}"


def _answer(entry: Mapping[str, Any]) -> str:
    times = f", {entry['times']} times" if entry["times"] > 1 else ""
    return f"{entry['operation'] or '(no operation)'}: {entry['before']} -> {entry['after']}{times} ({entry['cases'][0]}, {entry['exchange']})"


def _slow(entry: Mapping[str, Any]) -> str:
    was, now = entry["p50_before_s"], entry["p50_after_s"]
    return f"{entry['operation'] or '(no operation)'}: {duration_text(was)} -> {duration_text(now)} (median)"


def _cell(text: str) -> str:
    """Return a text that stays one cell and no markup."""
    for character in "\\`*_[]<>|":
        text = text.replace(
            character,
            f"\\{character}" if character not in "<>" else f"&{'lt' if character == '<' else 'gt'};",
        )
    return text
