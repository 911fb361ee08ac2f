"""A case compares only what the record can tell: a text in clear is never equal to the token that an answer shows."""

from __future__ import annotations

from typing import Any

import pytest

from kms_conformance.evidence.octets import has_octets, octets_in_words
from kms_conformance.judging.expectation import Member
from kms_conformance.redaction.redactor import Redactor, Secret
from kms_conformance.run.comparable import hidden_text

REDACTOR = Redactor(secret=("payload",), public=("id", "name"))
REDACTOR.remember("known-secret-text", "payload")
REDACTOR.allow("a harmless text")


@pytest.mark.parametrize(
    ("path", "check", "value", "hidden"),
    [
        ("resources.0.certificate", "differs", "some text", "certificate"),
        ("resources.0.certificate", "equals", "some text", "certificate"),
        ("resources.*.notes.0", "contains", "some text", "notes"),
        ("resources.0", "equals", {"id": "1", "notes": ["some text"]}, "notes"),
        ("resources.0.id", "differs", "some text", ""),
        ("resources.0.certificate", "differs", Secret("some text"), ""),
        ("resources.0.certificate", "differs", "known-secret-text", ""),
        ("resources.0.certificate", "differs", "a harmless text", ""),
        ("resources.0.certificate", "differs", "<certificate:0123456789ab>", ""),
        ("resources.0.payload", "equals", octets_in_words(32), ""),
        ("resources.0.certificate", "differs", "", ""),
        ("resources.0.certificate", "differs", 5, ""),
        ("resources.0.certificate", "present", None, ""),
    ],
)
def test_texts_that_no_answer_shows(path: str, check: str, value: Any, hidden: str) -> None:
    """What would be compared in vain is named; public members, secrets and their tokens can be compared."""
    assert hidden_text(Member(path, check, value), REDACTOR) == hidden


def test_octets_in_words() -> None:
    """Words for a number of octets fit base64 of so many, and nothing else."""
    assert has_octets("AAAA", octets_in_words(3))
    assert not has_octets("AAAA", octets_in_words(4))
    assert not has_octets("no base64", octets_in_words(3))
    assert not has_octets("AAAA", "three octets")
