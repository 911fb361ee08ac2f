"""Rotation."""

import pytest

from kms_conformance.api import covers, impact, needs

pytestmark = [impact("keys"), needs(capability="aws_rotation")]


@covers("rotation-status")
def test_rotation_status(aws):
    """Rotation is off at first, is enabled and disabled, and each twice is the same as once."""
    key = aws.key()
    aws.call("GetKeyRotationStatus", KeyId=key).succeeds(200).shows("KeyRotationEnabled", value=False)
    for operation, enabled in (("EnableKeyRotation", True), ("DisableKeyRotation", False)):
        for _ in range(2):
            aws.call(operation, KeyId=key).succeeds(200)
        shown = aws.call("GetKeyRotationStatus", KeyId=key).succeeds(200).proof
        shown.shows("KeyRotationEnabled", value=enabled)


@covers("rotation-status")
def test_usual_period(aws):
    """A key is rotated every 365 days unless another period is named."""
    key = aws.key()
    aws.call("EnableKeyRotation", KeyId=key).succeeds(200)
    aws.call("GetKeyRotationStatus", KeyId=key).succeeds(200).proof.shows("RotationPeriodInDays", 365)


@covers("rotation-status")
@pytest.mark.parametrize("days", [90, 2560])
def test_period(aws, days):
    """A rotation period within the bounds is kept."""
    key = aws.key()
    aws.call("EnableKeyRotation", KeyId=key, RotationPeriodInDays=days).succeeds(200)
    aws.call("GetKeyRotationStatus", KeyId=key).succeeds(200).proof.shows("RotationPeriodInDays", days)


@covers("rotation-period")
@pytest.mark.parametrize("days", [0, 89, 2561])
def test_period_outside_the_bounds(aws, days):
    """A rotation period of less than 90 or more than 2,560 days enables nothing."""
    aws.call("EnableKeyRotation", KeyId=aws.key(), RotationPeriodInDays=90).succeeds(200)
    key = aws.key()
    aws.call("EnableKeyRotation", KeyId=key, RotationPeriodInDays=days).is_refused("ValidationException")
    aws.call("GetKeyRotationStatus", KeyId=key).succeeds(200).shows("KeyRotationEnabled", value=False)


@covers("rotation-pair")
@pytest.mark.parametrize("operation", ["EnableKeyRotation", "RotateKeyOnDemand"])
def test_rotation_of_a_pair(aws, operation):
    """A key pair is rotated neither by date nor on demand."""
    aws.call(operation, KeyId=aws.key()).succeeds(200)
    aws.call(operation, KeyId=aws.pair()).is_refused("UnsupportedOperationException")


@covers("rotation-keeps")
def test_rotation_keeps_old_ciphertexts(aws):
    """A key that was rotated on demand decrypts what it encrypted before, and encrypts on."""
    key, plain = aws.key(), aws.plaintext()
    sealed = aws.ciphertext(key, plain)
    aws.call("RotateKeyOnDemand", KeyId=key).succeeds(200)
    aws.decrypt(sealed, KeyId=key).succeeds(200).proof.shows("Plaintext", plain)
    anew = aws.encrypt(key, plain).succeeds(200)["CiphertextBlob"]
    aws.decrypt(anew, KeyId=key).succeeds(200).proof.shows("Plaintext", plain)
