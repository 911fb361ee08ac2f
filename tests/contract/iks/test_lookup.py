"""`explain` knows the ten messages of the page as they are pasted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.lookup import recognised

IKS = load_contract("iks")
MESSAGES = [(code.code, text) for code in IKS.codes.values() for text in code.messages]
FILLED = {
    "<ID>": "kube-1",
    "<provider>": "SoftLayer",
    "<message>": "Provided API key could not be found.",
    "<group>": "default",
}


@pytest.mark.parametrize(("code", "text"), MESSAGES)
def test_messages(code: str, text: str) -> None:
    """Each text is recognised as printed, filled in, wrapped, and among other words."""
    filled = text
    for placeholder, value in FILLED.items():
        filled = filled.replace(placeholder, value)
    for spelled in (
        text,
        filled,
        filled.replace(" ", "\n"),
        filled.replace("'", "\u2019"),
        f"FAILED\n{filled}",
        filled.lower(),
    ):
        assert [match.code for match in recognised(IKS, spelled)] == [code]


def test_ten_messages() -> None:
    """The page has ten messages, and each tells symptom, cause and resolution."""
    documented = [code for code in IKS.codes.values() if code.documented]
    assert len(documented) == 10
    assert all(code.symptom and code.cause and code.resolution for code in documented)


def test_command(command: Callable[..., Any]) -> None:
    """The command prints symptom, cause and resolution of a pasted message, and promises no status."""
    ended = command("explain", "Error: SoftLayer_Exception_User_Customer_Unauthorized: Invalid API key")
    assert ended.code == 0
    for line in (
        "INVALID_API_KEY",
        "whatever error status",
        "symptom:",
        "cause:",
        "resolution:",
        "reset_does_not_heal",
    ):
        assert line in ended.output
