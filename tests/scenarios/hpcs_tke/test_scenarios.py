"""The cases of Trusted Key Entry: what the reference keeps, what a broken or absent one fails, what they leave behind."""

from __future__ import annotations

import sqlite3
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from null_servers import NULLS, serving
from report_texts import texts_of, tokens_in
from runs import GREEN, run_cases

from kms_conformance.adapters.hpcs_tke.adapter import OURS, TrustedKeyEntry
from kms_conformance.adapters.hpcs_tke.malformed import FIELDS, HEADERS, STRINGS
from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.verdict import Run, RunVerdict
from kms_conformance.run.case import CaseRun
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.options import Options
from kms_conformance.run.session import Session
from kms_conformance.target.target import Target, build_target
from kms_reference.server import Server

PLACE = "kms_conformance.scenarios.hpcs_tke"
IMPORTED = bytes(range(32)).hex(), "5a" * 32
CHANGING = "thresholds or signatures or administrators or attributes"


def run_tke(target: Target | None, *arguments: str, **options: Any) -> Run:
    """Run the installed cases of the contract."""
    return run_cases(target, *arguments, "--pyargs", place=PLACE, contracts=("hpcs_tke",), **options)


def promised(run: Run) -> list[str]:
    """Return the ids of the cases that are green and cover a MUST."""
    rows = load_contract("hpcs_tke").requirements
    return [
        case.id
        for case in run.cases
        if case.verdict in GREEN and any(rows[row].level == "MUST" for row in case.requirements)
    ]


def shared(server: Server, instance: str, **changes: Any) -> Target:
    """Return the target of one instance that exists, and that others could use."""
    document = {
        "base_url": server.base_url,
        "instance": instance,
        "iam": {"url": server.iam_url},
        "control": {"url": server.control_url},
        "identities": {name: {"api_key": key} for name, key in server.api_keys.items()},
        "hpcs_tke": {},
        **changes,
    }
    return build_target(document, {})


@pytest.fixture
def instance(reference: Server) -> str:
    """Return an instance with an operational and a recovery unit."""
    made = str(uuid.uuid4())
    assert httpx.put(f"{reference.control_url}/hpcs_tke/instances/{made}", json={}).status_code == 201
    return made


def test_reference_keeps_every_promise() -> None:
    """Every case passes against the reference, and nothing that is judged lacks a case."""
    run = run_tke(None)
    assert [case.id for case in run.cases if case.verdict is not Verdict.PASSED] == []
    assert run.verdict is RunVerdict.CONFORMANT
    judged = {row.id for row in run.rows if not row.excluded and not row.every_exchange}
    assert judged == {row for case in run.cases for row in case.requirements}


@pytest.mark.parametrize(
    ("defect", "finder"),
    [
        ("tke-threshold-wrong-reason", "hpcs_tke.thresholds.protected_thresholds"),
        ("tke-refusal-applies-thresholds", "hpcs_tke.thresholds.protected_thresholds"),
        ("tke-refusal-as-http-400", "hpcs_tke.thresholds.protected_thresholds"),
        ("tke-unauthorized-after-execution", "hpcs_tke.tokens.refused_command_is_not_done"),
        ("tke-import-echoes-key", "hpcs_tke.registers.import[2]"),
        ("tke-always-crypto-ready", "hpcs_tke.link.kms_needs_a_master_key"),
    ],
)
def test_broken_reference(defect: str, finder: str) -> None:
    """A broken reference fails in the case that is about it."""
    run = run_tke(None, "-k", finder.rpartition(".")[2].partition("[")[0], defects=(defect,))
    assert finder in [case.id for case in run.cases if case.verdict is Verdict.FAILED]
    assert run.verdict is RunVerdict.NON_CONFORMANT


@pytest.mark.parametrize("name", NULLS)
def test_null_server(name: str) -> None:
    """A server that is no TKE service passes no MUST."""
    with serving(NULLS[name]) as server:
        table = {"instance": "7f1d1c4e-0000-4000-8000-000000000000"}
        document = {
            "base_url": server.url,
            "instance": "fresh",
            "identities": {"manager": {"token": "a-token-of-nobody"}},
            "limits": {"max_wait": 0, "timeout": 0.3, "patience": 0.3},
            "allow": {"zeroize": True},
            "hpcs_tke": table,
        }
        run = run_tke(build_target(document, {"KMS_JOURNAL_KEY": "k"}))
    assert promised(run) == []
    assert run.exit_code != 0


def test_shared_instance_is_not_changed_unless_allowed(reference: Server, instance: str) -> None:
    """Without the permission every changing case says what to add, and the others pass."""
    run = run_tke(shared(reference, instance), "-k", "list or garbage or first-word or protected_thresholds")
    verdicts = {case.id: case.verdict for case in run.cases}
    assert verdicts.pop("hpcs_tke.thresholds.protected_thresholds") is Verdict.NOT_TESTED
    assert set(verdicts.values()) == {Verdict.PASSED}
    assert any("[allow] zeroize = true" in case.missing for case in run.cases)


def test_shared_instance_is_left_as_it_was(reference: Server, instance: str) -> None:
    """With the permission all cases pass there too, and every unit is back in imprint mode."""
    target = shared(reference, instance, allow={"zeroize": True})
    run = run_tke(target, "-k", "export or link or module_in_imprint or setting_up or rsa or removed")
    assert [case.id for case in run.cases if case.verdict is not Verdict.PASSED] == []
    tke, session = opened(target)
    for kind in ("hsms", "source_hsms"):
        for unit in tke.units(kind):
            assert unit.look()["attributes"]["signature_threshold"] == 0
            assert unit.look()["administrators"] == []
    session.close()


