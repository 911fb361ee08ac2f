"""A comparison of two runs for reading: lines for a terminal, Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kms_conformance.outputs.compare import summary_line
from kms_conformance.outputs.text import duration_text, one_line, plural, shorten, wrapped

WIDTH = 100
_MOST, _MOST_LINES, _LEFT = 20, 3, 8
_BLOCKS = (
    ("newly_failing", "Newly failing"),
    ("fixed", "Fixed"),
    ("other_verdict", "Another verdict"),
    ("new", "New cases"),
    ("gone", "Gone cases"),
)


def lines(document: Mapping[str, Any], *, whole: bool = False, width: int = WIDTH) -> Iterator[str]:
    """Yield the comparison as lines of text for ``width`` columns; ``whole`` leaves nothing out."""
    width = max(width, 5 * _LEFT)
    for name in ("before", "after"):
        run = document[name]
        made = f"{run['base_url']}, {_minute(run)}, {run['directory']}"
        made_lines = [
            part for text in (run["headline"], made) for part in wrapped(one_line(text), width - _LEFT)
        ]
        yield f"{name + ':':{_LEFT}}{made_lines[0]}"
        yield from (f"{'':{_LEFT}}{part}" for part in made_lines[1:])
    yield ""
    yield f"{'SAME' if document['same'] else 'DIFFERENT'}: {summary_line(document)}"
    for title, entries in _blocks(document):
        yield ""
        yield f"{title} ({len(entries)})"
        shown = entries if whole else entries[:_MOST]
        for entry in shown:
            first, *more = wrapped(one_line(entry), width - 4, most=None if whole else _MOST_LINES)
            yield f"  {first}"
            yield from (f"    {part}" for part in more)
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
        output.append(f"| {name} | {_cell(run['headline'])} | {_cell(run['base_url'])} | {_minute(run)} |")
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
    return f"{group['severity']}, {plural(group['cases'], 'case')}, {_section(group)}: {expected}got {group['got']}"


def _section(group: Mapping[str, Any]) -> str:
    """Return what the section of a cause is called, or its anchor where this suite does not know the contract."""
    # Two equal runs need no contract, and reading one takes a third of the time.
    from kms_conformance.contract.contract import known_contracts, load_contract  # noqa: PLC0415 - as said

    contract, section = str(group["contract"]), str(group["section"])
    return load_contract(contract).section_title(section) if contract in known_contracts() else section


def _minute(run: Mapping[str, Any]) -> str:
    return f"{run['finished'][:16].replace('T', ' ')} UTC"


def _case(entry: Mapping[str, Any]) -> str:
    verdict = f"{entry['was']} -> {entry['verdict']}" if "was" in entry else str(entry["verdict"])
    message = f": {entry['message']}" if entry["message"] else ""
    return f"{verdict}  {entry['case']}{message}"


def _answer(entry: Mapping[str, Any]) -> str:
    times = f", {entry['times']} times" if entry["times"] > 1 else ""
    return f"{entry['operation'] or '(no operation)'}{times}: {entry['before']} -> {entry['after']} ({entry['cases'][0]}, {entry['exchange']})"


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
