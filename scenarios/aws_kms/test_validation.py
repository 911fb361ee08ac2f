"""Requests that are not well formed, and who may ask."""

import pytest

from kms_conformance.api import covers, impact, needs

pytestmark = impact("keys")


@covers("plaintext-limit")
@pytest.mark.parametrize("size", [0, 4097])
def test_plaintext_size(aws, size):
    """1 to 4,096 bytes are encrypted, and no other number."""
    key = aws.key()
    for within in (1, 4096):
        aws.encrypt(key, aws.plaintext(within)).succeeds(200)
    plain = aws.plaintext(size) if size else ""
    aws.call("Encrypt", KeyId=key, Plaintext=plain).is_refused("ValidationException")


@covers("missing-member")
@pytest.mark.parametrize(
    ("operation", "missing"),
    [
        ("Encrypt", "KeyId"),
        ("Encrypt", "Plaintext"),
        ("CreateAlias", "TargetKeyId"),
        ("DescribeKey", "KeyId"),
    ],
    ids=["key", "plaintext", "target", "described key"],
)
def test_missing_member(aws, operation, missing):
    """A request without a member that it needs is refused."""
    key = aws.key()
    members = {
        "Encrypt": {"KeyId": key, "Plaintext": aws.plaintext()},
        "CreateAlias": {"AliasName": aws.alias_name(), "TargetKeyId": key},
        "DescribeKey": {"KeyId": key},
    }[operation]
    aws.call(operation, **members).succeeds(200)
    aws.call(operation, **{name: value for name, value in members.items() if name != missing}).is_refused(
        "ValidationException"
    )


@covers("missing-member")
def test_missing_ciphertext(aws):
    """Nothing is decrypted where there is no ciphertext; the model of today leaves open which code says so (A8)."""
    aws.decrypt(aws.ciphertext(aws.key())).succeeds(200)
    aws.call("Decrypt").is_refused_somehow()


@covers("wrong-type")
@pytest.mark.parametrize("value", [7, ["a"], {"a": "b"}], ids=["number", "list", "object"])
def test_member_of_another_type(aws, value):
    """A key id that is no text is refused."""
    aws.call("DescribeKey", KeyId=aws.key()).succeeds(200)
    aws.call("DescribeKey", KeyId=value).is_refused_somehow()


@covers("wrong-type")
def test_plaintext_that_is_no_base64(aws):
    """A plaintext that is not base64 is refused."""
    key = aws.key()
    aws.encrypt(key).succeeds(200)
    aws.call("Encrypt", KeyId=key, Plaintext="no base64, as %% and blanks show").is_refused_somehow()


@covers("unknown-operation")
def test_unknown_operation(aws):
    """An operation that nobody has documented is refused."""
    control = aws.call("ListKeys").succeeds(200)
    aws.call("ConformanceNoSuchOperation").is_refused_somehow(control=control)


@covers("signature-needed")
@needs(capability="aws_signatures")
@pytest.mark.parametrize("kind", ["none", "forged"])
def test_signature(aws, kind):
    """A request that is not signed, or by somebody else, is refused."""
    control = aws.call("ListKeys").succeeds(200)
    credential = "AKIAIOSFODNN7EXAMPLE/20150830/us-east-1/kms/aws4_request"
    forged = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature={'0' * 64}"
    answer = aws.raw_call("ListKeys", {}, token=None if kind == "none" else forged)
    answer.is_refused_somehow(400, 403, control=control)
