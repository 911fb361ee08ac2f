"""Encrypting, decrypting, and what must not be decrypted."""

import pytest

from kms_conformance.api import covers, impact, needs

pytestmark = impact("keys")
FROM = {"purpose": "from"}
TO = {"purpose": "to"}


@covers("round-trip", "decrypt-reply", "valid-request")
def test_round_trip(aws):
    """What a key has encrypted it decrypts, and it says with which key and algorithm."""
    key, plain = aws.key(), aws.plaintext()
    sealed = aws.encrypt(key, plain).succeeds(200, requirement="valid-request")["CiphertextBlob"]
    opened = aws.decrypt(sealed).succeeds(200).shows("Plaintext", plain)
    opened.shows("KeyId", aws.arn(key), requirement="decrypt-reply")
    opened.shows("EncryptionAlgorithm", "SYMMETRIC_DEFAULT", requirement="decrypt-reply")


@covers("round-trip", "decrypt-reply")
def test_pair_round_trip(aws):
    """What the public half of an RSA pair has encrypted the private half decrypts."""
    key, plain = aws.pair(), aws.plaintext()
    algorithm = {"EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    sealed = aws.encrypt(key, plain, **algorithm).succeeds(200)["CiphertextBlob"]
    opened = aws.decrypt(sealed, KeyId=key, **algorithm).succeeds(200).shows("Plaintext", plain)
    opened.shows("EncryptionAlgorithm", "RSAES_OAEP_SHA_256", requirement="decrypt-reply")


@covers("key-identifiers")
def test_identifiers(aws):
    """Id, ARN, alias and the alias's ARN name the same key."""
    key = aws.key()
    arn, alias, sealed = aws.arn(key), aws.alias_of(key), aws.ciphertext(key)
    for name in (key, arn, alias, arn.replace(f"key/{key}", alias)):
        aws.encrypt(name).succeeds(200).shows("KeyId", arn)
        aws.decrypt(sealed, KeyId=name).succeeds(200).shows("KeyId", arn)


@covers("ciphertext-integrity")
@pytest.mark.parametrize("place", [0.5, 0.6, 0.75, 0.9, 1.0])
def test_flipped_bit(aws, place):
    """A ciphertext of which one bit differs is not decrypted."""
    sealed = aws.ciphertext(aws.key(), aws.plaintext(256))
    aws.decrypt(sealed).succeeds(200)
    aws.decrypt(aws.flipped(sealed, place)).is_refused("InvalidCiphertextException")


@covers("ciphertext-header")
@pytest.mark.parametrize("octet", [0, 1, 8])
def test_flipped_bit_of_the_header(aws, octet):
    """A ciphertext of which one bit of the first octets differs is not decrypted."""
    sealed = aws.ciphertext(aws.key())
    aws.decrypt(sealed).succeeds(200)

    def flip(octets):
        octets[octet] ^= 1

    aws.decrypt(aws.changed(sealed, flip)).is_refused("InvalidCiphertextException")


@covers("ciphertext-length")
@pytest.mark.parametrize("change", ["one octet less", "one octet more", "its end"])
def test_other_length(aws, change):
    """A ciphertext that is longer or shorter than it was is not decrypted."""
    sealed = aws.ciphertext(aws.key())
    aws.decrypt(sealed).succeeds(200)

    def resize(octets):
        if change == "one octet more":
            octets.append(0)
        elif change == "one octet less":
            del octets[-1]
        else:
            del octets[:-16]

    aws.decrypt(aws.changed(sealed, resize)).is_refused("InvalidCiphertextException")


@covers("incorrect-key")
def test_other_key(aws):
    """A ciphertext is not decrypted under another key than the one that encrypted."""
    key, other = aws.key(), aws.key()
    sealed = aws.ciphertext(key)
    aws.decrypt(sealed, KeyId=key).succeeds(200)
    aws.decrypt(sealed, KeyId=other).is_refused("IncorrectKeyException")


@covers("ciphertexts-differ")
def test_two_ciphertexts(aws):
    """One plaintext, encrypted twice, gives two ciphertexts."""
    key, plain = aws.key(), aws.plaintext()
    first = aws.encrypt(key, plain).succeeds(200)["CiphertextBlob"]
    aws.encrypt(key, plain).succeeds(200).differs("CiphertextBlob", first)


@covers("key-usage")
@pytest.mark.parametrize(("spec", "usage"), [("ECC_NIST_P256", "SIGN_VERIFY"), ("RSA_2048", "SIGN_VERIFY")])
def test_key_for_signing(aws, spec, usage):
    """A key pair for signing does not encrypt."""
    aws.encrypt(aws.key()).succeeds(200)
    pair = aws.pair(spec, usage)
    algorithm = {"EncryptionAlgorithm": "RSAES_OAEP_SHA_256"} if spec == "RSA_2048" else {}
    aws.encrypt(pair, **algorithm).is_refused("InvalidKeyUsageException")


@covers("key-usage")
def test_key_for_encryption(aws):
    """A key pair for encryption does not sign."""
    message = {"Message": aws.plaintext(), "MessageType": "RAW", "SigningAlgorithm": "RSASSA_PSS_SHA_256"}
    aws.call("Sign", KeyId=aws.pair(usage="SIGN_VERIFY"), **message).succeeds(200)
    aws.call("Sign", KeyId=aws.pair(), **message).is_refused("InvalidKeyUsageException")


@covers("re-encrypt", "re-encrypt-context")
def test_re_encrypt(aws):
    """A ciphertext moves to another key and another context, and its plaintext stays."""
    key, other, plain = aws.key(), aws.key(), aws.plaintext()
    sealed = aws.ciphertext(key, plain, EncryptionContext=FROM)
    contexts = {"SourceEncryptionContext": FROM, "DestinationEncryptionContext": TO}
    moved = aws.call("ReEncrypt", CiphertextBlob=sealed, DestinationKeyId=other, **contexts).succeeds(200)
    moved.lacks("Plaintext", requirement="re-encrypt").shows("SourceKeyId", aws.arn(key))
    moved.shows("KeyId", aws.arn(other))
    opened = aws.decrypt(moved["CiphertextBlob"], EncryptionContext=TO).succeeds(200).proof
    opened.shows("Plaintext", plain).shows("KeyId", aws.arn(other))
    opened.shows("Plaintext", plain, requirement="re-encrypt-context")


@covers("re-encrypt-wrong-context")
@pytest.mark.parametrize("context", [TO, None], ids=["other", "none"])
def test_re_encrypt_with_wrong_context(aws, context):
    """A ciphertext does not move without the context that it was made with."""
    key = aws.key()
    move = {"CiphertextBlob": aws.ciphertext(key, EncryptionContext=FROM), "DestinationKeyId": key}
    aws.call("ReEncrypt", **move, SourceEncryptionContext=FROM).succeeds(200)
    other_context = {"SourceEncryptionContext": context} if context else {}
    aws.call("ReEncrypt", **move, **other_context).is_refused("InvalidCiphertextException")


@covers("re-encrypt-wrong-key")
def test_re_encrypt_from_another_key(aws):
    """A ciphertext does not move from a key that has not made it."""
    key, other = aws.key(), aws.key()
    move = {"CiphertextBlob": aws.ciphertext(key), "DestinationKeyId": other}
    aws.call("ReEncrypt", **move, SourceKeyId=key).succeeds(200)
    aws.call("ReEncrypt", **move, SourceKeyId=other).is_refused("IncorrectKeyException")


@covers("dry-run")
@needs(capability="aws_dry_run")
@pytest.mark.parametrize("how", ["Encrypt", "GenerateDataKey"])
def test_dry_run(aws, how):
    """A dry run does nothing and says that it would have succeeded."""
    key = aws.key()
    members = {"Plaintext": aws.plaintext()} if how == "Encrypt" else {"KeySpec": "AES_256"}
    aws.call(how, KeyId=key, **members).succeeds(200)
    aws.call(how, KeyId=key, DryRun=True, **members).is_refused("DryRunOperationException")
