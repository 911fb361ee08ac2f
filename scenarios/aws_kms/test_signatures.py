"""Signing, and authenticating messages."""

import pytest

from kms_conformance.api import covers, impact, needs

pytestmark = impact("keys")
ALGORITHMS = {"ECC_NIST_P256": "ECDSA_SHA_256", "RSA_2048": "RSASSA_PKCS1_V1_5_SHA_256"}


def signed(aws, spec):
    """Sign a message; return what Verify is asked with."""
    asked = {
        "KeyId": aws.pair(spec, "SIGN_VERIFY"),
        "Message": aws.plaintext(64),
        "MessageType": "RAW",
        "SigningAlgorithm": ALGORITHMS[spec],
    }
    return {**asked, "Signature": aws.call("Sign", **asked).needed(200)["Signature"]}


def authenticated(aws):
    """Make an HMAC; return what VerifyMac is asked with."""
    key = aws.key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    asked = {"KeyId": key, "Message": aws.plaintext(64), "MacAlgorithm": "HMAC_SHA_256"}
    return {**asked, "Mac": aws.call("GenerateMac", **asked).needed(200)["Mac"]}


@covers("sign-verify")
@pytest.mark.parametrize("spec", ALGORITHMS)
def test_signature(aws, spec):
    """A signature is verified with its message and key."""
    aws.call("Verify", **signed(aws, spec)).succeeds(200).shows("SignatureValid", value=True)


@covers("signature-invalid")
@pytest.mark.parametrize("what", ["Message", "Signature"])
def test_wrong_signature(aws, what):
    """A signature that does not fit is refused by an error and not by false."""
    asked = signed(aws, "RSA_2048")
    aws.call("Verify", **asked).succeeds(200)
    aws.call("Verify", **{**asked, what: aws.flipped(asked[what], 1)}).is_refused(
        "KMSInvalidSignatureException"
    )


@covers("mac-verify")
@needs(capability="aws_macs")
def test_mac(aws):
    """An HMAC is verified with its message and key."""
    aws.call("VerifyMac", **authenticated(aws)).succeeds(200).shows("MacValid", value=True)


@covers("mac-invalid")
@needs(capability="aws_macs")
@pytest.mark.parametrize("what", ["Message", "Mac"])
def test_wrong_mac(aws, what):
    """An HMAC that does not fit is refused by an error and not by false."""
    asked = authenticated(aws)
    aws.call("VerifyMac", **asked).succeeds(200)
    aws.call("VerifyMac", **{**asked, what: aws.flipped(asked[what], 1)}).is_refused("KMSInvalidMacException")
