"""What was clear is clear no more, once a secret is known that stands in it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kms_conformance.redaction.clear_texts import ClearTexts
from kms_conformance.redaction.redactor import Redactor
from kms_conformance.redaction.variants import spellings

_KEY = bytes(32)
_WORDS = st.text(alphabet="abAB01-_+/=% ", min_size=1, max_size=24)


@settings(deadline=None)
@given(st.lists(st.tuples(_WORDS, st.lists(_WORDS, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_as_without_memory(steps: list[tuple[str, list[str]]]) -> None:
    """Whoever has seen a text before replaces in it what somebody replaces who sees it for the first time."""
    remembering = Redactor(key=_KEY)
    texts = [text for _, own in steps for text in own] + [f"x{secret}y" for secret, _ in steps]
    for number, (secret, _) in enumerate(steps, 1):
        for text in texts * 13:
            remembering.scrub(text)
        remembering.remember(secret, "payload")
        forgetful = Redactor(key=_KEY)
        for earlier, _ in steps[:number]:
            forgetful.remember(earlier, "payload")
        assert [remembering.scrub(text) for text in texts] == [forgetful.scrub(text) for text in texts]
        assert [remembering.tokens_in(text) for text in texts] == [
            forgetful.tokens_in(text) for text in texts
        ]


def test_in_every_spelling() -> None:
    """A text that was seen as clear is replaced once the secret is known that it spells in its own way."""
    secret = "q7Vd0mZr8LkPx2Wc5TbYh1Ng"
    for form in spellings(secret):
        redactor = Redactor()
        text = f"the service says {form} here"
        assert [redactor.scrub(text) for _ in range(14)] == [text] * 14
        token = redactor.remember(secret, "payload")
        assert token in redactor.scrub(text)


def test_most_texts_come_a_few_times() -> None:
    """A text is kept once it has come a dozen times, a long one never."""
    texts = ClearTexts(6, str.lower)
    answers = [texts.is_worth_keeping("application/json") for _ in range(20)]
    assert answers == [False] * 11 + [True] * 9
    assert not any(texts.is_worth_keeping("x" * 1000) for _ in range(20))


def test_no_race() -> None:
    """A text in which something is looked for already is not kept, whoever has found it clear a moment ago."""
    texts = ClearTexts(6, str.lower)
    texts.keep("SECRETS", {"secret"}.__contains__)
    assert texts.get("SECRETS") is None
    texts.keep("SECRETS", set().__contains__)
    assert texts.get("SECRETS") == "SECRETS"
    texts.forget(["secret"])
    assert texts.get("SECRETS") is None


def test_memory_is_bounded() -> None:
    """Of many texts that come twice, the first are forgotten, and none is lost that is kept then."""
    texts = ClearTexts(6, str.lower)
    for number in range(5000):
        texts.keep(f"application/{number}", set().__contains__)
    assert texts.get("application/1") is None
    assert texts.get("application/4999") == "application/4999"
