"""Two runs side by side: what fails now, what is mended, which answers have changed. Pure.

The document fits ``schemas/compare.schema.json``. Ids, times and the tokens of secrets differ between any two runs and are
left out of every comparison.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import BadValueError
from kms_conformance.judging.groups import without_variable_parts
from kms_conformance.outputs.stored import Answer, StoredExchange, StoredRun

SCHEMA_VERSION = "1.0"
_BROKEN = frozenset({Verdict.FAILED, Verdict.ERROR})
_GREEN = frozenset({Verdict.PASSED, Verdict.WARNED})
_ENOUGH, _TIMES, _LEAST = 10, 1.5, 0.02
"""From how many answers on, by which factor and by how many seconds (of the median) an operation counts as slower."""
_MOST_CASES = 5

Case = Mapping[str, Any]
_plainly = cache(without_variable_parts)


def demand_alike(before: StoredRun, after: StoredRun) -> None:
    """Refuse runs that were judged by other measures; raise :class:`BadValueError`."""
    for name, one, other in (
        ("contracts", _contracts(before), _contracts(after)),
        ("profile", before.record["profile"], after.record["profile"]),
        ("edition", before.record["edition"], after.record["edition"]),
    ):
        if one != other:
            why = f"the two runs differ in {name}: the first has {one}, the second {other}"
            raise BadValueError("DIR", str(after.directory), why, "compare them nevertheless by --anyway.")


def _contracts(run: StoredRun) -> str:
    return ", ".join(f"{block['id']} {block['sha256'][:12]}" for block in run.record["contracts"])


def compare(before: StoredRun, after: StoredRun) -> dict[str, Any]:
    """Return the comparison as a document."""
    renamed = dict(_renamed(before, after))
    pairs = [
        (before.cases[old], after.cases[new])
        for old in before.cases
        if (new := renamed.get(old, old)) in after.cases
    ]
    known_before, known_after = {a["id"] for a, _ in pairs}, {b["id"] for _, b in pairs}
    differences = {
        "newly_failing": [_pair(a, b) for a, b in pairs if _broke(a, b)],
        "fixed": [_pair(a, b) for a, b in pairs if a["verdict"] in _BROKEN and b["verdict"] in _GREEN],
        "other_verdict": [_pair(a, b) for a, b in pairs if _otherwise(a, b)],
        "new": [_alone(case) for name, case in after.cases.items() if name not in known_after],
        "gone": [_alone(case) for name, case in before.cases.items() if name not in known_before],
        "changed_answers": _changed_answers(before, after, renamed),
        **_groups(before, after),
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "same": not any(differences.values()),
        "before": _about(before),
        "after": _about(after),
        **differences,
        "renamed": [{"before": old, "after": new} for old, new in renamed.items()],
        "slower": list(_slower(before, after)),
    }


def _about(run: StoredRun) -> dict[str, Any]:
    record = run.record
    return {
        "directory": str(run.directory),
        "verdict": record["verdict"],
        "headline": record["headline"],
        "base_url": record["target"]["base_url"],
        "finished": record["finished"],
        "run_id": record["run_id"],
        "suite": record["suite"]["version"],
    }


def _broke(before: Case, after: Case) -> bool:
    return after["verdict"] in _BROKEN and before["verdict"] not in _BROKEN


def _otherwise(before: Case, after: Case) -> bool:
    mended = before["verdict"] in _BROKEN and after["verdict"] in _GREEN
    return bool(before["verdict"] != after["verdict"]) and not _broke(before, after) and not mended


def _pair(before: Case, after: Case) -> dict[str, Any]:
    return {**_alone(after), "was": before["verdict"]}


def _alone(case: Case) -> dict[str, Any]:
    return {
        "case": case["id"],
        "title": case["title"],
        "verdict": case["verdict"],
        "message": case["message"] or case["missing"],
    }


def _renamed(before: StoredRun, after: StoredRun) -> Iterator[tuple[str, str]]:
    """Yield the old and new id of each case that only its name sets apart: what it promises and says is the same."""
    gone = [case for name, case in before.cases.items() if name not in after.cases]
    new = [case for name, case in after.cases.items() if name not in before.cases]
    taken: set[str] = set()
    for mark in (_rule, _title):
        ours, theirs = _by(mark, gone, taken), _by(mark, new, taken)
        for key, names in ours.items():
            if len(names) == 1 and len(theirs.get(key, ())) == 1:
                taken |= {names[0], theirs[key][0]}
                yield names[0], theirs[key][0]


def _rule(case: Case) -> tuple[Any, ...]:
    return (case["contract"], tuple(sorted(case["requirements"])), case["rule"], case["title"])


def _title(case: Case) -> tuple[Any, ...]:
    return (case["contract"], case["title"], case["id"].rpartition("[")[2])


def _by(mark: Any, cases: Iterable[Case], taken: set[str]) -> dict[Any, list[str]]:
    by_mark: dict[Any, list[str]] = defaultdict(list)
    for case in cases:
        if case["id"] not in taken:
            by_mark[mark(case)].append(case["id"])
    return by_mark


def _changed_answers(before: StoredRun, after: StoredRun, renamed: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the answers that differ, one entry for all cases in which the same answer became the same other one.

    Cases that send several requests at the same moment are left out.
    """
    at_once = before.overlapping | after.overlapping
    earlier, later = _by_step(before, renamed), _by_step(after, {})
    places_of: dict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for place, exchanges in earlier.items():
        if place[0] in at_once:
            continue
        was, now = _apart(exchanges, later.get(place, []))
        if was and now:
            first = next(one for one in later[place] if one.answer in now)
            places_of[first.operation, _words(was), _words(now)].append((place[0], first.exchange))
    return [
        {
            "operation": operation,
            "before": was,
            "after": now,
            "times": len(places),
            "cases": list(dict.fromkeys(case for case, _ in places))[:_MOST_CASES],
            "exchange": places[0][1],
        }
        for (operation, was, now), places in sorted(places_of.items(), key=lambda entry: -len(entry[1]))
    ]


