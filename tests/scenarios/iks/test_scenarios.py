"""The cases of the Kubernetes Service: what the reference keeps, what a broken or absent one fails, what they leave."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from null_servers import NULLS, serving
from report_texts import texts_of, tokens_in
from runs import GREEN, run_cases

from kms_conformance.adapters.iks.adapter import KubernetesService
from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import UnknownTargetKeyError
from kms_conformance.judging.verdict import Run, RunVerdict
from kms_conformance.run.case import CaseRun
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.options import Options
from kms_conformance.run.session import Session
from kms_conformance.target.target import Target, build_target
from kms_reference.server import Server

PLACE = "kms_conformance.scenarios.iks"
KEY, OTHER_KEY = "a-classic-key-that-is-secret", "another-classic-key-that-is-secret"
USERS = {
    "user": "1234567_first",
    "key_env": "CLASSIC_KEY",
    "other_user": "7654321_second",
    "other_key_env": "OTHER_CLASSIC_KEY",
    "other_group": "another",
}
ALLOWED = {"credentials": True, "clusters": True}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the infrastructure keys where the target says that they are."""
    monkeypatch.setenv("CLASSIC_KEY", KEY)
    monkeypatch.setenv("OTHER_CLASSIC_KEY", OTHER_KEY)


def run_iks(target: Target | None, *arguments: str, **options: Any) -> Run:
    """Run the installed cases of the contract."""
    return run_cases(target, *arguments, "--pyargs", place=PLACE, contracts=("iks",), **options)


def promised(run: Run) -> list[str]:
    """Return the ids of the cases that are green and cover a MUST."""
    rows = load_contract("iks").requirements
    return [
        case.id
        for case in run.cases
        if case.verdict in GREEN and any(rows[row].level == "MUST" for row in case.requirements)
    ]


def shared(server: Server, account: str, **changes: Any) -> Target:
    """Return the target of one account that others use too."""
    document = {
        "base_url": server.base_url,
        "instance": "fresh",
        "iam": {"url": server.iam_url},
        "control": {"url": server.control_url},
        "identities": {name: {"api_key": key} for name, key in server.api_keys.items()},
        "iks": {"account": account, **USERS},
        **changes,
    }
    return build_target(document, {})


def opened(target: Target, journal: Path | None = None) -> tuple[KubernetesService, Session]:
    """Return an adapter in a case of its own, and its session."""
    session = Session(Options(contracts=("iks",), journal=journal), target)
    context = session.context("iks")
    case = CaseRun(
        context, CaseInfo("tests.case", "A case", "iks", ("iks-01",)), session.instance(context.target)
    )
    return KubernetesService(case), session


@pytest.fixture
def account() -> str:
    """Return the id of an account that nobody has used."""
    return uuid.uuid4().hex


def test_reference_keeps_every_promise() -> None:
    """Every case passes against the reference, and nothing that is judged lacks a case."""
    run = run_iks(None)
    assert [case.id for case in run.cases if case.verdict is not Verdict.PASSED] == []
    assert run.verdict is RunVerdict.CONFORMANT
    judged = {row.id for row in run.rows if not row.excluded and not row.every_exchange}
    assert judged == {row for case in run.cases for row in case.requirements}


@pytest.mark.parametrize(
    ("defect", "finder", "verdict"),
    [
        ("iks-reset-heals-manual", "iks.invalid_key.reset_does_not_heal[other-user]", Verdict.FAILED),
        ("iks-key-echoed", "iks.credentials.set_and_shown", Verdict.FAILED),
        ("iks-orphan-stays", "iks.orphans.orphan_and_return", Verdict.FAILED),
        ("iks-refused-set-stored", "iks.roles.viewer_sets_nothing", Verdict.FAILED),
        ("iks-kms-envelope", "iks.clusters.envelope", Verdict.FAILED),
        ("iks-token-exchange-wrong-code", "iks.api_key.dead_key[long]", Verdict.WARNED),
    ],
)
def test_broken_reference(defect: str, finder: str, verdict: Verdict) -> None:
    """A broken reference fails in the case that is about it, and only warns where only public issues tell."""
    run = run_iks(None, "-k", finder.rpartition(".")[2].partition("[")[0], defects=(defect,))
    assert {case.id: case.verdict for case in run.cases}[finder] is verdict


