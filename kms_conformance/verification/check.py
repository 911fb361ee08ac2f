"""A report directory checked without any key: everything in it has to be what evidence, contract and cases give.

``judge`` prints what :func:`examine` returns. Each refusal is one sentence with file and place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kms_conformance import __version__
from kms_conformance.contract.contract import Contract, load_contract
from kms_conformance.contract.corpus import shipped_digest
from kms_conformance.contract.schemas import SchemaFiles
from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import RecordError
from kms_conformance.fuzz.checks import fuzz_findings
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Profile, Run, headline
from kms_conformance.outputs import har, results, shards
from kms_conformance.outputs.transcript import Transcript
from kms_conformance.pytest_plugin.collection import GENERATING
from kms_conformance.run.memory import fewer_collections
from kms_conformance.run.options import SEED
from kms_conformance.verification import coherence, recorded_files
from kms_conformance.verification.examined_cases import (
    ExaminedCase,
    examined_cases,
    fuzz_options,
    is_large,
    of_fuzzer,
)
from kms_conformance.verification.installed import InstalledCase, installed_cases
from kms_conformance.verification.rejudge import demand_contracts, differences, read_record, run_with

_FEW = 12
_DEEPEST_SENTENCE = 400


@dataclass(frozen=True, slots=True)
class Examination:
    """What an examination found: ``headline`` as recomputed, ``scope`` what it is about, ``problems`` the refusals.

    ``notes`` say what was taken as recorded, and what was left out; ``exit_code`` is that of ``run``, which is
    made anew from the evidence; its exchanges are not read any more, their outlines are there.
    """

    headline: str
    scope: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    exit_code: int
    run: Run


def examine(directory: Path) -> Examination:
    """Examine a report directory.

    Raises :class:`RecordError` and :class:`kms_conformance.errors.TranscriptError` where it holds no run that this
    version of the suite can read.
    """
    # A record is kept until its end, so looking through it for what nobody uses any more finds nothing.
    with fewer_collections():
        return _read_and_examined(directory)


def _read_and_examined(directory: Path) -> Examination:
    record = read_record(directory)
    transcript = Transcript(directory / har.NAME)
    try:
        if record["suite"]["version"] != __version__:
            raise RecordError(
                str(directory), f"it was judged by version {record['suite']['version']} of the suite"
            )
        return _examined(directory, record, transcript)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise RecordError(
            str(directory), f"a member of results.json is missing or of the wrong kind ({error!r})"
        ) from error
    finally:
        transcript.close()


def _examined(directory: Path, record: Mapping[str, Any], transcript: Transcript) -> Examination:
    demand_contracts(record, directory)
    installed: dict[str, InstalledCase] = {}
    for block in record["contracts"]:
        seed = record["options"].get("fuzz", {}).get("seed", SEED)
        whole = Profile(record["profile"]) is not Profile.GATE
        installed.update(installed_cases(block["id"], seed, whole=whole))
    if not record["options"].get("fuzz", {}).get("generated"):
        installed = {name: case for name, case in installed.items() if not _generates(name)}
    cases = examined_cases(record, transcript, installed)
    run = run_with(record, [case.result for case in cases])
    problems = list(_set_of_cases(run, record, installed))
    problems += [
        f"transcript.har: exchanges of {case_id}, which results.json does not have"
        for case_id in sorted(transcript.cases.keys() - {case.id for case in run.cases})
    ]
    # What concerns the whole record comes first: a wrong address is one sentence here, and one in each case below.
    problems += coherence.complaints(run, record, [case.content for case in cases])
    replay_problems, notes = _played_again(run, cases)
    problems += replay_problems
    # The document is large and made anew once more with the files, so that it is not kept until then.
    problems += [f"results.json: {line}" for line in differences(record, results.render(run))]
    problems += recorded_files.complaints(directory, run, large=is_large(transcript))
    problems += [
        f"results.json: {case.id} is said to stand in {case.file}, and stands in {installed[case.id].info.file}"
        for case in run.cases
        if case.id in installed and case.file != installed[case.id].info.file
    ]
    for name in ("interrupted", "trouble"):
        if record[name]:
            notes.append(f"that the run was stopped ({name}: {record[name]}) is taken as recorded")
    missing = coherence.missing_cases(run, installed)
    if missing:
        notes.insert(0, f"left out: {_listed(missing)}")
    own = coherence.unknown_cases(run, installed)
    if own:
        notes.append(f"not of this suite, and not played again: {_listed([case.id for case in own])}")
    return Examination(
        headline(run),
        _scope(run, record, len(missing)),
        tuple(dict.fromkeys(sentence[:_DEEPEST_SENTENCE] for sentence in problems)),
        tuple(notes),
        int(run.exit_code),
        run,
    )


def _played_again(run: Run, cases: Sequence[ExaminedCase]) -> tuple[list[str], list[str]]:
    """Return what is not as recorded in the cases that were played again, and notes on what was taken as recorded."""
    problems, notes, unkept, unread = [], [], 0, 0
    by_control = coherence.done_by_control(case.content for case in cases)
    failed = {
        finding.requirement
        for case in run.cases
        for finding in case.findings
        if finding.severity is Verdict.FAILED
    }
    for examined in cases:
        case, replayed = examined.result, examined.replayed
        if replayed is None:
            continue
        problems += [f"transcript.har: {case.id}: {sentence}" for sentence in replayed.problems]
        contract, unread = load_contract(case.contract), unread + replayed.unread
        if replayed.instead and of_fuzzer(case, contract):
            unkept += case.checks
            problems += _unreported(case, contract, failed)
        elif replayed.instead:
            done = by_control.get(replayed.refused_by_control)
            elsewhere = f", which it has done before exchange {done}" if done else ""
            notes.append(f"{case.id} was not played to its end: {replayed.instead}{elsewhere}")
    if unkept:
        notes.append(
            f"{unkept} answers to requests of the fuzzer were judged and, with nothing wrong in them, not kept"
        )
    if unread:
        notes.append(f"{unread} answers hold a secret inside of a frame, whose reading was taken as recorded")
    return problems, notes


def _scope(run: Run, record: Mapping[str, Any], missing: int) -> str:
    """Return profile, edition, selection and baseline in a few words."""
    names = ", ".join(block["id"] for block in record["contracts"])
    cases = f"{len(run.cases)} of {len(run.cases) + missing}" if missing else f"every one of {len(run.cases)}"
    entries = len(record["baseline"])
    baseline = f"a baseline of {entries} entries" if entries else "no baseline"
    fuzz = "" if fuzz_options(record).on else ", no fuzzing"
    return f"profile {run.profile.value}, edition {record['edition']}, {cases} cases of {names}{fuzz}, {baseline}"


def _set_of_cases(
    run: Run, record: Mapping[str, Any], installed: Mapping[str, InstalledCase]
) -> Iterator[str]:
    missing = coherence.missing_cases(run, installed)
    shard = shards.named_in(run.partial)
    if shard and run.partial == shards.note(shard):
        # A part of a whole run: which cases are in it follows from its number.
        own = shards.in_shard(installed, shard)
        apart = sorted(own.symmetric_difference(case.id for case in run.cases if case.id in installed))
        if apart and not run.interrupted:
            yield f"results.json: these are not the cases of shard {shard}: {_listed(apart)}"
    elif shard:
        pass  # What a selection leaves of a shard, nobody counts before the shards are merged.
    elif missing and not run.incomplete:
        yield f"results.json: the record of a whole run lacks {_listed(missing)}"
    elif missing and run.not_run != len(missing) and not _of_selected_shard(run, len(missing)):
        yield f"results.json: not_run is {run.not_run}, and {len(missing)} cases are missing"
    said, entries = record["options"].get("baseline"), len(record["baseline"])
    if said != entries and (said is not None or entries):
        yield f"results.json: options.baseline is {said}, and baseline has {entries} entries"
    for name, digest in record["options"].get("fuzz", {}).get("sha256", {}).items():
        if digest != shipped_digest(name):
            yield f"results.json: options.fuzz.sha256.{name} is not the digest of the corpus of this version"


def _of_selected_shard(run: Run, missing: int) -> bool:
    """Tell whether a run is one shard of a selection: cases of the other shards are missing, too, and not counted."""
    selected = bool(run.partial) and not run.meta.get("shards")
    return selected and "--shard" in map(str, run.meta.get("command_line") or ()) and run.not_run < missing


def _generates(case_id: str) -> bool:
    return any(f".{name.removeprefix('test_').removesuffix('.py')}." in case_id for name in GENERATING)


def _unreported(case: CaseResult, contract: Contract, failed: Collection[str]) -> Iterator[str]:
    """Judge the answers that the fuzzer has kept; each thing wrong with one is a finding of the record.

    ``failed`` are the rows that any case has failed: of equal causes the fuzzer reports the first.
    """
    schemas = SchemaFiles()
    reported = {finding.exchange for finding in case.findings}
    for exchange in case.exchanges:
        for finding in fuzz_findings(exchange, contract, schemas):
            if (
                exchange.step.count(",")
                and finding.severity is Verdict.FAILED
                and (exchange.id not in reported or finding.requirement not in failed)
            ):
                yield f"results.json: {case.id} lacks a finding of {finding.requirement} at exchange {exchange.id}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return f"{len(names)} cases: {', '.join(names[:_FEW])}{more}"
