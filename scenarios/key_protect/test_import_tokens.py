"""Import tokens: sections 23, 24 and 29."""

import base64
import os

import pytest

from kms_conformance.api import Secret, covers, impact, needs, waits


@covers("import-token-create", "import-token-retrieve", "import-token-counts-down")
@needs(capability="import_tokens")
@impact("import-token")
def test_token_counts_down(kms):
    """Each retrieval of an import token lowers the number of retrievals left by one."""
    made = kms.create_import_token(expiration=900, maxAllowedRetrievals=3).succeeds(200)
    made.shows("maxAllowedRetrievals", 3).shows("remainingRetrievals", 3).lacks("payload").lacks("nonce")
    made.differs("expirationDate", made["creationDate"])
    first = kms.get_import_token().succeeds(200, requirement="import-token-retrieve")
    first.shows("payload", requirement="import-token-retrieve").shows(
        "nonce", requirement="import-token-retrieve"
    )
    for name in ("privateKey", "private_key"):
        first.lacks(name, requirement="import-token-retrieve")
    first.shows("remainingRetrievals", 2, requirement="import-token-counts-down")
    kms.get_import_token().succeeds(200).shows(
        "remainingRetrievals", 1, requirement="import-token-counts-down"
    )


@covers(
    "import-token-import",
    "import-token-several-imports",
    "import-token-retrieve",
    "import-token-root-only",
    "import-token-algorithm-left-out",
)
@needs(capability="import_tokens")
@impact("import-token")
def test_import_by_token(kms):
    """An import token imports several root keys, which can be used, and no standard key; the algorithm may be left out."""
    token = kms.import_token()
    rows = ("import-token-import", "import-token-several-imports", "import-token-algorithm-left-out")
    for row, left_out in zip(rows, ({}, {}, {"encryptionAlgorithm": None}), strict=True):
        answer = kms.create_key(**{**kms.wrap_for_import(token, kms.key_material()).members(), **left_out})
        answer.succeeds(201, requirement=row).shows("resources.0.imported", value=True)
        answer.lacks("resources.0.payload")
        kms.wrap(answer["resources.0.id"], token["nonce"]).succeeds(200)
    token.shows("nonce", kms.of_octets(12, token["nonce"]), requirement="import-token-retrieve")
    parcel = kms.wrap_for_import(token, kms.key_material()).members()
    refused = kms.create_key(extractable=True, **parcel)
    refused.is_refused_somehow(control=answer, requirement="import-token-root-only")


@covers("incorrect-nonce-err-import", "import-token-replaced")
@needs(capability="import_tokens")
@impact("import-token")
def test_import_with_a_stale_nonce(kms):
    """Importing with the encrypted nonce of an older import token is refused."""
    material = kms.key_material()
    old = kms.wrap_for_import(kms.import_token(), material)
    kms.create_key(**old.members()).succeeds(201)
    new = kms.wrap_for_import(kms.import_token(), material)
    stale = {**new.members(), "encryptedNonce": old.encrypted_nonce, "iv": old.iv}
    kms.create_key(**stale).is_refused("INCORRECT_NONCE_ERR")
    old_key = kms.create_key(**{**new.members(), "payload": old.payload})
    old_key.is_refused_somehow(requirement="import-token-replaced")
    kms.create_key(**new.members()).succeeds(201)


@covers("incorrect-nonce-err-restore", "incorrect-nonce-err")
@needs(capability="import_tokens")
@impact("import-token")
@waits(31)
def test_restore_with_a_stale_nonce(kms):
    """The page's own sequence: a key imported by token is restored with the first token's nonce."""
    material = kms.key_material()
    old = kms.wrap_for_import(kms.import_token(), material)
    key = kms.create_key(**old.members()).succeeds(201)["resources.0.id"]
    kms.delete_key(key).succeeds()
    new = kms.wrap_for_import(kms.import_token(), material)
    kms.wait(31, "30 seconds between delete and restore")
    stale = {**new.members(), "encryptedNonce": old.encrypted_nonce, "iv": old.iv}
    kms.restore_key(key, **stale).is_refused(
        "INCORRECT_NONCE_ERR",
        control="restore_imported_key",
        requirement=("incorrect-nonce-err-restore", "incorrect-nonce-err"),
    )


@covers("incorrect-nonce-err-rotate", "import-token-rotate")
@needs(capability="import_tokens")
@impact("import-token")
def test_rotate_with_a_stale_nonce(kms):
    """Rotating with the encrypted nonce of an older import token is refused."""
    material = kms.key_material()
    old = kms.wrap_for_import(kms.import_token(), material)
    key, control = kms.import_root_key(), kms.import_root_key()
    new = kms.wrap_for_import(kms.import_token(), material)
    kms.rotate(control, wrapped=new).succeeds(204, requirement="import-token-rotate")
    stale = {**new.members(), "encryptedNonce": old.encrypted_nonce, "iv": old.iv}
    kms.action(key, "rotate", stale).is_refused("INCORRECT_NONCE_ERR")