def _apart(
    earlier: Sequence[StoredExchange], later: Sequence[StoredExchange]
) -> tuple[set[Answer], set[Answer]]:
    """Return the answers to a step that only one run has; where it was asked as often, each answer counts as often as it came.

    Where a case asks until something has happened, the number of its requests says nothing.
    """
    one, other = (Counter(exchange.answer for exchange in step) for step in (earlier, later))
    if one.total() != other.total():
        return one.keys() - other.keys(), other.keys() - one.keys()
    return set(one - other), set(other - one)


def _words(answers: Iterable[Answer]) -> str:
    return "; ".join(sorted(answer.text for answer in answers))


def _by_step(run: StoredRun, renamed: Mapping[str, str]) -> dict[tuple[str, str], list[StoredExchange]]:
    """Return the exchanges by case and step, without what differs between any two runs."""
    by_step: dict[tuple[str, str], list[StoredExchange]] = defaultdict(list)
    for exchange in run.exchanges:
        plain = exchange.answer._replace(message=_plainly(exchange.answer.message))
        by_step[renamed.get(exchange.case, exchange.case), _plainly(exchange.step)].append(
            exchange._replace(answer=plain)
        )
    return by_step


def _groups(before: StoredRun, after: StoredRun) -> dict[str, list[dict[str, Any]]]:
    """Return the causes that only one of the runs has."""
    ours, theirs = _causes(before), _causes(after)
    return {
        "new_groups": [group for key, group in theirs.items() if key not in ours],
        "gone_groups": [group for key, group in ours.items() if key not in theirs],
    }


def _causes(run: StoredRun) -> dict[tuple[str, ...], dict[str, Any]]:
    members = ("contract", "section", "severity", "expected", "got")
    return {
        tuple(group[name] for name in members): {
            **{name: group[name] for name in members},
            "cases": len(group["cases"]),
            "exchange": group["exchange"],
        }
        for group in run.record["groups"]
    }


def _slower(before: StoredRun, after: StoredRun) -> Iterator[dict[str, Any]]:
    ours = {block["operation"]: block for block in before.record["latency"]}
    for block in after.record["latency"]:
        old = ours.get(block["operation"])
        if old is None or min(old["count"], block["count"]) < _ENOUGH:
            continue
        was, now = float(old["p50_s"]), float(block["p50_s"])
        if now > _TIMES * was and now - was > _LEAST:
            yield {"operation": block["operation"], "p50_before_s": was, "p50_after_s": now}


def summary_line(document: Mapping[str, Any]) -> str:
    """Return in a line how much differs."""
    names = (
        ("newly_failing", "newly failing"),
        ("fixed", "fixed"),
        ("other_verdict", "with another verdict"),
        ("new", "new"),
        ("gone", "gone"),
        ("renamed", "renamed"),
        ("changed_answers", "changed answers"),
        ("slower", "slower operations"),
    )
    parts = [f"{len(entries)} {words}" for name, words in names if (entries := _entries(document, name))]
    return ", ".join(parts) or "no verdict, no cause and no answer differs"


def _entries(document: Mapping[str, Any], name: str) -> Sequence[Any]:
    entries: Sequence[Any] = document[name]
    return entries
