"""``repro/<case>.py``: each failed case as a script that sends its whole sequence again.

Made from the evidence alone: the recorded requests, what they took from earlier answers, and the expectations that did
not hold. The script needs Python and nothing else (see ``repro_runtime``); frames of a system's own it makes by modules that it
brings along (``repro_frames``). What cannot be sent again without the suite (requests that no client sends, parts
of a ciphertext) it says, and ends with 2.
"""

from __future__ import annotations

import ast
import hashlib
import json
import pprint
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from kms_conformance.contract import messages
from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence import damage, members, octets
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.judging import order
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs import (
    repro_checks,
    repro_credentials,
    repro_histories,
    repro_pages,
    repro_runtime,
    repro_sealing,
    repro_sending,
    repro_tries,
    repro_values,
)
from kms_conformance.outputs.files import put
from kms_conformance.outputs.repro_frames import frames_of, packed_speaker
from kms_conformance.outputs.repro_model import packed_model
from kms_conformance.outputs.repro_steps import RecordedSequence
from kms_conformance.outputs.repro_values import UUID
from kms_conformance.system import systems

NAME = "repro"
MARK = "#!/usr/bin/env python3\n# A reproduction by kms-conformance.\n"
_LONGEST_NAME = 120


def write(run: Run, directory: Path) -> Path:
    """Write a script for each failed case and return their directory, which is not there where none failed."""
    place = directory / NAME
    for old in place.glob("*.py") if place.is_dir() else ():
        if old.read_text(encoding="utf-8", errors="replace").startswith(MARK):
            old.unlink()
    files = render(run)
    if files:
        place.mkdir(exist_ok=True)
    elif place.is_dir() and not any(place.iterdir()):
        place.rmdir()
    for name, text in files.items():
        put(place / name, text)
    return place


def render(run: Run) -> dict[str, str]:
    """Return the scripts by file name: of cases whose system is installed here, which those of a merged run need not be."""
    failed = [case for case in run.cases if case.verdict is Verdict.FAILED and case.contract in systems()]
    owners = _owners(run) if failed else {}
    return {file_name(case.id): _script(run, case, owners) for case in failed}


def file_name(case_id: str) -> str:
    """Return the name of a case's script: its id, with a digest where signs had to be left out."""
    plain = re.sub(r"[^\w.\-\[\]]", "_", case_id, flags=re.ASCII)
    if plain != case_id or len(plain) > _LONGEST_NAME:
        plain = f"{plain[:_LONGEST_NAME]}-{hashlib.sha256(case_id.encode()).hexdigest()[:8]}"
    return f"{plain}.py"


def _script(run: Run, case: CaseResult, owners: Mapping[str, str]) -> str:
    document = pprint.pformat(_document(run, case, owners), width=110, sort_dicts=False)
    title = json.dumps(f"{case.title}")
    return (
        f"{MARK}# Case {case.id} of run {run.meta.get('run_id', '')}.\n"
        "# Exit code: 0 the promise holds, 1 it is broken, 2 the sequence could not be sent.\n"
        "# Environment: KMS_TOKEN (or KMS_API_KEY and KMS_IAM_URL; KMS_TOKEN_<IDENTITY> for others), KMS_BASE_URL,\n"
        "# KMS_INSTANCE, and KMS_CONTROL_URL where the endpoint has the control protocol: else waits are really waited.\n"
        "# Requests that were signed are sent unsigned, or with the header in KMS_AUTHORIZATION.\n"
        f"\n{_runtime()}\n\n"
        f"TITLE = {title}\n"
        f"CASE = {document}\n"
        "\n"
        'if __name__ == "__main__":\n    print(TITLE)\n    sys.exit(main(CASE))\n'
    )


@cache
def _runtime() -> str:
    """Return the source of what every script needs, as one module."""
    parts = [
        _source(module)
        for module in (
            members,
            damage,
            octets,
            order,
            messages,
            repro_checks,
            repro_credentials,
            repro_histories,
            repro_pages,
            repro_sealing,
            repro_sending,
            repro_tries,
            repro_values,
            repro_runtime,
        )
    ]
    imports = sorted({line for lines, _ in parts for line in lines})
    return "\n".join(["from __future__ import annotations", "", *imports, "", "", *(own for _, own in parts)])


