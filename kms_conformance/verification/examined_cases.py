"""Each case of a record judged and played again, one after the other: the exchanges of one case are in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from kms_conformance.contract.contract import Contract, load_contract
from kms_conformance.contract.corpus import shipped_corpus
from kms_conformance.contract.severity import Verdict, worst
from kms_conformance.errors import SuiteError
from kms_conformance.evidence.outline import Outline
from kms_conformance.judging.every_exchange import TOLERANT
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.judging.verdict import Profile
from kms_conformance.outputs.transcript import (
    Places,
    StoredExchanges,
    StoredExpectations,
    Transcript,
    outlines_of,
)
from kms_conformance.run.options import FuzzOptions
from kms_conformance.target.schema import secret_members
from kms_conformance.target.target import FULL, Target, build_target
from kms_conformance.verification import coherence
from kms_conformance.verification.installed import InstalledCase
from kms_conformance.verification.rejudge import Judgements, case_of, own_order
from kms_conformance.verification.replay import ReplayContext, Replayed, replay
from kms_conformance.verification.two_processes import side_by_side

_CONTROL = "/_control"
_MANY = 2_000
_JUDGED = frozenset({Verdict.PASSED, Verdict.WARNED, Verdict.FAILED})
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExaminedCase:
    """A case judged again, what came of playing it again, and what its requests say; its exchanges stay on disk.

    ``replayed`` is ``None`` for a case that this suite does not have.
    """

    result: CaseResult
    replayed: Replayed | None
    content: coherence.Content


@dataclass(frozen=True, slots=True)
class _Taken:
    """The same as it goes from one process to another."""

    result: CaseResult
    replayed: Replayed | None
    content: coherence.Content
    places: Places | None
    outlines: Sequence[Outline]
    expected: int

    def of(self, transcript: Transcript) -> ExaminedCase:
        result = self.result
        if self.places is not None:
            result = replace(
                result,
                exchanges=StoredExchanges(transcript, self.places, self.outlines),
                expectations=StoredExpectations(transcript, self.places, self.expected),
            )
        return ExaminedCase(result, self.replayed, self.content)


def is_large(transcript: Transcript) -> bool:
    """Tell whether a second process is worth its start."""
    return transcript.size > _MANY


def examined_cases(
    record: Mapping[str, Any], transcript: Transcript, installed: Mapping[str, InstalledCase]
) -> list[ExaminedCase]:
    """Judge each case of a record again, and play it again; ``installed`` are the cases that the suite has."""
    here, there = _in_two(record["cases"], transcript)
    examiner = _Examiner(record, transcript, installed)
    first, second = side_by_side(
        partial(examiner.all_of, here), partial(examiner.all_of, there), worthwhile=is_large(transcript)
    )
    return [taken.of(transcript) for taken in (*first, *second)]


def _in_two(rows: Sequence[Row], transcript: Transcript) -> tuple[Sequence[Row], Sequence[Row]]:
    """Return the cases in two parts of equal work."""
    left = transcript.size / 2
    for number, row in enumerate(rows):
        places = transcript.cases.get(row["id"])
        left -= len(places.offsets) if places else 0
        if left < 0:
            return rows[:number], rows[number:]
    return rows, ()


class _Examiner:
    """What is the same for all cases of a record."""

    def __init__(
        self, record: Mapping[str, Any], transcript: Transcript, installed: Mapping[str, InstalledCase]
    ) -> None:
        self._record, self._transcript, self._installed = record, transcript, installed
        self._contracts = {block["id"] for block in record["contracts"]}
        self._fuzz = fuzz_options(record)
        self._shards = {part["shard"].partition("/")[0]: part for part in record["shards"]}
        self._around: dict[tuple[str, str], ReplayContext] = {}
        self._known = Judgements()
        self._checks = coherence.ContentChecks(record)

    def all_of(self, rows: Iterable[Row]) -> list[_Taken]:
        """Examine cases one after the other."""
        return [self._examined(row) for row in rows]

    def _examined(self, row: Row) -> _Taken:
        if row["contract"] not in self._contracts:
            raise KeyError(row["contract"])
        places = self._transcript.cases.get(row["id"])
        judged = self._transcript.load(places) if places else []
        self._known.forget()
        case = case_of(row, judged, self._known)
        replayed = self._replayed(case) if case.id in self._installed else None
        content = self._checks.of(case)
        if places is not None:
            self._transcript.note_form(places)
            order = own_order(row, judged)
            places, judged = places.reordered(order), [judged[place] for place in order]
        light = replace(case, exchanges=(), expectations=())
        return _Taken(light, replayed, content, places, outlines_of(judged), len(case.expectations))

    def _replayed(self, case: CaseResult) -> Replayed:
        contract = load_contract(case.contract)
        around = self._around_of(case, contract)
        if self._fuzz.on and of_fuzzer(case, contract):
            return _fuzzed(case, contract, self._fuzz)
        return replay(case, self._installed[case.id], around)

    def _around_of(self, case: CaseResult, contract: Contract) -> ReplayContext:
        number, record = coherence.shard_of(case), self._record
        if (contract.id, number) not in self._around:
            part = self._shards.get(number, record)
            self._around[contract.id, number] = ReplayContext(
                contract,
                _target(part["target"]).seen_by(contract.id),
                part["run_id"],
                record["edition"],
                self._fuzz,
                record["interrupted"],
                str(record["options"].get("challenge", "")),
                self._known,
                Profile(record["profile"]) is not Profile.GATE,
            )
        return self._around[contract.id, number]


def fuzz_options(record: Mapping[str, Any]) -> FuzzOptions:
    """Return how a recorded run was fuzzed."""
    block = record["options"].get("fuzz", {})
    return FuzzOptions(
        on=bool(block.get("on", True)),
        whole=block.get("corpus") == "whole",
        generate=bool(block.get("generated")),
    )


def of_fuzzer(case: CaseResult, contract: Contract) -> bool:
    """Tell whether a case is one of the fuzzer, which keeps few of its answers."""
    fuzz = str(contract.about.get("fuzz", {}).get("scenarios", ""))
    return bool(fuzz) and case.id.startswith(f"{fuzz.rpartition('.')[2]}.")


def _target(public: Mapping[str, Any]) -> Target:
    """Return the target as the record tells it, with no secret."""
    document = {
        name: value
        for name, value in public.items()
        if name not in {"control", "identities", "iam_url", "limits", "mode", "without_effect"}
    }
    members = ("token", *secret_members())
    document["identities"] = {
        name: {member: f"no {member} of {name}" for member in members} for name in public["identities"]
    }
    if public["control"]:
        document["control"] = {"url": f"{public['base_url']}{_CONTROL}"}
    document["limits"] = {name: value for name, value in public["limits"].items() if value is not None}
    try:
        # Literal tokens are taken for loopback addresses only; the address itself is put in afterwards.
        return _at(build_target({**document, "base_url": "http://127.0.0.1:1"}, {}), public)
    except SuiteError as error:
        raise ValueError(error.sentence) from error


def _at(target: Target, public: Mapping[str, Any]) -> Target:
    mode, unused = str(public.get("mode", FULL)), tuple(map(str, public.get("without_effect", ())))
    return replace(target, base_url=str(public["base_url"]).rstrip("/"), mode=mode, unused=unused)


def _fuzzed(case: CaseResult, contract: Contract, fuzz: FuzzOptions) -> Replayed:
    """Check what can be checked of a case whose answers were not kept: their number."""
    corpus = shipped_corpus(contract.id, whole=fuzz.whole)
    group = case.id.partition("[")[2].removesuffix("]")
    operations = set(corpus.about["groups"].get(group, ())) if corpus else set()
    wanted = sum(entry.operation in operations for entry in corpus.entries) if corpus else 0
    if case.verdict in _JUDGED and case.verdict is not _verdict_of(case):
        return Replayed((f"its verdict is {case.verdict} instead of {_verdict_of(case)}",))
    if case.verdict in {Verdict.PASSED, Verdict.WARNED} and wanted and not case.checks:
        return Replayed(("it passed without any check",))
    light = [finding for finding in case.findings if not _may_be(finding, contract)]
    if light:
        return Replayed(
            (f"its finding of {light[0].requirement} is {light[0].severity}, and no row says so",)
        )
    reason = f"its {case.checks} answers were judged and not kept" if case.checks else case.message
    return Replayed(instead=reason)


def _verdict_of(case: CaseResult) -> Verdict:
    """Return the verdict that the findings of a case give."""
    return worst(finding.severity for finding in case.findings) if case.findings else Verdict.PASSED


def _may_be(finding: Finding, contract: Contract) -> bool:
    """Tell whether a finding has the severity of its row, or is one of the deviations that the row tolerates."""
    row = contract.requirements.get(finding.requirement)
    mild = finding.requirement in TOLERANT and finding.severity is Verdict.WARNED
    return row is not None and (finding.severity is row.severity or mild)
