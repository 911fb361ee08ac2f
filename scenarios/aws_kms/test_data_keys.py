"""Data keys and random bytes."""

import pytest

from kms_conformance.api import covers, impact

pytestmark = impact("keys")
SIZES = {"AES_128": {"KeySpec": "AES_128"}, "AES_256": {"KeySpec": "AES_256"}, "bytes": {"NumberOfBytes": 33}}
LENGTHS = {"AES_128": 16, "AES_256": 32, "bytes": 33}


@covers("data-key")
@pytest.mark.parametrize("size", SIZES)
def test_data_key(aws, size):
    """A data key is decrypted to the plaintext that came with it."""
    made = aws.call("GenerateDataKey", KeyId=aws.key(), **SIZES[size]).succeeds(200)
    plain, sealed = made["Plaintext"], made["CiphertextBlob"]
    aws.has_size(made, LENGTHS[size])
    aws.decrypt(sealed).succeeds(200).proof.shows("Plaintext", plain)


@covers("data-key-sealed")
def test_data_key_without_plaintext(aws):
    """A data key that is made without plaintext shows none, and is decrypted later."""
    asked = {"KeyId": aws.key(), "KeySpec": "AES_256"}
    made = aws.call("GenerateDataKeyWithoutPlaintext", **asked).succeeds(200).lacks("Plaintext")
    aws.decrypt(made["CiphertextBlob"]).succeeds(200).proof.shows("Plaintext")


@covers("data-key")
def test_two_data_keys(aws):
    """Two data keys of one key are two keys."""
    asked = {"KeyId": aws.key(), "KeySpec": "AES_256"}
    first = aws.call("GenerateDataKey", **asked).succeeds(200)["Plaintext"]
    aws.call("GenerateDataKey", **asked).succeeds(200).differs("Plaintext", first)


@covers("data-key-size")
@pytest.mark.parametrize(
    "size",
    [
        {},
        {"KeySpec": "AES_256", "NumberOfBytes": 32},
        {"NumberOfBytes": 0},
        {"NumberOfBytes": 1025},
        {"KeySpec": "AES_512"},
    ],
    ids=["neither", "both", "no bytes", "too many bytes", "unknown"],
)
def test_data_key_of_no_size(aws, size):
    """A data key has one size, within the limits."""
    key = aws.key()
    aws.call("GenerateDataKey", KeyId=key, NumberOfBytes=1024).succeeds(200)
    aws.call("GenerateDataKey", KeyId=key, **size).is_refused("ValidationException")


@covers("random-bytes")
@pytest.mark.parametrize("size", [1, 32, 1024])
def test_random_bytes(aws, size):
    """Random bytes are as many as were asked for."""
    made = aws.call("GenerateRandom", NumberOfBytes=size).succeeds(200)
    aws.has_size(made, size)
