"""Keys: made, described, listed, enabled and disabled."""

import pytest

from kms_conformance.api import covers, impact

pytestmark = impact("keys")
NO_KEY = "11111111-2222-4333-8444-555555555555"
OPERATIONS = {
    "Encrypt": {"Plaintext": "aGVsbG8="},
    "GenerateDataKey": {"KeySpec": "AES_256"},
    "DescribeKey": {},
    "GetKeyPolicy": {},
    "ListResourceTags": {},
}
CHANGES = {
    "EnableKey": {},
    "DisableKey": {},
    "ScheduleKeyDeletion": {},
    "UpdateKeyDescription": {"Description": "other"},
    "TagResource": {"Tags": [{"TagKey": "a", "TagValue": "b"}]},
}


@covers("create-defaults")
def test_defaults(aws):
    """A key of which nothing is said encrypts symmetrically and is enabled."""
    made = aws.create().succeeds(200)
    for member, value in {
        "KeyState": "Enabled",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
    }.items():
        made.shows(f"KeyMetadata.{member}", value)
    made.shows("KeyMetadata.Enabled", value=True)
    made.lists("KeyMetadata.EncryptionAlgorithms", "SYMMETRIC_DEFAULT")


@covers("create-specs")
@pytest.mark.parametrize(
    ("spec", "usage", "algorithms"),
    [
        ("RSA_2048", "ENCRYPT_DECRYPT", "EncryptionAlgorithms.RSAES_OAEP_SHA_256"),
        ("RSA_3072", "SIGN_VERIFY", "SigningAlgorithms.RSASSA_PSS_SHA_512"),
        ("ECC_NIST_P384", "SIGN_VERIFY", "SigningAlgorithms.ECDSA_SHA_384"),
        ("HMAC_384", "GENERATE_VERIFY_MAC", "MacAlgorithms.HMAC_SHA_384"),
    ],
    ids=["RSA-encryption", "RSA-signing", "ECC", "HMAC"],
)
def test_specs(aws, spec, usage, algorithms):
    """A key keeps its spec and usage and names the algorithms that go with them."""
    key = aws.create(KeySpec=spec, KeyUsage=usage, Description="a description").succeeds(200)
    shown = aws.call("DescribeKey", KeyId=key["KeyMetadata.KeyId"]).succeeds(200)
    shown.shows("KeyMetadata.KeySpec", spec).shows("KeyMetadata.KeyUsage", usage)
    shown.shows("KeyMetadata.Description", "a description")
    member, _, algorithm = algorithms.partition(".")
    shown.lists(f"KeyMetadata.{member}", algorithm)


@covers("create-mismatch")
@pytest.mark.parametrize(
    ("spec", "usage"),
    [
        ("SYMMETRIC_DEFAULT", "SIGN_VERIFY"),
        ("ECC_NIST_P256", "ENCRYPT_DECRYPT"),
        ("RSA_2048", "GENERATE_VERIFY_MAC"),
        ("RSA_1024", "SIGN_VERIFY"),
    ],
    ids=["symmetric", "ECC", "RSA", "unknown"],
)
def test_specs_that_do_not_fit(aws, spec, usage):
    """A spec and a usage that do not go together make no key."""
    aws.create().succeeds(200)
    aws.create(KeySpec=spec, KeyUsage=usage).is_refused_somehow()


@covers("enable-disable")
def test_disable_and_enable(aws):
    """A disabled key that is enabled works as before."""
    key, plain = aws.key(), aws.plaintext()
    sealed = aws.ciphertext(key, plain)
    aws.call("DisableKey", KeyId=key).succeeds(200)
    aws.state(key, "Disabled").proof.shows("KeyMetadata.Enabled", value=False)
    aws.call("EnableKey", KeyId=key).succeeds(200)
    aws.state(key, "Enabled").proof.shows("KeyMetadata.Enabled", value=True)
    aws.decrypt(sealed).succeeds(200).proof.shows("Plaintext", plain)


@covers("enable-repeats")
@pytest.mark.parametrize(("operation", "state"), [("EnableKey", "Enabled"), ("DisableKey", "Disabled")])
def test_repeats(aws, operation, state):
    """Enabling or disabling twice is the same as once."""
    key = aws.key()
    aws.call(operation, KeyId=key).succeeds(200)
    aws.call(operation, KeyId=key).succeeds(200)
    aws.state(key, state)


@covers("no-such-key")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_use_of_no_key(aws, operation):
    """A key that does not exist is neither used nor read."""
    aws.call(operation, KeyId=aws.key(), **OPERATIONS[operation]).succeeds(200)
    aws.call(operation, KeyId=NO_KEY, **OPERATIONS[operation]).is_refused("NotFoundException")


@covers("no-such-key")
@pytest.mark.parametrize("operation", CHANGES)
def test_change_of_no_key(aws, operation):
    """A key that does not exist is not changed."""
    aws.call(operation, KeyId=aws.key(), **CHANGES[operation]).succeeds(200)
    aws.call(operation, KeyId=NO_KEY, **CHANGES[operation]).is_refused("NotFoundException")


@covers("malformed-arn")
def test_malformed_arn(aws):
    """An ARN with parts left out names no key."""
    key = aws.key()
    aws.call("DescribeKey", KeyId=aws.arn(key)).succeeds(200)
    aws.call("DescribeKey", KeyId=f"arn:aws:kms:key/{key}").is_refused("InvalidArnException")


@covers("key-list")
def test_key_list(aws):
    """The pages of the list of keys hold every key once."""
    keys = [aws.key() for _ in range(3)]
    aws.lists_each_once("ListKeys", "Keys", "KeyId", keys, Limit=100)


@covers("key-list")
def test_small_pages(aws):
    """A page of the list of keys has no more entries than were asked for, and a marker while more follow."""
    for _ in range(2):
        aws.key()
    page = aws.call("ListKeys", Limit=1).succeeds(200).lacks("Keys.1")
    page.shows("Truncated", value=True).shows("NextMarker")
    following = aws.call("ListKeys", Limit=1, Marker=page["NextMarker"]).succeeds(200).lacks("Keys.1")
    following.differs("Keys.0.KeyId", page["Keys.0.KeyId"])


@covers("marker")
@pytest.mark.parametrize("operation", ["ListKeys", "ListAliases"])
def test_marker(aws, operation):
    """A list is not continued from a marker that no list gave."""
    aws.call(operation).succeeds(200)
    aws.call(operation, Marker="no marker of any list").is_refused("InvalidMarkerException")


@covers("list-limit")
@pytest.mark.parametrize("operation", ["ListKeys", "ListAliases", "ListResourceTags"])
@pytest.mark.parametrize("limit", ["least", "most"])
def test_list_limit(aws, operation, limit):
    """A page of no entries, or of more than the limit, is refused."""
    most = 50 if operation == "ListResourceTags" else 1000
    members = {"KeyId": aws.key()} if operation == "ListResourceTags" else {}
    aws.call(operation, **members, Limit=most).succeeds(200)
    beyond = 0 if limit == "least" else most + 1
    aws.call(operation, **members, Limit=beyond).is_refused("ValidationException")
