"""A report directory checked without any key: everything in it has to be what evidence, contract and cases give.

``judge`` prints what :func:`examine` returns. Each refusal is one sentence with file and place.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kms_conformance import __version__
from kms_conformance.contract.contract import Contract, load_contract
from kms_conformance.contract.corpus import shipped_corpus, shipped_digest
from kms_conformance.contract.schemas import SchemaFiles
from kms_conformance.contract.severity import Verdict, worst
from kms_conformance.errors import RecordError, ReportDirError, SuiteError
from kms_conformance.fuzz.checks import fuzz_findings
from kms_conformance.judging.every_exchange import TOLERANT
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs import allure, har, html, html_blocks, manifest, results, shards
from kms_conformance.outputs.files import read_file
from kms_conformance.outputs.writers import write_all
from kms_conformance.pytest_plugin.collection import GENERATING
from kms_conformance.pytest_plugin.memory import fewer_collections
from kms_conformance.run.options import SEED, FuzzOptions
from kms_conformance.target.schema import secret_members
from kms_conformance.target.target import FULL, Target, build_target
from kms_conformance.verification import coherence
from kms_conformance.verification.installed import InstalledCase, installed_cases
from kms_conformance.verification.rejudge import Judgements, differences, read_record, run_of
from kms_conformance.verification.replay import ReplayContext, Replayed, replay
from kms_conformance.verification.two_processes import side_by_side

_CONTROL = "/_control"
_FEW, _MANY, _FIRST_PART = 12, 2_000, 0.65
_DEEPEST_SENTENCE = 400
_JUDGED = frozenset({Verdict.PASSED, Verdict.WARNED, Verdict.FAILED})


@dataclass(frozen=True, slots=True)
class Examination:
    """What an examination found: ``headline`` as recomputed, ``scope`` what it is about, ``problems`` the refusals.

    ``notes`` say what was taken as recorded, and what was left out; ``exit_code`` is that of ``run``, which is
    made anew from the evidence.
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
    transcript = har.read(directory / har.NAME)
    try:
        if record["suite"]["version"] != __version__:
            raise RecordError(
                str(directory), f"it was judged by version {record['suite']['version']} of the suite"
            )
        known = Judgements()
        run = run_of(record, transcript, directory, known)
        return _examined(directory, record, run, {exchange.case for exchange, _ in transcript}, known)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise RecordError(
            str(directory), f"a member of results.json is missing or of the wrong kind ({error!r})"
        ) from error


def _examined(
    directory: Path, record: Mapping[str, Any], run: Run, listed: set[str], known: Judgements
) -> Examination:
    again = results.render(run)
    installed: dict[str, InstalledCase] = {}
    for block in record["contracts"]:
        seed = record["options"].get("fuzz", {}).get("seed", SEED)
        installed.update(installed_cases(block["id"], seed, whole=run.profile is not Profile.GATE))
    if not record["options"].get("fuzz", {}).get("generated"):
        installed = {name: case for name, case in installed.items() if not _generates(name)}
    problems = list(_set_of_cases(run, record, installed))
    problems += [
        f"transcript.har: exchanges of {case_id}, which results.json does not have"
        for case_id in sorted(listed - {case.id for case in run.cases})
    ]
    here, there = _in_two(run.cases)
    first, (second, of_files) = side_by_side(
        lambda: list(_replayed(here, run, record, installed, known)),
        lambda: (list(_replayed(there, run, record, installed, known)), list(_files(directory, run))),
        worthwhile=len(known.wire) > _MANY,
    )
    replay_problems, notes = _played_again(run, [*first, *second])
    problems += replay_problems
    problems += coherence.complaints(run, record)
    problems += [f"results.json: {line}" for line in differences(record, again)]
    problems += of_files
    missing = coherence.missing_cases(run, installed)
    if missing:
        notes.insert(0, f"left out: {_listed(missing)}")
    own = coherence.unknown_cases(run, installed)
    if own:
        notes.append(f"not of this suite, and not played again: {_listed([case.id for case in own])}")
    return Examination(
        again["headline"],
        _scope(run, record, len(missing)),
        tuple(dict.fromkeys(sentence[:_DEEPEST_SENTENCE] for sentence in problems)),
        tuple(notes),
        again["exit_code"],
        run,
    )


def _in_two(cases: Sequence[CaseResult]) -> tuple[Sequence[CaseResult], Sequence[CaseResult]]:
    """Return the cases in two parts: whoever plays the second one also writes every file anew, which takes a third as long."""
    left = sum(len(case.exchanges) for case in cases) * _FIRST_PART
    for place, case in enumerate(cases):
        left -= len(case.exchanges)
        if left < 0:
            return cases[:place], cases[place:]
    return cases, ()


def _played_again(run: Run, played: Iterable[tuple[str, Replayed]]) -> tuple[list[str], list[str]]:
    """Return what is not as recorded in the cases that were played again, and notes on what was taken as recorded."""
    problems, notes, unkept, unread = [], [], 0, 0
    by_control = coherence.done_by_control(run)
    failed = {
        finding.requirement
        for case in run.cases
        for finding in case.findings
        if finding.severity is Verdict.FAILED
    }
    cases = {case.id: case for case in run.cases}
    for case, replayed in ((cases[case_id], replayed) for case_id, replayed in played):
        problems += [f"transcript.har: {case.id}: {sentence}" for sentence in replayed.problems]
        contract, unread = load_contract(case.contract), unread + replayed.unread
        if replayed.instead and _of_fuzzer(case, contract):
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
    fuzz = "" if _fuzz(record["options"].get("fuzz", {})).on else ", no fuzzing"
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