def _source(module: ModuleType) -> tuple[list[str], str]:
    """Return the imports of a module from the standard library, and the rest of it without its docstring."""
    text = Path(str(module.__file__)).read_text(encoding="utf-8")
    lines = text.splitlines()
    imports = []
    for node in reversed(ast.parse(text).body):
        is_import = isinstance(node, ast.Import | ast.ImportFrom)
        if is_import and not ast.unparse(node).startswith(("from __future__", "from kms_conformance")):
            imports.append(ast.unparse(node))
        if is_import or node.col_offset == node.lineno - 1 == 0:
            del lines[node.lineno - 1 : node.end_lineno]
    return imports, "\n".join(lines).strip() + "\n\n"


def _document(run: Run, case: CaseResult, owners: Mapping[str, str]) -> dict[str, Any]:
    """Return everything that the script has to know."""
    target = run.meta.get("target", {})
    base = _base(case.exchanges, target)
    recorded = RecordedSequence(case, load_contract(case.contract), base, owners)
    steps = recorded.exchanges
    instance = _instance(steps)
    system = systems().get(case.contract)
    grant = system.grant if system else None
    why_not = recorded.cannot()
    document = {
        "id": case.id,
        "run": str(run.meta.get("run_id", "")),
        "base_url": base,
        "instance": instance,
        "grant": [grant.type, grant.member] if grant else [],
        "kept": [] if _is_fresh(target, case.contract) else [instance],
        "cannot": why_not,
        "forms": {
            token: form
            for exchange in steps
            for token, form in json.loads(exchange.notes.get("forms", "{}")).items()
        },
    }
    if why_not:
        return {**document, "schemas": {}, "first": {}, "steps": [], "clean_up": []}
    sent, undone = recorded.steps(), list(recorded.clean_up())
    more: dict[str, Any] = {"schemas": recorded.schemas(), "first": recorded.first()}
    if recorded.is_by_chance:
        more["tries"] = recorded.tries
    if recorded.is_history:
        contract = load_contract(case.contract)
        more |= {"code_at": contract.reason.code, "model": packed_model(contract.id)}
    frames = frames_of(case.contract)
    if frames is not None and recorded.has_frames:
        more["speaker"] = packed_speaker(frames.speaker)
    return {**document, **more, "steps": sent, "clean_up": undone}


def _owners(run: Run) -> dict[str, str]:
    """Return the identity of each credential: of what an identity sends most often it is the owner."""
    sent: dict[str, Counter[str]] = {}
    for case in run.cases:
        for exchange in case.exchanges:
            credential = exchange.sent.headers.get("authorization", "")
            if credential.startswith("Bearer <token:"):
                sent.setdefault(exchange.identity, Counter())[credential] += 1
    return {counter.most_common(1)[0][0]: identity for identity, counter in sent.items()}


def _base(steps: Sequence[Exchange], target: Mapping[str, Any]) -> str:
    urls = [target.get("base_url", "")]
    urls += [
        table["base_url"] for table in target.values() if isinstance(table, Mapping) and "base_url" in table
    ]
    servers = [
        str(url).rstrip("/") for url in urls if steps and steps[0].sent.url.startswith(str(url).rstrip("/"))
    ]
    return servers[0] if servers else str(target.get("base_url", ""))


def _instance(steps: Sequence[Exchange]) -> str:
    """Return the id that stands in most requests: the instance's."""
    instances = Counter(
        value
        for exchange in steps
        for value in set(
            UUID.findall(
                " ".join(
                    [
                        exchange.sent.url,
                        *(text for name, text in exchange.sent.headers.items() if name != "correlation-id"),
                    ]
                )
            )
        )
    )
    return instances.most_common(1)[0][0] if instances else ""


def _is_fresh(target: Mapping[str, Any], contract: str) -> bool:
    table = target.get(contract)
    places = table if isinstance(table, Mapping) else target
    return "fresh" in {places.get("instance"), places.get("account")}
