"""`explain` knows the three messages of the page, and every return and reason code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.lookup import recognised

TKE = load_contract("hpcs_tke")
PAIRS = [code for code in TKE.codes if code[0].isdigit()]


@pytest.mark.parametrize("code", PAIRS)
def test_pairs(code: str) -> None:
    """A pair is known in the spellings that tools print."""
    number, _, reason = code.partition("/")
    spellings = [
        code,
        f"return {number} reason {reason}",
        f"Return code: {number}\nReason code: {reason}",
        f"{number}, {reason}",
    ]
    for spelled in spellings if reason else [number, f"return code {number}"]:
        assert [match.code for match in recognised(TKE, spelled)] == [code]


@pytest.mark.parametrize("code", ["209/71", "NO_SERVICE_INSTANCES", "UNAUTHORIZED"])
def test_messages(code: str) -> None:
    """Each text of the page is recognised, wrapped or not."""
    for text in TKE.codes[code].messages:
        assert [match.code for match in recognised(TKE, text.replace(" ", "\n  "))] == [code]


PRINTED = """FAILED
Error reported by EP11 crypto module.
Return code: 209
Reason code: 71
Error message: Change not allowed.  You are not allowed to change a threshold value if the corresponding
attribute control bit is reset."""


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("209/71", PRINTED),
        (
            "UNAUTHORIZED",
            f"Error querying crypto units. Status 401. {TKE.codes['UNAUTHORIZED'].messages[0]} Log in.",
        ),
        (
            "NO_SERVICE_INSTANCES",
            "FAILED\nNo service instances were found for the current resource group.\nOK",
        ),
        ("163", "163/77"),
    ],
    ids=["pair", "token", "instances", "return"],
)
def test_what_tools_print(code: str, text: str) -> None:
    """A refusal is recognised among what a tool printed with it; an unknown reason leaves the return code."""
    assert [match.code for match in recognised(TKE, text)] == [code]


@pytest.mark.parametrize(
    "text", ["", "209/999", "1/2/3", "message", "the unit is broken", "in 209 days or 71"]
)
def test_nothing_like_it(text: str) -> None:
    """What is none of the contract's refusals is not taken for one."""
    assert recognised(TKE, text) == []


def test_command(command: Callable[..., Any]) -> None:
    """The command prints symptom, cause and resolution, however the pair is given."""
    for words in (["209/71"], ["return", "209", "reason", "71"]):
        ended = command("explain", *words)
        assert ended.code == 0
        for line in ("symptom:", "cause:", "resolution: Zeroize", "hpcs_tke.thresholds.protected_thresholds"):
            assert line in ended.output
