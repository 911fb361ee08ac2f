"""What a record says of how the run was made is held against what else it says."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import Any

import pytest

from kms_conformance.contract.contract import load_contract
from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.verification import command_lines, exchange_checks

CONTRACT = load_contract("key_protect")
NAMES = ["key_protect.states.delete_twice scenarios/key_protect/test_states.py::test_delete_twice"]
LEFT_OUT = "1693 cases were left out by the selection"


def record(command: str, **changes: Any) -> dict[str, Any]:
    """Return a record with a command line."""
    target = {
        "base_url": "http://127.0.0.1:1",
        "instance": "fresh",
        "control": True,
        "capabilities": {"kmip": True},
        "allow": {"raw": True},
        "limits": {"requests_per_second": None, "max_wait": 360.0},
    }
    return {
        "command_line": shlex.split(command),
        "options": {
            "max_wait": None,
            "defects": [],
            "variations": [],
            "baseline": None,
            "fuzz": {"on": True},
        },
        "contracts": [{"id": "key_protect"}],
        "shards": [],
        "partial": "",
        "not_run": 0,
        "target": target,
        **changes,
    }


@pytest.mark.parametrize(
    "command",
    [
        "kms-conformance run",
        "kms-conformance run --report-dir out -q",
        "python -m kms_conformance run --contract key_protect --base-url=http://127.0.0.1:1/",
        "kms-conformance run --allow raw --capability kmip --control-url http://127.0.0.1:1/_control",
        "kms-conformance merge one two --defect x",
        "pytest --kms-target target.toml",
    ],
)
def test_command_lines_that_fit(command: str) -> None:
    """What the record shows, what it cannot show, and what is no run are not refused."""
    assert list(command_lines.complaints(record(command), NAMES)) == []


@pytest.mark.parametrize(
    "command",
    [
        "kms-conformance run --defect rotation-unlimited",
        "kms-conformance run --variation chunked",
        "kms-conformance run --contract iks",
        "kms-conformance run --base-url https://kms.example.test",
        "kms-conformance run --instance 7f1d1c4e-0000-4000-8000-000000000000",
        "kms-conformance run --max-wait 0",
        "kms-conformance run --requests-per-second 5",
        "kms-conformance run --baseline known.yaml",
        "kms-conformance run --challenge abc",
        "kms-conformance run --product product.toml",
        "kms-conformance run --no-fuzz",
        "kms-conformance run --mode read-only",
        "kms-conformance run --insecure",
        "kms-conformance run --capability no-kmip",
        "kms-conformance run --allow zeroize",
        "kms-conformance run -k rotation",
    ],
)
def test_command_lines_that_do_not_fit(command: str) -> None:
    """Each option that the record does not show is one sentence."""
    (sentence,) = command_lines.complaints(record(command), NAMES)
    assert sentence.startswith("results.json: the command line says ")


def test_selection_and_command_line() -> None:
    """A selection that nobody has asked for, another number of cases, and defects that nobody has switched on are refused."""
    partial = {"partial": LEFT_OUT, "not_run": 1693}
    assert (
        list(command_lines.complaints(record("kms-conformance run -k delete_twice", **partial), NAMES)) == []
    )
    assert list(command_lines.complaints(record("kms-conformance run -k 'not laws'", **partial), NAMES)) == []
    for asked in (
        record("kms-conformance run", **partial),
        record("kms-conformance run -k delete_twice", **{**partial, "not_run": 1}),
        record("kms-conformance run", options={"defects": ["rotation-unlimited"], "variations": []}),
        record("kms-conformance run", options={"challenge": "abc"}),
    ):
        assert len(list(command_lines.complaints(asked, NAMES))) == 1


def exchange(number: int, **changes: Any) -> Exchange:
    """Return an exchange that took a second."""
    body = {"resources": [{"id": "a"}]}
    size = len(json.dumps(body))
    answer = Received(200, {"content-length": str(size)}, body, is_json=True, size=size, kind="", code=None)
    sent = Sent("GET", "http://127.0.0.1:1/api/v2/keys", "/api/v2/keys", {}, None, None)
    made = Exchange(
        f"x{number:05d}", "case", "getKeys", "getKeys", "manager", sent, answer, "", float(number), 1.0
    )
    return replace(made, **{name: value for name, value in changes.items() if name in {"started", "notes", "trouble"}},
                   answer=replace(answer, **{name: value for name, value in changes.items()
                                             if name in {"headers", "is_json", "size", "kind", "code"}}))  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"headers": {"content-length": "7"}}, "its content-length is 7"),
        ({"headers": {"content-length": "7", "content-encoding": "gzip"}}, ""),
        ({"headers": {}, "size": 3}, "does not fit into"),
        ({"is_json": False}, "is said to be no JSON"),
        ({"kind": "an HTML page"}, "is said to be 'an HTML page'"),
        ({"code": "KEY_DELETED_ERR"}, "is said to have the code KEY_DELETED_ERR"),
        ({"trouble": "connection reset"}, "has a trouble"),
        ({"started": 1.5}, "was sent before x00001 was answered"),
        ({"started": 1.5, "notes": {"client": "2"}}, ""),
    ],
)
def test_what_is_said_of_an_exchange(changes: dict[str, Any], words: str) -> None:
    """Size, form, code and order of exchanges follow from each other."""
    told = list(exchange_checks.complaints([exchange(1), exchange(2, **changes)], CONTRACT))
    assert [words in sentence for sentence in told] == ([True] if words else [])
