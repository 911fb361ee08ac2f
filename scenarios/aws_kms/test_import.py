"""Imported key material."""

import time

import pytest

from kms_conformance.api import covers, impact, needs, waits

pytestmark = [impact("keys"), needs(capability="aws_import")]
EXPIRES = {"ExpirationModel": "KEY_MATERIAL_EXPIRES"}


def filled(aws, material):
    """Make a key with imported material as a precondition."""
    key = aws.key_without_material()
    aws.import_material(key, aws.import_parameters(key), material).needed(200)
    return key


@covers("import")
def test_import(aws):
    """A key has no material until it is imported, and works from then on."""
    key, plain = aws.key_without_material(), aws.plaintext()
    shown = aws.state(key, "PendingImport").shows("KeyMetadata.Enabled", value=False)
    shown.shows("KeyMetadata.Origin", "EXTERNAL")
    aws.import_material(key, aws.import_parameters(key), aws.plaintext()).succeeds(200)
    aws.state(key, "Enabled").proof.shows("KeyMetadata.ExpirationModel", "KEY_MATERIAL_DOES_NOT_EXPIRE")
    sealed = aws.encrypt(key, plain).succeeds(200)["CiphertextBlob"]
    aws.decrypt(sealed).succeeds(200).proof.shows("Plaintext", plain)


@covers("import-token")
@pytest.mark.parametrize("kind", ["garbage", "of another key", "changed"])
def test_wrong_token(aws, kind):
    """Nothing is imported with a token that is not the key's own."""
    first, key, material = aws.key_without_material(), aws.key_without_material(), aws.plaintext()
    of_first, own = aws.import_parameters(first), aws.import_parameters(key)
    aws.import_material(first, of_first, material).succeeds(200)
    token = {"garbage": aws.plaintext(600), "changed": aws.flipped(own.token, 0.5)}.get(kind, of_first.token)
    used = of_first if kind == "of another key" else own
    aws.import_material(key, used, material, token=token).is_refused("InvalidImportTokenException")
    aws.state(key, "PendingImport")


@covers("import-material")
def test_wrong_wrapping(aws):
    """Material that is wrapped with another key than the token's is not imported."""
    first, key, material = aws.key_without_material(), aws.key_without_material(), aws.plaintext()
    aws.import_material(first, aws.import_parameters(first), material).succeeds(200)
    own, random_bytes = aws.import_parameters(key), aws.plaintext(256)
    answer = aws.import_material(key, own, material, EncryptedKeyMaterial=random_bytes)
    answer.is_refused("InvalidCiphertextException")
    aws.state(key, "PendingImport")


@covers("import-again")
def test_import_again(aws):
    """Material that was deleted is imported again and decrypts what it encrypted before."""
    material, plain = aws.plaintext(), aws.plaintext()
    key = filled(aws, material)
    sealed = aws.ciphertext(key, plain)
    aws.call("DeleteImportedKeyMaterial", KeyId=key).succeeds(200)
    aws.state(key, "PendingImport").proof.shows("KeyMetadata.Enabled", value=False)
    aws.import_material(key, aws.import_parameters(key), material).succeeds(200)
    aws.state(key, "Enabled")
    aws.decrypt(sealed).succeeds(200).proof.shows("Plaintext", plain)


@covers("import-other")
def test_other_material(aws):
    """A key takes no other material than its first."""
    material = aws.plaintext()
    key = filled(aws, material)
    aws.call("DeleteImportedKeyMaterial", KeyId=key).needed(200)
    other = aws.import_material(key, aws.import_parameters(key), aws.plaintext())
    other.is_refused("IncorrectKeyMaterialException", control="aws_kms.import.import")
    aws.state(key, "PendingImport")


@covers("import-expires")
@waits(8)
def test_expired_material(aws):
    """A key whose material has expired waits for its material."""
    key, date = aws.key_without_material(), time.time() + 5
    aws.import_material(key, aws.import_parameters(key), aws.plaintext(), ValidTo=date, **EXPIRES).succeeds(
        200
    )
    aws.state(key, "Enabled")
    aws.encrypt(key).succeeds(200)
    aws.case.wait(8, "the material's date of expiry, five seconds after its import")
    aws.encrypt(key).is_refused("KMSInvalidStateException")


@covers("import-expiry-given")
@pytest.mark.parametrize("date", ["none", "past"])
def test_date_of_expiry(aws, date):
    """Material that expires is not imported without a date in the future."""
    first, key, material = aws.key_without_material(), aws.key_without_material(), aws.plaintext()
    tomorrow = {"ValidTo": time.time() + 86400, **EXPIRES}
    aws.import_material(first, aws.import_parameters(first), material, **tomorrow).succeeds(200)
    expiry = EXPIRES if date == "none" else {"ValidTo": time.time() - 86400, **EXPIRES}
    answer = aws.import_material(key, aws.import_parameters(key), material, **expiry)
    answer.is_refused("ValidationException")
    aws.state(key, "PendingImport")


@covers("import-own-key")
def test_import_into_the_services_own(aws):
    """No import parameters are given for a key whose material the service has made."""
    asked = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    aws.call("GetParametersForImport", KeyId=aws.key_without_material(), **asked).succeeds(200)
    answer = aws.call("GetParametersForImport", KeyId=aws.key(), **asked)
    answer.is_refused("UnsupportedOperationException")
