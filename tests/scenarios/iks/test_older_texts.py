"""Services that word their messages as earlier editions of the page did, or as its successor does, raise no alarm."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from runs import GREEN, run_cases, served_target

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.severity import Verdict
from kms_reference.iks.messages import Message
from kms_reference.server import Server

CODES = load_contract("iks").codes
CANNOT = {
    message: message.value.replace("can't", "cannot")
    for message in (Message.INSTANCE_NOT_FOUND, Message.INSTANCE_MISSING, Message.INSTANCE_UNIDENTIFIED)
}
NAMES = {
    Message.NOT_CONNECTED: CODES["INFRASTRUCTURE_NOT_CONNECTED"].messages[1],
    Message.REGISTRY_ROLE: CODES["REGISTRY_ROLE_MISSING"].messages[1],
}
SUCCESSOR = {Message.NOT_CONNECTED: CODES["E0057"].messages[0]}


def failed(monkeypatch: pytest.MonkeyPatch, texts: Mapping[Message, str]) -> set[str]:
    """Run every case of the contract against a reference with these texts; return the rows that fail."""
    for message, text in texts.items():
        monkeypatch.setattr(message, "_value_", text)
    with Server() as server:
        place = "kms_conformance.scenarios.iks"
        run = run_cases(served_target(server), "--pyargs", place=place, contracts=("iks",))
    assert {case.verdict for case in run.cases} <= GREEN | {Verdict.FAILED, Verdict.NOT_APPLICABLE}
    assert sum(case.verdict is Verdict.PASSED for case in run.cases) > 20
    return {
        finding.requirement
        for case in run.cases
        for finding in case.findings
        if finding.severity is Verdict.FAILED
    }


@pytest.mark.parametrize("texts", [CANNOT, NAMES, SUCCESSOR], ids=["cannot", "names", "successor"])
def test_other_wordings_are_accepted(monkeypatch: pytest.MonkeyPatch, texts: Mapping[Message, str]) -> None:
    """No case fails."""
    assert failed(monkeypatch, texts) == set()


@pytest.mark.parametrize(
    ("message", "text", "row"),
    [
        (Message.INSTANCE_NOT_FOUND, "The worker node instance '{id}' could not be found.", "iks-12"),
        (Message.NOT_CONNECTED, "Unable to connect to the account.", "iks-11"),
        (Message.REGISTRY_ROLE, "The cluster could not be configured with the registry.", "iks-13"),
    ],
    ids=["lookup", "account", "registry"],
)
def test_other_texts_are_found(
    monkeypatch: pytest.MonkeyPatch, message: Message, text: str, row: str
) -> None:
    """A text that no edition has fails the row of its message."""
    assert row in failed(monkeypatch, {message: text})