def opened(target: Target, journal: Path | None = None) -> tuple[TrustedKeyEntry, Session]:
    """Return an adapter in a case of its own, and its session."""
    session = Session(Options(contracts=("hpcs_tke",), journal=journal), target)
    context = session.context("hpcs_tke")
    case = CaseRun(
        context, CaseInfo("tests.case", "A case", "hpcs_tke", ("tke-01",)), session.instance(context.target)
    )
    return TrustedKeyEntry(case), session


def test_killed_run_is_recovered(reference: Server, instance: str, tmp_path: Path) -> None:
    """A unit that a killed run left with administrators is zeroized by a later one: their keys can be made again."""
    target = shared(reference, instance, allow={"zeroize": True})
    tke, session = opened(target, tmp_path / "journal.sqlite")
    tke.operational(tke.unit(), signature=2)
    assert tke.kms_create_root_key().status == 400
    session.close()
    again, later = opened(target, tmp_path / "journal.sqlite")
    assert [entry.kind for entry in later.left_behind()] == ["hpcs_tke:unit"]
    assert later.recover() == []
    assert later.left_behind() == []
    assert again.any_unit().look()["administrators"] == []
    later.close()


def test_lost_answers_are_looked_for(reference: Server, instance: str, tmp_path: Path) -> None:
    """A root key whose creation was never answered is found in the KMS by its name, and removed."""
    target = shared(reference, instance, allow={"zeroize": True})
    tke, session = opened(target, tmp_path / "journal.sqlite")
    unit = tke.operational(tke.unit())
    unit.load_key(tke.administrators(1))
    path = tke.kms_create_root_key().needed(201)["resources.0.id"]
    journal = session.context("hpcs_tke").journal
    with sqlite3.connect(tmp_path / "journal.sqlite") as file:
        file.execute("UPDATE things SET state = 'intended', ref = '' WHERE kind = 'hpcs_tke:key'")
    file.close()
    assert {entry.state for entry in journal.left_over() if entry.kind == "hpcs_tke:key"} == {"intended"}
    session.close()
    again, later = opened(target, tmp_path / "journal.sqlite")
    assert later.recover() == []
    assert again.kms_wrap(path, "cGxhaW4=").status in {400, 404, 410}
    later.close()


def test_keys_are_found_by_name(reference: Server, instance: str, tmp_path: Path) -> None:
    """Where the journal is lost, a root key in the KMS is found by the full shape of its name; one only alike is not."""
    target = shared(reference, instance, allow={"zeroize": True})
    tke, session = opened(target, tmp_path / "journal.sqlite")
    tke.operational(tke.unit()).load_key(tke.administrators(1))
    path = tke.kms_create_root_key().needed(201)["resources.0.id"]
    session.close()
    _, later = opened(target, tmp_path / "another.sqlite")
    found = later.named_like_ours()
    assert [(entry.kind, entry.ref, entry.run) for entry in found] == [
        ("hpcs_tke:key", f"/api/v2/keys/{path}", session.options.run)
    ]
    assert OURS.fullmatch(found[0].name)
    assert not OURS.fullmatch(f"{found[0].name}-copy")
    assert later.put_right(found) == []
    assert later.named_like_ours() == []
    later.close()


def test_somebody_elses_unit_is_left_alone(
    reference: Server, instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit with administrators whose keys we do not have is neither changed nor judged."""
    target = shared(reference, instance, allow={"zeroize": True})
    tke, session = opened(target)
    tke.operational(tke.unit())
    before = tke.any_unit().look()
    monkeypatch.setenv("KMS_JOURNAL_KEY", "another operator")
    run = run_tke(target, "-k", "added_once")
    assert [case.verdict for case in run.cases] == [Verdict.NOT_TESTED]
    assert "administrators of its own" in run.cases[0].message
    assert tke.any_unit().look() == before
    session.close()


def test_reports_hold_no_key(tmp_path: Path) -> None:
    """No report shows a key part, a master key, a token or an API key."""
    run_tke(None, "-k", "import or garbage", report_dir=tmp_path)
    texts = texts_of(tmp_path)
    assert texts
    assert tokens_in(texts) == []
    for secret in (*IMPORTED, *(part.upper() for part in IMPORTED), "reference-manager-"):
        assert not [text[:80] for text in texts if secret in text]
    assert any("<master_key:" in text for text in texts)


def test_every_malformed_frame_has_a_case() -> None:
    """The lists of wrong things in the cases are those of the adapter."""
    from kms_conformance.scenarios.hpcs_tke import test_frames as cases  # noqa: PLC0415 - named like a test

    assert list(STRINGS) == cases.STRINGS
    assert list(HEADERS) == cases.HEADERS
    assert list(FIELDS) == cases.FIELDS


def test_table_of_the_target(reference: Server) -> None:
    """The contract's own table decides address and instance; what it leaves out is the KMS's."""
    target = shared(reference, "7f1d1c4e-0000-4000-8000-000000000000")
    seen = target.seen_by("hpcs_tke")
    assert (seen.base_url, seen.instance) == (target.base_url, target.instance)
    other = replace(target, others={"hpcs_tke": {"base_url": "http://127.0.0.1:1/", "instance": "x"}})
    seen = other.seen_by("hpcs_tke")
    assert (seen.base_url, seen.instance, seen.main_url) == ("http://127.0.0.1:1", "x", target.base_url)
    assert other.contracts == ("key_protect", "hpcs_tke")
