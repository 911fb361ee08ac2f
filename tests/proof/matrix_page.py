"""`docs/kill-matrix.md`: the kill matrix as a page. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from cases import law_of

from kms_reference.defects import LAW_OF

_MOST = 6


def render(matrix: Mapping[str, Any]) -> str:
    """Return the page: figures, defects with who finds them, cases with what they find, variations."""
    kills = Counter(case for row in matrix["defects"] for case in row["found_by"])
    lines = [
        "# Kill matrix",
        "",
        "Written by `make matrix`; do not edit. Each defect of the reference endpoints is switched on alone and judged by",
        "the cases of its contract; a case finds a defect when it fails. A new defect or case is run with all that it can",
        "meet; of the pairs that are known to find nothing, a quarter is run again. `kill-matrix.json` has who finds what.",
        "",
        "| contract | cases | defects | found | variations | alarms |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    contracts = dict.fromkeys(case["contract"] for case in matrix["cases"])
    lines += [_figures(matrix, contract) for contract in contracts]
    lines += _laws(matrix)
    lines += [
        "",
        "## Defects",
        "",
        "| defect | what is broken | its sections | found by | cases that fail |",
        "|---|---|---|---|---:|",
    ]
    lines += [_defect(row) for row in matrix["defects"]]
    lines += ["", "## Cases", "", "| case | MUST | defects found |", "|---|---|---:|"]
    lines += [
        f"| `{case['id']}` | {'yes' if case['must'] else 'no'} | {kills[case['id']]} |"
        for case in matrix["cases"]
    ]
    lines += [
        "",
        "## Variations",
        "",
        "| variation | what differs | verdict | cases that warn |",
        "|---|---|---|---:|",
    ]
    lines += [
        f"| `{row['name']}` | {_cell(row['doc'])} | {row['verdict']} | {len(row['warned'])} |"
        for row in matrix["variations"]
    ]
    return "\n".join(lines) + "\n"


def _laws(matrix: Mapping[str, Any]) -> list[str]:
    """Return the part about laws: what each is made for, and how much of that it finds."""
    lines = ["", "## Laws", "", "| law | cases | defects made for it | found |", "|---|---:|---:|---:|"]
    for law in dict.fromkeys(LAW_OF.values()):
        rows = [row for row in matrix["defects"] if LAW_OF.get(row["name"]) == law]
        noticed = sum(bool(row["found_by"] or row["warned"]) for row in rows)
        cases = sum(law_of(case["id"]) == law for case in matrix["cases"])
        lines.append(f"| {law} | {cases} | {len(rows)} | {noticed} |")
    return lines


def _figures(matrix: Mapping[str, Any], contract: str) -> str:
    cases = sum(case["contract"] == contract for case in matrix["cases"])
    defects = [row for row in matrix["defects"] if row["contract"] == contract]
    variations = [row for row in matrix["variations"] if row["contract"] == contract]
    failed = sum(bool(row["found_by"]) for row in defects)
    alarms = sum(row["verdict"] != "conformant" for row in variations)
    return f"| {contract} | {cases} | {len(defects)} | {failed} | {len(variations)} | {alarms} |"


def _defect(row: Mapping[str, Any]) -> str:
    shown = [f"`{case.partition('.')[2]}`" for case in row["found_by"][:_MOST]]
    more = len(row["found_by"]) - len(shown)
    finders = ", ".join(shown) + (f" and {more} more" if more else "")
    if not finders:
        finders = "**nobody**" + (f" ({len(row['warned'])} warn)" if row["warned"] else "")
    sections = ", ".join(row["sections"]) or "any"
    return f"| `{row['name']}` | {_cell(row['doc'])} | {sections} | {finders} | {len(row['found_by'])} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