def _replayed(
    cases: Iterable[CaseResult],
    run: Run,
    record: Mapping[str, Any],
    installed: Mapping[str, InstalledCase],
    known: Judgements,
) -> Iterator[tuple[str, Replayed]]:
    """Play each of these cases again, and give its id with what came of it."""
    fuzz = _fuzz(record["options"].get("fuzz", {}))
    shards_by_number = {part["shard"].partition("/")[0]: part for part in record["shards"]}
    around: dict[tuple[str, str], ReplayContext] = {}
    for case in cases:
        contract = load_contract(case.contract)
        if case.id not in installed:
            continue
        number = coherence.shard_of(case)
        if (case.contract, number) not in around:
            part = shards_by_number.get(number, record)
            around[case.contract, number] = ReplayContext(
                contract,
                _target(part["target"]).seen_by(contract.id),
                part["run_id"],
                record["edition"],
                fuzz,
                run.interrupted,
                str(record["options"].get("challenge", "")),
                known,
                run.profile is not Profile.GATE,
            )
        if fuzz.on and _of_fuzzer(case, contract):
            yield case.id, _fuzzed(case, contract, fuzz)
        else:
            yield case.id, replay(case, installed[case.id], around[case.contract, number])


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


def _fuzz(block: Mapping[str, Any]) -> FuzzOptions:
    return FuzzOptions(
        on=bool(block.get("on", True)),
        whole=block.get("corpus") == "whole",
        generate=bool(block.get("generated")),
    )


def _generates(case_id: str) -> bool:
    return any(f".{name.removeprefix('test_').removesuffix('.py')}." in case_id for name in GENERATING)


def _of_fuzzer(case: CaseResult, contract: Contract) -> bool:
    fuzz = str(contract.about.get("fuzz", {}).get("scenarios", ""))
    return bool(fuzz) and case.id.startswith(f"{fuzz.rpartition('.')[2]}.")


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


def _files(directory: Path, run: Run) -> Iterator[str]:
    """Compare every file of the directory with what a run writes, and with the manifest."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        try:
            write_all(run, place)
        except ReportDirError as error:
            yield f"results.json: no run writes such a record ({error.sentence.rpartition(': ')[2]})"
            return
        expected = json.loads((place / manifest.NAME).read_text(encoding="utf-8"))["files"]
        try:
            recorded = json.loads(read_file(directory / manifest.NAME).decode("utf-8"))
            listed = recorded["files"]
            yield from _form(directory)
            if recorded != {
                **recorded,
                "run_id": str(run.meta["run_id"]),
                "schema_version": manifest.SCHEMA_VERSION,
            } or set(recorded) != {"schema_version", "run_id", "files"}:
                yield "manifest.json: it is of another run"
        except OSError as error:
            yield f"manifest.json cannot be read: {error.strerror}"
            listed = {}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            yield f"manifest.json is no manifest ({error!r})"
            listed = {}
        if _packed_otherwise(directory / html.NAME, place / html.NAME):
            expected[html.NAME] = manifest.entry(read_file(directory / html.NAME))
        yield from _compared(directory, expected, listed if isinstance(listed, dict) else {})


def _packed_otherwise(recorded: Path, made: Path) -> bool:
    """Tell whether a report holds what this run's does: another build of zlib packs the same texts into other bytes."""
    try:
        texts = [read_file(path).decode("utf-8") for path in (recorded, made)]
        return texts[0] != texts[1] and html_blocks.whole(texts[0]) == html_blocks.whole(texts[1])
    except (OSError, ValueError):
        return False


def _compared(directory: Path, expected: Mapping[str, Any], listed: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*expected, *map(str, listed)}):
        if name not in expected:
            yield f"manifest.json: files.{name} is none that this run writes"
            continue
        if listed and listed.get(name) != expected[name]:
            yield f"manifest.json: files.{name} is not the digest of what the evidence gives"
        try:
            digest = manifest.digest(read_file(directory / name))
        except OSError as error:
            yield f"{name} cannot be read: {error.strerror}"
            continue
        if digest != expected[name]["sha256"]:
            yield f"{name} is not what the evidence gives, byte for byte"
    for folder in sorted({name.rpartition("/")[0] for name in expected if "/" in name}):
        if (directory / folder).is_dir():
            for path in manifest.files_in(directory / folder, frozenset(allure.SHARED)):
                if f"{folder}/{path.name}" not in expected:
                    yield f"{folder}/{path.name} is none that this run has written"


def digest_complaints(directory: Path) -> list[str]:
    """Return a sentence for each file whose content is not that of the manifest: a check that plays nothing again."""
    try:
        problems = list(_form(directory))
        document = json.loads(read_file(directory / manifest.NAME).decode("utf-8"))
        for name, entry in document["files"].items():
            content = read_file(directory / name)
            if {"sha256": manifest.digest(content), "size": len(content)} != entry:
                problems.append(f"{name} has another digest than manifest.json says")
    except OSError as unread:
        return [f"{unread.filename or manifest.NAME} cannot be read: {unread.strerror}"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as unread:
        return [f"manifest.json is no manifest ({unread!r})"]
    return problems


def _form(directory: Path) -> Iterator[str]:
    """Yield a sentence where the manifest is written in another way than a run writes it."""
    text = read_file(directory / manifest.NAME).decode("utf-8")
    if text != manifest.text_of(json.loads(text)):
        yield "manifest.json is not written the way that a run writes it"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return f"{len(names)} cases: {', '.join(names[:_FEW])}{more}"
