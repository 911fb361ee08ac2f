"""Known answers and properties of the cryptography."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_reference.key_protect import crypto

TEXTS = st.lists(st.text(max_size=9), max_size=4)


def test_nonce_of_the_documented_transcript_opens() -> None:
    """Key material, iv and encrypted nonce printed on the page give the printed nonce, and seal back."""
    material = base64.b64decode("DL4Avc1yL7DhclfV9Uksvzy8VkYIKWZA9InYQv/iiro=")
    iv = base64.b64decode("CSPZwm2qJ5mL00oP")
    sealed = base64.b64decode("+KjUDFD38r8zlXKJkn+dOR4/xNYN5ozpvKCiIQ==")
    nonce = base64.b64decode("6SB0nQ8ROUCPUiyF")
    assert crypto.open_nonce(material, iv, sealed) == nonce
    assert crypto.seal_nonce(material, iv, nonce) == sealed
    assert crypto.open_nonce(bytes(32), iv, sealed) is None


def test_second_printed_nonce_does_not_open() -> None:
    """The page's transcript is stitched together: its second nonce belongs to other key material."""
    material = base64.b64decode("DL4Avc1yL7DhclfV9Uksvzy8VkYIKWZA9InYQv/iiro=")
    iv = base64.b64decode("N6oLJnUqaKF3v5Sd")
    assert (
        crypto.open_nonce(material, iv, base64.b64decode("nrrCczvYXvc6T7J2G+EOLjHZO1cpPyu/nhsIlA==")) is None
    )


@given(st.sampled_from((16, 24, 32)), st.binary(max_size=99), TEXTS, TEXTS)
def test_wrapping_binds_additional_data(
    size: int, plaintext: bytes, aad: list[str], other: list[str]
) -> None:
    """What was wrapped opens with the same strings in the same order and with no others."""
    material = (b"\x07" * size).hex()
    sealed = crypto.parse(crypto.decode_base64(crypto.seal(material, "handle", plaintext, aad)))
    assert sealed.handle == "handle"
    assert crypto.open_sealed(material, sealed, aad) == plaintext
    if other != aad:
        with pytest.raises(crypto.CiphertextError):
            crypto.open_sealed(material, sealed, other)


@given(st.binary(max_size=40))
def test_anything_else_is_no_ciphertext(raw: bytes) -> None:
    """Bytes from elsewhere end in a typed error."""
    with pytest.raises(crypto.CiphertextError):
        crypto.parse(raw)


@pytest.mark.parametrize(
    ("text", "offset"), [("q+x;", 3), ("abc", 3), ("a===", 4), ("=", 1), ("YQ==YQ==", 2), ("\u00e9abc", 0)]
)
def test_bad_base64_says_where(text: str, offset: int) -> None:
    """A strict decoder stops at a byte."""
    with pytest.raises(crypto.Base64Error) as caught:
        crypto.decode_base64(text)
    assert caught.value.offset == offset


def test_base64_may_be_broken_into_lines() -> None:
    """Line breaks do not count."""
    assert crypto.decode_base64("QUJD\r\nREVG\n") == b"ABCDEF"
