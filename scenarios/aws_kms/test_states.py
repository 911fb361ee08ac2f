"""What the state of a key allows: the table of key states."""

import pytest

from kms_conformance.api import covers, impact, needs

pytestmark = impact("keys")
USES = ["Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"]


@covers("disabled-use")
@pytest.mark.parametrize("how", USES)
def test_disabled_key(aws, how):
    """A disabled key neither encrypts nor decrypts, and makes no data keys."""
    key = aws.key()
    sealed = aws.ciphertext(key)
    aws.use(how, key, sealed).succeeds(200)
    aws.call("DisableKey", KeyId=key).needed(200)
    aws.use(how, key, sealed).is_refused("DisabledException")


@covers("disabled-use")
def test_disabled_pair(aws):
    """A disabled key pair does not sign."""
    key = aws.pair("ECC_NIST_P256", "SIGN_VERIFY")
    asked = {"KeyId": key, "Message": aws.plaintext(), "SigningAlgorithm": "ECDSA_SHA_256"}
    aws.call("Sign", **asked).succeeds(200)
    aws.call("DisableKey", KeyId=key).needed(200)
    aws.call("Sign", **asked).is_refused("DisabledException")


@covers("disabled-grant")
@needs(capability="aws_grants")
def test_disabled_key_is_not_granted(aws):
    """A disabled key is not granted to anybody."""
    key = aws.key()
    aws.grant(key).succeeds(200)
    aws.call("DisableKey", KeyId=key).needed(200)
    aws.grant(key).is_refused("DisabledException")


@covers("disabled-rotation")
@needs(capability="aws_rotation")
@pytest.mark.parametrize("operation", ["EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"])
def test_disabled_key_is_not_rotated(aws, operation):
    """The rotation of a disabled key is neither begun nor changed."""
    aws.call(operation, KeyId=aws.key()).succeeds(200)
    key = aws.key()
    aws.call("DisableKey", KeyId=key).needed(200)
    aws.call(operation, KeyId=key).is_refused("DisabledException")


@covers("disabled-management")
def test_disabled_key_is_managed(aws):
    """A disabled key is described, tagged, given an alias and scheduled for deletion."""
    key = aws.key()
    aws.call("DisableKey", KeyId=key).needed(200)
    aws.call("DescribeKey", KeyId=key).succeeds(200)
    aws.call("TagResource", KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}]).succeeds(200)
    aws.call("ListResourceTags", KeyId=key).succeeds(200).lists("Tags.*.TagKey", "a")
    aws.alias(key).succeeds(200)
    aws.call("UpdateKeyDescription", KeyId=key, Description="other").succeeds(200)
    aws.call("GetKeyPolicy", KeyId=key).succeeds(200)
    aws.schedule(key).succeeds(200)
    aws.state(key, "PendingDeletion")


@covers("pending-use")
@pytest.mark.parametrize("how", USES)
def test_pending_deletion(aws, how):
    """A key that waits for deletion neither encrypts nor decrypts, and makes no data keys."""
    key = aws.key()
    sealed = aws.ciphertext(key)
    aws.use(how, key, sealed).succeeds(200)
    aws.schedule(key).needed(200)
    aws.use(how, key, sealed).is_refused("KMSInvalidStateException")


@covers("pending-grant")
@needs(capability="aws_grants")
def test_pending_deletion_is_not_granted(aws):
    """A key that waits for deletion is not granted to anybody."""
    key = aws.key()
    aws.grant(key).succeeds(200)
    aws.schedule(key).needed(200)
    aws.grant(key).is_refused("KMSInvalidStateException")


@covers("pending-states")
@pytest.mark.parametrize("operation", ["EnableKey", "DisableKey"])
def test_pending_deletion_keeps_its_state(aws, operation):
    """Enabling or disabling does not save a key from deletion."""
    key = aws.key()
    aws.call(operation, KeyId=key).succeeds(200)
    aws.schedule(key).needed(200)
    aws.call(operation, KeyId=key).is_refused("KMSInvalidStateException")
    aws.state(key, "PendingDeletion")


