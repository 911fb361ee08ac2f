"""A run in parts, on many machines: which cases a part takes, what it leaves behind, and how parts become one run.

Parts share nothing. A case belongs to a part by its id alone, and a part's folder holds its cases with all their
evidence, so that the merged run has the verdict, the rows and the reports that one run would have had.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kms_conformance.contract.case_index import listed_cases
from kms_conformance.contract.contract import load_contract
from kms_conformance.errors import BadValueError
from kms_conformance.evidence.serialization import from_document, to_document
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs.baseline import accepted, entries_of, settle
from kms_conformance.outputs.files import put

_FLAG, _WRITES = "--shard-durations", "`kms-conformance campaign plan` writes such a file."
NAME = "shard.json"
FORMAT = 1
_TEXT = re.compile(r"([1-9]\d*)/([1-9]\d*)")
_NOTE = re.compile(r"this is shard ([1-9]\d*/[1-9]\d*)(?:, cut by durations)?;")
# What parts must have in common to be parts of one run.
_SAME = ("profile", "edition", "suite", "contracts", "options", "baseline", "cases_in_all", "durations")
_UNKNOWN = 0.1
"""Seconds that a case takes of which no earlier run tells anything; each case costs at least a tenth of it."""


def read_shard(text: str) -> tuple[int, int]:
    """Return number and total of ``2/3``; ``""`` is the whole, ``(1, 1)``. Raises :class:`BadValueError`."""
    if not text:
        return (1, 1)
    match = _TEXT.fullmatch(text)
    number, total = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= total:
        raise BadValueError("--shard", text, "it is no part of a whole", "write --shard 1/3, 2/3 and 3/3.")
    return number, total


def in_shard(case_ids: Iterable[str], shard: str, durations: Mapping[str, float] | None = None) -> set[str]:
    """Return the cases of a part: every n-th of all, in the order of their ids.

    With ``durations`` (seconds by case id) each case, the longest first, joins the part that has least to do so far. The
    same durations make the same parts everywhere.
    """
    number, total = read_shard(shard)
    ids = sorted(case_ids)
    if not durations:
        return set(ids[number - 1 :: total])
    seconds = {case_id: max(durations.get(case_id, _UNKNOWN), _UNKNOWN / 10) for case_id in ids}
    parts: list[tuple[float, int]] = [(0.0, part) for part in range(1, total + 1)]
    own = set()
    for case_id in sorted(ids, key=lambda case_id: (-seconds[case_id], case_id)):
        load, part = heapq.heappop(parts)
        heapq.heappush(parts, (round(load + seconds[case_id], 6), part))
        if part == number:
            own.add(case_id)
    return own


def read_durations(path: Path) -> dict[str, float]:
    """Return seconds by case id from a JSON file; raise :class:`BadValueError` where it holds anything else."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadValueError(_FLAG, str(path), error.strerror or "it cannot be read", _WRITES) from None
    except ValueError:
        raise BadValueError(_FLAG, str(path), "it is no JSON", _WRITES) from None
    durations: dict[str, Any] = document if isinstance(document, dict) else {"": None}
    if not all(isinstance(value, int | float) and value >= 0 for value in durations.values()):
        raise BadValueError(_FLAG, str(path), "it holds no seconds by case id", _WRITES)
    return {str(case_id): float(value) for case_id, value in durations.items()}


def note(shard: str, durations: Mapping[str, float] | None = None) -> str:
    """Return why the verdict of a part is not yet a verdict."""
    cut = ", cut by durations" if durations else ""
    return f"this is shard {shard}{cut}; `kms-conformance merge` makes one run of all"


def named_in(partial: str) -> str:
    """Return the shard, such as ``1/3``, that a note names; ``""`` where it names none."""
    named = _NOTE.search(partial)
    return named[1] if named else ""


def write_shard(
    run: Run,
    directory: Path,
    *,
    shard: str,
    cases_in_all: int,
    left_out: int = 0,
    baseline: Any = None,
    durations: Mapping[str, float] | None = None,
) -> Path:
    """Write what a part leaves behind for :func:`merge`.

    ``cases_in_all`` are those of all parts, ``left_out`` how many cases a selection leaves out of all; ``baseline`` is the
    document of the run's baseline, ``durations`` what the parts were cut by.
    """
    document = {
        "format": FORMAT,
        "shard": shard,
        "cases_in_all": cases_in_all,
        "left_out": left_out,
        "profile": run.profile.value,
        "partial": "" if run.partial == note(shard, durations) else run.partial,
        "durations": _digest(durations),
        "interrupted": run.interrupted,
        "trouble": run.trouble,
        "started": run.started,
        "finished": run.finished,
        "baseline": baseline,
        "meta": dict(run.meta),
        "cases": [to_document(case) for case in run.cases],
    }
    return put(directory / NAME, json.dumps(document) + "\n")


