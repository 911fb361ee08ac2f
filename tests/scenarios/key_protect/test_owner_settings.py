"""What the owner of an instance has set is no fault of the endpoint: no case fails for it, and no key is left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from commands import Command
from owners import living_keys, put_policy

from kms_conformance.adapters.key_protect.premises import settings
from kms_conformance.run.outcomes import Inconclusive
from kms_conformance.run.premises import Premises
from kms_conformance.target.target import Target
from kms_conformance.transport.client import Request
from kms_reference.server import Server
from kms_reference.target import target_text

DUAL = {"dualAuthDelete": {}}
ROTATION = {"rotation": {"interval_month": 1}}
NO_STANDARD = {"keyCreateImportAccess": {"create_standard_key": False, "import_standard_key": False}}
BY_TOKEN = {"keyCreateImportAccess": {"enforce_token": True}}
OWNERS = {
    "dual": DUAL,
    "rotation": ROTATION,
    "no-standard": NO_STANDARD,
    "by-token": BY_TOKEN,
    "dual-and-rotation": DUAL | ROTATION,
}
CASES = "not laws and not fuzz"
"""The cases of documented sequences: those of laws take minutes, and are run by hand for each setting."""


@pytest.fixture
def instance() -> str:
    """Return the id of an instance that nobody has used."""
    return str(uuid4())


@pytest.fixture(scope="module")
def broken() -> Iterator[Server]:
    """Yield a reference that forgets to refuse the second rotation within an hour."""
    with Server(defects=["rotation-unlimited"]) as server:
        yield server


def judged(
    command: Command, server: Server, folder: Path, instance: str, cases: str = CASES
) -> dict[str, Any]:
    """Judge a shared instance with no [allow], and return the results."""
    text = (
        target_text(server).partition("[allow]")[0].replace('instance = "fresh"', f'instance = "{instance}"')
    )
    (folder / "target.toml").write_text(text)
    ended = command("run", "--target", "target.toml", "--report-dir", "report", "-k", cases, "--no-fuzz")
    assert ended.code in {0, 1, 3}, ended.output
    document: dict[str, Any] = json.loads((folder / "report" / "results.json").read_text())
    return document


@pytest.mark.parametrize("name", OWNERS)
def test_no_false_failure(
    command: Command, reference: Server, tmp_path: Path, instance: str, name: str
) -> None:
    """Under each setting and under pairs nothing fails, every key is removed, and what stopped a case is the setting."""
    for kind, attributes in OWNERS[name].items():
        put_policy(reference, instance, kind, **attributes)
    document = judged(command, reference, tmp_path, instance)
    deviating = [case["id"] for case in document["cases"] if case["verdict"] in {"failed", "warned", "error"}]
    assert deviating == []
    assert document["counts"]["passed"] > 50
    stopped = {case["message"] for case in document["cases"] if case["verdict"] == "inconclusive"}
    assert stopped
    assert all(text.startswith("the instance has ") for text in stopped)
    assert living_keys(reference, instance) == []


def test_faults_are_still_found(command: Command, broken: Server, tmp_path: Path, instance: str) -> None:
    """A defect that a setting does not touch is found beside it."""
    put_policy(broken, instance, "keyCreateImportAccess", create_standard_key=False)
    document = judged(command, broken, tmp_path, instance, "test_rotation")
    assert document["verdict"] == "non-conformant"


def test_nobody_could_delete(command: Command, reference: Server, tmp_path: Path, instance: str) -> None:
    """Where keys inherit dual authorisation and there is no approver, no key is made at all."""
    put_policy(reference, instance, "dualAuthDelete")
    text = (
        target_text(reference)
        .partition("[allow]")[0]
        .replace('instance = "fresh"', f'instance = "{instance}"')
    )
    head, _, rest = text.partition("[identities.approver]")
    (tmp_path / "target.toml").write_text(head + rest.partition("\n\n")[2])
    ended = command(
        "run", "--target", "target.toml", "--report-dir", "report", "-k", "test_states", "--no-fuzz"
    )
    assert ended.code == 3
    assert living_keys(reference, instance) == []
    assert "add [identities.approver]" in (tmp_path / "report" / "results.json").read_text()


def target(**allow: bool) -> Target:
    """Return a target with nobody but the one who may do everything."""
    return Target("http://127.0.0.1:1", str(uuid4()), allow=allow)


def request(operation: str, method: str = "POST", **members: Any) -> Request:
    """Return a request of an operation with one resource."""
    return Request(method, "/api/v2/keys", operation=operation, body={"resources": [members]})


def stopped(premises: Premises, asked: Request) -> str:
    """Return why a request is not sent, ``""`` where it is."""
    try:
        premises.demand(asked)
    except Inconclusive as why:
        return str(why)
    return ""


def test_which_requests_a_policy_changes() -> None:
    """Only the requests whose outcome a policy changes are stopped, whatever form they have."""
    rights = Premises(tuple(settings({"keyCreateImportAccess": {"create_standard_key": False}}, target())))
    assert "no create standard key" in stopped(rights, request("createKey", extractable=True))
    assert stopped(rights, request("createKey", extractable=False)) == ""
    assert stopped(rights, request("createKey", extractable=True, payload="AAAA")) == ""
    raw = Request(
        "POST", "/api/v2/keys", operation="createKey", raw=b'{"resources": [{"extractable": true}]}'
    )
    assert stopped(rights, raw)
    by_token = Premises(tuple(settings({"keyCreateImportAccess": {"enforce_token": True}}, target())))
    old = Request(
        "POST",
        "/api/v2/keys/x",
        operation="actionOnKey",
        params={"action": "rotate"},
        body={"payload": "AAAA"},
    )
    assert stopped(by_token, old)
    assert stopped(by_token, request("createKey", extractable=False)) == ""


def test_litter_that_is_permitted() -> None:
    """An expiring key under inherited dual authorisation is made only where the target permits what stays of it."""
    expiring = request("createKey", extractable=False, expirationDate="2030-01-01T00:00:00Z")
    strict = Premises(tuple(settings({"dualAuthDelete": {}}, target())))
    lenient = Premises(tuple(settings({"dualAuthDelete": {}}, target(dual_auth_litter=True))))
    assert "[allow] dual_auth_litter permits it" in stopped(strict, expiring)
    assert stopped(lenient, expiring) == ""
