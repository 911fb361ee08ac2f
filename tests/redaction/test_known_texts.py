"""Texts that were searched are not searched again, until another secret is known."""

from __future__ import annotations

import pytest

from kms_conformance.redaction.redactor import Redactor
from kms_conformance.redaction.variants import Search

SECRET = "Zm9yIHRoaXMgdGVzdCBvbmx5ISEh"


def test_a_text_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text is looked through once as long as nothing new is known, and again afterwards."""
    searched: list[str] = []
    find = Search.find

    def counted(self: Search, text: str) -> list[tuple[int, int, str]]:
        searched.append(text)
        return find(self, text)

    monkeypatch.setattr(Search, "find", counted)
    redactor = Redactor()
    redactor.remember("another secret of this test", "payload")
    text = f"a text that holds {SECRET}"
    assert redactor.scrub(text) == redactor.scrub(text) == text
    assert searched.count(text) == 1
    token = redactor.remember(SECRET, "payload")
    assert redactor.scrub(text) == redactor.scrub(text) == f"a text that holds {token}"
    assert searched.count(text) == 2


def test_redactors_that_share_learn_of_each_other() -> None:
    """What one system's redactor learns, the others replace in texts that they have shown before; each has its own patterns."""
    one = Redactor()
    other = Redactor(personal=[r"[a-z]+@example\.test"], shares_with=one)
    text = f"somebody@example.test sent {SECRET}"
    assert one.scrub(text) == text
    assert SECRET in other.scrub(text)
    assert "somebody" not in other.scrub(text)
    token = one.remember(SECRET, "payload")
    assert one.scrub(text) == f"somebody@example.test sent {token}"
    assert other.scrub(text).endswith(f" sent {token}")
    assert "somebody" not in other.scrub(text)


@pytest.mark.parametrize(
    "shown",
    [
        SECRET,
        f"before {SECRET} behind",
        SECRET.swapcase().lower(),
        "\\u005am9yIHRoaXMgdGVzdCBvbmx5ISEh",
        SECRET[4:24],
    ],
)
def test_one_look_at_many_texts(shown: str) -> None:
    """Texts are clear at one look as long as nothing known stands in any, in whatever spelling."""
    redactor = Redactor()
    texts = ["a1b2c3d4-0000-4000-8000-000000000001", "2026-11-29T12:00:00Z", "a word"]
    redactor.remember(SECRET, "payload")
    assert redactor.are_clear(texts)
    assert not redactor.are_clear([*texts, shown])
    redactor.remember("tiny", "payload")
    assert not redactor.are_clear([*texts, "tiny"])
