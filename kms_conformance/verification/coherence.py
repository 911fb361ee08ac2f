"""Whether the parts of a record fit together: numbers of exchanges, addresses, times, dates, correlation ids.

Pure. Each function returns a sentence for each thing that does not fit.
"""

from __future__ import annotations

import json
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.evidence.outline import Outline
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run
from kms_conformance.verification import command_lines, descriptions, exchange_checks

_NUMBER = re.compile(r"(.*?x+)(\d{5,})")
_SHARD = re.compile(r"s(\d+)x")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VARIABLE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32,}|kmsct-[\w-]+")
_NAME, _SIGN, _STEM = re.compile(r"kmsct-([0-9A-Za-z]{8,})-", re.IGNORECASE), re.compile(r"[^0-9A-Za-z]"), 8
_AGENT = re.compile(r"kms-conformance/(\S+) \((.*)\)(?: challenge/(\S+))?", re.DOTALL)
_NONE = bytes(16)
_APART, _SKEWED, _NEARLY_ALL = 1.0, 60.0, 0.95
_ROUNDED = 0.001
_LONGEST_IDLE = 3600.0
"""Seconds before the first case and after the last one in which an endpoint may be waited for, and things are removed."""
_OTHERS, _BESIDE = 2, 1_000
"""How many times as many requests may be sent as the evidence has, and how many more."""
_OFF = 10.0
"""Seconds by which the ``Date`` of an answer may be off those of the others, beside what the answer took."""


def complaints(run: Run, record: Mapping[str, Any], contents: Sequence[Content]) -> Iterator[str]:
    """Yield a sentence for each thing that does not fit; ``contents`` are those of the cases, in their order."""
    yield from _numbers(run, record)
    yield from _addresses(contents)
    whole = "+".join(sorted(part["run_id"] for part in record["shards"]))
    if record["shards"] and record["run_id"] != whole:
        yield f"results.json: run_id is {record['run_id']}, and its shards make it {whole}"
    yield from (sentence for content in contents for sentence in content.agents)
    yield from _times(run, record)
    yield from _dates(run)
    yield from _correlations(run, contents)
    yield from _clocks(run, [record["target"], *(part["target"] for part in record["shards"])])
    yield from (sentence for content in contents for sentence in (*content.names, *content.apart))
    yield from _profile(record)
    yield from command_lines.complaints(record, _case_names(record))
    yield from _requests(run, record, contents)
    yield from _once(run)
    yield from descriptions.complaints(run, record)


@dataclass(frozen=True, slots=True)
class Content:
    """What the requests of a case say, as far as other cases are concerned.

    ``addresses`` are the exchanges that went elsewhere than the target names, each with its URL; ``agents``, ``names`` and
    ``apart`` are sentences on what does not fit; ``throttled`` says how many requests were sent again, after how many seconds ``waited``; ``correlations`` are the ids that the suite has
    given the requests, 16 bytes each, zeros where it gave none; ``control`` are the kinds of requests that the control
    protocol has answered, each with an exchange that came after it.
    """

    addresses: tuple[tuple[str, str], ...] = ()
    agents: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    throttled: int = 0
    waited: float = 0.0
    correlations: bytes = b""
    control: Mapping[str, str] = field(default_factory=dict)


