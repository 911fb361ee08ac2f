"""A record that was edited is refused, whether its files were made to fit each other again or not."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rejudged import run_of

from kms_conformance.cli.judge import command as judge_command
from kms_conformance.contract.schemas import SchemaFiles
from kms_conformance.outputs import har, manifest, results
from kms_conformance.outputs.writers import write_all
from kms_conformance.verification.check import examine
from kms_conformance.verification.recorded_files import digest_complaints
from kms_conformance.verification.rejudge import read_record

Record = dict[str, Any]
Entries = list[dict[str, Any]]
DEFECT = "iks-no-credentials-as-200"
SECOND = 1.0


@pytest.fixture(scope="module", name="runs")
def runs_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the reports of a broken and of a sound server: every case of one contract."""
    from cases import collected, run_cases  # noqa: PLC0415 - beside this file
    from in_process import reference, without_sockets  # noqa: PLC0415 - same

    folder = tmp_path_factory.mktemp("runs")
    for name, defect in (("broken", DEFECT), ("sound", "")):
        with without_sockets(), reference(defect=defect) as (target, _):
            write_all(run_cases(target, collected("iks"), "iks"), folder / name)
    return folder


@pytest.fixture(name="broken")
def broken_fixture(runs: Path, tmp_path: Path) -> Path:
    """Return a copy of the broken server's report that a test may touch."""
    return Path(shutil.copytree(runs / "broken", tmp_path / "broken"))


def record_of(directory: Path) -> Record:
    """Return results.json."""
    return read_record(directory)


def har_of(directory: Path) -> dict[str, Any]:
    """Return transcript.har."""
    return dict(json.loads((directory / har.NAME).read_text()))


def failed(record: Record) -> list[str]:
    """Return the ids of the failed cases."""
    return [case["id"] for case in record["cases"] if case["verdict"] == "failed"]


def judge(directory: Path) -> tuple[int, str]:
    """Run the command and return exit code and output."""
    result = CliRunner().invoke(judge_command, [str(directory)])
    return result.exit_code, result.output


def test_as_recorded(runs: Path) -> None:
    """A record that nobody has touched ends as its run; profile, selection and baseline stand in the first line."""
    for name, code in (("broken", 1), ("sound", 0)):
        ended, output = judge(runs / name)
        assert ended == code, output
        assert "(profile gate, edition page, every one of " in output.splitlines()[0]
        assert output.splitlines()[0].endswith("cases of iks, no baseline)")
        assert output.splitlines()[-1] == "judged again: the same verdict, findings and counts as recorded"


def test_manifest_names_every_file(runs: Path) -> None:
    """manifest.json fits its schema and has every file of the run."""
    document = json.loads((runs / "broken" / manifest.NAME).read_text())
    assert SchemaFiles().complaint("manifest", document) is None
    there = {
        path.relative_to(runs / "broken").as_posix()
        for path in (runs / "broken").rglob("*")
        if path.is_file()
    }
    assert there == {*document["files"], manifest.NAME}
    assert any(name.startswith("repro/") for name in there)


# --- single edits: one thing in one file ---------------------------------------------------------------------------


def _first(entries: Entries, **wanted: Any) -> dict[str, Any]:
    return next(
        entry for entry in entries if all(entry["_kms"].get(name) == value for name, value in wanted.items())
    )


def _expecting(entries: Entries, record: Record) -> dict[str, Any]:
    """Return an entry of a failed case with an expectation."""
    return next(
        entry
        for entry in entries
        if entry["_kms"]["case"] in failed(record) and entry["_kms"]["expectations"]
    )


def _expectation(entries: Entries, record: Record) -> dict[str, Any]:
    return dict.__getitem__(_expecting(entries, record)["_kms"], "expectations")[-1]  # type: ignore[no-any-return]


def _widen(expectation: dict[str, Any]) -> None:
    for outcome in expectation["outcomes"]:
        outcome["statuses"] = list(range(200, 600))


