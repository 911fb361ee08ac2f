"""Write ``contracts/<id>/views-index.json``: which outcomes each case asks for under each view, and what it costs.

``python -m tools.views_index CONTRACT`` runs every case under every view against the embedded reference and keeps the
pairs that passed and in which at least one request was made in the other way.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from kms_conformance.cli.judge_endpoint import judge
from kms_conformance.judging.results import CaseResult
from kms_conformance.laws.views import INDEX
from kms_conformance.run.options import FuzzOptions, Options
from kms_conformance.run.session import Session

ROOT = Path(__file__).parents[1]


def outcomes_of(case: CaseResult) -> set[str]:
    """Return the outcomes of the requests that a case has made in another way: "wrap key: 409 NAME @row"."""
    return {
        f"{exchange.step.removesuffix(' (old form)')}: {exchange.outcome} @{case.requirements[0]}"
        for exchange in case.exchanges
        if "view" in exchange.notes
    }


def text_of(document: dict[str, Any]) -> str:
    """Return the index as it is stored: one line for a case."""
    views = [
        f"{json.dumps(view)}: {{\n"
        + ",\n".join(f"{json.dumps(case)}: {json.dumps(numbers)}" for case, numbers in cases.items())
        + "\n}"
        for view, cases in document["views"].items()
    ]
    separator = ",\n"
    outcomes = separator.join(json.dumps(outcome) for outcome in document["outcomes"])
    requests = separator.join(f"{json.dumps(case)}: {n}" for case, n in document["requests"].items())
    return (
        f'{{"outcomes": [\n{outcomes}\n],\n"requests": {{\n{requests}\n}},\n'
        f'"views": {{\n{separator.join(views)}\n}}}}\n'
    )


def main(contract: str) -> int:
    """Write the index of a contract; return the exit code of the run that it rests on."""
    session = Session(Options(contracts=(contract,), fuzz=FuzzOptions(on=False)))
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch("kms_conformance.pytest_plugin.views.index_of", return_value={}),
    ):
        code = judge(session, Path(folder), ["-k", "laws.views"])
    views: dict[str, dict[str, set[str]]] = {}
    requests: dict[str, int] = {}
    for case in session.results.values():
        notes = [exchange.notes["view"] for exchange in case.exchanges if "view" in exchange.notes]
        if notes and case.verdict == "passed":
            name = case.id.removeprefix(f"{contract}.laws.views[{notes[0]}-").removesuffix("]")
            views.setdefault(notes[0], {})[name] = outcomes_of(case)
            requests[name] = max(requests.get(name, 0), len(case.exchanges))
    outcomes = sorted({outcome for cases in views.values() for found in cases.values() for outcome in found})
    number = {outcome: place for place, outcome in enumerate(outcomes)}
    document = {
        "outcomes": outcomes,
        "requests": dict(sorted(requests.items())),
        "views": {
            view: {
                case: sorted(number[outcome] for outcome in found) for case, found in sorted(cases.items())
            }
            for view, cases in sorted(views.items())
        },
    }
    path = ROOT / "contracts" / contract / INDEX
    path.write_text(text_of(document), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
