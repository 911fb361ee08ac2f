"""Whether the record can tell what a case states of a member: a text in clear is never equal to the token that an answer shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kms_conformance.evidence.octets import Words
from kms_conformance.judging.expectation import Member
from kms_conformance.redaction.redactor import Redactor, Secret

_TOKEN = re.compile(r"<[A-Za-z][\w-]*:[0-9a-f]{12}>")
_COMPARING = frozenset({"equals", "agrees", "differs", "contains", "lacks"})


def hidden_text(member: Member, redactor: Redactor) -> str:
    """Return the name under which answers hide a text that a statement compares in clear, ``""`` where there is none."""
    if member.check not in _COMPARING:
        return ""
    names = [part for part in member.path.split(".") if part != "*" and not part.isdigit()]
    return next(
        (
            name
            for name, text in _texts(member.value, names[-1] if names else "")
            if redactor.never_shows(text, name) and not _TOKEN.fullmatch(text)
        ),
        "",
    )


def _texts(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield the texts of a value that are no secrets, each with the name of its member."""
    if isinstance(value, dict):
        for own, one in value.items():
            yield from _texts(one, own)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, name)
    elif isinstance(value, str) and not isinstance(value, Secret | Words):
        yield name, value