IN_RECORD: dict[str, Callable[[Record], object]] = {
    "verdict": lambda record: record.update(verdict="conformant"),
    "exit-code": lambda record: record.update(exit_code=0),
    "headline": lambda record: record.update(headline="CONFORMANT"),
    "counts": lambda record: record["counts"].update(failed=0),
    "profile": lambda record: record.update(profile="certify"),
    "edition": lambda record: record.update(edition="service"),
    "base-url": lambda record: record["target"].update(base_url="https://kms.example.test"),
    "capability": lambda record: record["target"]["capabilities"].update(aliases=False),
    "run-id": lambda record: record.update(run_id="00000000"),
    "started": lambda record: record.update(started="2020-01-01T00:00:00.000Z"),
    "case-verdict": lambda record: record["cases"][0].update(verdict="not-applicable"),
    "checks": lambda record: record["cases"][0].update(checks=1000),
    "case-twice": lambda record: record["cases"].append(record["cases"][0]),
    "case-missing": lambda record: record["cases"].pop(0),
    "exchange-ids": lambda record: record["cases"][0]["exchanges"].pop(),
    "waited": lambda record: record["cases"][0].update(waited_s=3600.0),
    "case-title": lambda record: record["cases"][0].update(title="Another"),
    "row-verdict": lambda record: record["requirements"][0].update(verdict="passed", text="x"),
    "partial": lambda record: record.update(partial="some were left out"),
}  # fmt: skip
IN_TRANSCRIPT: dict[str, Callable[[Entries, Record], object]] = {
    "status": lambda entries, record: _expecting(entries, record)["response"].update(status=401),
    "expectation-gone": lambda entries, record: _expecting(entries, record)["_kms"]["expectations"].pop(),
    "outcomes-widened": lambda entries, record: _widen(_expectation(entries, record)),
    "severity": lambda entries, record: _expectation(entries, record).update(severity="warned"),
    "requirement": lambda entries, record: _expectation(entries, record).update(requirement="iks-01"),
    "entry-gone": lambda entries, record: entries.remove(_expecting(entries, record)),
    "entry-twice": lambda entries, record: entries.append(_expecting(entries, record)),
    "step": lambda entries, record: _expecting(entries, record)["_kms"].update(step="another step"),
    "phase": lambda entries, record: _expecting(entries, record)["_kms"]["notes"].update(phase="clean-up"),
}  # fmt: skip
IN_FILES: dict[str, Callable[[Path], object]] = {
    "html": lambda place: _append(place / "report.html", " "),
    "junit": lambda place: _replace(place / "junit.xml", "<failure", "<skipped"),
    "summary": lambda place: _replace(place / "summary.md", "failed", "passed"),
    "allure-file-gone": lambda place: next((place / "allure-results").glob("kms-*-result.json")).unlink(),
    "allure-file-more": lambda place: (place / "allure-results" / "kms-x-result.json").write_text("{}"),
    "manifest-gone": lambda place: (place / manifest.NAME).unlink(),
    "repro": lambda place: _append(next((place / "repro").glob("*.py")), "\nsys.exit(0)\n"),
}  # fmt: skip


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def _replace(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def _edits() -> Iterator[Any]:
    for name, in_record in IN_RECORD.items():

        def change_record(place: Path, edit: Callable[[Record], object] = in_record) -> None:
            record = record_of(place)
            edit(record)
            (place / results.NAME).write_text(json.dumps(record, indent=1) + "\n")

        yield pytest.param(change_record, id=f"results-{name}")
    for name, in_transcript in IN_TRANSCRIPT.items():

        def change_transcript(place: Path, edit: Callable[[Entries, Record], object] = in_transcript) -> None:
            document = har_of(place)
            edit(document["log"]["entries"], record_of(place))
            (place / har.NAME).write_text(json.dumps(document))

        yield pytest.param(change_transcript, id=f"transcript-{name}")
    for name, in_files in IN_FILES.items():
        yield pytest.param(in_files, id=f"files-{name}")


@pytest.mark.parametrize("edit", list(_edits()))
def test_single_edit_is_refused(edit: Callable[[Path], object], broken: Path) -> None:
    """One edit of one file is refused by a sentence that names a file, with exit code 6."""
    edit(broken)
    code, output = judge(broken)
    assert code == 6, output
    assert any(line.startswith("not as recorded: ") for line in output.splitlines())


# --- rewrites: every file made to fit again by the suite's own writers --------------------------------------------


def rewrite(directory: Path, change: Callable[[Record, Entries], object]) -> dict[str, Any]:
    """Edit record and transcript, and write every file anew from both, the manifest too; return the new record."""
    record, document = record_of(directory), har_of(directory)
    change(record, document["log"]["entries"])
    (directory / har.NAME).write_text(json.dumps(document))
    run = run_of(record, har.read(directory / har.NAME), directory)
    shutil.rmtree(directory / "repro", ignore_errors=True)
    write_all(run, directory)
    return record_of(directory)


def _of_failed(record: Record, entries: Entries) -> Iterator[dict[str, Any]]:
    names = set(failed(record))
    return (entry for entry in list(entries) if entry["_kms"]["case"] in names)


def _clear(record: Record, **changes: Any) -> None:
    for case in record["cases"]:
        if case["verdict"] == "failed":
            case.update(verdict="passed", findings=[], message="")
            case.update(changes)


def drop_expectations(record: Record, entries: Entries) -> None:
    """Leave out every expectation that did not hold."""
    broken = {finding["exchange"] for case in record["cases"] for finding in case["findings"]}
    for entry in _of_failed(record, entries):
        if entry["_kms"]["id"] in broken:
            entry["_kms"]["expectations"].clear()
    _clear(record)


def widen_outcomes(record: Record, entries: Entries) -> None:
    """Allow every status, code and text."""
    for entry in _of_failed(record, entries):
        for expectation in entry["_kms"]["expectations"]:
            expectation["members"].clear()
            for outcome in expectation["outcomes"]:
                outcome.update(
                    statuses=list(range(100, 600)), code=None, messages=[], schema=None, patterns=[]
                )
                outcome.update(code_at="", text_at="")


def only_warn(record: Record, entries: Entries) -> None:
    """Let every deviation warn."""
    for entry in _of_failed(record, entries):
        for expectation in entry["_kms"]["expectations"]:
            expectation["severity"] = "warned"


def remove_cases(record: Record, entries: Entries) -> None:
    """Leave out the failed cases."""
    for entry in _of_failed(record, entries):
        entries.remove(entry)
    record["cases"] = [case for case in record["cases"] if case["verdict"] != "failed"]


def declare_not_applicable(record: Record, entries: Entries) -> None:
    """Say that the failed cases do not apply."""
    for entry in _of_failed(record, entries):
        entries.remove(entry)
    _clear(record, verdict="not-applicable", checks=0, judged=[], exchanges=[], message="the target lacks it")


def declare_not_tested(record: Record, entries: Entries) -> None:
    """Say that the failed cases were not tested, after their first request."""
    for entry in _of_failed(record, entries):
        entries.remove(entry)
    message = "add [identities.reader] to the target"
    _clear(record, verdict="not-tested", checks=0, judged=[], exchanges=[], message=message, missing=message)


def end_early(record: Record, entries: Entries) -> None:
    """Cut the failed cases off before the answer that failed."""
    broken = {finding["exchange"] for case in record["cases"] for finding in case["findings"]}
    for entry in _of_failed(record, entries):
        if entry["_kms"]["id"] in broken:
            entries.remove(entry)
    _clear(record)


def call_it_clean_up(record: Record, entries: Entries) -> None:
    """Declare the answers that failed a part of the clean-up, which is not judged."""
    broken = {finding["exchange"] for case in record["cases"] for finding in case["findings"]}
    for entry in _of_failed(record, entries):
        if entry["_kms"]["id"] in broken:
            entry["_kms"]["notes"]["phase"] = "clean-up"
            entry["_kms"]["expectations"].clear()
    _clear(record)


REWRITES = (
    drop_expectations,
    widen_outcomes,
    only_warn,
    remove_cases,
    declare_not_applicable,
    declare_not_tested,
    end_early,
    call_it_clean_up,
)


@pytest.mark.parametrize("change", REWRITES, ids=lambda change: str(change.__name__))
def test_rewrite_is_refused(change: Callable[[Record, Entries], object], broken: Path) -> None:
    """A record that was rewritten as a whole, so that all files agree and none fails, is refused nevertheless."""
    record = rewrite(broken, change)
    assert not failed(record)
    assert digest_complaints(broken) == []
    code, output = judge(broken)
    assert code == 6, output


def _note(name: str, value: str) -> Callable[[dict[str, Any]], None]:
    return lambda entry: entry["_kms"]["notes"].update({name: value})


def _header(name: str, value: str) -> Callable[[dict[str, Any]], None]:
    def change(entry: dict[str, Any]) -> None:
        headers = [one for one in entry["request"]["headers"] if one["name"] != name]
        entry["request"]["headers"] = [*headers, {"name": name, "value": value}] if value else headers

    return change


ADDED: dict[str, Callable[[dict[str, Any]], None]] = {
    "a fault of the system": _note("system", "down"),
    "a view": _note("view", "by name"),
    "bytes that no client sends": _note("raw", "yes"),
    "a signed header": _note("signed", "accept"),
    "one of several clients": _note("client", "1"),
    "a phase": _note("phase", "set-up"),
    "nobody asks": _header("user-agent", ""),
    "somebody else asks": _header("user-agent", "kms-conformance/0 (another.case)"),
    "no id of its own": _header("correlation-id", ""),
    "an id of somebody else": _header("correlation-id", "1"),
}
"""Changes of what the suite itself adds to a request, each of which keeps some rule from being judged."""


def test_what_the_suite_adds_is_demanded(runs: Path, tmp_path: Path) -> None:
    """Notes and headers that a case does not determine are held against its requests, too."""
    folder = Path(shutil.copytree(runs / "sound", tmp_path / "sound"))
    document, record = har_of(folder), record_of(folder)
    entries = document["log"]["entries"]
    names = [case["id"] for case in record["cases"] if len(case["exchanges"]) > 1]
    changed = dict(zip(ADDED, names, strict=False))
    assert len(changed) == len(ADDED)
    for edit, name in changed.items():
        ADDED[edit](_first(entries, case=name))
    (folder / har.NAME).write_text(json.dumps(document))
    write_all(run_of(record, har.read(folder / har.NAME), folder), folder)
    problems = examine(folder).problems
    missed = [edit for edit, name in changed.items() if not any(f" {name}: " in line for line in problems)]
    assert missed == []


def test_baseline_that_options_do_not_name(broken: Path) -> None:
    """A baseline that accepts the failures, and of which the options say nothing, is refused."""
    record = record_of(broken)
    members = ("requirement", "link", "message", "expiry")
    entry = {**dict.fromkeys(members, ""), "reason": "r", "owner": "o", "expiry": "2099-01-01"}
    record["baseline"] = [
        {**entry, "case": name, "state": "used", "deviations": []} for name in failed(record)
    ]
    write_all(run_of(record, har.read(broken / har.NAME), broken), broken)
    assert record_of(broken)["exit_code"] == 0
    assert any("options.baseline is None" in line for line in examine(broken).problems)


def test_transcript_of_another_run_is_refused(runs: Path, broken: Path) -> None:
    """The evidence of a sound run does not stand for another run."""
    shutil.copy(runs / "sound" / har.NAME, broken / har.NAME)
    sound = {case["id"]: case for case in record_of(runs / "sound")["cases"]}
    record = record_of(broken)
    for case in record["cases"]:
        case.update(
            {
                name: sound[case["id"]][name]
                for name in ("verdict", "findings", "message", "exchanges", "checks")
            }
        )
    run = run_of(record, har.read(broken / har.NAME), broken)
    shutil.rmtree(broken / "repro")
    write_all(run, broken)
    assert judge(broken)[0] == 6


def other_order(record: Record, _: Entries) -> None:
    """Put the cases into another order."""
    record["cases"].reverse()


def other_server(record: Record, _: Entries) -> None:
    """Say that another server was asked."""
    record["servers"] = [{"name": "kms.example.test:443", "addresses": [], "certificates": []}]


def fewer_identities(record: Record, _: Entries) -> None:
    """Say that nobody but a reader was let in."""
    record["identities"] = {"reader": {"roles": []}}


@pytest.mark.parametrize("change", [other_order, other_server, fewer_identities])
def test_circumstances_that_fit_no_evidence(
    change: Callable[[Record, Entries], object], broken: Path
) -> None:
    """Cases in another order, a server that the target does not name, identities without those that were let in: refused."""
    record = record_of(broken)
    change(record, [])
    write_all(run_of(record, har.read(broken / har.NAME), broken), broken)
    code, output = judge(broken)
    assert code == 6, output


# --- random edits ------------------------------------------------------------------------------------------------------


def test_a_thousand_random_edits(broken: Path) -> None:
    """None of 1,000 random edits of bytes in any file of a record goes unnoticed."""
    rng = random.Random(20261129)
    files = sorted(path for path in broken.rglob("*") if path.is_file())
    accepted = []
    for number in range(1000):
        path = rng.choice(files)
        before = path.read_bytes()
        place = rng.randrange(len(before))
        match rng.randrange(3):
            case 0:
                after = (
                    before[:place]
                    + bytes([(before[place] + rng.randrange(1, 256)) % 256])
                    + before[place + 1 :]
                )
            case 1:
                after = before[:place] + before[place + 1 :]
            case _:
                after = before[:place] + bytes([rng.randrange(256)]) + before[place:]
        path.write_bytes(after)
        if after != before and not digest_complaints(broken) and not _examined(broken):
            accepted.append((number, path.name, place))
        path.write_bytes(before)
    assert accepted == []


def _examined(directory: Path) -> bool:
    """Tell whether a record is refused."""
    return judge(directory)[0] in {2, 6}


def test_random_consistent_edits(broken: Path) -> None:
    """Random edits of what a case sent and expected are refused, though every file was written anew from them."""
    rng = random.Random(11)
    document, record = har_of(broken), record_of(broken)
    for _ in range(12):
        changed = json.loads(json.dumps(document))
        entry = rng.choice([entry for entry in changed["log"]["entries"] if entry["_kms"]["expectations"]])
        expectation = rng.choice(entry["_kms"]["expectations"])
        match rng.randrange(4):
            case 0:
                entry["_kms"]["expectations"].remove(expectation)
            case 1:
                expectation["severity"] = "warned" if expectation["severity"] == "failed" else "failed"
            case 2:
                _widen(expectation)
                expectation["members"].append({"path": "", "check": "present", "value": "null"})
            case _:
                entry["_kms"]["path"] += "/more"
        (broken / har.NAME).write_text(json.dumps(changed))
        write_all(run_of(record, har.read(broken / har.NAME), broken), broken)
        assert examine(broken).problems


# --- what cannot be read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [results.NAME, har.NAME])
def test_pipe_does_not_hang(name: str, broken: Path, command: Callable[..., Any]) -> None:
    """A pipe in the place of a file ends with one sentence and exit code 2."""
    (broken / name).unlink()
    os.mkfifo(broken / name)
    ended = command("judge", str(broken))
    assert ended.code == 2
    assert "it is no regular file" in ended.out + ended.err


def test_partial_record_names_what_it_lacks(tmp_path: Path) -> None:
    """What a partial run has left out stands in the output; the record itself is as recorded."""
    from cases import collected, run_cases  # noqa: PLC0415 - beside this file
    from in_process import reference, without_sockets  # noqa: PLC0415 - same

    first, *others = collected("iks")
    some = {case_id: collected("iks")[case_id] for case_id in others}
    with without_sockets(), reference() as (target, _):
        run = run_cases(target, some, "iks")
    reason = "1 case was left out by the selection"
    write_all(replace(run, partial=reason, not_run=1), tmp_path / "part")
    examination = examine(tmp_path / "part")
    assert examination.problems == ()
    assert examination.notes[0] == f"left out: 1 cases: {first}"
    write_all(run, tmp_path / "part")
    assert any("lacks 1 cases" in sentence for sentence in examine(tmp_path / "part").problems)
