"""Whether the parts of a record fit together: numbers of exchanges, addresses, times, dates, correlation ids.

Pure. Each function returns a sentence for each thing that does not fit.
"""

from __future__ import annotations

import json
import re
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from kms_conformance.evidence.exchange import Exchange
from kms_conformance.evidence.header_values import http_date
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run

_NUMBER = re.compile(r"(.*?x+)(\d{5,})")
_SHARD = re.compile(r"s(\d+)x")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VARIABLE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32,}|kmsct-[\w-]+")
_NAME, _SIGN, _STEM = re.compile(r"kmsct-([0-9A-Za-z]{8,})-", re.IGNORECASE), re.compile(r"[^0-9A-Za-z]"), 8
_AGENT = re.compile(r"kms-conformance/(\S+) \((.*)\)(?: challenge/(\S+))?", re.DOTALL)
_APART, _SKEWED, _NEARLY_ALL = 1.0, 60.0, 0.95


def complaints(run: Run, record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each thing that does not fit."""
    exchanges = [exchange for case in run.cases for exchange in case.exchanges]
    yield from _numbers(run, exchanges, record)
    targets = [record["target"], *(part["target"] for part in record["shards"])]
    yield from _addresses(exchanges, targets)
    whole = "+".join(sorted(part["run_id"] for part in record["shards"]))
    if record["shards"] and record["run_id"] != whole:
        yield f"results.json: run_id is {record['run_id']}, and its shards make it {whole}"
    yield from _agents(exchanges, str(record["suite"]["version"]), record["options"].get("challenge"))
    deferred = _deferred(run, record)
    yield from _times(run, deferred)
    yield from _dates(exchanges)
    yield from _correlations(exchanges)
    yield from _clocks(run, targets)
    yield from _names(run, record, deferred)
    yield from _profile(record)
    yield from _once(run)


def _once(run: Run) -> Iterator[str]:
    """Check that no case is there twice: it would be counted twice."""
    names = Counter(case.id for case in run.cases)
    for name, times in names.items():
        if times > 1:
            yield f"results.json: the case {name} is there {times} times"


def _numbers(run: Run, exchanges: Sequence[Exchange], record: Mapping[str, Any]) -> Iterator[str]:
    """Check that no exchange is there twice, and that not more are missing than were sent and not kept."""
    seen: dict[str, set[int]] = {}
    for exchange in exchanges:
        match = _NUMBER.fullmatch(exchange.id)
        if match is None:
            yield f"transcript.har: the exchange {exchange.id!r} has no number"
            continue
        numbers = seen.setdefault(match[1], set())
        if int(match[2]) in numbers:
            yield f"transcript.har: the exchange {exchange.id} is there twice"
        numbers.add(int(match[2]))
    dropped = sum(case.checks - len(case.expectations) for case in run.cases)
    allowed = dropped + int(record["requests"]["throttled"])
    gaps = [
        f"{prefix}{number:05d}"
        for prefix, numbers in seen.items()
        for number in range(1, max(numbers))
        if number not in numbers
    ]
    if len(gaps) > allowed:
        yield f"transcript.har: {len(gaps)} exchanges are missing, the first is {gaps[0]}"
    if int(record["requests"]["sent"]) < len(exchanges):
        yield f"results.json: requests.sent is {record['requests']['sent']}, and transcript.har has {len(exchanges)}"


def shard_of(case: CaseResult) -> str:
    """Return the number of the shard that a case of a merged run comes from, ``""`` where the run was one."""
    part = _SHARD.match(case.exchanges[0].id) if case.exchanges else None
    return part[1] if part else ""


def _addresses(exchanges: Iterable[Exchange], targets: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    tables = [table for target in targets for table in target.values() if isinstance(table, Mapping)]
    roots = [target.get(name) for target in targets for name in ("base_url", "rescue_url")]
    named = [*roots, *(table.get("base_url") for table in tables)]
    bases = tuple(str(url).rstrip("/") + "/" for url in named if url)
    for exchange in exchanges:
        if not f"{exchange.sent.url}/".startswith(bases) and not exchange.notes.get("raw"):
            yield f"transcript.har: exchange {exchange.id} went to {exchange.sent.url!r}, which the target of results.json does not name"


def _agents(exchanges: Iterable[Exchange], version: str, challenge: str | None) -> Iterator[str]:
    for exchange in exchanges:
        match = _AGENT.fullmatch(exchange.sent.headers.get("user-agent", ""))
        if match is not None and match[1] != version:
            yield f"transcript.har: exchange {exchange.id} names version {match[1]} of the suite, results.json {version}"
        elif match is not None and match[2] != exchange.case and "<" not in match[2]:
            yield f"transcript.har: exchange {exchange.id} of {exchange.case} names the case {match[2]}"
        elif match is not None and match[3] != challenge:
            yield f"transcript.har: exchange {exchange.id} carries the challenge {match[3]}, results.json {challenge}"


def _deferred(run: Run, record: Mapping[str, Any]) -> set[str]:
    """Return the cases that an earlier run may have begun: they wait longer than a run may, and nobody moves a clock."""
    parts = {part["shard"].partition("/")[0]: part["target"] for part in record["shards"]}
    deferred = set()
    for case in run.cases:
        target = parts.get(shard_of(case), record["target"])
        if not target["control"] and case.waited > float(target["limits"]["max_wait"]):
            deferred.add(case.id)
    return deferred


def _times(run: Run, deferred: Collection[str]) -> Iterator[str]:
    if run.finished < run.started:
        yield "results.json: the run has finished before it started"
    for case in run.cases:
        ended = case.started + case.duration
        ran = bool(case.started and case.exchanges)
        if ran and not run.started - _APART <= case.started <= ended <= run.finished + _APART:
            yield f"results.json: {case.id} ran outside the time of the run"
        # A deferred case has exchanges of an earlier run.
        begun = -1.0 if case.id in deferred else case.started
        for exchange in case.exchanges:
            if (
                not begun - _APART
                <= exchange.started
                <= exchange.started + exchange.duration
                <= ended + _APART
            ):
                yield f"transcript.har: exchange {exchange.id} lies outside the time of {case.id}"
                break


def _dates(exchanges: Iterable[Exchange]) -> Iterator[str]:
    """Check the ``Date`` of each answer by that of the others; an endpoint whose dates follow no clock is not checked."""
    apart = [(exchange, skew) for exchange in exchanges if (skew := _skew(exchange)) is not None]
    if not apart:
        return
    median = statistics.median(skew for _, skew in apart)
    outliers = [(exchange, skew) for exchange, skew in apart if abs(skew - median) > _SKEWED]
    if len(outliers) > (1 - _NEARLY_ALL) * len(apart):
        return
    for exchange, skew in outliers:
        yield f"transcript.har: the Date of exchange {exchange.id} is {skew - median:,.0f} s off those of the other answers"


def _skew(exchange: Exchange) -> float | None:
    date = None if exchange.answer is None else http_date(exchange.answer.headers.get("date", ""))
    return None if date is None else date - exchange.started


def _correlations(exchanges: Iterable[Exchange]) -> Iterator[str]:
    """Check that no two cases share the id of a request that the suite has made."""
    owners: dict[str, str] = {}
    for exchange in exchanges:
        correlation = exchange.sent.headers.get("correlation-id", "")
        if _UUID.fullmatch(correlation) and owners.setdefault(correlation, exchange.case) != exchange.case:
            yield f"transcript.har: exchange {exchange.id} has the correlation id of an exchange of {owners[correlation]}"


def _clocks(run: Run, targets: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Check that no shared instance's clock goes back: the control protocol moves it forward only, and a skew stays."""
    fresh = {
        case.contract
        for case in run.cases
        for target in targets
        if "fresh" in {_table(target, case.contract).get(name) for name in ("instance", "account")}
    }
    seen: dict[tuple[str, str], float] = {}
    for case in sorted(run.cases, key=lambda case: case.started):
        if case.clock_ahead and case.contract not in fresh:
            of_run = (case.contract, shard_of(case))
            if case.clock_ahead < seen.get(of_run, case.clock_ahead) - _SKEWED:
                yield f"results.json: clock_ahead_s of {case.id} is {case.clock_ahead:g}, less than of a case before it"
            seen[of_run] = max(case.clock_ahead, seen.get(of_run, case.clock_ahead))


def _table(target: Mapping[str, Any], contract: str) -> Mapping[str, Any]:
    """Return what a target says of a contract's endpoint: a table of its own, or the target itself."""
    table = target.get(contract)
    return table if isinstance(table, Mapping) else target


def _names(run: Run, record: Mapping[str, Any], deferred: Collection[str]) -> Iterator[str]:
    """Check that the names in requests are of this run, whose id they begin with; a deferred case began in an earlier one."""
    ids = [record["run_id"], *(part["run_id"] for part in record["shards"])]
    own = {_SIGN.sub("", str(run_id)).casefold()[:_STEM] for run_id in ids}
    for case in run.cases:
        if case.id in deferred and any(
            exchange.started < run.started - _APART for exchange in case.exchanges
        ):
            continue
        for exchange in case.exchanges:
            if exchange.notes.get("phase"):
                continue  # clean-up may be of what an earlier run has left
            text = f"{exchange.sent.url} {json.dumps(exchange.sent.body)}"
            foreign = next((name for name in _NAME.findall(text) if name.casefold()[:_STEM] not in own), None)
            if foreign is not None:
                yield f"transcript.har: exchange {exchange.id} names a thing of run {foreign}, results.json is of {record['run_id']}"
                break


def kind_of_control(asked: Sequence[Any]) -> str:
    """Return a request of the control protocol without ids and names, as which it stands for others of its kind."""
    return _VARIABLE.sub("", json.dumps(asked[:3]))


def done_by_control(run: Run) -> dict[str, str]:
    """Return the kinds of requests that the control protocol has answered, each with an exchange that came after it."""
    return {
        kind_of_control(note[1:]): exchange.id
        for case in run.cases
        for exchange in case.exchanges
        for note in json.loads(exchange.notes.get("before", "[]"))
        if note[0] == "control"
    }


def _profile(record: Mapping[str, Any]) -> Iterator[str]:
    """Check what the command line says of itself against what the results say."""
    words = [str(word) for word in record["command_line"]]
    for option, recorded in (("--profile", record["profile"]), ("--edition", record["edition"])):
        given = [after for before, after in pairwise(words) if before == option]
        given += [word.partition("=")[2] for word in words if word.startswith(f"{option}=")]
        if given and given[-1] != recorded:
            yield f"results.json: the command line says {option} {given[-1]}, the record {recorded}"


def missing_cases(run: Run, installed: Iterable[str]) -> list[str]:
    """Return the cases of the suite's version that a record does not have."""
    recorded = {case.id for case in run.cases}
    return sorted(case_id for case_id in installed if case_id not in recorded)


def unknown_cases(run: Run, installed: Iterable[str]) -> list[CaseResult]:
    """Return the cases of a record that the suite's version does not have: somebody's own."""
    installed_ids = set(installed)
    return [case for case in run.cases if case.id not in installed_ids]
