"""Which refusal somebody is looking at: a message as it was pasted, or return and reason code of a crypto module."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kms_conformance.contract.messages import normalise, says

if TYPE_CHECKING:
    from kms_conformance.contract.contract import Contract, ReasonCode

_WORD = r"(?:[\s:=,/.-]|return|reason|code|rc)"
_PAIR = re.compile(rf"{_WORD}*(\d+){_WORD}+(\d+){_WORD}*", re.IGNORECASE)
_RETURN = re.compile(rf"{_WORD}*(\d+){_WORD}*", re.IGNORECASE)
_PRINTED = re.compile(r"\breturn code\b\D{0,5}(\d+)\b.{0,40}?\breason code\b\D{0,5}(\d+)", re.IGNORECASE)
_FEW_WORDS = 5
"""Messages of fewer words are not looked for inside longer texts: they stand there by chance."""


def recognised(contract: Contract, text: str) -> list[ReasonCode]:
    """Return the codes that a text is about, in the catalogue's order; none when the contract knows nothing like it.

    A message may be wrapped, and may stand among other words, as in what a tool printed.
    """
    told = " ".join(text.split())
    for pattern, match in ((_PAIR, re.fullmatch), (_RETURN, re.fullmatch), (_PRINTED, re.search)):
        numbers = match(pattern, told)
        if numbers is not None:
            known = _numbered(contract, *numbers.groups())
            return [known] if known is not None else []
    if " " not in told:
        return []
    found = [code for code in contract.codes.values() if _is_about(code, told)]
    return found or _inside(contract, told)


def _numbered(contract: Contract, code: str, reason: str = "") -> ReasonCode | None:
    """Return what a return and a reason code mean; without that pair, what the return code alone means."""
    return contract.codes.get(f"{code}/{reason}" if reason else code) or contract.codes.get(code)


def _is_about(code: ReasonCode, told: str) -> bool:
    if any(says(told, message, detail=code.detail) for message in code.messages):
        return True
    return any(re.search(pattern, told, re.IGNORECASE) for pattern in code.patterns)


def _inside(contract: Contract, told: str) -> list[ReasonCode]:
    """Return the codes with the longest message that stands among the words of a text."""
    whole = normalise(told)
    sizes = {
        code.code: max(
            (
                len(wanted)
                for wanted in map(normalise, code.messages)
                if wanted in whole and wanted.count(" ") >= _FEW_WORDS - 1
            ),
            default=0,
        )
        for code in contract.codes.values()
    }
    longest = max(sizes.values(), default=0)
    return [contract.codes[code] for code, size in sizes.items() if longest and size == longest]
