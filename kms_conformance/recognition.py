"""Which refusal somebody is looking at: a message as it was pasted, or return and reason code of a crypto module."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kms_conformance.messages import says

if TYPE_CHECKING:
    from kms_conformance.contract import Contract, ReasonCode

_WORD = r"(?:[\s:=,/.-]|return|reason|code|rc)"
_PAIR = re.compile(rf"{_WORD}*(\d+){_WORD}+(\d+){_WORD}*", re.IGNORECASE)
_RETURN = re.compile(rf"{_WORD}*(\d+){_WORD}*", re.IGNORECASE)


def recognised(contract: Contract, text: str) -> list[ReasonCode]:
    """Return the codes that a text is about, in the catalogue's order; none when the contract knows nothing like it.

    A message may be wrapped, and may stand among other words.
    """
    told = " ".join(text.split())
    for form, pattern in (("{}/{}", _PAIR), ("{}", _RETURN)):
        numbers = pattern.fullmatch(told)
        if numbers is not None:
            known = contract.codes.get(form.format(*numbers.groups()))
            return [known] if known is not None else []
    if " " not in told:
        return []
    return [code for code in contract.codes.values() if _is_about(code, told)]


def _is_about(code: ReasonCode, told: str) -> bool:
    if any(says(told, message, detail=code.detail) for message in code.messages):
        return True
    return any(re.search(pattern, told) for pattern in code.patterns)