class ContentChecks:
    """What the requests of a record may say; made once for all of its cases."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        """Take target, version, challenge and run ids from the record."""
        self._record = record
        targets = [record["target"], *(part["target"] for part in record["shards"])]
        tables = [table for target in targets for table in target.values() if isinstance(table, Mapping)]
        roots = [target.get(name) for target in targets for name in ("base_url", "rescue_url")]
        named = [*roots, *(table.get("base_url") for table in tables)]
        self._bases = tuple(str(url).rstrip("/") + "/" for url in named if url)
        self._version, self._challenge = str(record["suite"]["version"]), record["options"].get("challenge")
        ids = [record["run_id"], *(part["run_id"] for part in record["shards"])]
        self._own = {_SIGN.sub("", str(run_id)).casefold()[:_STEM] for run_id in ids}
        self._started = datetime.fromisoformat(record["started"]).timestamp()

    def of(self, case: CaseResult) -> Content:
        """Return what the requests of a case say."""
        correlations = [exchange.sent.headers.get("correlation-id", "") for exchange in case.exchanges]
        return Content(
            tuple(self._addresses(case.exchanges)),
            tuple(self._agents(case.exchanges)),
            tuple(self._names(case)),
            tuple(exchange_checks.complaints(case.exchanges, load_contract(case.contract))),
            sum(int(exchange.notes.get("throttled", 0)) for exchange in case.exchanges),
            sum(float(exchange.notes.get("waited", 0)) for exchange in case.exchanges),
            b"".join(
                bytes.fromhex(one.replace("-", "")) if _UUID.fullmatch(one) else _NONE for one in correlations
            ),
            {
                kind_of_control(note[1:]): exchange.id
                for exchange in case.exchanges
                for note in json.loads(exchange.notes.get("before", "[]"))
                if note[0] == "control"
            },
        )

    def _addresses(self, exchanges: Iterable[Exchange]) -> Iterator[tuple[str, str]]:
        for exchange in exchanges:
            if not f"{exchange.sent.url}/".startswith(self._bases) and not exchange.notes.get("raw"):
                yield exchange.id, exchange.sent.url

    def _agents(self, exchanges: Iterable[Exchange]) -> Iterator[str]:
        for exchange in exchanges:
            match = _AGENT.fullmatch(exchange.sent.headers.get("user-agent", ""))
            if match is not None and match[1] != self._version:
                yield f"transcript.har: exchange {exchange.id} names version {match[1]} of the suite, results.json {self._version}"
            elif match is not None and match[2] != exchange.case and "<" not in match[2]:
                yield f"transcript.har: exchange {exchange.id} of {exchange.case} names the case {match[2]}"
            elif match is not None and match[3] != self._challenge:
                yield f"transcript.har: exchange {exchange.id} carries the challenge {match[3]}, results.json {self._challenge}"

    def _names(self, case: CaseResult) -> Iterator[str]:
        """Check that the names in requests are of this run, whose id they begin with; a deferred case began in an earlier one."""
        if is_deferred(case, self._record) and any(
            exchange.started < self._started - _APART for exchange in case.exchanges
        ):
            return
        for exchange in case.exchanges:
            if exchange.notes.get("phase"):
                continue  # clean-up may be of what an earlier run has left
            text = f"{exchange.sent.url} {json.dumps(exchange.sent.body)}"
            foreign = next(
                (name for name in _NAME.findall(text) if name.casefold()[:_STEM] not in self._own), None
            )
            if foreign is not None:
                yield f"transcript.har: exchange {exchange.id} names a thing of run {foreign}, results.json is of {self._record['run_id']}"
                break


def _addresses(contents: Sequence[Content]) -> Iterator[str]:
    """Yield a sentence for each server that the target does not name, however many requests went there."""
    elsewhere: dict[str, list[tuple[str, str]]] = {}
    for content in contents:
        for exchange, url in content.addresses:
            elsewhere.setdefault(url.partition("//")[2].partition("/")[0], []).append((exchange, url))
    for sent in elsewhere.values():
        (exchange, url), more = sent[0], len(sent) - 1
        others = f", and {more:,} others to that server" if more else ""
        yield f"transcript.har: exchange {exchange} went to {url!r}{others}, which the target of results.json does not name"


def _once(run: Run) -> Iterator[str]:
    """Check that the cases are in the order of their ids, and that none is there twice: it would be counted twice."""
    ids = [case.id for case in run.cases]
    if ids != sorted(ids):
        first = next(one for one, other in pairwise(ids) if one > other)
        yield f"results.json: the cases are in the order of their ids no longer from {first} on"
    for case in run.cases:
        if case.verdict is Verdict.PASSED and case.message:
            yield f"results.json: {case.id} passed, and has the message {case.message!r}"
    names = Counter(ids)
    for name, times in names.items():
        if times > 1:
            yield f"results.json: the case {name} is there {times} times"


def _numbers(run: Run, record: Mapping[str, Any]) -> Iterator[str]:
    """Check that no exchange is there twice, and that not more are missing than were sent and not kept."""
    seen: dict[str, set[int]] = {}
    for exchange in run.outlines:
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


def _requests(run: Run, record: Mapping[str, Any], contents: Sequence[Content]) -> Iterator[str]:
    """Check the numbers of requests: what is kept, what was judged and not kept, and what was sent again were all sent."""
    block = record["requests"]
    noted, waited = sum(one.throttled for one in contents), sum(one.waited for one in contents)
    sent, throttled = int(block["sent"]), int(block["throttled"])
    if throttled < noted or float(block["waited_s"]) < waited - _ROUNDED * (1 + len(run.outlines)):
        yield (
            f"results.json: requests.throttled is {throttled}, waited_s {block['waited_s']},"
            f" and exchanges note {noted} and {waited:.3f}"
        )
    if not throttled and float(block["waited_s"]):
        yield f"results.json: requests.waited_s is {block['waited_s']}, and none was throttled"
    least = (
        len(run.outlines)
        + sum(max(0, case.checks - len(case.expectations)) for case in run.cases)
        + throttled
    )
    if sent < least:
        yield f"results.json: requests.sent is {sent}, and {least} are kept, judged and not kept, or sent again"
    # What is not kept is of tokens, of the control protocol, and of what runs before and after the cases.
    is_drawn = record["options"].get("fuzz", {}).get("generated")
    if sent > _OTHERS * least + _BESIDE and not (is_drawn or record["interrupted"] or record["shards"]):
        yield f"results.json: requests.sent is {sent}, and the evidence has {least}"


def _case_names(record: Mapping[str, Any]) -> list[str]:
    """Return for each case what a selection may name it by."""
    return [f"{case['id']} {case.get('nodeid', '')} {case.get('file', '')}" for case in record["cases"]]


def shard_of(case: CaseResult) -> str:
    """Return the number of the shard that a case of a merged run comes from, ``""`` where the run was one."""
    part = _SHARD.match(case.outlines[0].id) if case.exchanges else None
    return part[1] if part else ""


def is_deferred(case: CaseResult, record: Mapping[str, Any]) -> bool:
    """Tell whether an earlier run may have begun a case: it waits longer than a run may, and nobody moves a clock."""
    parts = {part["shard"].partition("/")[0]: part["target"] for part in record["shards"]}
    target = parts.get(shard_of(case), record["target"])
    return not target["control"] and case.waited > float(target["limits"]["max_wait"])


def _times(run: Run, record: Mapping[str, Any]) -> Iterator[str]:
    if run.finished < run.started:
        yield "results.json: the run has finished before it started"
    ran = [case for case in run.cases if case.started and not is_deferred(case, record)]
    if ran and not record["shards"]:
        idle = (
            min(case.started for case in ran) - run.started,
            run.finished - max(case.started + case.duration for case in ran),
        )
        if max(idle) > _LONGEST_IDLE:
            yield f"results.json: the run goes on for {max(idle):,.0f} s in which no case is under way"
    for case in run.cases:
        ended = case.started + case.duration
        took_time = bool(case.started and case.exchanges)
        if took_time and not run.started - _APART <= case.started <= ended <= run.finished + _APART:
            yield f"results.json: {case.id} ran outside the time of the run"
        # A deferred case has exchanges of an earlier run.
        begun = -1.0 if is_deferred(case, record) else case.started
        for exchange in case.outlines:
            if (
                not begun - _APART
                <= exchange.started
                <= exchange.started + exchange.duration
                <= ended + _APART
            ):
                yield f"transcript.har: exchange {exchange.id} lies outside the time of {case.id}"
                break


def _dates(run: Run) -> Iterator[str]:
    """Check the ``Date`` of each answer by that of the others; an endpoint whose dates follow no clock is not checked."""
    # Each part of a merged run was made by a machine with a clock of its own.
    parts: dict[str, list[tuple[Outline, float]]] = {}
    for exchange in run.outlines:
        if (skew := _skew(exchange)) is not None:
            shard = _SHARD.match(exchange.id)
            parts.setdefault(shard[1] if shard else "", []).append((exchange, skew))
    for apart in parts.values():
        median = statistics.median(skew for _, skew in apart)
        outliers = [(exchange, skew) for exchange, skew in apart if _off(exchange, skew - median) > _OFF]
        if len(outliers) > (1 - _NEARLY_ALL) * len(apart):
            continue
        for exchange, skew in outliers:
            yield f"transcript.har: the Date of exchange {exchange.id} is {skew - median:,.0f} s off those of the other answers"


def _off(exchange: Outline, seconds: float) -> float:
    """Return by how many seconds a date is off that was made at any moment of an exchange."""
    return max(-seconds, seconds - exchange.duration)


def _skew(exchange: Outline) -> float | None:
    return None if exchange.date is None else exchange.date - exchange.started


def _correlations(run: Run, contents: Sequence[Content]) -> Iterator[str]:
    """Check that no two cases share the id of a request that the suite has made."""
    owners: dict[bytes, str] = {}
    for case, content in zip(run.cases, contents, strict=True):
        for place, exchange in enumerate(case.outlines):
            correlation = content.correlations[place * len(_NONE) : (place + 1) * len(_NONE)]
            if correlation != _NONE and owners.setdefault(correlation, case.id) != case.id:
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


def kind_of_control(asked: Sequence[Any]) -> str:
    """Return a request of the control protocol without ids and names, as which it stands for others of its kind."""
    return _VARIABLE.sub("", json.dumps(asked[:3]))


def done_by_control(contents: Iterable[Content]) -> dict[str, str]:
    """Return the kinds of requests that the control protocol has answered, each with an exchange that came after it."""
    return {kind: exchange for content in contents for kind, exchange in content.control.items()}


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