def merge(directories: Sequence[Path], *, all_parts: bool = True) -> Run:
    """Return the run that the parts make; raise :class:`BadValueError` when they are not parts of one run.

    Unless ``all_parts`` are there, which is demanded by default, the run says how many cases did not run.
    """
    parts = [_read(directory) for directory in directories]
    _demand_one_run(parts, directories, all_parts=all_parts)
    first = parts[0]
    cases = _cases(parts)
    contracts = [load_contract(block["id"]) for block in first["meta"]["contracts"]]
    rows = tuple(row for contract in contracts for row in contract.rows())
    missing = first["cases_in_all"] - len(cases)
    partial = next((part["partial"] for part in parts if part["partial"]), "")
    interrupted = next((part["interrupted"] for part in parts if part["interrupted"]), "")
    trouble = next((part["trouble"] for part in parts if part["trouble"]), "")
    if missing > 0 and not partial and not interrupted and not trouble:
        interrupted = f"{missing} of {first['cases_in_all']} cases did not run"
    entries = None if first["baseline"] is None else entries_of(first["baseline"])
    case_ids = [case.id for contract in contracts for case in listed_cases(contract.id)]
    complete = not partial and not interrupted and not trouble
    return Run(
        profile=Profile(first["profile"]),
        cases=cases,
        rows=rows,
        partial=partial,
        interrupted=interrupted,
        not_run=max(missing, 0) + max(part.get("left_out", 0) for part in parts),
        trouble=trouble,
        started=min(part["started"] for part in parts),
        finished=max(part["finished"] for part in parts),
        meta={**_meta([part["meta"] for part in parts]), "shards": [_shard(part) for part in parts]},
        baseline=() if entries is None else settle(entries, cases, case_ids, rows, complete=complete),
        accepted={case.id: reason for case in cases if (reason := accepted(case, entries or ()))},
    )


def _meta(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what describes the whole: as the first part says, the numbers of all added, what any left behind or asked."""
    requests = [part.get("requests", {}) for part in parts]
    servers = {
        json.dumps(server, sort_keys=True): server for part in parts for server in part.get("servers", ())
    }
    return {
        **parts[0],
        "run_id": "+".join(sorted(part["run_id"] for part in parts)),
        "requests": {name: sum(block.get(name, 0) for block in requests) for name in requests[0]},
        "left_behind": [line for part in parts for line in part.get("left_behind", ())],
        "servers": list(servers.values()),
        "identities": {name: block for part in parts for name, block in part.get("identities", {}).items()},
    }


def _shard(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells the parts of a merged run apart; the ids of a part's exchanges begin with ``s`` and its number."""
    meta = part["meta"]
    return {"shard": part["shard"], "run_id": meta["run_id"], "target": meta["target"]}


def _read(directory: Path) -> dict[str, Any]:
    path = directory / NAME
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise BadValueError(
                "DIR", str(path), f"its format is {document['format']!r}", "merge with the suite that ran it."
            )
        read_shard(document["shard"])
    except OSError as error:
        why = f"there is no {NAME} in it ({error.strerror})"
        raise BadValueError(
            "DIR", str(directory), why, "give the report directories of `run --shard i/n`."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise BadValueError(
            "DIR", str(path), f"it is not what `run --shard` writes ({error})", "run that shard again."
        ) from None
    return document


def _digest(durations: Mapping[str, float] | None) -> str:
    """Return what tells two ways to cut apart; ``""`` for the usual one."""
    return hashlib.sha256(json.dumps(durations, sort_keys=True).encode()).hexdigest() if durations else ""


def _demand_one_run(
    parts: Sequence[Mapping[str, Any]], directories: Sequence[Path], *, all_parts: bool
) -> None:
    shards = [read_shard(part["shard"]) for part in parts]
    total = shards[0][1]
    whole = [(number, total) for number in range(1, total + 1)]
    distinct = len(set(shards)) == len(shards) and set(shards) <= set(whole)
    if not distinct or (all_parts and len(shards) < total):
        given = ", ".join(part["shard"] for part in parts)
        raise BadValueError(
            "DIR",
            given,
            f"a whole of {total} parts needs each of them once",
            "give the directory of every shard.",
        )
    for part, directory in zip(parts, directories, strict=True):
        for name in _SAME:
            if _of(part, name) != _of(parts[0], name):
                raise BadValueError(
                    "DIR",
                    str(directory),
                    f"its {name} differs from the first one's",
                    "merge shards of one run only.",
                )
        if part["meta"]["contracts"] != [_contract(block["id"]) for block in part["meta"]["contracts"]]:
            raise BadValueError(
                "DIR",
                str(directory),
                "it was judged by other contracts than are installed here",
                "merge with the suite that ran it.",
            )


def _of(part: Mapping[str, Any], name: str) -> Any:
    return part[name] if name in part else part["meta"].get(name)


def _contract(contract_id: str) -> dict[str, Any]:
    contract = load_contract(contract_id)
    return {
        "id": contract.id,
        "title": contract.title,
        "edition": contract.edition,
        "sha256": contract.sha256,
    }


def _cases(parts: Sequence[Mapping[str, Any]]) -> tuple[CaseResult, ...]:
    """Return the cases in the order of their ids, the exchanges of each part under names of their own."""
    cases = []
    for part in parts:
        prefix = f"s{part['shard'].partition('/')[0]}"
        for case in part["cases"]:
            for exchange in case["exchanges"]:
                exchange["id"] = prefix + exchange["id"]
            for judged in (*case["findings"], *case["expectations"]):
                judged["exchange"] = judged["exchange"] and prefix + judged["exchange"]
            cases.append(from_document(CaseResult, case))
    return tuple(sorted(cases, key=lambda case: case.id))
