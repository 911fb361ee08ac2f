"""Two texts are one message where the pages leave the spelling free (E2 to E5), and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.messages import normalise, says

TEXTS = sorted({text for code in load_contract("key_protect").codes.values() for text in code.messages})
PLAIN = "The field 'plaintext' must be: a base64 encoded key material"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        f"{PLAIN}.",
        PLAIN.replace("'", "`"),
        PLAIN.replace("'", '"'),
        PLAIN.replace("'", ""),
        PLAIN.replace("'", "\u2019"),
        PLAIN.replace("be:", "be."),
        PLAIN.replace("The", "the"),
        PLAIN.replace(" must", "  must"),
    ],
)
def test_spelling_is_free(text: str) -> None:
    """Quotes, the kind of stop, a final period, blanks and capitals do not make another message."""
    assert says(text, PLAIN)
    assert says(PLAIN, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The field 'ciphertext' must be: a base64 encoded key material",
        "The field 'plaintext' must be a base64 encoded key",
        "The field 'plaintext' must not be: a base64 encoded key material",
        f"{PLAIN}: and more",
        f"Bad Request: {PLAIN}",
        PLAIN.replace("base64", "base 64"),
        PLAIN.replace("must be:", "must be"),
    ],
)
def test_other_words_differ(text: str) -> None:
    """Another word, a word less, a stop less or more text is another message."""
    assert not says(text, PLAIN)


def test_detail_after_the_text() -> None:
    """Where the contract allows details they follow a stop; without permission they do not."""
    accepted = "Invalid body data was passed. Please ensure the data passed had valid formatting with no invalid characters"
    assert says(f"{accepted}: json: unknown field", accepted, detail=True)
    assert says(f"{accepted}. json: unknown field", accepted, detail=True)
    assert says(accepted, accepted, detail=True)
    assert not says(f"{accepted} json: unknown field", accepted, detail=True)
    assert not says(f"{accepted}: json: unknown field", accepted)
    assert not says(f"oh: {accepted}", accepted, detail=True)


@given(st.sampled_from(TEXTS), st.sampled_from(TEXTS))
def test_no_two_documented_messages_are_one(one: str, other: str) -> None:
    """The tolerance does not make two documented messages the same, unless they are spellings of one."""
    if says(one, other):
        assert "".join(filter(str.isalnum, one)).casefold() == "".join(filter(str.isalnum, other)).casefold()


@given(st.text(max_size=40))
def test_normalising_is_stable(text: str) -> None:
    """A normalised text does not change any more, and every text is itself."""
    assert normalise(normalise(text)) == normalise(text)
    assert says(text, text)