@pytest.mark.parametrize("name", NULLS)
def test_null_server(name: str) -> None:
    """A server that is no Kubernetes Service passes no MUST."""
    with serving(NULLS[name]) as server:
        document = {
            "base_url": server.url,
            "instance": "fresh",
            "identities": {
                name: {"token": "a-token-of-nobody"} for name in ("manager", "reader", "approver")
            },
            "limits": {"max_wait": 0, "timeout": 0.3, "patience": 0.3},
            "allow": ALLOWED,
            "control": {"url": server.url},
            "iks": {"account": "one", **USERS},
        }
        run = run_iks(build_target(document, {}))
    assert promised(run) == []
    assert run.exit_code != 0


def test_shared_account_is_not_changed_unless_allowed(reference: Server, account: str) -> None:
    """Without the permissions every changing case says what to add, and the others pass."""
    run = run_iks(
        shared(reference, account), "-k", "shape or unknown_cluster or last_wins or orphan_and_return"
    )
    verdicts = {case.id.rpartition(".")[2]: case for case in run.cases}
    assert verdicts["last_wins"].verdict is Verdict.NOT_TESTED
    assert "[allow] credentials = true" in verdicts["last_wins"].missing
    assert "[allow] clusters = true" in verdicts["orphan_and_return"].missing
    assert verdicts["shape"].verdict is verdicts["unknown_cluster"].verdict is Verdict.PASSED


def test_shared_account_is_left_as_it_was(reference: Server, account: str, tmp_path: Path) -> None:
    """With the permissions the cases pass there too, no credential and no cluster stays, and no report shows a key."""
    target = shared(reference, account, allow=ALLOWED)
    run = run_iks(target, report_dir=tmp_path)
    other = {case.id: case.message for case in run.cases if case.verdict is not Verdict.PASSED}
    assert set(other) == {
        "iks.credentials.one_account",
        "iks.credentials.one_user_in_two_places[account]",
        "iks.ownership.cluster_of_another_account",
        "iks.invalid_key.reset_does_not_heal[same-user]",
        "iks.invalid_key.older_workers_are_healed_too[reload]",
        "iks.invalid_key.older_workers_are_healed_too[remove]",
        "iks.invalid_key.key_of_one_user_in_two_places[group]",
        "iks.invalid_key.key_of_one_user_in_two_places[region]",
    }
    iks, session = opened(target)
    assert iks.get_credentials().status == 404
    assert iks.list_clusters().body == []
    session.close()
    texts = texts_of(tmp_path)
    assert tokens_in(texts) == []
    for secret in (KEY, OTHER_KEY, "reference-manager-"):
        assert not [text[:80] for text in texts if secret in text]


def test_credentials_of_somebody_else_stay(reference: Server, account: str) -> None:
    """Where credentials are set that nobody could put back, no case changes them."""
    target = shared(reference, account, allow=ALLOWED)
    iks, session = opened(target)
    iks.set_credentials(iks.credential())
    run = run_iks(target, "-k", "last_wins")
    assert [case.verdict for case in run.cases] == [Verdict.NOT_TESTED]
    assert "nobody could put them back" in run.cases[0].message
    assert iks.get_credentials()["apiUser"] == USERS["user"]
    session.close()


def test_killed_run_is_recovered(reference: Server, account: str, tmp_path: Path) -> None:
    """What a killed run has left, credentials and clusters, a later one removes."""
    target = shared(reference, account, allow=ALLOWED)
    iks, session = opened(target, tmp_path / "journal.sqlite")
    iks.set_credentials(iks.credential())
    iks.in_other_region().set_credentials(iks.credential("other"))
    iks.cluster()
    session.close()
    again, later = opened(target, tmp_path / "journal.sqlite")
    assert sorted(entry.kind for entry in later.left_behind()) == [
        "iks:cluster",
        "iks:credentials",
        "iks:credentials",
    ]
    assert later.recover() == []
    assert later.left_behind() == []
    for place in (again, again.in_other_region()):
        assert place.get_credentials().status == 404
    assert again.list_clusters().body == []
    later.close()


def test_missing_user_is_named(reference: Server, account: str) -> None:
    """A target without infrastructure users is told what to add."""
    target = shared(reference, account, allow=ALLOWED, iks={"account": account})
    run = run_iks(target, "-k", "last_wins or one_place")
    assert {case.verdict for case in run.cases} == {Verdict.NOT_TESTED}
    messages = " ".join(case.message for case in run.cases)
    assert "add user and key_env" in messages
    assert "add other_group" in messages


def test_unknown_key_of_the_table(reference: Server) -> None:
    """A misspelt key of the contract's table is named, with the nearest known one."""
    with pytest.raises(UnknownTargetKeyError, match="acount"):
        shared(reference, "x", iks={"acount": "x"})