@covers("pending-changes")
@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("UpdateKeyDescription", {"Description": "other"}),
        ("TagResource", {"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        ("UntagResource", {"TagKeys": ["a"]}),
    ],
    ids=["description", "tag", "untag"],
)
def test_pending_deletion_is_not_changed(aws, operation, members):
    """A key that waits for deletion keeps description and tags."""
    key = aws.key()
    aws.call(operation, KeyId=key, **members).succeeds(200)
    aws.schedule(key).needed(200)
    aws.call(operation, KeyId=key, **members).is_refused("KMSInvalidStateException")


@covers("pending-changes")
def test_pending_deletion_gets_no_alias(aws):
    """A key that waits for deletion is given no alias, neither a new one nor one of another key."""
    key, other = aws.key(), aws.key()
    alias = aws.alias_name()
    aws.alias(other, alias).succeeds(200)
    aws.call("UpdateAlias", AliasName=alias, TargetKeyId=key).succeeds(200)
    aws.call("UpdateAlias", AliasName=alias, TargetKeyId=other).succeeds(200)
    aws.schedule(key).needed(200)
    aws.alias(key).is_refused("KMSInvalidStateException")
    aws.call("UpdateAlias", AliasName=alias, TargetKeyId=key).is_refused("KMSInvalidStateException")


@covers("pending-rotation")
@needs(capability="aws_rotation")
@pytest.mark.parametrize("operation", ["EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"])
def test_pending_deletion_is_not_rotated(aws, operation):
    """The rotation of a key that waits for deletion is neither begun nor changed."""
    aws.call(operation, KeyId=aws.key()).succeeds(200)
    key = aws.key()
    aws.schedule(key).needed(200)
    aws.call(operation, KeyId=key).is_refused("KMSInvalidStateException")


@covers("pending-twice")
def test_schedule_twice(aws):
    """Deletion is scheduled once, and its date stays."""
    key = aws.key()
    aws.schedule(key, PendingWindowInDays=20).succeeds(200)
    date = aws.call("DescribeKey", KeyId=key).needed(200)["KeyMetadata.DeletionDate"]
    aws.schedule(key).is_refused("KMSInvalidStateException")
    aws.state(key, "PendingDeletion").shows("KeyMetadata.DeletionDate", date)


@covers("pending-readable")
def test_pending_deletion_is_readable(aws):
    """A key that waits for deletion is described, and its aliases, tags and policy are read."""
    key = aws.key(Tags=[{"TagKey": "a", "TagValue": "b"}])
    alias = aws.alias_of(key)
    aws.schedule(key).needed(200)
    aws.call("DescribeKey", KeyId=key).succeeds(200)
    aws.call("ListAliases", KeyId=key).succeeds(200).lists("Aliases.*.AliasName", alias)
    aws.call("ListResourceTags", KeyId=key).succeeds(200).lists("Tags.*.TagKey", "a")
    aws.call("GetKeyPolicy", KeyId=key).succeeds(200)
    aws.delete_alias(alias).succeeds(200)


@covers("pending-import-use")
@needs(capability="aws_import")
@pytest.mark.parametrize("how", ["Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"])
def test_pending_import(aws, how):
    """A key without material neither encrypts nor makes data keys."""
    aws.use(how, aws.key(), "").succeeds(200)
    aws.use(how, aws.key_without_material(), "").is_refused("KMSInvalidStateException")


@covers("pending-import-states")
@needs(capability="aws_import")
@pytest.mark.parametrize("operation", ["EnableKey", "DisableKey"])
def test_pending_import_keeps_its_state(aws, operation):
    """A key without material is neither enabled nor disabled."""
    aws.call(operation, KeyId=aws.key()).succeeds(200)
    key = aws.key_without_material()
    aws.call(operation, KeyId=key).is_refused("KMSInvalidStateException")
    aws.state(key, "PendingImport")


@covers("pending-import-deletion")
@needs(capability="aws_import")
def test_pending_import_is_deleted(aws):
    """A key without material is scheduled for deletion like any other."""
    key = aws.key_without_material()
    aws.schedule(key).succeeds(200)
    aws.state(key, "PendingDeletion")
