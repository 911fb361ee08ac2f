"""The field report: what servers that nobody here has written do, in a form that can be filed with those who write them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from servers import Server

LONGEST = 160
MOST_CASES = 4
HEAD = """# Field report

What the cases of the experimental contract `aws_kms` find in servers that others have written. `make field-report` writes
this page; `make foreign` compares a run with what is known of each server (`tests/foreign/known/`).

The promises are those of AWS's public API reference and table of key states; nobody has recorded the real service yet, so
a row may be wrong where these documents are. `contracts/aws_kms/errata.yaml` has the readings. Emulators promise less than the
service they stand for: a broken row here says that a test against the emulator proves less, not that anybody is unsafe.
Nothing of this has been filed by us.

`make field-report` also leaves the whole reports in `reports/out/foreign/<server>/`, with a script for each failed case in
`repro/`: it needs Python alone and sends the whole sequence again, such as

    KMS_BASE_URL=http://127.0.0.1:5000 python3 repro/aws_kms.cryptography.other_key.py

Requests are signed in reality; the lines below and the scripts leave the signature out, which none of these servers checks.
A value such as `<Plaintext:…>` stands for any value of its kind.
"""


@dataclass(frozen=True)
class Judged:
    """A server, what the run has found, and each exchange by its id, as the transcript has it."""

    server: Server
    results: Mapping[str, Any]
    exchanges: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, server: Server, results: Mapping[str, Any], folder: Path) -> Self:
        """Read the transcript of a run."""
        log = json.loads((folder / "transcript.har").read_text(encoding="utf-8"))["log"]
        exchanges = {str(entry["_kms"]["id"]): entry for entry in log["entries"]}
        return cls(server, results, exchanges)


def write_report(path: Path, judged: Sequence[Judged]) -> None:
    """Write the report."""
    path.write_text("\n".join(_lines(judged)) + "\n", encoding="utf-8")


def _lines(judged: Sequence[Judged]) -> Iterator[str]:
    yield HEAD
    yield "## Servers\n"
    yield "| server | version | judged on | cases passed | failed | no verdict | rows kept | rows broken |"
    yield "|---|---|---|---:|---:|---:|---:|---:|"
    for one in judged:
        counts = one.results["counts"]
        rows = [row["verdict"] for row in one.results["requirements"]]
        yield (
            f"| [{one.server.name}]({one.server.url}) | {one.server.version} | {one.results['started'][:10]} "
            f"| {counts['passed'] + counts['warned']} | {counts['failed']} | {counts['inconclusive']} "
            f"| {rows.count('passed')} | {rows.count('failed')} |"
        )
    yield "\n## Rows\n"
    yield f"| row | promise | {' | '.join(one.server.name for one in judged)} |"
    yield f"|---|---|{'---|' * len(judged)}"
    verdicts = [{row["id"]: row["verdict"] for row in one.results["requirements"]} for one in judged]
    for row in judged[0].results["requirements"]:
        shown = " | ".join(of.get(row["id"], "") for of in verdicts)
        if "failed" in shown:
            yield f"| `{row['id']}` | {row['text']} | {shown} |"
    for one in judged:
        yield f"\n## {one.server.name} {one.server.version}\n"
        yield from _promises(one)


def _promises(one: Judged) -> Iterator[str]:
    """Yield a paragraph for each broken promise: the first finding, and which other cases have found the same."""
    texts = {row["id"]: row["text"] for row in one.results["requirements"]}
    first: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    cases: dict[tuple[str, str, str], list[str]] = {}
    for case in one.results["cases"]:
        for finding in case["findings"]:
            if finding.get("severity") == "passed":
                continue
            operation = _operation(one, finding)
            key = (str(finding["requirement"]), operation, str(finding["expected"]))
            first.setdefault(key, finding)
            if case["id"] not in cases.setdefault(key, []):
                cases[key].append(str(case["id"]))
    for (row, operation, expected), finding in sorted(first.items()):
        yield f"### {row}: {operation}\n"
        yield f"{texts.get(row, '')} Expected {expected}.\n"
        yield "```"
        yield _shorter(_request(one, finding))
        yield f"-> {_shorter(_reply(one, finding))}"
        yield "```\n"
        named = cases[row, operation, expected]
        more = f" and {len(named) - MOST_CASES} more" if len(named) > MOST_CASES else ""
        yield f"Found by {', '.join(f'`{case}`' for case in named[:MOST_CASES])}{more}.\n"


def _entry(one: Judged, finding: Mapping[str, Any]) -> Mapping[str, Any]:
    return one.exchanges.get(str(finding.get("exchange", "")), {})


def _operation(one: Judged, finding: Mapping[str, Any]) -> str:
    return str(_entry(one, finding).get("_kms", {}).get("operation") or "any operation")


def _request(one: Judged, finding: Mapping[str, Any]) -> str:
    body = _entry(one, finding).get("request", {}).get("postData", {}).get("text", "{}")
    return f"{_operation(one, finding)} {body}"


def _reply(one: Judged, finding: Mapping[str, Any]) -> str:
    answer = _entry(one, finding).get("response", {})
    text = answer.get("content", {}).get("text", "")
    return f"{answer.get('status', 'no answer')} {text}".strip() if answer else str(finding["got"])


def _shorter(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
