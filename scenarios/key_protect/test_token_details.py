"""Further cases on import tokens: lifetime, retrievals, and what a refused import changes."""

import pytest

from kms_conformance.api import Secret, covers, impact, near, needs, waits

tokens = needs(capability="import_tokens")


@covers("import-token-expiration-date", "import-token-defaults")
@tokens
@impact("import-token")
def test_life_of_a_token(kms):
    """An import token expires after the requested seconds; by default 600, with one retrieval."""
    asked = kms.create_import_token(expiration=1200, maxAllowedRetrievals=5).succeeds(200)
    asked.matches("expirationDate", near(asked["creationDate"], seconds=1200))
    usual = kms.create_import_token({}).succeeds(200, requirement="import-token-defaults")
    usual.matches(
        "expirationDate", near(usual["creationDate"], seconds=600), requirement="import-token-defaults"
    )
    usual.shows("maxAllowedRetrievals", 1, requirement="import-token-defaults")
    shown = kms.get_import_token().succeeds(200)
    shown.shows("expirationDate", usual["expirationDate"]).shows("creationDate", usual["creationDate"])


@covers("import-token-same-each-time", "import-token-used-up-imports")
@tokens
@impact("import-token")
def test_token_stays_the_same(kms):
    """Each retrieval returns the same nonce and key, which import until the token expires."""
    kms.create_import_token(expiration=900, maxAllowedRetrievals=2).succeeds(200)
    first = kms.get_import_token().succeeds(200)
    kms.create_key(**kms.wrap_for_import(first, kms.key_material()).members()).succeeds(201)
    # An import uses up no retrieval.
    last = kms.get_import_token().succeeds(200).shows("remainingRetrievals", 0)
    last.shows("nonce", first["nonce"]).shows("payload", first["payload"])
    kms.create_key(**kms.wrap_for_import(last, kms.key_material()).members()).succeeds(
        201, requirement="import-token-used-up-imports"
    )


@pytest.mark.parametrize("retrievals", [0, 501])
@covers("import-token-bounds")
@tokens
@impact("import-token")
def test_token_of_forbidden_retrievals(kms, retrievals):
    """An import token with a number of retrievals outside 1 to 500 is refused."""
    kms.create_import_token(maxAllowedRetrievals=500).succeeds(200)
    kms.create_import_token(maxAllowedRetrievals=retrievals).is_refused_somehow()


@covers("incorrect-nonce-err-unchanged")
@tokens
@impact("import-token")
def test_refused_import_leaves_nothing(kms):
    """A refused import creates no key, and a refused rotation no version."""
    material, name = kms.key_material(), kms.name("stale")
    old = kms.wrap_for_import(kms.import_token(), material)
    kms.create_key(**old.members()).succeeds(201)
    key, new = kms.import_root_key(), kms.wrap_for_import(kms.import_token(), material)
    stale = {**new.members(), "encryptedNonce": old.encrypted_nonce, "iv": old.iv}
    kms.create_key(name=name, **stale).is_refused_somehow(400)
    kms.list_keys(search=name).succeeds(200).shows("metadata.collectionTotal", 0)
    kms.action(key, "rotate", stale).is_refused_somehow(400, control="the same request succeeds below")
    kms.list_versions(key).succeeds(200).counts("resources", 1)
    kms.rotate(key, wrapped=new).succeeds(204)


@covers("incorrect-nonce-iv-err-rotate")
@tokens
@impact("import-token")
def test_rotate_with_a_wrong_iv(kms):
    """Rotating with an IV that does not match the nonce is refused."""
    token, key = kms.import_token(), kms.import_root_key()
    wrapped = kms.wrap_for_import(token, kms.key_material())
    kms.rotate(kms.import_root_key(), wrapped=kms.wrap_for_import(token, kms.key_material())).succeeds(204)
    with_other_iv = {**wrapped.members(), "iv": kms.wrap_for_import(token, kms.key_material()).iv}
    kms.action(key, "rotate", with_other_iv).is_refused("INCORRECT_NONCE_IV_ERR")
    kms.list_versions(key).succeeds(200).counts("resources", 1)


@covers("import-token-expired-err-rotate", "import-token-replaced")
@tokens
@impact("import-token")
@waits(301)
def test_rotate_by_a_dead_token(kms):
    """Rotating with a replaced or an expired import token is refused."""
    key, material = kms.import_root_key(), kms.key_material()
    old = kms.wrap_for_import(kms.import_token(), material)
    kms.rotate(kms.import_root_key(), wrapped=old).succeeds(204)
    new = kms.wrap_for_import(kms.import_token(expiration=300), material)
    kms.rotate(key, wrapped=old).is_refused_somehow(requirement="import-token-replaced")
    kms.rotate(kms.import_root_key(), wrapped=new).succeeds(204)
    kms.wait(301, "the import token expires")
    kms.rotate(key, wrapped=new).is_refused("IMPORT_TOKEN_EXPIRED_ERR")
    kms.list_versions(key).succeeds(200).counts("resources", 1)


@covers("import-nonce-without-iv")
@tokens
@impact("import-token")
def test_vector_without_nonce(kms):
    """Importing with an initialisation vector but no encrypted nonce is refused."""
    members = kms.wrap_for_import(kms.import_token(), kms.key_material()).members()
    kms.create_key(**members).succeeds(201)
    kms.create_key(**{**members, "payload": kms.key_material(), "encryptedNonce": None}).is_refused_somehow()


@covers("import-material-used")
@tokens
@impact("import-token")
def test_material_that_was_given_is_used(kms):
    """Keys with the same key material unwrap each other's ciphertexts, imported with or without a token."""
    material, plaintext, token = kms.key_material(), kms.key_material(), kms.import_token()
    plain = kms.import_root_key(material)
    packed = kms.create_key(**kms.wrap_for_import(token, material).members()).succeeds(201)["resources.0.id"]
    rotated = kms.import_root_key()
    kms.rotate(rotated, payload=material).succeeds(204)
    ciphertext = kms.wrap(plain, plaintext).succeeds(200)["ciphertext"]
    for key in (packed, rotated):
        opened = kms.unwrap(key, Secret(ciphertext)).succeeds(200, requirement="import-material-used")
        opened.shows("plaintext", plaintext)
