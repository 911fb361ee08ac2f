"""Encryption context: authenticated with the ciphertext, and no part of it."""

import pytest

from kms_conformance.api import covers, impact

pytestmark = impact("keys")
CONTEXT = {"purpose": "conformance", "part": "two"}
OTHERS = {
    "value": {"purpose": "other", "part": "two"},
    "letter": {"Purpose": "conformance", "part": "two"},
    "swapped": {"purpose": "two", "part": "conformance"},
    "fewer": {"purpose": "conformance"},
    "more": {**CONTEXT, "third": "three"},
}


@covers("context-order")
def test_order(aws):
    """The pairs of an encryption context are given in any order."""
    plain = aws.plaintext()
    sealed = aws.ciphertext(aws.key(), plain, EncryptionContext=CONTEXT)
    other_way_round = dict(reversed(CONTEXT.items()))
    aws.decrypt(sealed, EncryptionContext=other_way_round).succeeds(200).shows("Plaintext", plain)


@covers("context-bound")
@pytest.mark.parametrize("other", OTHERS)
def test_other_context(aws, other):
    """A ciphertext is not decrypted with another encryption context."""
    sealed = aws.ciphertext(aws.key(), EncryptionContext=CONTEXT)
    aws.decrypt(sealed, EncryptionContext=CONTEXT).succeeds(200)
    aws.decrypt(sealed, EncryptionContext=OTHERS[other]).is_refused("InvalidCiphertextException")


@covers("context-missing")
def test_no_context(aws):
    """A ciphertext with an encryption context is not decrypted without it."""
    sealed = aws.ciphertext(aws.key(), EncryptionContext=CONTEXT)
    aws.decrypt(sealed, EncryptionContext=CONTEXT).succeeds(200)
    aws.decrypt(sealed).is_refused("InvalidCiphertextException")


@covers("context-added")
def test_context_where_there_was_none(aws):
    """A ciphertext without an encryption context is not decrypted with one."""
    sealed = aws.ciphertext(aws.key())
    aws.decrypt(sealed).succeeds(200)
    aws.decrypt(sealed, EncryptionContext=CONTEXT).is_refused("InvalidCiphertextException")


@covers("context-bound", "context-missing")
def test_context_of_a_data_key(aws):
    """A data key is bound to its encryption context like any ciphertext."""
    asked = {"KeyId": aws.key(), "KeySpec": "AES_256", "EncryptionContext": CONTEXT}
    sealed = aws.call("GenerateDataKey", **asked).needed(200)["CiphertextBlob"]
    aws.decrypt(sealed, EncryptionContext=CONTEXT).succeeds(200)
    aws.decrypt(sealed, EncryptionContext=OTHERS["value"]).is_refused("InvalidCiphertextException")
    aws.decrypt(sealed).is_refused("InvalidCiphertextException", requirement="context-missing")
