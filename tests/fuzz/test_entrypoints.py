"""The tiers against the reference: nothing in the unbroken one, the right thing in a broken one."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kms_conformance.contract.corpus import Entry
from kms_conformance.contract.severity import Verdict
from kms_conformance.fuzz import entrypoints as tiers
from kms_conformance.fuzz.checks import SLOW, TIME_BOUND
from kms_conformance.fuzz.requests import CaseFuzzer
from kms_conformance.judging.results import CaseResult
from kms_conformance.run.case import CaseRun
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.options import USUAL, Options, fuzz_options
from kms_conformance.run.outcomes import NotTested
from kms_conformance.run.session import Session
from kms_conformance.transport.pipeline import SendResult, _Connection

COVERS = ("fuzz-any-request", "fuzz-success-status", "life-cycle-walk")


def judged(body: Callable[[CaseRun], None], *, fuzz: Any = USUAL, **options: Any) -> CaseResult:
    """Run one fuzz case against a reference of its own."""
    session = Session(Options(fuzz=fuzz, **options))
    try:
        case = session.open(CaseInfo(id="fuzz.t", title="t", contract="key_protect", covers=COVERS))
        return session.run_case(case, lambda kms: body(kms.case))
    finally:
        session.close()


def test_one_request_at_least_is_sent() -> None:
    """However short the time is, each operation has a request: a case that judges nothing would be an error."""
    result = judged(
        lambda case: tiers.fuzz_operation(case, "getKeyCollectionMetadata", "valid"),
        fuzz=replace(USUAL, generate=True, seconds=0.0),
    )
    assert (result.verdict, result.message) == (Verdict.PASSED, "")
    assert result.checks > 0


@pytest.mark.parametrize("group", ["keys", "key-actions", "kmip"])
@pytest.mark.parametrize("edition", ["page", "service"])
def test_unbroken_reference_has_no_findings(group: str, edition: str) -> None:
    """The sample finds nothing where nothing is wrong."""
    result = judged(lambda case: tiers.replay_group(case, group), edition=edition)
    assert (result.verdict, result.findings) == (Verdict.PASSED, ())
    assert result.checks > 100
    assert len(result.exchanges) == 1


def test_finding_is_one_small_and_repeatable() -> None:
    """A cause is told once, with how often it was met, a small request and a curl line without secrets."""
    result = judged(lambda case: tiers.replay_group(case, "key-actions"), defects=("fuzz-number-over-2-53",))
    assert result.verdict is Verdict.FAILED
    server_errors = [finding for finding in result.findings if finding.requirement == "wire-no-server-error"]
    assert len({finding.step.partition(",")[0] for finding in server_errors}) == len(server_errors)
    assert all(
        "$KMS_TOKEN" in finding.curl and "corpus request c" in finding.step for finding in server_errors
    )
    assert len(result.exchanges) <= 1 + len(result.findings)


def test_replay_sends_one_request_again() -> None:
    """``--replay`` sends the request that a finding names, from the corpus or from a file."""
    fuzz = replace(USUAL, replay="c00041")
    results = [
        judged(lambda case, group=group: tiers.replay_group(case, group), fuzz=fuzz)
        for group in ("keys", "kmip")
    ]  # type: ignore[misc]
    assert sorted(result.verdict for result in results) == [Verdict.NOT_TESTED, Verdict.PASSED]


def test_what_is_not_kept_is_known() -> None:
    """A secret of a request or of an answer that is not kept is replaced where another answer repeats it."""
    sent, got = (base64.b64encode(bytes(range(first, first + 24))).decode() for first in (60, 160))

    def body(case: CaseRun) -> None:
        fuzzer = CaseFuzzer(case, tiers.fixtures_of(case.context.contract, case))
        entry = Entry(1, "wrapKey", "valid", "POST", "/api/v2/keys/x/actions/wrap")
        content = json.dumps({"plaintext": sent, "payload": "A" * 24}).encode()
        request = fuzzer.filled(entry, entry.path, "", {}, content)
        fuzzer.judge(request, SendResult(200, [], json.dumps({"ciphertext": got}).encode()))
        scrub = case.context.redactor.scrub
        assert scrub(f"{sent}, {got}").startswith("<plaintext:")
        assert got not in scrub(f"{sent}, {got}")
        # What a fuzzer has made up stands in other answers by chance.
        assert scrub("A" * 24) == "A" * 24
        raise NotTested("nothing was sent")

    assert judged(body).verdict is Verdict.NOT_TESTED


def test_no_fuzz_is_said() -> None:
    """Without fuzzing the case says what to do to get it run."""
    result = judged(lambda case: tiers.replay_group(case, "keys"), fuzz=replace(USUAL, on=False))
    assert (result.verdict, result.missing) == (Verdict.NOT_TESTED, "leave out --no-fuzz")


def test_live_finds_and_keeps(tmp_path: Path) -> None:
    """A generated finding is kept where ``--replay`` finds it, and in the example database."""
    fuzz = replace(USUAL, generate=True, examples=25, database=str(tmp_path / "examples"))
    result = judged(
        lambda case: tiers.fuzz_operation(case, "getKeys", "invalid"),
        fuzz=fuzz,
        defects=("fuzz-unknown-query",),
        report_dir=tmp_path,
    )
    assert result.verdict is Verdict.FAILED
    (kept,) = list((tmp_path / "findings").glob("finding-*.json"))[:1]
    again = judged(
        lambda case: tiers.replay_group(case, "keys"),
        fuzz=replace(USUAL, replay=str(kept)),
        defects=("fuzz-unknown-query",),
    )
    assert again.verdict is Verdict.FAILED
    assert any((tmp_path / "examples").iterdir())


def test_live_finds_nothing_in_the_unbroken_reference() -> None:
    """Generated requests find nothing where nothing is wrong."""
    fuzz = replace(USUAL, generate=True, examples=15)
    for operation in ("createKey", "unwrapKey"):
        for kind in ("valid", "invalid"):
            result = judged(
                lambda case, op=operation, kind=kind: tiers.fuzz_operation(case, op, kind), fuzz=fuzz
            )  # type: ignore[misc]
            assert (result.verdict, result.findings) == (Verdict.PASSED, ())


@pytest.mark.parametrize("kind", ["root", "imported", "standard", "expiring"])
def test_walks_find_nothing_in_the_unbroken_reference(kind: str) -> None:
    """The model allows whatever the reference does."""
    result = judged(lambda case: tiers.walk(case, kind), fuzz=replace(USUAL, generate=True, examples=8))
    assert (result.verdict, result.findings) == (Verdict.PASSED, ())


def test_walk_finds_the_shortest_way(tmp_path: Path) -> None:
    """A fault that needs a sequence is found, and told by a short walk, a script and a case file."""
    fuzz = replace(USUAL, generate=True, examples=40)
    result = judged(
        lambda case: tiers.walk(case, "root"),
        fuzz=fuzz,
        defects=("fuzz-unwrap-after-rotation",),
        report_dir=tmp_path,
    )
    assert result.verdict is Verdict.FAILED
    (finding,) = result.findings
    assert finding.step == "create root key -> wrap -> rotate -> unwrap"
    assert (tmp_path / "findings" / "walk-root.sh").exists()
    assert (tmp_path / "findings" / "test_walk_root.py").exists()


@pytest.mark.parametrize(
    ("flags", "profile", "whole", "generate"),
    [
        ({}, "gate", False, False),
        ({}, "nightly", True, True),
        ({"fuzz_time": 5.0}, "gate", False, True),
        ({"no_fuzz": True}, "certify", True, False),
    ],
)
def test_flags_and_profile_choose_the_tiers(
    flags: dict[str, Any], profile: str, *, whole: bool, generate: bool
) -> None:
    """A gate replays the sample; the others replay all and generate, unless fuzzing is off."""
    options = fuzz_options(flags, profile)
    assert (options.whole, options.generate) == (whole, generate)


@pytest.mark.parametrize(("every", "is_found"), [(50, False), (1, True)])
def test_only_a_gateway_that_stays_is_found(
    monkeypatch: pytest.MonkeyPatch, *, every: int, is_found: bool
) -> None:
    """An answer of a gateway that a second try does not show is no finding; one that comes each time is."""
    asked = 0
    ask = _Connection.ask

    async def sometimes(line: _Connection, content: bytes, *, head: bool) -> SendResult:
        nonlocal asked
        result = await ask(line, content, head=head)
        if content.startswith(b"POST /api/"):
            asked += 1
            if asked % every == 0:
                return SendResult(503, [("content-type", "text/html")], b"<html></html>")
        return result

    monkeypatch.setattr(_Connection, "ask", sometimes)
    result = judged(lambda case: tiers.replay_group(case, "key-actions"))
    assert asked > 50
    assert (result.verdict is Verdict.FAILED) is is_found, result.findings
    assert ("wire-no-server-error" in {finding.requirement for finding in result.findings}) is is_found


@pytest.mark.parametrize(("every", "found"), [(50, False), (1, True)])
def test_only_what_is_late_alone_is_late(monkeypatch: pytest.MonkeyPatch, *, every: int, found: bool) -> None:
    """An answer that came late among many, and in time to the same request alone, is no finding; one that is always late is."""
    asked = 0
    ask = _Connection.ask

    async def late(line: _Connection, content: bytes, *, head: bool) -> SendResult:
        nonlocal asked
        result = await ask(line, content, head=head)
        asked += 1
        return replace(result, duration=SLOW + 1) if asked % every == 0 else result

    monkeypatch.setattr(_Connection, "ask", late)
    result = judged(lambda case: tiers.replay_group(case, "import-tokens"))
    assert asked > 50
    assert (TIME_BOUND in {finding.requirement for finding in result.findings}) is found
    assert result.verdict is (Verdict.WARNED if found else Verdict.PASSED)


def test_a_replay_loads_no_generator() -> None:
    """What replays a corpus does without Schemathesis and Hypothesis, whose loading would take a second of each run."""
    code = (
        "import sys, kms_conformance.fuzz.entrypoints, kms_conformance.adapters.key_protect.fuzz_fixtures as _;"
        "print(sorted({'hypothesis', 'schemathesis'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