@covers("incorrect-nonce-iv-err", "incorrect-nonce-iv-err-other-material")
@needs(capability="import_tokens")
@impact("import-token")
def test_import_with_a_wrong_iv(kms):
    """Importing with an IV or a nonce that does not match the key material is refused."""
    token, material = kms.import_token(), kms.key_material()
    wrapped = kms.wrap_for_import(token, material)
    kms.create_key(**wrapped.members()).succeeds(201)
    other_iv = Secret(base64.b64encode(os.urandom(12)).decode())
    kms.create_key(**{**wrapped.members(), "iv": other_iv}).is_refused("INCORRECT_NONCE_IV_ERR")
    other = {**wrapped.members(), "payload": kms.wrap_for_import(token, kms.key_material()).payload}
    kms.create_key(**other).is_refused(
        "INCORRECT_NONCE_IV_ERR", requirement="incorrect-nonce-iv-err-other-material"
    )


@covers("import-token-replaced")
@needs(capability="import_tokens")
@impact("import-token")
def test_import_by_a_replaced_token(kms):
    """Importing with the public key of a replaced import token is refused."""
    material = kms.key_material()
    old = kms.wrap_for_import(kms.import_token(), material)
    kms.create_key(**old.members()).succeeds(201)
    new = kms.wrap_for_import(kms.import_token(), material)
    kms.create_key(**old.members()).is_refused_somehow()
    kms.create_key(**new.members()).succeeds(201)


@covers(
    "import-token-expired-err", "import-token-expired-err-before-expiry", "import-token-expired-err-import"
)
@needs(capability="import_tokens")
@impact("import-token")
@waits(301, slack=15)
def test_token_expires(kms):
    """An import token can be retrieved and used until it expires, and not afterwards."""
    kms.create_import_token(expiration=300, maxAllowedRetrievals=3).succeeds(200)
    token = kms.get_import_token().succeeds(200, requirement="import-token-expired-err-before-expiry")
    wrapped = kms.wrap_for_import(token, kms.key_material())
    kms.create_key(**wrapped.members()).succeeds(201, requirement="import-token-expired-err-before-expiry")
    kms.wait(285, "the import token has not expired yet", within=300)
    kms.get_import_token().succeeds(200, requirement="import-token-expired-err-before-expiry")
    kms.wait(16, "the import token expires")
    kms.get_import_token().is_refused("IMPORT_TOKEN_EXPIRED_ERR")
    refused = kms.create_key(**wrapped.members())
    refused.is_refused("IMPORT_TOKEN_EXPIRED_ERR", requirement="import-token-expired-err-import")


@covers("import-token-expired-err-used-up", "import-token-counts-down")
@needs(capability="import_tokens")
@impact("import-token")
def test_token_is_used_up(kms):
    """An import token cannot be retrieved more often than its number of retrievals."""
    made = kms.create_import_token(expiration=900, maxAllowedRetrievals=1).succeeds(200)
    made.differs("expirationDate", made["creationDate"], requirement="import-token-counts-down")
    last = kms.get_import_token().succeeds(200)
    last.shows("remainingRetrievals", 0, requirement="import-token-counts-down")
    last.lacks("privateKey", requirement="import-token-counts-down")
    kms.get_import_token().is_refused_somehow().lacks("payload")


@pytest.mark.parametrize("expiration", [299, 86401])
@covers("import-token-bounds")
@needs(capability="import_tokens")
@impact("import-token")
def test_token_of_a_forbidden_length(kms, expiration):
    """An import token with a lifetime outside 300 to 86400 seconds is refused."""
    kms.create_import_token(expiration=300).succeeds(200)
    kms.create_import_token(expiration=expiration).is_refused_somehow()


@covers("import-nonce-without-iv")
@needs(capability="import_tokens")
@impact("import-token")
def test_nonce_without_vector(kms):
    """Importing with an encrypted nonce but no initialisation vector is refused, or the other way round, packed or plain."""
    members = kms.wrap_for_import(kms.import_token(), kms.key_material()).members()
    key = kms.create_key(**members).succeeds(201)["resources.0.id"]
    kms.create_key(**{**members, "iv": None}).is_refused_somehow()
    for lone in ("encryptedNonce", "iv"):
        plain = {"payload": kms.key_material(), lone: members[lone]}
        kms.create_key(**plain).is_refused_somehow()
        kms.action(key, "rotate", plain).is_refused_somehow(control="it succeeds below")
    kms.rotate(key, payload=kms.key_material()).succeeds(204)
