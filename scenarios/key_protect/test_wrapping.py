"""Wrap, unwrap and rewrap: what succeeds and what is refused."""

import base64

import pytest

from kms_conformance.api import Secret, covers


@covers("wrap-unwrap-round-trip")
def test_round_trip(kms):
    """Unwrapping a ciphertext returns the plaintext that was wrapped, under the same key version."""
    key, plaintext = kms.create_root_key(), kms.key_material()
    wrapped = kms.wrap(key, plaintext).succeeds(200).differs("ciphertext", plaintext)
    unwrapped = kms.unwrap(key, wrapped["ciphertext"]).succeeds(200)
    unwrapped.shows("plaintext", plaintext).shows("keyVersion.id", wrapped["keyVersion.id"])


@covers("wrap-any-length")
@pytest.mark.parametrize("size", [16, 24, 35])
def test_plaintexts_of_any_length(kms, size):
    """A plaintext of another length than an AES key's, with zeros at both ends, comes back whole."""
    key, plaintext = kms.create_root_key(), edged(kms.key_material(size))
    wrapped = kms.wrap(key, plaintext).succeeds(200)
    kms.unwrap(key, wrapped["ciphertext"]).succeeds(200).shows("plaintext", plaintext)


@covers("wrap-any-length")
def test_long_plaintext(kms):
    """A long plaintext, where it is taken at all, comes back whole: no source names a bound."""
    key, plaintext = kms.create_root_key(), edged(kms.key_material(1500))
    kms.wrap(key, edged(kms.key_material(35))).succeeds(200)
    wrapped = kms.wrap(key, plaintext)
    if not wrapped.ok:
        wrapped.is_refused_somehow(400, 413, 422)
        return
    kms.unwrap(key, wrapped.succeeds(200)["ciphertext"]).succeeds(200).shows("plaintext", plaintext)


@covers("wrap-aad-round-trip")
def test_round_trip_with_aad(kms):
    """Unwrapping with the same additional authenticated data in the same order returns the plaintext."""
    key, plaintext, aad = kms.create_root_key(), kms.key_material(), ["bucket", "object"]
    wrapped = kms.wrap(key, plaintext, aad).succeeds(200)
    kms.unwrap(key, wrapped["ciphertext"], aad).succeeds(200).shows("plaintext", plaintext)


@pytest.mark.parametrize(
    "aad",
    [
        pytest.param(["bucket", "another"], marks=covers("unwrap-wrong-aad-refused"), id="wrong"),
        pytest.param(None, marks=covers("unwrap-missing-aad-refused"), id="missing"),
        pytest.param(["object", "bucket"], marks=covers("unwrap-reordered-aad-refused"), id="reordered"),
    ],
)
def test_unwrap_with_other_aad(kms, aad):
    """Unwrapping with other, missing or reordered additional data is refused and reveals nothing."""
    key, right = kms.create_root_key(), ["bucket", "object"]
    wrapped = kms.wrap(key, kms.key_material(), right).succeeds(200)
    kms.unwrap(key, wrapped["ciphertext"], right).succeeds(200)
    refused = kms.unwrap(key, wrapped["ciphertext"], aad).is_refused_somehow()
    refused.lacks("plaintext")


@covers("wrap-generates-plaintext", "no-body-err-wrap-without-body", "unwrap-missing-aad-refused")
def test_wrap_makes_a_plaintext(kms):
    """Wrap without a plaintext generates one of 32 bytes, returns it once, wraps it, and binds additional data to it."""
    key, aad = kms.create_root_key(), ["bucket", "object"]
    wrapped = kms.wrap(key).succeeds(
        200, requirement=("wrap-generates-plaintext", "no-body-err-wrap-without-body")
    )
    wrapped.shows("plaintext")
    kms.unwrap(key, wrapped["ciphertext"]).succeeds(200).shows("plaintext", wrapped["plaintext"])
    kms.wrap(key, wrapped["plaintext"]).succeeds(200)
    wrapped.shows(
        "plaintext", kms.of_octets(32, wrapped["plaintext"]), requirement="wrap-generates-plaintext"
    )
    bound = kms.wrap(key, aad=aad).succeeds(200).differs("plaintext", wrapped["plaintext"])
    opened = kms.unwrap(key, bound["ciphertext"], aad).succeeds(200).shows("plaintext", bound["plaintext"])
    refused = kms.unwrap(key, bound["ciphertext"]).is_refused_somehow(control=opened)
    refused.lacks("plaintext", requirement="unwrap-missing-aad-refused")


