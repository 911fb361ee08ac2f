"""Wrap, unwrap and rewrap: what must work, and what must not."""

import base64

import pytest

from kms_conformance.api import Secret, covers


@covers("wrap-unwrap-round-trip")
def test_round_trip(kms):
    """What was wrapped is unwrapped to the same plaintext, under the same key version."""
    key, plaintext = kms.create_root_key(), kms.key_material()
    wrapped = kms.wrap(key, plaintext).succeeds(200).differs("ciphertext", plaintext)
    unwrapped = kms.unwrap(key, wrapped["ciphertext"]).succeeds(200)
    unwrapped.shows("plaintext", plaintext).shows("keyVersion.id", wrapped["keyVersion.id"])


@covers("wrap-any-length")
@pytest.mark.parametrize("size", [16, 24, 35])
def test_plaintexts_of_any_length(kms, size):
    """A plaintext need not have the length of an AES key."""
    key, plaintext = kms.create_root_key(), kms.key_material(size)
    wrapped = kms.wrap(key, plaintext).succeeds(200)
    kms.unwrap(key, wrapped["ciphertext"]).succeeds(200).shows("plaintext", plaintext)


@covers("wrap-aad-round-trip")
def test_round_trip_with_aad(kms):
    """With the same additional authenticated data in the same order, the plaintext comes back."""
    key, plaintext, aad = kms.create_root_key(), kms.key_material(), ["bucket", "object"]
    wrapped = kms.wrap(key, plaintext, aad).succeeds(200)
    kms.unwrap(key, wrapped["ciphertext"], aad).succeeds(200).shows("plaintext", plaintext)


@covers("unwrap-wrong-aad-refused", "unwrap-missing-aad-refused", "unwrap-reordered-aad-refused")
@pytest.mark.parametrize(
    ("row", "aad"),
    [
        ("unwrap-wrong-aad-refused", ["bucket", "another"]),
        ("unwrap-missing-aad-refused", None),
        ("unwrap-reordered-aad-refused", ["object", "bucket"]),
    ],
)
def test_unwrap_with_other_aad(kms, row, aad):
    """With other, missing or reordered additional data nothing is revealed."""
    key, right = kms.create_root_key(), ["bucket", "object"]
    wrapped = kms.wrap(key, kms.key_material(), right).succeeds(200)
    kms.unwrap(key, wrapped["ciphertext"], right).succeeds(200)
    refused = kms.unwrap(key, wrapped["ciphertext"], aad).is_refused_somehow(requirement=row)
    refused.lacks("plaintext", requirement=row)


@covers("wrap-generates-plaintext", "no-body-err-wrap-without-body")
def test_wrap_makes_a_plaintext(kms):
    """Without a plaintext the service makes one, returns it once, and wraps it."""
    key = kms.create_root_key()
    wrapped = kms.wrap(key).succeeds(200).shows("plaintext")
    kms.unwrap(key, wrapped["ciphertext"]).succeeds(200).shows("plaintext", wrapped["plaintext"])
    kms.wrap(key).succeeds(200).differs("plaintext", wrapped["plaintext"])


@covers("wrap-given-plaintext-not-echoed")
def test_given_plaintext_is_not_echoed(kms):
    """A plaintext that the caller gave does not come back from wrap."""
    key = kms.create_root_key()
    kms.wrap(key, kms.key_material()).succeeds(200).lacks("plaintext")


@pytest.mark.parametrize("place", ["front", "end", "iv"])
@covers("unprocessable-ciphertext-err", "unwrap-tampered", "unwrap-tampered-no-plaintext")
def test_unwrap_tampered_ciphertext(kms, place):
    """A ciphertext with one changed byte, wherever it is, is refused and nothing is revealed."""
    key, plaintext = kms.create_root_key(), kms.key_material()
    wrapped = kms.wrap(key, plaintext).succeeds(200)
    kms.unwrap(key, wrapped["ciphertext"]).succeeds(200).shows("plaintext", plaintext)
    wrong = tampered(wrapped["ciphertext"], place)
    refused = kms.unwrap(key, wrong).is_refused("UNPROCESSABLE_CIPHERTEXT_ERR")
    refused.lacks("plaintext", requirement="unwrap-tampered-no-plaintext")


@covers("unprocessable-ciphertext-err-rewrap")
def test_rewrap_tampered_ciphertext(kms):
    """A changed ciphertext is not rewrapped either."""
    key = kms.create_root_key()
    wrapped = kms.wrap(key, kms.key_material()).succeeds(200)
    kms.rewrap(key, wrapped["ciphertext"]).succeeds(200)
    kms.rewrap(key, tampered(wrapped["ciphertext"])).is_refused("UNPROCESSABLE_CIPHERTEXT_ERR").lacks(
        "ciphertext"
    )


@covers("unwrap-other-key")
def test_unwrap_under_another_key(kms):
    """Another key does not reveal the plaintext."""
    key, other = kms.create_root_key(), kms.create_root_key()
    wrapped = kms.wrap(key, kms.key_material()).succeeds(200)
    kms.unwrap(key, wrapped["ciphertext"]).succeeds(200)
    kms.unwrap(other, wrapped["ciphertext"]).is_refused_somehow().lacks("plaintext")


@covers("old-action-form")
def test_old_action_form(kms):
    """The old form ``?action=`` does what the present one does."""
    key, plaintext = kms.create_root_key(), kms.key_material()
    wrapped = kms.old_action(key, "wrap", {"plaintext": plaintext}).succeeds(200)
    kms.unwrap(key, wrapped["ciphertext"]).succeeds(200).shows("plaintext", plaintext)


@covers("wrap-ciphertext-fresh")
def test_wrap_twice(kms):
    """Wrapping the same plaintext twice gives two ciphertexts."""
    key, plaintext = kms.create_root_key(), kms.key_material()
    first = kms.wrap(key, plaintext).succeeds(200)
    kms.wrap(key, plaintext).succeeds(200).differs("ciphertext", first["ciphertext"])


def tampered(ciphertext, place="front"):
    """Return the ciphertext with one bit changed at a place of its innermost bytes, still well-formed base64."""
    outer = bytearray(base64.b64decode(ciphertext))
    begin = b'"iv":"' if place == "iv" else b'"ciphertext":"'
    at = outer.find(begin)
    first = at + len(begin)
    # In front, or within the tag at the end; of a format that nobody knows, the middle.
    changed = len(outer) // 2 if at < 0 else outer.index(b'"', first) - 8 if place == "end" else first + 8
    # A letter of base64 becomes another letter, so that whatever format is inside stays readable.
    outer[changed] = ord("B") if outer[changed] != ord("B") else ord("C")
    return Secret(base64.b64encode(bytes(outer)).decode())