@covers("wrap-given-plaintext-not-echoed")
def test_given_plaintext_is_not_echoed(kms):
    """Wrap does not return a plaintext that the caller gave."""
    key = kms.create_root_key()
    kms.wrap(key, kms.key_material()).succeeds(200).lacks("plaintext")


@pytest.mark.parametrize("place", ["front", "end", "iv"])
@covers("unprocessable-ciphertext-err", "unwrap-tampered", "unwrap-tampered-no-plaintext")
def test_unwrap_tampered_ciphertext(kms, place):
    """Unwrapping a ciphertext with one changed byte is refused and reveals nothing."""
    key, plaintext = kms.create_root_key(), kms.key_material()
    wrapped = kms.wrap(key, plaintext).succeeds(200)
    kms.unwrap(key, wrapped["ciphertext"]).succeeds(200).shows("plaintext", plaintext)
    changed = kms.damaged(wrapped["ciphertext"], place)
    refused = kms.unwrap(key, changed).is_refused(
        "UNPROCESSABLE_CIPHERTEXT_ERR", requirement=("unprocessable-ciphertext-err", "unwrap-tampered")
    )
    refused.lacks("plaintext", requirement="unwrap-tampered-no-plaintext")


@covers("unprocessable-ciphertext-err-rewrap")
def test_rewrap_tampered_ciphertext(kms):
    """Rewrapping a ciphertext with one changed byte is refused."""
    key = kms.create_root_key()
    wrapped = kms.wrap(key, kms.key_material()).succeeds(200)
    kms.rewrap(key, wrapped["ciphertext"]).succeeds(200)
    kms.rewrap(key, kms.damaged(wrapped["ciphertext"], "front")).is_refused(
        "UNPROCESSABLE_CIPHERTEXT_ERR"
    ).lacks("ciphertext")


@covers("unwrap-other-key")
def test_unwrap_under_another_key(kms):
    """Unwrapping with another root key is refused and reveals nothing."""
    key, other = kms.create_root_key(), kms.create_root_key()
    wrapped = kms.wrap(key, kms.key_material()).succeeds(200)
    kms.unwrap(key, wrapped["ciphertext"]).succeeds(200)
    kms.unwrap(other, wrapped["ciphertext"]).is_refused_somehow().lacks("plaintext")


@covers("old-action-form")
def test_old_action_form(kms):
    """Actions in the older path form `?action=` answer as those in the present form."""
    key, plaintext = kms.create_root_key(), kms.key_material()
    wrapped = kms.old_action(key, "wrap", {"plaintext": plaintext}).succeeds(200)
    kms.unwrap(key, wrapped["ciphertext"]).succeeds(200).shows("plaintext", plaintext)


@covers("wrap-ciphertext-fresh")
def test_wrap_twice(kms):
    """Wrapping the same plaintext twice returns two different ciphertexts."""
    key, plaintext = kms.create_root_key(), kms.key_material()
    first = kms.wrap(key, plaintext).succeeds(200)
    kms.wrap(key, plaintext).succeeds(200).differs("ciphertext", first["ciphertext"])


def edged(material):
    """Return the material with octets at its ends that careless code drops: zeros, a line break, what looks like padding."""
    octets = base64.b64decode(material)
    last = b"\n" if len(octets) % 2 else b"\1" if len(octets) % 16 == 8 else b"\0"
    return Secret(base64.b64encode(b"\0" + octets[1:-1] + last).decode())
